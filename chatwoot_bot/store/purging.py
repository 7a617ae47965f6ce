"""What is kept no longer: conversations that nobody has written in for long.

A conversation goes as a whole, with everything that was said, kept and noted in it.
First its own row goes; then each table is walked once, and what belongs to no
conversation any more goes too. A purge that was stopped is completed by the next one.
The steps are small, because on SQLite a running service waits for each of them.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ..core.conversation import State
from .conversations import NO_ACCOUNT
from .schema import (
    IS_OPEN,
    bookings,
    conversations,
    deliveries,
    effects,
    graph_checkpoints,
    graph_runs,
    graph_writes,
    messages,
    replies,
    state_changes,
    turns,
    unanswered_questions,
)

# Rows in one step.
STEP = 500

# What belongs to a conversation, and the key by which it is walked.
BELONGINGS: Sequence[tuple[sa.Table, sa.Column[Any]]] = (
    (messages, messages.c.id),
    (turns, turns.c.id),
    (replies, replies.c.key),
    (state_changes, state_changes.c.id),
    (effects, effects.c.key),
    (bookings, bookings.c.id),
    (graph_runs, graph_runs.c.id),
)


def _is_old(before: float) -> sa.ColumnElement[bool]:
    """Say which conversations go: nobody waits in them, and nothing is to be done."""
    mine = conversations.c.id
    unsaid = sa.exists().where(replies.c.conversation_id == mine, IS_OPEN)
    booked = sa.exists().where(
        bookings.c.conversation_id == mine, bookings.c.ends_at >= before
    )
    # Somebody has taken it over, or given it back, without a word.
    moved = sa.exists().where(
        state_changes.c.conversation_id == mine, state_changes.c.created_at >= before
    )
    return sa.and_(
        conversations.c.active_at < before,
        conversations.c.lease.is_(None),
        conversations.c.due_at.is_(None),
        conversations.c.owed_since.is_(None),
        conversations.c.wanted_status.is_(None),
        # An operator has named it; it has not even begun.
        conversations.c.account_id.is_distinct_from(NO_ACCOUNT),
        conversations.c.state != State.HANDOVER_PENDING,
        ~unsaid,
        ~booked,
        ~moved,
    )


def count_conversations(tx: sa.Connection, before: float) -> int:
    """Return how many conversations would go.

    Args:
        before: Unix seconds of the last word.
    """
    query = sa.select(sa.func.count()).where(_is_old(before))
    return tx.execute(query.select_from(conversations)).scalar_one()


def count_deliveries(tx: sa.Connection, before: float) -> int:
    """Return how many deliveries would go, received before *before* (Unix seconds)."""
    query = sa.select(sa.func.count()).where(deliveries.c.received_at < before)
    return tx.execute(query.select_from(deliveries)).scalar_one()


def purge_conversations(tx: sa.Connection, before: float) -> int:
    """Delete the rows of some old conversations; return how many, 0 at the end."""
    some = (
        sa.select(conversations.c.id)
        .where(_is_old(before))
        .order_by(conversations.c.active_at)
        .limit(STEP)
        # One that wakes at this moment is left alone.
        .with_for_update(skip_locked=True)
    )
    ids = tx.execute(some).scalars().all()
    tx.execute(sa.delete(conversations).where(conversations.c.id.in_(ids)))
    return len(ids)


def purge_belongings(
    tx: sa.Connection, table: sa.Table, key: sa.Column[Any], after: str | int | None
) -> str | int | None:
    """Delete what belongs to no conversation among the next rows of *table*.

    Args:
        after: the key where the last step ended; None at the beginning.

    Returns:
        Where this step ended; None at the table's end.
    """
    walk = sa.select(key, conversations.c.id).select_from(
        table.outerjoin(conversations, conversations.c.id == table.c.conversation_id)
    )
    if after is not None:
        walk = walk.where(key > after)
    rows = tx.execute(walk.order_by(key).limit(STEP)).all()
    gone = [mine for mine, conversation in rows if conversation is None]
    if table is graph_runs:
        for part in (graph_checkpoints, graph_writes):
            tx.execute(sa.delete(part).where(part.c.run_id.in_(gone)))
    tx.execute(sa.delete(table).where(key.in_(gone)))
    return rows[-1][0] if len(rows) == STEP else None


def purge_deliveries(tx: sa.Connection, before: float) -> int:
    """Delete some deliveries received before *before*; return how many, 0 at the end.

    They are stored in the order in which they came.
    """
    oldest = (
        sa.select(deliveries.c.id, deliveries.c.received_at)
        .order_by(deliveries.c.id)
        .limit(STEP)
    )
    old = [row.id for row in tx.execute(oldest) if row.received_at < before]
    tx.execute(sa.delete(deliveries).where(deliveries.c.id.in_(old)))
    return len(old)


def purge_questions(tx: sa.Connection, before: float) -> int:
    """Delete questions that knowledge had no answer to; return how many."""
    old = unanswered_questions.c.asked_at < before
    return tx.execute(sa.delete(unanswered_questions).where(old)).rowcount
