"""What the model has taken and cost: for limits, and for whoever pays.

A conversation's sum is in its row and begins anew when a human had it or it was
resolved; a day's is in a table of its own. Both are written with what was bought.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from .schema import conversations, spending

# Rows for a day; a turn writes to one of them.
SHARDS = 8
# Of a turn; PostgreSQL's integer.
MAX_TOKENS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Something that the model has done.

    Attributes:
        cost: None where nobody knows the price.
        estimated: the model's server did not count, at least not all.
    """

    tokens: int
    cost: float | None
    estimated: bool = False

    def __add__(self, other: "Bill") -> "Bill":
        costs = [each.cost for each in (self, other) if each.cost is not None]
        return Bill(
            tokens=min(self.tokens + other.tokens, MAX_TOKENS),
            cost=sum(costs) if costs else None,
            estimated=self.estimated or other.estimated,
        )


NOTHING = Bill(tokens=0, cost=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was used on one day, UTC; `cost` as far as prices are known."""

    tokens: int = 0
    cost: float = 0.0


def charge(tx: sa.Connection, conversation_id: str, bill: Bill, *, now: float) -> None:
    """Add *bill* to what the conversation and the day have cost.

    Last in a transaction: others wait for its rows.
    """
    if not bill.tokens:
        return
    cost = bill.cost or 0.0
    if cost:
        tx.execute(_SPEND, {"conversation": conversation_id, "cost": cost})
    row = {
        "day": _day(now),
        "shard": zlib.crc32(conversation_id.encode()) % SHARDS,
        "tokens": bill.tokens,
        "cost": cost,
    }
    tx.execute(_add(tx.dialect.name), row)


def on_day(tx: sa.Connection, now: float) -> Day:
    """Return what was used on the day of *now*, Unix seconds, in all processes."""
    row = tx.execute(_ON_DAY, {"day": _day(now)}).one()
    return Day(tokens=int(row.tokens or 0), cost=row.cost or 0.0)


def _day(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"


_SPEND = (
    sa.update(conversations)
    .where(conversations.c.id == sa.bindparam("conversation"))
    .values(spent=conversations.c.spent + sa.bindparam("cost", type_=sa.Double))
)
_ON_DAY: sa.Select[Any] = sa.select(
    sa.func.sum(spending.c.tokens).label("tokens"),
    sa.func.sum(spending.c.cost).label("cost"),
).where(spending.c.day == sa.bindparam("day"))


@lru_cache
def _add(dialect: str) -> sa.Executable:
    insert: sqlite.Insert | postgresql.Insert = sqlite.insert(spending)
    if dialect == "postgresql":
        insert = postgresql.insert(spending)
    return insert.on_conflict_do_update(
        index_elements=["day", "shard"],
        set_={
            "tokens": spending.c.tokens + insert.excluded.tokens,
            "cost": spending.c.cost + insert.excluded.cost,
        },
    )
