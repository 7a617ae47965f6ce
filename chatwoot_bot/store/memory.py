"""What was said before the messages that the model is shown, in short.

A conversation's row holds one summary, of everything up to the message
`summary_until`. When that or a later message closes a request, the summary tells of an
earlier one: it is forgotten, unless the operator lets the bot remember its contacts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ..core.conversation import Conversation, Message
from .schema import conversations, messages
from .spending import Bill, charge
from .statements import change
from .transcripts import message_of

# Messages that are looked at for one summary.
MESSAGES = 400
# Of a contact's other conversations.
EARLIER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a summary is made from.

    Attributes:
        summary: what there is; "" for nothing.
        until: the message up to which it goes, or None.
        closed: that message closed a request.
        messages: what was said since, oldest first.
    """

    summary: str
    until: int | None
    closed: bool
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What the model is told of what it is not shown.

    Attributes:
        summary: of this request, as far as it goes; "" for nothing.
        earlier: of the contact's earlier requests, the newest first.
    """

    summary: str = ""
    earlier: tuple[str, ...] = ()


NOTHING = Recalled()


def recall(tx: sa.Connection, conversation: Conversation, *, earlier: bool) -> Recalled:
    """Return what is remembered.

    Args:
        earlier: whether the contact's earlier requests may be among it.
    """
    mine = {"conversation": conversation.id, "contact": conversation.contact}
    told: list[str] = []
    summary = conversation.summary or ""
    if summary:
        since = {**mine, "until": conversation.summary_until}
        if tx.execute(_IS_CLOSED, since).first() is not None:
            told, summary = [summary], ""
    if not earlier:
        return Recalled(summary=summary)
    if conversation.contact is not None:
        told += tx.execute(_EARLIER, mine).scalars()
    return Recalled(summary=summary, earlier=tuple(told[:EARLIER]))


_IS_CLOSED: sa.Select[Any] = (
    sa.select(sa.literal_column("1"))
    .where(
        messages.c.conversation_id == sa.bindparam("conversation"),
        messages.c.id >= sa.bindparam("until"),
        messages.c.closes,
    )
    .limit(1)
)
_EARLIER: sa.Select[Any] = (
    sa.select(conversations.c.summary)
    .where(
        conversations.c.contact == sa.bindparam("contact"),
        conversations.c.id != sa.bindparam("conversation"),
        conversations.c.summary.is_not(None),
        sa.exists().where(
            messages.c.conversation_id == conversations.c.id,
            messages.c.id >= conversations.c.summary_until,
            messages.c.closes,
        ),
    )
    .order_by(conversations.c.active_at.desc())
    .limit(EARLIER)
)


def past(tx: sa.Connection, conversation_id: str) -> Past | None:
    """Return what there is to sum up, or None for a conversation that is not there."""
    mine = {"conversation": conversation_id}
    row = tx.execute(_ROW, mine).first()
    if row is None:
        return None
    until = row.summary_until or 0
    rows = tx.execute(_SINCE, {**mine, "until": until, "limit": MESSAGES}).mappings()
    said = [message_of(each) for each in rows]
    closed = any(message.closes for message in said if message.id == until)
    since = [message for message in said if message.id != until]
    since.sort(key=lambda message: message.external_id or message.id)
    return Past(
        summary=row.summary or "",
        until=row.summary_until,
        closed=closed,
        messages=since,
    )


_ROW = sa.select(conversations.c.summary, conversations.c.summary_until).where(
    conversations.c.id == sa.bindparam("conversation")
)
_SINCE: sa.Select[Any] = (
    sa.select(messages)
    .where(
        messages.c.conversation_id == sa.bindparam("conversation"),
        messages.c.id >= sa.bindparam("until"),
        messages.c.deleted_at.is_(None),
    )
    .order_by(messages.c.id.desc())
    .limit(sa.bindparam("limit"))
)


def remember(
    tx: sa.Connection,
    conversation_id: str,
    summary: str,
    *,
    of: Sequence[Message],
    after: int | None,
    bill: Bill,
    now: float,
) -> bool:
    """Keep *summary*, unless what it tells of has been taken back meanwhile.

    Args:
        of: the messages that it adds.
        after: `Past.until` as it was.
    """
    row = tx.execute(_LOCKED, {"conversation": conversation_id}).first()
    ids = [message.id for message in of]
    there = tx.execute(_THERE, {"ids": ids}).scalar_one()
    kept = row is not None and row.summary_until == after and there == len(ids)
    if kept:
        change(
            tx,
            conversations,
            {"id": conversation_id},
            summary=summary,
            summary_until=max(ids),
        )
    charge(tx, conversation_id, bill, now=now)
    return kept


_LOCKED = _ROW.with_for_update()
_THERE = sa.select(sa.func.count()).where(
    messages.c.id.in_(sa.bindparam("ids", expanding=True)),
    messages.c.deleted_at.is_(None),
)


def forget(tx: sa.Connection, conversation_id: str) -> None:
    """Forget the summary: something that it may tell of was taken back."""
    tx.execute(_FORGET, {"conversation": conversation_id})


_FORGET = (
    sa.update(conversations)
    .where(
        conversations.c.id == sa.bindparam("conversation"),
        conversations.c.summary.is_not(None),
    )
    .values(summary=None, summary_until=None)
)
