"""Find what the bot knows about a question."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from ..core.ranking import Asked, Ranked, fused
from ..store import knowledge as store
from ..store.engine import Database
from .embeddings import Embedder
from .floor import Floor
from .meaning import Meaning, Near
from .terms import asked

# While there is nothing.
LOOK_EVERY_S = 10.0
# How long an answer waits for the first documents.
FIRST_S = 10.0
MAX_WORDS = 24
MAX_CHARS = 500
# Below it a chunk shares only by-words with the question: where its vector has a say
# too, and where the words alone must do. Measured with
# `tests/knowledge/test_retrieval_quality.py`.
COVERED, COVERED_ALONE = 0.2, 0.22
# Of one document, so that others are heard too.
OF_ONE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document that may answer a question.

    Attributes:
        uri: where its document came from: a path, or an address.
        url: for contacts; None when they cannot open it.
        heading: those above it, without the title; may be empty.
        score: of this search only; the higher the better.
    """

    document_id: int
    uri: str
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
        taken_in: set once the first documents are there; None when nothing is coming.
    """

    def __init__(
        self,
        db: Database,
        collections: Sequence[str],
        embedder: Embedder | None = None,
        taken_in: asyncio.Event | None = None,
    ) -> None:
        self.collections = tuple(collections)
        self._db = db
        self._is_filled = False
        self._taken_in = taken_in
        self._look_at = 0.0
        self._meaning = Meaning(db, collections, embedder) if embedder else None

    async def holds_anything(self) -> bool:
        """Return whether there is anything to find; documents may come at any time."""
        if not self._is_filled and time.monotonic() >= self._look_at:
            self._is_filled = await self._look()
            if not self._is_filled and self._taken_in is not None:
                # After a first start the documents are on their way.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._taken_in.wait(), FIRST_S)
                self._is_filled = await self._look()
            self._look_at = time.monotonic() + LOOK_EVERY_S
        return self._is_filled

    async def _look(self) -> bool:
        return (await self._db.read(store.size, self.collections)).chunks > 0

    async def search(self, query: str, *, limit: int = 5) -> Sequence[Passage]:
        """Return what fits *query*, the best first; empty when nothing does.

        Args:
            query: a question or words of one, in a language of the documents; with
                embeddings in any.

        Raises:
            StoreError: the database did not answer.
        """
        query = query[:MAX_CHARS]
        chosen = (await self._chosen(query))[: limit * 4]
        if not chosen:
            return []
        pieces = await self._db.read(store.pieces, [one for one, _ in chosen])
        return _diverse(chosen, pieces, limit)

    async def _by_words(self, query: str) -> list[Ranked]:
        ask = partial(_asked, query)
        return await self._db.read(store.search, self.collections, ask)

    async def _chosen(self, query: str) -> list[tuple[int, float]]:
        """Return (chunk, score) of what fits, the best first."""
        if self._meaning is None:
            return _by_words_alone(await self._by_words(query))
        by_words, vector = await asyncio.gather(
            self._by_words(query), self._meaning.vector(query)
        )
        if vector is None:
            return _by_words_alone(by_words)
        also = [one.chunk_id for one in by_words if one.coverage >= COVERED]
        near = await self._meaning.search(vector, also)
        return _by_both(by_words, near, self._meaning.floor)


def _asked(query: str, languages: Collection[str]) -> Asked:
    question = asked(query, languages)
    return Asked(question.words[:MAX_WORDS], question.language)


def _by_words_alone(by_words: Sequence[Ranked]) -> list[tuple[int, float]]:
    return [
        (one.chunk_id, one.score) for one in by_words if one.coverage >= COVERED_ALONE
    ]


def _by_both(
    by_words: Sequence[Ranked], near: Sequence[Near], floor: Floor
) -> list[tuple[int, float]]:
    similarities = {one.chunk_id: one.similarity for one in near}
    related = [
        one.chunk_id
        for one in by_words
        # A chunk that has no vector yet counts by its words.
        if similarities.get(one.chunk_id, floor.related) >= floor.related
        and one.coverage >= COVERED
    ]
    return fused(
        by_words=related,
        by_meaning=[one.chunk_id for one in near if one.similarity >= floor.near],
    )


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
                uri=piece.uri,
                title=piece.title,
                url=piece.url,
                heading=piece.heading,
                text=piece.text,
                score=score,
            )
        )
    return passages[:limit]
