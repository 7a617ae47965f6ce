"""What failed for good: replies that cannot be said, deliveries not understood."""

from collections.abc import Sequence

import sqlalchemy as sa

from .deliveries import Outcome
from .replies import FOR_AGENTS, ReplyKind
from .schema import (
    IS_DEAD,
    IS_QUARANTINED,
    conversations,
    deliveries,
    replies,
)
from .signals import Signal, notify

LIMIT = 1_000


def list_replies(tx: sa.Connection) -> Sequence[sa.RowMapping]:
    """Return dead replies with their conversations, oldest first."""
    query = (
        sa.select(
            replies.c.key,
            replies.c.conversation_id,
            conversations.c.display_id,
            replies.c.kind,
            replies.c.error,
            replies.c.created_at,
        )
        .join(conversations, conversations.c.id == replies.c.conversation_id)
        .where(IS_DEAD)
        .order_by(replies.c.created_at)
        .limit(LIMIT)
    )
    return tx.execute(query).mappings().all()


def list_deliveries(tx: sa.Connection) -> Sequence[sa.RowMapping]:
    """Return quarantined deliveries, oldest first, without their bodies."""
    query = (
        sa.select(deliveries.c.id, deliveries.c.reason, deliveries.c.received_at)
        .where(IS_QUARANTINED)
        .order_by(deliveries.c.id)
        .limit(LIMIT)
    )
    return tx.execute(query).mappings().all()


def count(tx: sa.Connection) -> tuple[int, int]:
    """Return how many replies and how many deliveries have failed for good."""
    dead = sa.select(sa.func.count()).where(IS_DEAD)
    kept = sa.select(sa.func.count()).where(IS_QUARANTINED)
    return tx.execute(dead).scalar_one(), tx.execute(kept).scalar_one()


def revive(tx: sa.Connection, key: str, *, now: float) -> bool:
    """Have a dead reply said after all; False when there is no such one.

    If it may have been said already it is looked for first; and it is sent whoever
    holds the conversation now, because an operator said so. What is for agents stays
    so, and a routing is still left out once an agent has the conversation.
    """
    conversation_id = tx.execute(
        sa.update(replies)
        .where(replies.c.key == key, IS_DEAD)
        .values(
            state="open",
            kind=sa.case(
                (replies.c.kind.in_(FOR_AGENTS), replies.c.kind),
                else_=ReplyKind.REPLAY,
            ),
            attempts=0,
            error=None,
            created_at=now,
        )
        .returning(replies.c.conversation_id)
    ).scalar()
    if conversation_id is None:
        return False
    tx.execute(
        sa.update(conversations)
        .where(conversations.c.id == conversation_id, conversations.c.lease.is_(None))
        .values(due_at=now)
    )
    notify(tx, [Signal(conversation_id=conversation_id, due_at=now)])
    return True


def delivery_body(tx: sa.Connection, delivery_id: int) -> bytes | None:
    """Return the stored body of one delivery, or None when there is none."""
    query = sa.select(deliveries.c.body).where(deliveries.c.id == delivery_id)
    body: bytes | None = tx.execute(query).scalar()
    return bytes(body) if body is not None else None


def settle_delivery(tx: sa.Connection, delivery_id: int) -> None:
    """Note that a quarantined delivery has been understood after all."""
    tx.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(outcome=Outcome.REPLAYED)
    )
