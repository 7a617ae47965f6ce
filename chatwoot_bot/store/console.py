"""What agents look at: all conversations, why the bot spoke, and the figures."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ..core.conversation import Sender, State, Trigger
from .chat import Rows, why
from .schema import (
    IS_DEAD,
    IS_HELD,
    IS_QUARANTINED,
    conversations,
    deliveries,
    messages,
    replies,
    state_changes,
    turns,
)

# A place in a list that is ordered by a time, newest first: the time, then the id.
Cursor = tuple[float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which conversations to list."""

    state: State | None = None
    user_id: str | None = None
    display_id: int | None = None
    account_id: int | None = None
    before: Cursor | None = None
    limit: int = 50


def list_conversations(tx: sa.Connection, wanted: Filter) -> Rows:
    """Return conversations, the newest activity first."""
    c = conversations.c
    query = sa.select(conversations, *why())
    if wanted.state is not None:
        query = query.where(c.state == wanted.state)
        if wanted.state is not State.AI:
            query = query.where(IS_HELD)  # names the index
    if wanted.user_id is not None:
        query = query.where(c.user_id == wanted.user_id)
    if wanted.display_id is not None:
        query = query.where(c.display_id == wanted.display_id)
    if wanted.account_id is not None:
        query = query.where(c.account_id == wanted.account_id)
    query = before_cursor(query, c.active_at, c.id, wanted.before)
    return tx.execute(query.limit(wanted.limit)).mappings().all()


def list_turns(
    tx: sa.Connection, conversation_id: str, *, before: Cursor | None, limit: int
) -> list[tuple[sa.RowMapping, Rows]]:
    """Return turns, the newest first, each with its replies in the order to say."""
    query = sa.select(turns).where(turns.c.conversation_id == conversation_id)
    query = before_cursor(query, turns.c.created_at, turns.c.id, before)
    found = tx.execute(query.limit(limit)).mappings().all()
    said: dict[str, list[sa.RowMapping]] = {row["id"]: [] for row in found}
    kept = tx.execute(
        sa.select(replies)
        .where(replies.c.turn_id.in_(list(said)))
        .order_by(replies.c.position)
    )
    for row in kept.mappings():
        said[row["turn_id"]].append(row)
    return [(row, said[row["id"]]) for row in found]


def before_cursor(
    query: sa.Select[Any],
    at: sa.Column[Any],
    key: sa.Column[Any],
    before: Cursor | None,
) -> sa.Select[Any]:
    """Return *query* ordered by *at* and *key*, newest first, from *before* on."""
    if before is not None:
        # Both columns in one comparison, which the index can be walked by.
        query = query.where(sa.tuple_(at, key) < sa.tuple_(*before))
    return query.order_by(at.desc(), key.desc())


def loaded(stored: str | None) -> list[dict[str, Any]]:
    """Return a turn's tools or sources."""
    return [] if stored is None else list(json.loads(stored))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which conversations to count: those begun in [since, until), Unix seconds."""

    since: float
    until: float
    inbox_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What became of the conversations of a span.

    Attributes:
        by_bot: answered, no agent spoke, and never held by a human or waiting for one.
        handed_over: how many waited for a human or got one, by the first reason.
        reopened: the contact wrote again after a resolve.
        first_answer_s: (median, 90th percentile) seconds from a contact's first
            message to the first answer after it, whoever gave it; None when nobody
            was answered.
        tokens: of all turns.
        cost: of all turns, as far as prices are known; None for not at all.
    """

    conversations: int
    by_bot: int
    handed_over: Mapping[str, int]
    reopened: int
    first_answer_s: tuple[float, float] | None
    tokens: int
    cost: float | None


def outcomes(tx: sa.Connection, span: Span) -> Outcomes:
    """Return what became of the conversations of *span*."""
    begun = _begun(span)
    answered = _first_answers(tx, begun)
    handed_over = _handed_over(tx, begun)
    reasons: dict[str, int] = {}
    for reason in handed_over.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    count = sa.select(sa.func.count()).select_from(begun.subquery())
    mine = turns.c.conversation_id.in_(begun)
    sums = sa.select(sa.func.sum(turns.c.tokens), sa.func.sum(turns.c.cost)).where(mine)
    tokens, cost = tx.execute(sums).one()
    return Outcomes(
        conversations=tx.execute(count).scalar_one(),
        by_bot=len(answered.keys() - handed_over.keys() - _with_humans(tx, begun)),
        handed_over=reasons,
        reopened=_reopened(tx, begun),
        first_answer_s=_spread(list(answered.values())),
        tokens=tokens or 0,
        cost=cost,
    )


def _begun(span: Span) -> sa.Select[tuple[str]]:
    c = conversations.c
    query = sa.select(c.id).where(
        c.active_at >= span.since,  # follows from the next, and has an index
        c.created_at >= span.since,
        c.created_at < span.until,
    )
    if span.inbox_id is not None:
        query = query.where(c.inbox_id == span.inbox_id)
    return query


def _first_answers(tx: sa.Connection, begun: sa.Select[tuple[str]]) -> dict[str, float]:
    """Return conversation → seconds from the first question to its first answer."""
    m = messages.c
    asked = (
        sa.select(m.conversation_id, sa.func.min(m.id).label("id"))
        .where(m.conversation_id.in_(begun), m.sender == Sender.CONTACT)
        .group_by(m.conversation_id)
        .subquery()
    )
    question, answer = messages.alias(), messages.alias()
    later = (
        answer.c.conversation_id == asked.c.conversation_id,
        answer.c.id > asked.c.id,
        answer.c.sender.in_((Sender.BOT, Sender.AGENT)),
    )
    first = (
        sa.select(asked.c.id, sa.func.min(answer.c.id).label("answer_id"))
        .join_from(asked, answer, sa.and_(*later))
        .group_by(asked.c.id)
        .subquery()
    )
    query = (
        sa.select(
            question.c.conversation_id, question.c.created_at, answer.c.created_at
        )
        .join_from(first, question, question.c.id == first.c.id)
        .join(answer, answer.c.id == first.c.answer_id)
    )
    return {row[0]: max(0.0, row[2] - row[1]) for row in tx.execute(query)}


def _with_humans(tx: sa.Connection, begun: sa.Select[tuple[str]]) -> set[str]:
    """Return the conversations in which an agent speaks, or that a human holds."""
    m, c = messages.c, conversations.c
    spoken = sa.select(m.conversation_id).where(
        m.conversation_id.in_(begun), m.sender == Sender.AGENT
    )
    held = sa.select(c.id).where(c.id.in_(begun), IS_HELD)
    return set(tx.execute(sa.union(spoken, held)).scalars())


def _handed_over(tx: sa.Connection, begun: sa.Select[tuple[str]]) -> dict[str, str]:
    """Return conversation → why it first left the bot."""
    s = state_changes.c
    query = (
        sa.select(s.conversation_id, s.reason)
        .where(s.conversation_id.in_(begun), s.state != State.AI)
        .order_by(s.id.desc())
    )
    return {row.conversation_id: row.reason for row in tx.execute(query)}


def _reopened(tx: sa.Connection, begun: sa.Select[tuple[str]]) -> int:
    s, m = state_changes.c, messages.c
    query = (
        sa.select(sa.func.count(s.conversation_id.distinct()))
        .join_from(state_changes, messages, m.conversation_id == s.conversation_id)
        .where(
            s.conversation_id.in_(begun),
            s.reason == Trigger.RESOLVED,
            m.sender == Sender.CONTACT,
            m.created_at > s.created_at,
        )
    )
    return tx.execute(query).scalar_one()


def _spread(seconds: Sequence[float]) -> tuple[float, float] | None:
    if not seconds:
        return None
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    ninetieth = statistics.quantiles(seconds, n=10, method="inclusive")[8]
    return statistics.median(seconds), ninetieth


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What there is to do at this moment.

    Attributes:
        due: conversations that want attention and have no worker yet.
        running: conversations that a worker has now.
        waiting_for_human: handed over, and no agent has come yet.
        dead_letters: replies and deliveries that failed for good.
    """

    due: int
    running: int
    waiting_for_human: int
    dead_letters: int


def load(tx: sa.Connection, *, now: float) -> Load:
    """Return what there is to do."""
    c = conversations.c
    count = sa.func.count()
    leased = c.lease.is_not(None)
    dead = sa.select(count).select_from(replies).where(IS_DEAD)
    kept = sa.select(count).select_from(deliveries).where(IS_QUARANTINED)
    return Load(
        due=tx.execute(
            sa.select(count).where(c.due_at <= now, c.lease.is_(None))
        ).scalar_one(),
        running=tx.execute(sa.select(count).where(leased)).scalar_one(),
        waiting_for_human=tx.execute(
            sa.select(count).where(IS_HELD, c.state == State.HANDOVER_PENDING)
        ).scalar_one(),
        dead_letters=tx.execute(dead).scalar_one() + tx.execute(kept).scalar_one(),
    )
