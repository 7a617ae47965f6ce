"""Keep the signs of vectors about the mean of their collection.

The mean is taken again when a collection has grown or shrunk by a quarter. Until all
signs are about the new one the old one stays, see `store/knowledge_means.py`.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from operator import add

from ..store import knowledge_means as store
from ..store.engine import Database
from .embeddings import Vector, from_bytes, signs_of, to_bytes

# Vectors in one step.
BATCH = 64
# Share of a collection that may come or go before the mean is taken again.
DRIFT = 0.25


async def centre(
    db: Database, model: str, keep_turn: Callable[[], Awaitable[None]]
) -> None:
    """Have all signs of *model* about the means of their collections.

    Args:
        keep_turn: called between the steps.

    Raises:
        StoreError: the database did not answer; the next call goes on.
    """
    counts = await db.read(store.count_by_collection, model)
    known = {mean.collection: mean for mean in await db.read(store.means, model)}
    for collection, count in counts.items():
        mean = known.get(collection)
        if mean is None or abs(count - mean.vectors) > DRIFT * mean.vectors:
            numbers = await _mean(db, collection, model, keep_turn)
            mean_id = await db.write(
                store.add_mean,
                collection,
                model,
                numbers=to_bytes(numbers),
                vectors=count,
            )
        else:
            mean_id, numbers = mean.id, from_bytes(mean.numbers)
        await _sign(db, collection, model, (mean_id, numbers), keep_turn)
    await db.write(store.drop_unused_means)


async def _mean(
    db: Database, collection: str, model: str, keep_turn: Callable[[], Awaitable[None]]
) -> Vector:
    """Return the mean of a collection; of vectors of the first one's length."""
    total: list[float] = []
    count = 0
    async for batch in _batches(db, collection, model):
        await keep_turn()
        for _, vector in batch:
            if not total:
                total = [0.0] * len(vector)
            if len(vector) == len(total):
                total = list(map(add, total, vector))
                count += 1
        await asyncio.sleep(0)
    return array("f", [number / max(count, 1) for number in total])


async def _sign(
    db: Database,
    collection: str,
    model: str,
    mean: tuple[int, Vector],
    keep_turn: Callable[[], Awaitable[None]],
) -> None:
    mean_id, numbers = mean
    there = await db.read(store.signs, [collection], model)
    done = {one.chunk_id for one in there if one.mean_id == mean_id}
    if len(done) == len(there):
        return
    async for batch in _batches(db, collection, model):
        await keep_turn()
        signs = [
            store.Signs(chunk, signs_of(vector, numbers), mean_id)
            for chunk, vector in batch
            if chunk not in done and len(vector) == len(numbers)
        ]
        await db.write(store.keep_signs, model, signs)


async def _batches(
    db: Database, collection: str, model: str
) -> AsyncIterator[list[tuple[int, Vector]]]:
    after = 0
    while rows := await db.read(
        store.vectors_after, collection, model, after=after, limit=BATCH
    ):
        yield [(chunk, from_bytes(numbers)) for chunk, numbers in rows]
        after = rows[-1][0]
