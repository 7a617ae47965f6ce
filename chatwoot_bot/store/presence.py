"""Which visitors have sockets open, over all processes."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from .conversations import insert_new
from .schema import IS_ONLINE, presence

# A process that has not said so for this long has died with its sockets.
FRESH_S = 60.0
# As long as a visitor's token lets them come back.
KEPT_S = 30 * 86_400.0
# At a time: on SQLite the event loop waits for it.
PRUNED = 200

# A user and which visitor by that name; empty for one that has no token of its own.
Who = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sighted:
    """How many sockets a visitor has, and when there was one last (Unix seconds)."""

    connections: int = 0
    seen_at: float | None = None


def note(
    tx: sa.Connection, process: str, counts: Mapping[Who, int], *, now: float
) -> None:
    """Write how many sockets visitors have in this process."""
    for (user_id, visitor), connections in sorted(counts.items()):
        who = {"user_id": user_id, "visitor": visitor}
        # What a dead process has left behind; ours is newer in any case.
        stale = {"user": user_id, "visitor": visitor, "stale": now - FRESH_S}
        tx.execute(_FORGET, {**stale, "mine": process})
        row = {**who, "process": process}
        values = {"connections": connections, "seen_at": now}
        tx.execute(insert_new(presence, tx.dialect.name), {**row, **values})
        mine = (presence.c[name] == value for name, value in row.items())
        tx.execute(sa.update(presence).where(*mine).values(values))


_FORGET = sa.delete(presence).where(
    presence.c.user_id == sa.bindparam("user"),
    presence.c.visitor == sa.bindparam("visitor"),
    presence.c.process != sa.bindparam("mine"),
    presence.c.seen_at < sa.bindparam("stale"),
)


def refresh(tx: sa.Connection, process: str, *, now: float) -> None:
    """Say that this process and its sockets are alive; forget who never came back."""
    tx.execute(
        sa.update(presence)
        .where(presence.c.process == process, IS_ONLINE)
        .values(seen_at=now)
    )
    is_old = presence.c.seen_at < now - KEPT_S
    some = sa.select(presence.c.user_id).where(is_old).limit(PRUNED)
    tx.execute(sa.delete(presence).where(presence.c.user_id.in_(some), is_old))


def end(tx: sa.Connection, process: str, *, now: float) -> None:
    """Say that this process has no sockets any more."""
    tx.execute(
        sa.update(presence)
        .where(presence.c.process == process, IS_ONLINE)
        .values(connections=0, seen_at=now)
    )


def elsewhere(
    tx: sa.Connection, user_id: str, visitor: str | None, process: str, *, now: float
) -> Sighted:
    """Return a visitor's sockets in other processes, and when they were seen at all.

    Args:
        visitor: None for all who go by that name.
    """
    query = sa.select(presence).where(presence.c.user_id == user_id)
    if visitor is not None:
        query = query.where(presence.c.visitor == visitor)
    rows = tx.execute(query).all()
    fresh = [
        row.connections
        for row in rows
        if row.process != process and row.seen_at >= now - FRESH_S
    ]
    return Sighted(sum(fresh), max((row.seen_at for row in rows), default=None))
