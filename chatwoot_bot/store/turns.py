"""A turn in the database: claim, keep what is to be said, finish.

Every write names the lease it was made under, so that a process that was only
paused cannot write over its successor (fencing). A function that finds its lease
gone raises `LeaseLostError` and has changed nothing.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from ..core.conversation import (
    Conversation,
    Message,
    Sender,
    State,
    Status,
    Trigger,
    next_state,
)
from ..errors import LeaseLostError
from .accept import MAX_RESTARTS, Rules
from .conversations import (
    conversation_of,
    find,
    forget_owed,
    human_mode_column,
    insert_new,
)
from .schema import conversations, messages, replies, turns

LEASE_S = 30.0
# Chatwoot's own request limit (rack-timeout) is about 15 s; its echo comes sooner.
IN_DOUBT_S = 15.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one conversation until the lease runs out."""

    conversation_id: str
    token: str


class ReplyKind(StrEnum):
    """What a reply is for, and so when it may still be said."""

    ANSWER = "answer"  # while the bot holds the conversation
    HANDOVER = "handover"  # until an agent has joined
    NOTE = "note"  # private, for agents: always


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a turn needs to know when it begins.

    Attributes:
        owed: the contact's messages without an answer, oldest first.
        transcript: the last messages, these included, oldest first.
        unsaid: replies kept and not known to be delivered, in order.
    """

    conversation: Conversation
    human_mode: bool
    owed: Sequence[Message]
    transcript: Sequence[Message]
    unsaid: Sequence[Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """Why the bot said what it said."""

    id: str
    conversation_id: str
    decision: str
    reason: str
    outcome: str
    started_at: float
    latency_ms: int
    model: str | None = None
    tokens: int | None = None


class Verdict(StrEnum):
    """Whether a draft became a reply."""

    KEPT = "kept"
    SUPERSEDED = "superseded"  # the contact wrote more meanwhile
    SILENCED = "silenced"  # a human holds the conversation now


def next_due(tx: sa.Connection) -> float | None:
    """Return when the next conversation wants attention, or None."""
    due = conversations.c.due_at
    query = sa.select(sa.func.min(due)).where(due.is_not(None))
    due_at: float | None = tx.execute(query).scalar()
    return due_at


def claim(tx: sa.Connection, *, now: float, limit: int) -> list[Lease]:
    """Lease up to *limit* conversations that are due, the longest waiting first.

    One whose worker died is due when its lease ends. `attempts` counts claims
    since the last success, so a conversation that kills its worker is noticed too.
    """
    due = (
        sa.select(conversations.c.id)
        .where(conversations.c.due_at <= now)
        .order_by(conversations.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")  # evaluated once; as a subquery PostgreSQL may run it again
    )
    token = secrets.token_hex(8)
    rows = tx.execute(
        sa.update(conversations)
        .where(conversations.c.id.in_(sa.select(due.c.id)))
        .values(
            # Unique without a round trip per row: one claim's prefix and the id.
            lease=sa.literal(f"{token}:") + conversations.c.id,
            due_at=now + LEASE_S,
            attempts=conversations.c.attempts + 1,
        )
        .returning(conversations.c.id, conversations.c.lease)
    )
    return [Lease(row.id, row.lease) for row in rows]


def heartbeat(
    tx: sa.Connection, *, leases: Collection[Lease], now: float
) -> set[Lease]:
    """Extend *leases*; return those that are still ours."""
    tokens = [lease.token for lease in leases]
    extended = tx.execute(
        sa.update(conversations)
        .where(conversations.c.lease.in_(tokens))
        .values(due_at=now + LEASE_S)
        .returning(conversations.c.lease)
    )
    held = set(extended.scalars())
    return {lease for lease in leases if lease.token in held}


def reclaim(tx: sa.Connection, *, now: float) -> int:
    """End every lease: their holder is dead. Only where one process may run."""
    return tx.execute(
        sa.update(conversations)
        .where(conversations.c.lease.is_not(None))
        .values(lease=None, due_at=now)
    ).rowcount


def load(tx: sa.Connection, lease: Lease, *, history: int) -> Situation:
    """Read what the turn needs.

    Args:
        history: how many of the last messages the transcript has at most; messages
            that are owed an answer come on top.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    query = sa.select(conversations, human_mode_column()).where(
        conversations.c.id == lease.conversation_id,
        conversations.c.lease == lease.token,
    )
    row = tx.execute(query).mappings().first()
    if row is None:
        raise LeaseLostError("the lease has passed to another worker")
    recent = _recent(tx, lease.conversation_id, history)
    return Situation(
        conversation=conversation_of(row),
        human_mode=row["human_mode"] == "1",
        owed=[message for message in recent if message.owed],
        transcript=recent,
        unsaid=_unsaid(tx, lease.conversation_id),
    )


def _recent(tx: sa.Connection, conversation_id: str, limit: int) -> list[Message]:
    # Chatwoot may deliver out of order; its ids say in which order people wrote.
    written = sa.func.coalesce(messages.c.external_id, messages.c.id)
    mine = messages.c.conversation_id == conversation_id
    newest = (
        sa.select(messages.c.id)
        .where(mine, messages.c.deleted_at.is_(None))
        .order_by(written.desc())
        .limit(limit)
    )
    query = (
        sa.select(messages)
        .where(mine, messages.c.owed | messages.c.id.in_(newest.scalar_subquery()))
        .order_by(written)
    )
    return [message_of(row) for row in tx.execute(query).mappings()]


def _unsaid(tx: sa.Connection, conversation_id: str) -> list[Reply]:
    query = (
        sa.select(replies)
        .where(replies.c.conversation_id == conversation_id, replies.c.state == "open")
        .order_by(replies.c.created_at, replies.c.position)
    )
    return [_reply_of(row) for row in tx.execute(query).mappings()]


def keep(
    tx: sa.Connection,
    lease: Lease,
    record: TurnRecord,
    *,
    seen: Conversation,
    answered: Sequence[Message],
    drafts: Sequence[tuple[ReplyKind, str]],
    now: float,
) -> tuple[Verdict, list[Reply]]:
    """Turn drafts into replies that will be said, unless they have been overtaken.

    The first reply counts as attempted from here on: its sending follows at once,
    and after a crash nobody knows how far it came.

    Args:
        seen: the conversation as it was when the drafts were begun.
        answered: the messages that the drafts answer.
        drafts: what to say, in order; a HANDOVER among them calls a human.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, human_mode = _held(tx, lease)
    if human_mode or conversation.state is not State.AI:
        return Verdict.SILENCED, []
    if conversation.version != seen.version and conversation.restarts < MAX_RESTARTS:
        return Verdict.SUPERSEDED, []
    kept = _insert_replies(tx, lease, record, drafts, now)
    _mark_answered(tx, answered, record.id)
    if any(kind is ReplyKind.HANDOVER for kind, _ in drafts):
        _call_human(tx, conversation)
    insert_record(tx, record)
    return Verdict.KEPT, kept


def _insert_replies(
    tx: sa.Connection,
    lease: Lease,
    record: TurnRecord,
    drafts: Sequence[tuple[ReplyKind, str]],
    now: float,
) -> list[Reply]:
    newest = tx.execute(
        sa.select(sa.func.max(messages.c.external_id)).where(
            messages.c.conversation_id == lease.conversation_id
        )
    ).scalar()
    rows = [
        {
            "key": f"{record.id}.{position}",
            "conversation_id": lease.conversation_id,
            "turn_id": record.id,
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
    tx.execute(sa.insert(replies), rows)
    return [_reply_of(row) for row in rows]


def _mark_answered(
    tx: sa.Connection, answered: Sequence[Message], turn_id: str | None
) -> None:
    """Settle exactly the messages that the turn saw; others stay owed."""
    tx.execute(
        sa.update(messages)
        .where(messages.c.id.in_([message.id for message in answered]))
        .values(owed=False, turn_id=turn_id)
    )


def _call_human(tx: sa.Connection, conversation: Conversation) -> None:
    pending = conversation.status is Status.PENDING
    tx.execute(
        sa.update(conversations)
        .where(conversations.c.id == conversation.id)
        .values(
            state=next_state(conversation.state, Trigger.HANDOVER_REQUESTED),
            wanted_status=Status.OPEN if pending else None,
            version=conversations.c.version + 1,
        )
    )


def leave(tx: sa.Connection, lease: Lease) -> None:
    """Owe nothing any more: a human holds the conversation, or nobody need answer.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    _held(tx, lease)
    forget_owed(tx, lease.conversation_id)


def begin_attempt(tx: sa.Connection, lease: Lease, reply: Reply, *, now: float) -> bool:
    """Count a sending that follows at once; False when it may not be said any more.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, human_mode = _held(tx, lease)
    allowed = may_say(reply.kind, conversation.state, human_mode=human_mode)
    values: dict[str, Any] = {"state": "dropped"}
    if allowed:
        values = {
            "attempts": reply.attempts + 1,
            "attempted_at": now,
            "in_doubt_until": now + IN_DOUBT_S,
        }
    begun = tx.execute(
        sa.update(replies)
        .where(replies.c.key == reply.key, replies.c.state == "open")
        .values(values)
    ).rowcount
    return allowed and begun == 1


def may_say(kind: ReplyKind, state: State, *, human_mode: bool) -> bool:
    """Return whether a kept reply still fits who holds the conversation."""
    match kind:
        case ReplyKind.ANSWER:
            return state is State.AI and not human_mode
        case ReplyKind.HANDOVER:
            return state is State.HANDOVER_PENDING
        case ReplyKind.NOTE:
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
    # Who adds a message holds the conversation: its echo may be on its way in.
    find(tx, {"id": conversation.id})
    first = tx.execute(
        sa.update(replies)
        .where(replies.c.key == reply.key, replies.c.state != "delivered")
        .values(state="delivered", external_id=external_id)
    ).rowcount
    if reply.kind is ReplyKind.NOTE or not first:
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
    tx.execute(
        sa.update(conversations)
        .where(conversations.c.id == conversation.id)
        .values(active_at=now)
    )


def not_delivered(
    tx: sa.Connection, reply: Reply, *, in_doubt_until: float | None, error: str
) -> None:
    """Note that a sending failed.

    Args:
        in_doubt_until: see `Reply`.
    """
    tx.execute(
        sa.update(replies)
        .where(replies.c.key == reply.key, replies.c.state == "open")
        .values(in_doubt_until=in_doubt_until, error=error[:500])
    )


def refused(tx: sa.Connection, reply: Reply, *, error: str) -> None:
    """Note that *reply* can never be said."""
    tx.execute(
        sa.update(replies)
        .where(replies.c.key == reply.key, replies.c.state == "open")
        .values(state="dead", error=error[:500])
    )


def status_set(
    tx: sa.Connection, lease: Lease, status: Status, *, at: float | None
) -> None:
    """Note that Chatwoot has, or will never have, the status we wanted.

    Args:
        at: Chatwoot's clock, so that an older event cannot undo it; None when
            Chatwoot refused for good.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = _held(tx, lease)
    values: dict[str, Any] = {}
    if conversation.wanted_status is status:
        values["wanted_status"] = None
    if at is not None and at >= conversation.status_at:
        values |= {"status": status, "status_at": at}
        values["ever_pending"] = conversation.ever_pending or status is Status.PENDING
    if values:
        tx.execute(
            sa.update(conversations)
            .where(conversations.c.id == conversation.id)
            .values(values)
        )


class Ending(StrEnum):
    """How a turn ended, as far as the next one is concerned."""

    DONE = "done"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    GIVEN_BACK = "given_back"  # shutdown: another process goes on at once


def finish(
    tx: sa.Connection,
    lease: Lease,
    rules: Rules,
    *,
    ending: Ending,
    now: float,
    retry_at: float | None = None,
    record: TurnRecord | None = None,
) -> float | None:
    """End the lease and say when the conversation wants attention again.

    Args:
        retry_at: not before then, when something could not be done now.
        record: why nothing was said; a reply's record is kept with the reply.

    Returns:
        The new `due_at`, Unix seconds, or None.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = _held(tx, lease)
    if record is not None:
        insert_record(tx, record)
    owed_since, last = tx.execute(
        sa.select(
            sa.func.min(messages.c.created_at), sa.func.max(messages.c.created_at)
        ).where(messages.c.conversation_id == conversation.id, messages.c.owed)
    ).one()
    due_at = retry_at
    if due_at is None and owed_since is not None:
        due_at = rules.due_at(last=last, owed_since=owed_since)
    if due_at is None and (
        conversation.wanted_status is not None or _unsaid(tx, conversation.id)
    ):
        due_at = now
    if ending is Ending.GIVEN_BACK:
        due_at = now
    values: dict[str, Any] = {"lease": None, "due_at": due_at, "owed_since": owed_since}
    if ending is not Ending.FAILED:
        values["attempts"] = 0
    if ending is Ending.DONE:
        values["restarts"] = 0
    if ending is Ending.SUPERSEDED:
        values["restarts"] = conversation.restarts + 1
    tx.execute(
        sa.update(conversations)
        .where(conversations.c.id == conversation.id)
        .values(values)
    )
    return due_at


def insert_record(tx: sa.Connection, record: TurnRecord) -> None:
    """Keep the "why" of one turn."""
    tx.execute(
        insert_new(turns, tx.dialect.name),
        {
            "id": record.id,
            "conversation_id": record.conversation_id,
            "decision": record.decision,
            "reason": record.reason,
            "model": record.model,
            "tokens": record.tokens,
            "outcome": record.outcome,
            "latency_ms": record.latency_ms,
            "created_at": record.started_at,
        },
    )


def _held(tx: sa.Connection, lease: Lease) -> tuple[Conversation, bool]:
    """Lock the leased conversation."""
    found = find(tx, {"id": lease.conversation_id, "lease": lease.token})
    if found is None:
        raise LeaseLostError("the lease has passed to another worker")
    return found


def message_of(row: sa.RowMapping) -> Message:
    """Return the row as the engine's own type."""
    return Message(
        id=row["id"],
        sender=Sender(row["sender"]),
        content=row["content"],
        created_at=row["created_at"],
        owed=row["owed"],
        external_id=row["external_id"],
        client_id=row["client_id"],
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
