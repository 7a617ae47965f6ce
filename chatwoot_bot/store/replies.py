"""Replies in the database: kept before they are sent, and never sent blindly again.

A reply is *open* until it is known to be *delivered*, was *dropped* because it no
longer fits who holds the conversation, or is *dead* because it can never be said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from ..core.conversation import (
    Conversation,
    Sender,
    State,
    Status,
    Trigger,
    next_state,
)
from .conversations import insert_new
from .leases import Lease, held
from .schema import IS_OPEN, conversations, messages, replies
from .signals import Signal, notify
from .statements import change

# Chatwoot's own request limit (rack-timeout) is about 15 s; its echo comes sooner.
IN_DOUBT_S = 15.0

Draft = tuple["ReplyKind", str]


class ReplyKind(StrEnum):
    """What a reply is for, and so when it may still be said."""

    ANSWER = "answer"  # while the bot holds the conversation
    HANDOVER = "handover"  # until an agent has joined
    NOTE = "note"  # private, for agents: always
    REPLAY = "replay"  # an operator said so: always


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message to be said, kept before it is sent.

    Attributes:
        key: travels with the message, so that it is known when it comes back.
        attempts: sendings begun.
        attempted_at: Unix seconds of the last one.
        in_doubt_until: until then a sending may still be under way, so that not
            finding the reply proves nothing; None when it was certainly not sent.
        after_external_id: the newest message of the conversation when this was
            kept; the reply, if said, comes after it. None in the web chat.
    """

    key: str
    turn_id: str
    kind: ReplyKind
    content: str
    attempts: int = 0
    attempted_at: float = 0.0
    in_doubt_until: float | None = None
    after_external_id: int | None = None
    created_at: float = 0.0


def unsaid(tx: sa.Connection, conversation_id: str) -> list[Reply]:
    """Return the open replies of a conversation, in the order to say them."""
    rows = tx.execute(_UNSAID, {"conversation": conversation_id})
    return [_reply_of(row) for row in rows.mappings()]


_UNSAID = (
    sa.select(replies)
    .where(replies.c.conversation_id == sa.bindparam("conversation"), IS_OPEN)
    .order_by(replies.c.created_at, replies.c.position)
)


def insert_drafts(
    tx: sa.Connection,
    lease: Lease,
    turn_id: str,
    drafts: Sequence[Draft],
    now: float,
) -> list[Reply]:
    """Keep *drafts* as replies; the first counts as being sent from now on."""
    mine = {"conversation": lease.conversation_id}
    newest = tx.execute(_NEWEST, mine).scalar()
    rows = [
        {
            "key": f"{turn_id}.{position}",
            "conversation_id": lease.conversation_id,
            "turn_id": turn_id,
            "position": position,
            "kind": kind,
            "content": content,
            "state": "open",
            "attempts": 1 if position == 0 else 0,
            "attempted_at": now if position == 0 else 0.0,
            "in_doubt_until": now + IN_DOUBT_S if position == 0 else None,
            "after_external_id": newest,
            "created_at": now,
        }
        for position, (kind, content) in enumerate(drafts)
    ]
    tx.execute(_INSERT, rows)
    return [_reply_of(row) for row in rows]


_NEWEST = sa.select(sa.func.max(messages.c.external_id)).where(
    messages.c.conversation_id == sa.bindparam("conversation")
)
_INSERT = sa.insert(replies)


def begin_attempt(tx: sa.Connection, lease: Lease, reply: Reply, *, now: float) -> bool:
    """Count a sending that follows at once; False when it may not be said any more.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, human_mode = held(tx, lease)
    allowed = may_say(reply.kind, conversation.state, human_mode=human_mode)
    values: dict[str, Any] = {"state": "dropped"}
    if allowed:
        values = {
            "attempts": reply.attempts + 1,
            "attempted_at": now,
            "in_doubt_until": now + IN_DOUBT_S,
        }
    begun = change(tx, replies, {"key": reply.key, "state": "open"}, **values)
    return allowed and begun == 1


def may_say(kind: ReplyKind, state: State, *, human_mode: bool) -> bool:
    """Return whether a kept reply still fits who holds the conversation."""
    match kind:
        case ReplyKind.ANSWER:
            return state is State.AI and not human_mode
        case ReplyKind.HANDOVER:
            return state is State.HANDOVER_PENDING
        case ReplyKind.NOTE | ReplyKind.REPLAY:
            return True


def delivered(
    tx: sa.Connection,
    conversation: Conversation,
    reply: Reply,
    *,
    external_id: int | None,
    now: float,
) -> None:
    """Note that *reply* has been said. A fact, so no lease is asked for."""
    said = reply.kind is not ReplyKind.NOTE
    if said:
        # Locks the conversation too: the echo may be on its way in.
        change(tx, conversations, {"id": conversation.id}, active_at=now)
    first = tx.execute(
        _DELIVERED, {"reply": reply.key, "external": external_id}
    ).rowcount
    if not said or not first:
        return  # the echo was faster, and recorded the message
    tx.execute(
        insert_new(messages, tx.dialect.name),
        {
            "conversation_id": conversation.id,
            "account_id": conversation.account_id if external_id else None,
            "external_id": external_id,
            "sender": Sender.BOT,
            "content": reply.content,
            "turn_id": reply.turn_id,
            "created_at": now,
        },
    )
    notify(tx, [Signal(conversation_id=conversation.id)])


_DELIVERED = (
    sa.update(replies)
    # Not a dead one: its failure may be known before the answer to our request.
    .where(
        replies.c.key == sa.bindparam("reply"),
        replies.c.state.in_(("open", "dropped")),
    )
    .values(state="delivered", external_id=sa.bindparam("external"))
)


def not_delivered(
    tx: sa.Connection, reply: Reply, *, in_doubt_until: float | None, error: str
) -> None:
    """Note that a sending failed.

    Args:
        in_doubt_until: see `Reply`.
    """
    change(
        tx,
        replies,
        {"key": reply.key, "state": "open"},
        in_doubt_until=in_doubt_until,
        error=error[:500],
    )


def refused(
    tx: sa.Connection,
    lease: Lease,
    reply: Reply,
    *,
    error: str,
    in_doubt: bool,
    note: str,
    now: float,
) -> None:
    """Note that *reply* can never be said, and call a human instead.

    Args:
        error: what Chatwoot said.
        in_doubt: whether it may have been said all the same.
        note: tells the agents; it is tried once, like any reply.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = held(tx, lease)
    change(
        tx,
        replies,
        {"key": reply.key, "state": "open"},
        state="dead",
        error=error[:500],
        in_doubt_until=reply.in_doubt_until if in_doubt else None,
    )
    if reply.kind is ReplyKind.NOTE:
        return
    if conversation.state is State.AI:
        call_human(tx, conversation)
    key = f"{reply.key}.refused"
    row = {
        "key": key,
        "conversation_id": conversation.id,
        "turn_id": reply.turn_id,
        "position": 99,
        "kind": ReplyKind.NOTE,
        "content": note,
        "state": "open",
        "created_at": now,
    }
    tx.execute(insert_new(replies, tx.dialect.name), row)


def call_human(tx: sa.Connection, conversation: Conversation) -> None:
    """Put a locked conversation into the humans' queue."""
    pending = conversation.status is Status.PENDING
    change(
        tx,
        conversations,
        {"id": conversation.id},
        state=next_state(conversation.state, Trigger.HANDOVER_REQUESTED),
        wanted_status=Status.OPEN if pending else None,
        version=conversation.version + 1,
    )


def _reply_of(row: Any) -> Reply:
    return Reply(
        key=row["key"],
        turn_id=row["turn_id"],
        kind=ReplyKind(row["kind"]),
        content=row["content"],
        attempts=row["attempts"],
        attempted_at=row["attempted_at"],
        in_doubt_until=row["in_doubt_until"],
        after_external_id=row["after_external_id"],
        created_at=row["created_at"],
    )
