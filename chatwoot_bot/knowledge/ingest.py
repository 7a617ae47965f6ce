"""Take documents in: what is new or has changed, and forget what is gone.

One process at a time; what another has done already costs only the comparing.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from ..core.chunk import Chunk
from ..errors import EmbeddingsError, KnowledgeError
from ..store import knowledge as store
from ..store import knowledge_means as means
from ..store.engine import Database
from .documents import Raw
from .embeddings import BATCH, Embedder, signs_of, to_bytes
from .floor import measure
from .folder import digest_of
from .means import centre
from .preparer import Preparer

LEASE_S = 90.0
RETRY_S = 1.0

# Told (done, total) after each document.
Progress = Callable[[int, int], None]


class Source(Protocol):
    """A document where it comes from."""

    @property
    def uri(self) -> str:
        """Return its place, the same tomorrow."""
        ...

    async def digest(self) -> str:
        """Return what changes when its content does."""
        ...

    async def fetch(self) -> Raw:
        """Return its content."""
        ...


@dataclass(slots=True)
class Report:
    """What became of the documents of a place, as numbers of documents.

    Attributes:
        failed: uri → why it could not be read; what was known of it stays.
        notes: uri → what of it could not be read.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


class Ingest:
    """Takes documents in, alone; `async with` waits until nobody else does.

    Args:
        now: Unix seconds.
    """

    def __init__(
        self, db: Database, preparer: Preparer, *, now: Callable[[], float] = time.time
    ) -> None:
        self._db = db
        self._preparer = preparer
        self._now = now
        self._owner = secrets.token_hex(8)
        self._renew_at = 0.0

    async def __aenter__(self) -> Self:
        """Wait until no other process takes documents in."""
        while not await self._take_turn():  # noqa: ASYNC110 - others are in the database
            await asyncio.sleep(RETRY_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let others."""
        await self._db.write(store.end_turn, self._owner)

    async def add(
        self,
        collection: str,
        place: str,
        sources: Sequence[Source],
        progress: Progress = lambda done, total: None,
    ) -> Report:
        """Take in what has changed at *place*; documents there without a source go.

        Args:
            place: that *sources* are all documents of: a folder, a file, an address.

        Raises:
            KnowledgeError: another process has taken over, after this one stood still.
            StoreError: the database did not answer.
        """
        known = await self._db.read(store.digests, collection)
        report = Report()
        for done, source in enumerate(sources, 1):
            await self._keep_turn()
            try:
                await self._one(collection, source, known, report)
            except KnowledgeError as error:
                report.failed[source.uri] = str(error)
            progress(done, len(sources))
        there = {source.uri for source in sources}
        report.removed = await self.remove(collection, place, besides=there)
        return report

    async def _one(
        self,
        collection: str,
        source: Source,
        known: dict[str, str | None],
        report: Report,
    ) -> None:
        digest = await source.digest()
        if known.get(source.uri) == digest:
            report.unchanged += 1
            return
        raw = await source.fetch()
        prepared = await self._preparer.prepare(raw)
        if not prepared.chunks:
            raise KnowledgeError("it holds no text")
        document = store.Document(
            collection=collection,
            uri=source.uri,
            title=prepared.title,
            url=prepared.url,
            language=prepared.language,
            added_at=self._now(),
        )
        await self._write(document, prepared.chunks, digest)
        if raw.note:
            report.notes[source.uri] = raw.note
        report.chunks += len(prepared.chunks)
        if source.uri in known:
            report.changed += 1
        else:
            report.added += 1

    async def _write(
        self, document: store.Document, chunks: Sequence[Chunk], digest: str
    ) -> None:
        """Write a document, a large one in steps; searches go on meanwhile."""
        write = self._db.write
        left = await write(store.begin_document, document, chunks, digest)
        if left is None:
            return
        await self._empty(left)
        for first in range(0, len(chunks), store.BATCH):
            batch = chunks[first : first + store.BATCH]
            await write(store.add_chunks, left, document.collection, batch, first=first)
        await write(store.close_document, left, digest=digest, chunks=len(chunks))

    async def _empty(self, document_id: int) -> None:
        while not await self._db.write(store.drop_chunks, document_id, store.BATCH):
            pass

    async def remove(
        self, collection: str, place: str, *, besides: Collection[str] = ()
    ) -> int:
        """Forget the document at *place* and those below it; return how many.

        Args:
            besides: the uris of those that stay.

        Raises:
            StoreError: the database did not answer.
        """
        there = await self._db.read(store.find_documents, collection, place)
        gone = [number for uri, number in there.items() if uri not in besides]
        for document_id in gone:
            await self._keep_turn()
            await self._empty(document_id)
            await self._db.write(store.remove_document, document_id)
        return len(gone)

    async def embed(
        self, embedder: Embedder, progress: Progress = lambda done, total: None
    ) -> int:
        """Give every chunk its vector; return how many were without.

        A batch that the server does not manage is asked for again in halves.

        Raises:
            EmbeddingsError: the server did not give them; the next time goes on.
        """
        done, size = 0, BATCH
        missing = await self._db.read(store.count_without_vector, embedder.key)
        try:
            while found := await self._db.read(
                store.without_vector, embedder.key, size
            ):
                await self._keep_turn()
                try:
                    done += await self._embed(embedder, found)
                except EmbeddingsError as error:
                    if not error.too_much or len(found) == 1:
                        raise
                    size = len(found) // 2
                progress(done, max(done, missing))
        except EmbeddingsError:
            # What is there can be found meanwhile.
            await centre(self._db, embedder.key, self._keep_turn)
            raise
        await centre(self._db, embedder.key, self._keep_turn)
        await self._find_floor(embedder)
        return done

    async def _find_floor(self, embedder: Embedder) -> None:
        """Measure once from where on a passage is near, when there are any."""
        there = await self._db.read(means.count_by_collection, embedder.key)
        if there and await self._db.read(means.floor, embedder.key) is None:
            floor = await measure(embedder)
            await self._db.write(
                means.keep_floor, embedder.key, floor.mean, floor.spread
            )

    async def _embed(self, embedder: Embedder, pieces: Sequence[store.Piece]) -> int:
        texts = [f"{one.title}\n{one.heading}\n{one.text}" for one in pieces]
        vectors = await embedder.texts(texts)
        rows = {
            piece.chunk_id: (signs_of(vector), to_bytes(vector))
            for piece, vector in zip(pieces, vectors, strict=True)
        }
        await self._db.write(store.keep_vectors, embedder.key, rows)
        return len(rows)

    async def _keep_turn(self) -> None:
        if self._now() >= self._renew_at and not await self._take_turn():
            raise KnowledgeError("another process adds documents now")

    async def _take_turn(self) -> bool:
        now = self._now()
        self._renew_at = now + LEASE_S / 3
        return await self._db.write(
            store.take_turn, self._owner, now=now, until=now + LEASE_S
        )


@dataclass(frozen=True, slots=True)
class Given:
    """A document that is here already."""

    raw: Raw

    @property
    def uri(self) -> str:
        """Return its place."""
        return self.raw.uri

    async def digest(self) -> str:
        """Return what changes when its content does."""
        raw = self.raw
        content = raw.text.encode(errors="replace")
        return digest_of(content, raw.kind, raw.title, raw.url, raw.language)

    async def fetch(self) -> Raw:
        """Return it."""
        return self.raw
