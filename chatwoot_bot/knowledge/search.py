"""Find what the bot knows about a question."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from ..core.ranking import Asked, Ranked, fused
from ..store import knowledge as store
from ..store.engine import Database
from .embeddings import Embedder
from .meaning import Meaning, Near
from .terms import asked

# While there is nothing.
LOOK_EVERY_S = 10.0
MAX_WORDS = 24
MAX_CHARS = 500
# Below it a chunk shares only by-words with the question; measured with
# `tests/knowledge/test_retrieval_quality.py`.
COVERED = 0.2
# Texts that have nothing to do with each other are about that near.
SIMILAR = 0.3
# Of one document, so that others are heard too.
OF_ONE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document that may answer a question.

    Attributes:
        url: for contacts; None when they cannot open it.
        heading: those above it, without the title; may be empty.
        score: of this search only; the higher the better.
    """

    document_id: int
    title: str
    url: str | None
    heading: str
    text: str
    score: float


class Knowledge:
    """What one bot knows.

    Args:
        collections: that it may see.
        embedder: None for full text alone.
    """

    def __init__(
        self,
        db: Database,
        collections: Sequence[str],
        embedder: Embedder | None = None,
    ) -> None:
        self.collections = tuple(collections)
        self._db = db
        self._is_filled = False
        self._look_at = 0.0
        self._meaning = Meaning(db, collections, embedder) if embedder else None

    async def holds_anything(self) -> bool:
        """Return whether there is anything to find; documents may come at any time."""
        if not self._is_filled and time.monotonic() >= self._look_at:
            size = await self._db.read(store.size, self.collections)
            self._is_filled = size.chunks > 0
            self._look_at = time.monotonic() + LOOK_EVERY_S
        return self._is_filled

    async def search(self, query: str, *, limit: int = 5) -> Sequence[Passage]:
        """Return what fits *query*, the best first; empty when nothing does.

        Args:
            query: a question or words of one, in a language of the documents; with
                embeddings in any.

        Raises:
            StoreError: the database did not answer.
        """
        query = query[:MAX_CHARS]
        by_words, by_meaning = await asyncio.gather(
            self._by_words(query), self._by_meaning(query)
        )
        chosen = _chosen(by_words, by_meaning)[: limit * 4]
        if not chosen:
            return []
        pieces = await self._db.read(store.pieces, [one for one, _ in chosen])
        return _diverse(chosen, pieces, limit)

    async def _by_words(self, query: str) -> list[Ranked]:
        ask = partial(_asked, query)
        return await self._db.read(store.search, self.collections, ask)

    async def _by_meaning(self, query: str) -> list[Near]:
        return await self._meaning.search(query) if self._meaning else []


def _asked(query: str, languages: Collection[str]) -> Asked:
    question = asked(query, languages)
    return Asked(question.words[:MAX_WORDS], question.language)


def _chosen(
    by_words: Sequence[Ranked], by_meaning: Sequence[Near]
) -> list[tuple[int, float]]:
    """Return (chunk, score) of what fits, the best first."""
    fitting = [one for one in by_words if one.coverage >= COVERED]
    near = [one for one in by_meaning if one.similarity >= SIMILAR]
    if not near:
        return [(one.chunk_id, one.score) for one in fitting]
    return fused([one.chunk_id for one in fitting], [one.chunk_id for one in near])


def _diverse(
    chosen: Sequence[tuple[int, float]], pieces: dict[int, store.Piece], limit: int
) -> list[Passage]:
    """Return the first passages, of one document at most `OF_ONE`."""
    passages: list[Passage] = []
    taken: Counter[int] = Counter()
    for chunk_id, score in chosen:
        piece = pieces.get(chunk_id)
        if piece is None or taken[piece.document_id] == OF_ONE:
            continue
        taken[piece.document_id] += 1
        passages.append(
            Passage(
                document_id=piece.document_id,
                title=piece.title,
                url=piece.url,
                heading=piece.heading,
                text=piece.text,
                score=score,
            )
        )
    return passages[:limit]
