"""Find chunks by what they mean: vectors in two steps, without a vector database.

In memory there is one bit for each number of a vector: 10,000 of OpenAI's take 2 MB and
are compared in some milliseconds. The nearest are then compared exactly, with the
numbers from the database.
"""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..store import knowledge as store
from ..store.engine import Database
from .embeddings import Embedder, Vector, from_bytes, signs_of, similarity

NEAREST = 32
# While documents are added, the bits are not read again for every question.
FRESH_S = 5.0


@dataclass(frozen=True, slots=True)
class Near:
    """A chunk that is near a question, and how near: from -1 to 1."""

    chunk_id: int
    similarity: float


class Meaning:
    """The vectors of some collections."""

    def __init__(
        self, db: Database, collections: Sequence[str], embedder: Embedder
    ) -> None:
        self._db = db
        self._collections = collections
        self._embedder = embedder
        self._chunks: list[int] = []
        self._signs: list[int] = []
        self._state: tuple[int, int] | None = None
        self._read_at = 0.0

    async def search(self, question: str) -> list[Near]:
        """Return the nearest chunks, the nearest first; none without a server.

        Raises:
            StoreError: the database did not answer.
        """
        vector = await self._embedder.question(question)
        if vector is None:
            return []
        await self._refresh()
        signs = int.from_bytes(signs_of(vector), "little")
        distances = [(one ^ signs).bit_count() for one in self._signs]
        nearest = heapq.nsmallest(NEAREST, zip(distances, self._chunks, strict=True))
        chunk_ids = [chunk_id for _, chunk_id in nearest]
        rows = await self._db.read(store.numbers, chunk_ids, self._embedder.model)
        return _by_similarity(vector, rows)

    async def _refresh(self) -> None:
        state = await self._db.read(store.newest_vector, self._embedder.model)
        now = time.monotonic()
        if state == self._state or (self._signs and now < self._read_at + FRESH_S):
            return
        rows = await self._db.read(store.signs, self._collections, self._embedder.model)
        self._chunks = [chunk_id for chunk_id, _ in rows]
        self._signs = [int.from_bytes(bits, "little") for _, bits in rows]
        self._state, self._read_at = state, now


def _by_similarity(vector: Vector, rows: Sequence[tuple[int, bytes]]) -> list[Near]:
    near = [
        Near(chunk_id, similarity(vector, from_bytes(numbers)))
        for chunk_id, numbers in rows
    ]
    return sorted(near, key=lambda one: (-one.similarity, one.chunk_id))
