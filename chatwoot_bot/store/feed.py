"""What has happened in a conversation since somebody last looked.

A watcher keeps a `Seen` for each conversation. Messages and changes of state are
numbered in the order of their transactions, because each of those locks its
conversation; what was edited or deleted is known by when.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from .chat import Rows
from .schema import HAS_CHANGED, conversations, messages, state_changes


@dataclass(slots=True, kw_only=True)
class Seen:
    """How far somebody has looked.

    Attributes:
        message_id: of the newest message.
        change_id: of the newest change of state.
        touched: when each edited or deleted message was changed last.
        touches: the sum of those times, which another change would alter.
        since: what was changed before is no news.
    """

    message_id: int = 0
    change_id: int = 0
    touched: dict[int, float] = field(default_factory=dict)
    touches: float = 0.0
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is new in one conversation.

    Attributes:
        conversation: its row.
        messages: new ones, in their order.
        changed: edited or deleted ones, as they are now.
        states: changes of state, in their order.
        seen: where the next look begins.
    """

    conversation: sa.RowMapping
    messages: Rows
    changed: Rows
    states: Rows
    seen: Seen


def newest(tx: sa.Connection) -> Seen:
    """Return where conversations stand that nobody has looked at."""
    message_id, change_id, since = tx.execute(_NEWEST).one()
    return Seen(
        message_id=message_id or 0, change_id=change_id or 0, since=since or 0.0
    )


_NEWEST = sa.select(
    sa.select(sa.func.max(messages.c.id)).scalar_subquery(),
    sa.select(sa.func.max(state_changes.c.id)).scalar_subquery(),
    sa.select(messages.c.created_at)
    .order_by(messages.c.id.desc())
    .limit(1)
    .scalar_subquery(),
)


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
_TOUCHED_AT = sa.func.coalesce(messages.c.deleted_at, messages.c.edited_at)
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
    sa.select(sa.func.coalesce(sa.func.sum(_TOUCHED_AT), 0.0))
    .where(_ITS, HAS_CHANGED)
    .scalar_subquery()
    .label("touches"),
).where(conversations.c.id.in_(sa.bindparam("ids", expanding=True)))
_TOUCHED = sa.select(messages.c.id, _TOUCHED_AT.label("touched_at")).where(
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
    if (row["message_id"] or 0) > seen.message_id:
        after = {**mine, "after": seen.message_id}
        new = tx.execute(_MESSAGES, after).mappings().all()
    if (row["change_id"] or 0) > seen.change_id:
        after = {**mine, "after": seen.change_id}
        states = tx.execute(_STATES, after).mappings().all()
    if row["touches"] != seen.touches:
        touched = _touched(tx, row["id"])
    told = {one["id"] for one in new}
    other = [
        one
        for one, at in touched.items()
        if one not in told and seen.touched.get(one) != at and at >= seen.since
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
            message_id=new[-1]["id"] if new else seen.message_id,
            change_id=states[-1]["id"] if states else seen.change_id,
            touched=touched,
            touches=row["touches"],
        ),
    )


_MESSAGES = (
    sa.select(messages)
    .where(_MINE, messages.c.id > sa.bindparam("after"))
    .order_by(messages.c.id)
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


def missed(
    tx: sa.Connection, conversation_ids: Sequence[str] | None, *, after: int, limit: int
) -> tuple[Rows, Rows, Rows]:
    """Return what came after a message: new messages, changed ones, and the states.

    Args:
        conversation_ids: where to look; None for everywhere.
        limit: of new messages; the oldest come first.
    """
    here: sa.ColumnElement[bool] = sa.true()
    if conversation_ids is not None:
        here = messages.c.conversation_id.in_(conversation_ids)
    new = sa.select(messages).where(here, messages.c.id > after)
    found = tx.execute(new.order_by(messages.c.id).limit(limit)).mappings().all()
    since = tx.execute(
        sa.select(messages.c.created_at).where(messages.c.id == after)
    ).scalar()
    changed: Rows = []
    if since is not None:
        earlier = sa.select(messages).where(
            here, messages.c.id <= after, HAS_CHANGED, since <= _TOUCHED_AT
        )
        changed = tx.execute(earlier.order_by(messages.c.id)).mappings().all()
    touched = {row["conversation_id"] for row in found}
    ids = list(touched if conversation_ids is None else conversation_ids)
    return found, changed, _states_now(tx, ids)


def _states_now(tx: sa.Connection, conversation_ids: Sequence[str]) -> Rows:
    """Return the newest change of state of each conversation that had one."""
    last = (
        sa.select(sa.func.max(state_changes.c.id))
        .where(state_changes.c.conversation_id.in_(conversation_ids))
        .group_by(state_changes.c.conversation_id)
    )
    query = sa.select(state_changes).where(state_changes.c.id.in_(last))
    return tx.execute(query).mappings().all()
