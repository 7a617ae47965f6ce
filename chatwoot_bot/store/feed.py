"""What has happened in a conversation since somebody last looked.

A watcher keeps a `Seen` for each conversation. Messages and changes of state are
numbered in the order of their transactions, because each of those locks its
conversation; what was edited or deleted is known by when. Over several conversations
the numbers are in that order on SQLite only: on PostgreSQL a lower one may appear
after a higher one, for as long as a transaction may last (`OVERLAP_S`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from .chat import Name, Rows, first_page
from .schema import HAS_CHANGED, conversations, messages, state_changes

# Longer than a transaction may wait for a lock, and than clocks of several machines
# may differ.
OVERLAP_S = 15.0
# How far to look back for what is in that time; on a busier site it is shorter.
OVERLAP_ROWS = 1_000
# Of one conversation's new messages, in one look; another look finds the rest.
LOOK_CHARS = 250_000
LOOK_MESSAGES = 200


@dataclass(slots=True, kw_only=True)
class Seen:
    """How far somebody has looked.

    Attributes:
        message_id: of the newest message.
        change_id: of the newest change of state.
        touched: when each edited or deleted message was changed last.
        touches: the sum of those times, which another change would alter.
        since: what was changed before is no news.
        heard: messages that are newer, and no news either.
        heard_changes: changes of state likewise.
    """

    message_id: int = 0
    change_id: int = 0
    touched: dict[int, float] = field(default_factory=dict)
    touches: float = 0.0
    since: float = 0.0
    heard: frozenset[int] = frozenset()
    heard_changes: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is new in one conversation.

    Attributes:
        conversation: its row.
        messages: new ones, in their order.
        changed: edited or deleted ones, as they are now.
        states: changes of state, in their order.
        seen: where the next look begins.
        complete: this is all that is new.
    """

    conversation: sa.RowMapping
    messages: Rows
    changed: Rows
    states: Rows
    seen: Seen
    complete: bool

    def later_than(self, mark: Seen) -> "News":
        """Return what of it is news to somebody who knows what *mark* says."""
        return replace(
            self,
            messages=_later(self.messages, mark.message_id, mark.heard),
            states=_later(self.states, mark.change_id, mark.heard_changes),
        )


def _later(rows: Rows, known: int, heard: frozenset[int]) -> Rows:
    return [row for row in rows if row["id"] > known and row["id"] not in heard]


def newest(tx: sa.Connection) -> Seen:
    """Return where conversations stand that nobody has looked at."""
    message_id, since = _last(tx, messages)
    change_id, changed_at = _last(tx, state_changes)
    first = begin(tx, messages, at=message_id, since=since - OVERLAP_S)
    change = begin(tx, state_changes, at=change_id, since=changed_at - OVERLAP_S)
    return Seen(
        message_id=first,
        change_id=change,
        since=since,
        heard=_between(tx, messages, first, message_id),
        heard_changes=_between(tx, state_changes, change, change_id),
    )


def _last(tx: sa.Connection, table: sa.Table) -> tuple[int, float]:
    """Return the number and the time of the newest row."""
    query = sa.select(table.c.id, table.c.created_at).order_by(table.c.id.desc())
    row = tx.execute(query.limit(1)).first()
    return (row.id, row.created_at) if row is not None else (0, 0.0)


def begin(tx: sa.Connection, table: sa.Table, *, at: int, since: float) -> int:
    """Return the number behind which somebody at *at* may not know every row.

    Args:
        since: the time of what is at *at*, less `OVERLAP_S`.
    """
    if tx.dialect.name != "postgresql":
        return at
    query = sa.select(table.c.id, table.c.created_at).where(table.c.id <= at)
    rows = tx.execute(query.order_by(table.c.id.desc()).limit(OVERLAP_ROWS)).all()
    recent = [row.id for row in rows if row.created_at >= since]
    if not recent:
        return at
    # Not just below the lowest: the numbers that are missing there may yet appear.
    lowest = recent[-1] - 1 if len(rows) == OVERLAP_ROWS else 0
    return max((row.id for row in rows if row.id < recent[-1]), default=lowest)


def _between(tx: sa.Connection, table: sa.Table, after: int, to: int) -> frozenset[int]:
    query = sa.select(table.c.id).where(table.c.id > after, table.c.id <= to)
    return frozenset(tx.execute(query).scalars())


# The newest message and the newest change of state of all.
Mark = tuple[int, int]


def mark(tx: sa.Connection) -> Mark:
    """Return where the database stands."""
    return _last(tx, messages)[0], _last(tx, state_changes)[0]


def moved(tx: sa.Connection, since: Mark) -> dict[str, Mark]:
    """Return what was numbered later, by conversation: the newest of each kind."""
    message_ids = _newest_after(tx, messages, since[0])
    change_ids = _newest_after(tx, state_changes, since[1])
    return {
        one: (message_ids.get(one, 0), change_ids.get(one, 0))
        for one in message_ids | change_ids
    }


def _newest_after(tx: sa.Connection, table: sa.Table, after: int) -> dict[Any, int]:
    query = sa.select(table.c.conversation_id, sa.func.max(table.c.id))
    later = query.where(table.c.id > after).group_by(table.c.conversation_id)
    return {row[0]: row[1] for row in tx.execute(later)}


def stand(tx: sa.Connection, conversation_ids: Collection[str]) -> dict[str, Seen]:
    """Return how conversations stand now, for whoever begins to watch them."""
    return {one: _stand(tx, one) for one in conversation_ids}


def _stand(tx: sa.Connection, conversation_id: str) -> Seen:
    row = tx.execute(_STAND, {"ids": [conversation_id]}).mappings().first()
    if row is None:
        return Seen()
    return Seen(
        message_id=row["message_id"] or 0,
        change_id=row["change_id"] or 0,
        touched=_touched(tx, conversation_id) if row["touches"] else {},
        touches=row["touches"],
    )


def _touched(tx: sa.Connection, conversation_id: str) -> dict[int, float]:
    found = tx.execute(_TOUCHED, {"conversation": conversation_id})
    return {row.id: row.touched_at for row in found}


_MINE = messages.c.conversation_id == sa.bindparam("conversation")
_ITS = messages.c.conversation_id == conversations.c.id
TOUCHED_AT = sa.func.coalesce(messages.c.deleted_at, messages.c.edited_at)
_STAND = sa.select(
    conversations.c.id,
    conversations.c.user_id,
    conversations.c.visitor,
    sa.select(sa.func.max(messages.c.id))
    .where(_ITS)
    .scalar_subquery()
    .label("message_id"),
    sa.select(sa.func.max(state_changes.c.id))
    .where(state_changes.c.conversation_id == conversations.c.id)
    .scalar_subquery()
    .label("change_id"),
    sa.select(sa.func.coalesce(sa.func.sum(TOUCHED_AT), 0.0))
    .where(_ITS, HAS_CHANGED)
    .scalar_subquery()
    .label("touches"),
).where(conversations.c.id.in_(sa.bindparam("ids", expanding=True)))
_TOUCHED = sa.select(messages.c.id, TOUCHED_AT.label("touched_at")).where(
    _MINE, HAS_CHANGED
)


def news(tx: sa.Connection, looks: Mapping[str, Seen]) -> list[News]:
    """Return what is new in each conversation that is there."""
    rows = tx.execute(_STAND, {"ids": list(looks)}).mappings().all()
    return [_news(tx, row, looks[row["id"]]) for row in rows]


def _news(tx: sa.Connection, row: sa.RowMapping, seen: Seen) -> News:
    mine = {"conversation": row["id"]}
    new: Rows = []
    states: Rows = []
    touched = seen.touched
    message_id = newest_id = row["message_id"] or 0
    if newest_id > seen.message_id:
        after = {**mine, "after": seen.message_id}
        found, message_id = _found(tx, after, newest_id)
        new = _later(found, seen.message_id, seen.heard)
    if (row["change_id"] or 0) > seen.change_id:
        after = {**mine, "after": seen.change_id}
        found = tx.execute(_STATES, after).mappings().all()
        states = _later(found, seen.change_id, seen.heard_changes)
    if row["touches"] != seen.touches:
        touched = _touched(tx, row["id"])
    told = {one["id"] for one in new}
    other = [
        one
        for one, at in touched.items()
        if one not in told
        and one <= message_id
        and seen.touched.get(one) != at
        and at >= seen.since
    ]
    changed: Rows = []
    if other:
        changed = tx.execute(_BY_ID, {"ids": other}).mappings().all()
    return News(
        conversation=row,
        messages=new,
        changed=changed,
        states=states,
        seen=Seen(
            message_id=message_id,
            change_id=row["change_id"] or 0,
            touched=touched,
            touches=row["touches"],
        ),
        complete=message_id == newest_id,
    )


def _found(
    tx: sa.Connection, after: Mapping[str, Any], newest_id: int
) -> tuple[Rows, int]:
    """Return the first new messages, and up to which one these are all."""
    names: list[Name] = [(row[0], row[1]) for row in tx.execute(_NAMES, after)]
    if not names:
        return [], newest_id
    ids = first_page(names, chars=LOOK_CHARS, size=LOOK_MESSAGES)
    rows = tx.execute(_BY_ID, {"ids": ids}).mappings().all()
    return rows, newest_id if len(ids) == len(names) else ids[-1]


_NAMES = (
    sa.select(messages.c.id, sa.func.coalesce(sa.func.length(messages.c.content), 0))
    .where(_MINE, messages.c.id > sa.bindparam("after"))
    .order_by(messages.c.id)
    .limit(LOOK_MESSAGES + 1)
)
_STATES = (
    sa.select(state_changes)
    .where(
        state_changes.c.conversation_id == sa.bindparam("conversation"),
        state_changes.c.id > sa.bindparam("after"),
    )
    .order_by(state_changes.c.id)
)
_BY_ID = (
    sa.select(messages)
    .where(messages.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(messages.c.id)
)
