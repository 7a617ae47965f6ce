"""Which visitors have sockets open, over all processes."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from .conversations import insert_new
from .schema import presence

# A process that has not said so for this long has died with its sockets.
FRESH_S = 60.0


@dataclass(frozen=True, slots=True)
class Sighted:
    """How many sockets a visitor has, and when there was one last (Unix seconds)."""

    connections: int = 0
    seen_at: float | None = None


def note(
    tx: sa.Connection, process: str, counts: Mapping[str, int], *, now: float
) -> None:
    """Write how many sockets visitors have in this process."""
    for user_id, connections in sorted(counts.items()):
        # What a dead process has left behind; ours is newer in any case.
        tx.execute(_FORGET, {"user": user_id, "mine": process, "stale": now - FRESH_S})
        row = {"user_id": user_id, "process": process}
        values = {"connections": connections, "seen_at": now}
        tx.execute(insert_new(presence, tx.dialect.name), {**row, **values})
        tx.execute(
            sa.update(presence)
            .where(presence.c.user_id == user_id, presence.c.process == process)
            .values(values)
        )


_FORGET = sa.delete(presence).where(
    presence.c.user_id == sa.bindparam("user"),
    presence.c.process != sa.bindparam("mine"),
    presence.c.seen_at < sa.bindparam("stale"),
)


def refresh(tx: sa.Connection, process: str, *, now: float) -> None:
    """Say that this process and its sockets are alive."""
    tx.execute(
        sa.update(presence)
        .where(presence.c.process == process, presence.c.connections > 0)
        .values(seen_at=now)
    )


def end(tx: sa.Connection, process: str, *, now: float) -> None:
    """Say that this process has no sockets any more."""
    tx.execute(
        sa.update(presence)
        .where(presence.c.process == process, presence.c.connections > 0)
        .values(connections=0, seen_at=now)
    )


def elsewhere(tx: sa.Connection, user_id: str, process: str, *, now: float) -> Sighted:
    """Return a visitor's sockets in other processes, and when they were seen at all."""
    rows = tx.execute(sa.select(presence).where(presence.c.user_id == user_id)).all()
    fresh = [
        row.connections
        for row in rows
        if row.process != process and row.seen_at >= now - FRESH_S
    ]
    return Sighted(sum(fresh), max((row.seen_at for row in rows), default=None))
