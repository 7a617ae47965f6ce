"""A turn in the database: claim, keep what is to be said, finish.

Every write names the lease it was made under, so that a process that was only
paused cannot write over its successor (fencing). A function that finds its lease
gone raises `LeaseLostError` and has changed nothing.
"""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from ..core.conversation import (
    Conversation,
    Message,
    State,
    Status,
    looks_pending,
    status_to_tell,
)
from ..core.decision import Route
from ..errors import LeaseLostError
from .arrivals import MAX_RESTARTS, Rules
from .conversations import (
    HAS_PRESSING,
    conversation_of,
    human_mode_column,
    insert_new,
)
from .effects import settle
from .leases import Lease, held
from .ownership import OWNED_AT, release_at
from .replies import Draft, Reply, ReplyKind, call_human, insert_drafts, unsaid
from .schema import IS_OPEN, conversations, messages, replies, turns
from .spending import Bill, charge
from .statements import change
from .transcripts import recent

LEASE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a turn needs to know when it begins.

    Attributes:
        owed: the contact's messages without an answer, oldest first.
        transcript: the last messages, oldest first, and those owed an answer last:
            what the bot said while they were being written does not answer them.
        unsaid: replies kept and not known to be delivered, in order.
    """

    conversation: Conversation
    human_mode: bool
    owed: Sequence[Message]
    transcript: Sequence[Message]
    unsaid: Sequence[Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """Why the bot said what it said.

    Attributes:
        estimated: the model's server did not count the tokens, at least not all.
        cost: what the model charged, as far as prices are known.
        tools: what the model called, with `name` and `arguments`.
        sources: what it read for the answer.
        draft: what it was about to say when it was overtaken; None if that was said.
        finish_reason: how the model's server says that its answer ended.
    """

    id: str
    conversation_id: str
    decision: str
    reason: str
    outcome: str
    started_at: float
    latency_ms: int
    model: str | None = None
    tokens: int | None = None
    estimated: bool = False
    cost: float | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    sources: Sequence[Mapping[str, Any]] = ()
    draft: str | None = None
    finish_reason: str | None = None


class Verdict(StrEnum):
    """Whether a draft became a reply."""

    KEPT = "kept"
    SUPERSEDED = "superseded"  # the contact wrote more meanwhile
    SILENCED = "silenced"  # a human holds the conversation now


def next_due(tx: sa.Connection) -> float | None:
    """Return when the next conversation wants attention, or None."""
    due_at: float | None = tx.execute(_NEXT_DUE).scalar()
    return due_at


_NEXT_DUE = sa.select(sa.func.min(conversations.c.due_at)).where(
    conversations.c.due_at.is_not(None)
)


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
    ours = _locked(conversations.c.lease.in_(tokens))
    extended = tx.execute(
        sa.update(conversations)
        .where(conversations.c.id.in_(sa.select(ours.c.id)))
        .values(due_at=now + LEASE_S)
        .returning(conversations.c.lease)
    )
    held = set(extended.scalars())
    return {lease for lease in leases if lease.token in held}


def _locked(*where: sa.ColumnElement[bool]) -> sa.CTE:
    """Lock rows in the one order that all transactions use."""
    ids = sa.select(conversations.c.id).where(*where).order_by(conversations.c.id)
    return ids.with_for_update().cte("locked")


def reclaim(tx: sa.Connection, *, now: float) -> int:
    """End every lease: their holder is dead. Only where one process may run."""
    return tx.execute(
        sa.update(conversations)
        .where(conversations.c.lease.is_not(None))
        .values(lease=None, due_at=now)
    ).rowcount


def hurry(tx: sa.Connection, *, now: float, owed_before: float) -> int:
    """Make due what has been owed since before *owed_before*; return how many.

    The net under everything else: whatever kept these from being answered, the next
    turn calls a human for them.
    """
    where = {"now": now, "before": owed_before}
    candidates = list(tx.execute(_LATE, where).scalars())
    if not candidates:
        return 0
    late = _locked(conversations.c.id.in_(candidates), *_IS_LATE)
    hurried = tx.execute(
        sa.update(conversations)
        .where(conversations.c.id.in_(sa.select(late.c.id)))
        .values(due_at=now)
        .returning(conversations.c.id),
        where,
    )
    return len(hurried.all())


_IS_LATE = (
    conversations.c.owed_since <= sa.bindparam("before"),
    conversations.c.lease.is_(None),
    conversations.c.due_at.is_(None) | (conversations.c.due_at > sa.bindparam("now")),
    # One with an open reply waits for Chatwoot, and has its own back-off.
    ~sa.exists().where(replies.c.conversation_id == conversations.c.id, IS_OPEN),
)
# Apart from the locking, whose order makes SQLite read the whole table.
_LATE = sa.select(conversations.c.id).where(*_IS_LATE)


def waiting(tx: sa.Connection, *, now: float, before: float, limit: int) -> list[str]:
    """Return the conversations that wait for Chatwoot, the longest waiting first.

    They have a reply that Chatwoot did not take, or a status that it does not have yet.

    Args:
        before: a reply that was tried since does not count, Unix seconds.
    """
    what = {"now": now, "before": before, "limit": limit}
    return list(tx.execute(_WAITING, what).scalars())


_FAILED = (
    sa.select(
        replies.c.conversation_id, sa.func.min(replies.c.created_at).label("since")
    )
    .where(
        IS_OPEN,
        replies.c.error.is_not(None),
        replies.c.attempted_at <= sa.bindparam("before"),
    )
    .group_by(replies.c.conversation_id)
    .subquery("failed")
)
_WAITING = (
    sa.select(conversations.c.id)
    .outerjoin(_FAILED, _FAILED.c.conversation_id == conversations.c.id)
    .where(
        conversations.c.channel == "chatwoot",
        conversations.c.lease.is_(None),
        conversations.c.due_at > sa.bindparam("now"),
        _FAILED.c.since.is_not(None) | conversations.c.wanted_status.is_not(None),
    )
    .order_by(
        sa.func.coalesce(_FAILED.c.since, conversations.c.active_at), conversations.c.id
    )
    .limit(sa.bindparam("limit"))
)


def make_due(tx: sa.Connection, *, ids: Sequence[str], now: float) -> int:
    """Make conversations due that are later; return how many."""
    later = _locked(
        conversations.c.id.in_(ids),
        conversations.c.lease.is_(None),
        conversations.c.due_at > now,
    )
    made_due = tx.execute(
        sa.update(conversations)
        .where(conversations.c.id.in_(sa.select(later.c.id)))
        .values(due_at=now)
        .returning(conversations.c.id)
    )
    return len(made_due.all())


def load(tx: sa.Connection, lease: Lease, *, history: int) -> Situation:
    """Read what the turn needs.

    Args:
        history: how many of the last messages the transcript has at most; messages
            that are owed an answer come on top.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    ours = {"conversation": lease.conversation_id, "lease": lease.token}
    row = tx.execute(_LEASED, ours).mappings().first()
    if row is None:
        raise LeaseLostError("the lease has passed to another worker")
    transcript = _owed_last(recent(tx, row, history))
    return Situation(
        conversation=conversation_of(row),
        human_mode=row["human_mode"] == "1",
        owed=[message for message in transcript if message.owed],
        transcript=transcript,
        unsaid=unsaid(tx, lease.conversation_id),
    )


def _owed_last(transcript: Sequence[Message]) -> list[Message]:
    """Put what is owed an answer last; the line under a resolved request stays."""
    said: list[Message] = []
    owed: list[Message] = []
    for message in transcript:
        if message.owed:
            owed.append(replace(message, closes=False))
            if message.closes and said:
                said[-1] = replace(said[-1], closes=True)
        else:
            said.append(message)
    return said + owed


_LEASED = sa.select(conversations, human_mode_column()).where(
    conversations.c.id == sa.bindparam("conversation"),
    conversations.c.lease == sa.bindparam("lease"),
)


def keep(
    tx: sa.Connection,
    lease: Lease,
    record: TurnRecord,
    *,
    seen: Conversation,
    answered: Sequence[Message],
    drafts: Sequence[Draft],
    now: float,
    settles: bool = False,
) -> tuple[Verdict, list[Reply]]:
    """Turn drafts into replies that will be said, unless they have been overtaken.

    The first reply counts as attempted from here on: its sending follows at once,
    and after a crash nobody knows how far it came.

    Args:
        seen: the conversation as it was when the drafts were begun.
        answered: the messages that the drafts answer.
        drafts: what to say, in order; a HANDOVER among them calls a human, and so
            does the decision in *record*.
        settles: the drafts tell of effects, see `effects`.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, human_mode = held(tx, lease)
    if human_mode or conversation.state is not State.AI:
        return Verdict.SILENCED, []
    if conversation.version != seen.version and conversation.restarts < MAX_RESTARTS:
        return Verdict.SUPERSEDED, []
    if not _mark_answered(tx, answered, record.id):
        # Resolved, or taken over and given back, while the draft was written.
        return Verdict.SILENCED, []
    kept = insert_drafts(tx, lease, record.id, drafts, now)
    if record.decision == Route.HANDOVER or _has_handover(drafts):
        call_human(tx, conversation, reason=record.reason, now=now)
    else:
        _count_answer(tx, conversation)
    if settles or record.decision == Route.HANDOVER:
        settle(tx, conversation.id)
    insert_record(tx, record)
    return Verdict.KEPT, kept


def _has_handover(drafts: Sequence[Draft]) -> bool:
    return any(draft[0] is ReplyKind.HANDOVER for draft in drafts)


def _mark_answered(
    tx: sa.Connection, answered: Sequence[Message], turn_id: str | None
) -> int:
    """Settle those of the messages that are still owed an answer; others stay owed."""
    ids = [message.id for message in answered]
    return tx.execute(_ANSWERED, {"ids": ids, "turn": turn_id}).rowcount


_ANSWERED = (
    sa.update(messages)
    .where(messages.c.id.in_(sa.bindparam("ids", expanding=True)), messages.c.owed)
    .values(owed=sa.false(), turn_id=sa.bindparam("turn", type_=sa.Text))
)


def _count_answer(tx: sa.Connection, conversation: Conversation) -> None:
    turns = conversation.bot_turns + 1
    change(tx, conversations, {"id": conversation.id}, bot_turns=turns)


def leave(
    tx: sa.Connection,
    lease: Lease,
    *,
    seen: Sequence[Message],
    now: float,
    ignored: bool = False,
) -> None:
    """Owe *seen* no answer: a human holds the conversation, or nobody need answer.

    In human mode a human is called for them. If the bot has got the conversation back
    meanwhile, nothing happens and the next turn answers.

    Args:
        ignored: a rule of the operator's says so, whoever holds it.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, human_mode = held(tx, lease)
    resolved = conversation.status is Status.RESOLVED
    if ignored or human_mode or resolved or conversation.state is not State.AI:
        _mark_answered(tx, seen, None)
        settle(tx, conversation.id)
    if human_mode and conversation.state is State.AI and not resolved:
        call_human(tx, conversation, reason="human_mode", now=now)
    elif human_mode and looks_pending(conversation) and not resolved:
        # Pending, the team does not see it.
        wanted = status_to_tell(conversation, Status.OPEN)
        change(tx, conversations, {"id": conversation.id}, wanted_status=wanted)


def tell_status(tx: sa.Connection, lease: Lease, status: Status) -> bool:
    """Note that Chatwoot is being told *status* from now on.

    Returns:
        False when it must not be told any more: a contact who has written meanwhile
        has not finished, whoever thought so, and an agent who has joined decides.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = held(tx, lease)
    over = conversation.state is State.AI and not owes(tx, conversation.id)
    wanted = over or status is not Status.RESOLVED
    values = {"told_status": status} if wanted else {"wanted_status": None}
    change(tx, conversations, {"id": conversation.id}, **values)
    return wanted


def owes(tx: sa.Connection, conversation_id: str) -> bool:
    """Return whether a message of the contact waits for an answer."""
    mine = {"conversation": conversation_id}
    return tx.execute(_OWES, mine).first() is not None


_IS_OWED = messages.c.conversation_id == sa.bindparam("conversation"), messages.c.owed
_OWES: sa.Select[Any] = sa.select(sa.literal_column("1")).where(*_IS_OWED).limit(1)


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
    conversation, _ = held(tx, lease)
    if status is Status.RESOLVED and owes(tx, conversation.id):
        # Who writes while it is being resolved is answered, and then it is open again.
        # What Chatwoot tells of the resolve is still our own doing.
        before = conversation.status or Status.PENDING
        change(tx, conversations, {"id": conversation.id}, wanted_status=before)
        return
    values: dict[str, Any] = {"told_status": None}
    if conversation.wanted_status is status:
        values["wanted_status"] = None
    if at is not None and at >= conversation.status_at:
        # Its event, if it has come already, knows the time better than `at`.
        known = conversation.status is status
        at = conversation.status_at if known else at
        values |= {"status": status, "status_at": at}
        values["ever_pending"] = conversation.ever_pending or status is Status.PENDING
    change(tx, conversations, {"id": conversation.id}, **values)


class Ending(StrEnum):
    """How a turn ended, as far as the next one is concerned."""

    DONE = "done"
    WAITING = "waiting"  # something could not be done yet, through no fault here
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
    look_at: float | None = None,
    record: TurnRecord | None = None,
) -> float | None:
    """End the lease and say when the conversation wants attention again.

    Args:
        retry_at: not before then, when something could not be done now.
        look_at: then at the latest, for something that nobody waits for.
        record: why nothing was said; a reply's record is kept with the reply.

    Returns:
        The new `due_at`, Unix seconds, or None.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = held(tx, lease)
    if record is not None:
        insert_record(tx, record)
    owed_since, last, pressing, owned_at = tx.execute(
        _LEFT, {"conversation": conversation.id}
    ).one()
    due_at = retry_at
    if ending is Ending.GIVEN_BACK:
        due_at = now
    elif due_at is None:
        untold = conversation.wanted_status is not None and look_at is None
        # What this turn has seen of it comes again at `look_at`.
        look_at = look_at or release_at(owned_at, now)
        moments = [look_at, now if untold or pressing else None]
        if owed_since is not None:
            moments.append(rules.due_at(last=last, owed_since=owed_since))
        due_at = _earliest(moments)
    values: dict[str, Any] = {"lease": None, "due_at": due_at, "owed_since": owed_since}
    if ending is Ending.FAILED:
        values["failures"] = conversation.failures + 1
    else:
        values["attempts"] = 0
    if ending is Ending.DONE:
        values |= {"restarts": 0, "failures": 0}
    if ending is Ending.SUPERSEDED:
        values["restarts"] = conversation.restarts + 1
    change(tx, conversations, {"id": conversation.id}, **values)
    return due_at


_OWED_AT = sa.func.coalesce(messages.c.owed_at, messages.c.created_at)
# When the first and the last message without an answer came, whether there is
# something to say that this turn did not get to, and since when our bot is to be an
# owner no more.
_LEFT = sa.select(
    sa.func.min(_OWED_AT), sa.func.max(_OWED_AT), HAS_PRESSING.exists(), OWNED_AT
).where(*_IS_OWED)


def _earliest(moments: Sequence[float | None]) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)


def insert_record(tx: sa.Connection, record: TurnRecord) -> None:
    """Keep the "why" of one turn, and what it has cost."""
    tx.execute(
        insert_new(turns, tx.dialect.name),
        {
            "id": record.id,
            "conversation_id": record.conversation_id,
            "decision": record.decision,
            "reason": record.reason,
            "model": record.model,
            "tokens": record.tokens,
            "estimated": record.estimated,
            "cost": record.cost,
            "tools": _dumped(record.tools),
            "sources": _dumped(record.sources),
            "draft": record.draft,
            "finish_reason": record.finish_reason,
            "outcome": record.outcome,
            "latency_ms": record.latency_ms,
            "created_at": record.started_at,
        },
    )
    bill = Bill(tokens=record.tokens or 0, cost=record.cost)
    charge(tx, record.conversation_id, bill, now=record.started_at)


def _dumped(things: Sequence[Mapping[str, Any]]) -> str | None:
    if not things:
        return None
    return json.dumps([dict(thing) for thing in things], ensure_ascii=False)
