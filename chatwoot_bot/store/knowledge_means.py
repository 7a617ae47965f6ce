"""The means of vectors, and the signs about them.

Where vectors share a direction most numbers have the same sign in all of them, and
signs about 0 tell them apart no more; signs about the mean of the collection do. Each
row names the mean that its signs are about, so that a search is right at every moment
of a change from one mean to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from .schema import (
    knowledge_chunks,
    knowledge_means,
    knowledge_signs,
    knowledge_vectors,
    service,
)

FLOOR = "knowledge_floor:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of the vectors of a model in a collection.

    Attributes:
        numbers: float32, little-endian.
        vectors: of how many it was taken.
    """

    id: int
    collection: str
    numbers: bytes
    vectors: int


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of a chunk's vector.

    Attributes:
        mean_id: of the mean that they are about; None is about 0.
    """

    chunk_id: int
    bits: bytes
    mean_id: int | None


def means(tx: sa.Connection, model: str) -> list[Mean]:
    """Return the means of *model*, the oldest first."""
    rows = tx.execute(_MEANS, {"model": model})
    return [
        Mean(
            id=row.id,
            collection=row.collection,
            numbers=row.numbers,
            vectors=row.vectors,
        )
        for row in rows
    ]


def count_by_collection(tx: sa.Connection, model: str) -> dict[str, int]:
    """Return collection → how many vectors of *model* it has."""
    rows = tx.execute(_COUNTS, {"model": model})
    return {row.collection: row.vectors for row in rows}


def signs_and_means(
    tx: sa.Connection, collections: Sequence[str], model: str
) -> tuple[list[Signs], list[Mean]]:
    """Read both in one transaction, as they belong together."""
    return signs(tx, collections, model), means(tx, model)


def signs(tx: sa.Connection, collections: Sequence[str], model: str) -> list[Signs]:
    """Return the signs of all vectors."""
    asked = {"collections": list(collections), "model": model}
    return [Signs(*row) for row in tx.execute(_SIGNS, asked)]


def state(tx: sa.Connection, model: str) -> tuple[int, ...]:
    """Return numbers that change when vectors or means come or go."""
    return tuple(tx.execute(_STATE, {"model": model}).one())


def vectors_after(
    tx: sa.Connection, collection: str, model: str, *, after: int, limit: int
) -> list[tuple[int, bytes]]:
    """Return (chunk, numbers) of a collection by chunk, those behind *after*."""
    asked = {
        "collections": [collection],
        "model": model,
        "after": after,
        "limit": limit,
    }
    return [(chunk, each) for chunk, each in tx.execute(_AFTER, asked)]


def add_mean(
    tx: sa.Connection, collection: str, model: str, *, numbers: bytes, vectors: int
) -> int:
    """Add a mean; return its id."""
    row = {
        "collection": collection,
        "model": model,
        "numbers": numbers,
        "vectors": vectors,
    }
    mean_id: int = tx.execute(_ADD.returning(knowledge_means.c.id), row).scalar_one()
    return mean_id


def keep_signs(tx: sa.Connection, model: str, signs: Sequence[Signs]) -> None:
    """Replace the signs of some vectors."""
    rows = [
        {"chunk": one.chunk_id, "of": model, "signs": one.bits, "mean": one.mean_id}
        for one in signs
    ]
    if rows:
        tx.execute(_KEEP, rows)


def drop_unused_means(tx: sa.Connection) -> None:
    """Forget the means that no signs are about."""
    tx.execute(_DROP)


def keep_floor(tx: sa.Connection, model: str, mean: float, spread: float) -> None:
    """Keep what *model* says of texts that have nothing to do with each other."""
    name = {"name": FLOOR + model}
    tx.execute(sa.delete(service).where(service.c.name == name["name"]))
    tx.execute(sa.insert(service), name | {"value": f"{mean} {spread}"})


def floor(tx: sa.Connection, model: str) -> tuple[float, float] | None:
    """Return (mean, spread) of what was kept; None when nothing was."""
    value = tx.scalar(sa.select(service.c.value).where(service.c.name == FLOOR + model))
    if value is None:
        return None
    mean, _, spread = str(value).partition(" ")
    return float(mean), float(spread)


_MODEL = knowledge_vectors.c.model == sa.bindparam("model")
_HERE = knowledge_chunks.c.collection.in_(sa.bindparam("collections", expanding=True))
_OF_CHUNKS = knowledge_chunks.c.id == knowledge_vectors.c.chunk_id
_MEANS = (
    sa.select(knowledge_means)
    .where(knowledge_means.c.model == sa.bindparam("model"))
    .order_by(knowledge_means.c.id)
)
_COUNTS = (
    sa.select(knowledge_chunks.c.collection, sa.func.count().label("vectors"))
    .join(knowledge_vectors, _OF_CHUNKS)
    .where(_MODEL)
    .group_by(knowledge_chunks.c.collection)
)
_SIGNS = (
    sa.select(
        knowledge_signs.c.chunk_id, knowledge_signs.c.bits, knowledge_signs.c.mean_id
    )
    .join(knowledge_chunks, knowledge_chunks.c.id == knowledge_signs.c.chunk_id)
    .where(knowledge_signs.c.model == sa.bindparam("model"), _HERE)
)
_AFTER = (
    sa.select(knowledge_vectors.c.chunk_id, knowledge_vectors.c.numbers)
    .join(knowledge_chunks, _OF_CHUNKS)
    .where(_MODEL, _HERE, knowledge_vectors.c.chunk_id > sa.bindparam("after"))
    .order_by(knowledge_vectors.c.chunk_id)
    .limit(sa.bindparam("limit"))
)
_OF_MODEL = knowledge_means.c.model == sa.bindparam("model")
_STATE = sa.select(
    sa.func.count(),
    sa.func.coalesce(sa.func.max(knowledge_signs.c.chunk_id), 0),
    sa.select(sa.func.count())
    .select_from(knowledge_means)
    .where(_OF_MODEL)
    .scalar_subquery(),
    sa.select(sa.func.coalesce(sa.func.max(knowledge_means.c.id), 0))
    .where(_OF_MODEL)
    .scalar_subquery(),
).where(knowledge_signs.c.model == sa.bindparam("model"))
_DROP = sa.delete(knowledge_means).where(
    knowledge_means.c.id.not_in(
        sa.select(knowledge_signs.c.mean_id).where(
            knowledge_signs.c.mean_id.is_not(None)
        )
    )
)
_ADD = sa.insert(knowledge_means)
_KEEP = (
    sa.update(knowledge_signs)
    .where(
        knowledge_signs.c.chunk_id == sa.bindparam("chunk"),
        knowledge_signs.c.model == sa.bindparam("of"),
    )
    .values(bits=sa.bindparam("signs"), mean_id=sa.bindparam("mean"))
)
