"""Find chunks by what they mean: vectors in two steps, without a vector database.

In memory there is one bit for each number of a vector: 10,000 of OpenAI's take 2 MB and
are compared in some milliseconds. A bit says whether the number is above the mean of
the collection, see `means.py`. The nearest are then compared exactly, with the numbers
from the database.
"""

import heapq
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ..store import knowledge as store
from ..store import knowledge_means as means
from ..store.engine import Database
from .embeddings import Embedder, Vector, from_bytes, signs_of, similarity
from .floor import Floor

NEAREST = 64
# While documents are added, the bits are not read again for every question.
FRESH_S = 5.0


@dataclass(frozen=True, slots=True)
class Near:
    """A chunk that is near a question, and how near: from -1 to 1."""

    chunk_id: int
    similarity: float


class Meaning:
    """The vectors of some collections.

    Attributes:
        floor: from where on something is near, as of the last search.
    """

    def __init__(
        self, db: Database, collections: Sequence[str], embedder: Embedder
    ) -> None:
        self._db = db
        self._collections = collections
        self._embedder = embedder
        # By the mean that the signs are about, chunks and their signs.
        self._signs: dict[int | None, list[tuple[int, int]]] = {}
        self._means: dict[int, Vector] = {}
        self._state: tuple[int, ...] | None = None
        self.floor = Floor()
        self._read_at = 0.0

    async def vector(self, question: str) -> Vector | None:
        """Return what a question means; None without a server."""
        return await self._embedder.question(question)

    async def search(self, vector: Vector, also: Collection[int] = ()) -> list[Near]:
        """Return the nearest chunks, the nearest first.

        Args:
            also: chunks that are compared exactly too.

        Raises:
            StoreError: the database did not answer.
        """
        await self._refresh()
        nearest = heapq.nsmallest(NEAREST, self._distances(vector))
        chunk_ids = {chunk_id for _, chunk_id in nearest}.union(also)
        rows = await self._db.read(store.numbers, list(chunk_ids), self._embedder.key)
        return _by_similarity(vector, rows)

    def _distances(self, vector: Vector) -> Iterator[tuple[int, int]]:
        """Yield (number of different signs, chunk) of every chunk."""
        for mean_id, rows in self._signs.items():
            mean = None if mean_id is None else self._means[mean_id]
            signs = int.from_bytes(signs_of(vector, mean), "little")
            for chunk_id, one in rows:
                yield (one ^ signs).bit_count(), chunk_id

    async def _refresh(self) -> None:
        model = self._embedder.key
        state = await self._db.read(means.state, model)
        now = time.monotonic()
        if state == self._state or (self._signs and now < self._read_at + FRESH_S):
            return
        rows, known = await self._db.read(
            means.signs_and_means, self._collections, model
        )
        measured = await self._db.read(means.floor, model)
        self.floor = Floor(*measured) if measured else Floor()
        about = {mean.id: from_bytes(mean.numbers) for mean in known}
        signs: dict[int | None, list[tuple[int, int]]] = {}
        for row in rows:
            if row.mean_id is None or row.mean_id in about:
                bits = int.from_bytes(row.bits, "little")
                signs.setdefault(row.mean_id, []).append((row.chunk_id, bits))
        self._signs, self._means = signs, about
        self._state, self._read_at = state, now


def _by_similarity(vector: Vector, rows: Sequence[tuple[int, bytes]]) -> list[Near]:
    near = [
        Near(chunk_id, similarity(vector, from_bytes(numbers)))
        for chunk_id, numbers in rows
    ]
    return sorted(near, key=lambda one: (-one.similarity, one.chunk_id))
