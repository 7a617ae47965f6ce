"""The web chat in the database: its conversations, and transcripts to read."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from ..core.conversation import State
from .conversations import new_id
from .replies import FOR_AGENTS
from .schema import conversations, messages, replies, state_changes

Rows = Sequence[sa.RowMapping]


def create(
    tx: sa.Connection,
    *,
    user_id: str | None,
    name: str | None,
    now: float,
    visitor: str | None = None,
) -> sa.RowMapping:
    """Make a web conversation and return its row.

    Args:
        visitor: whose earlier conversations belong with it; None for somebody new.
    """
    visitor = visitor or secrets.token_hex(8)
    query = (
        sa.insert(conversations)
        .values(
            id=new_id(),
            channel="web",
            user_id=user_id or f"u_{secrets.token_hex(8)}",
            visitor=visitor,
            contact=visitor,
            contact_name=name,
            state=State.AI,
            created_at=now,
            active_at=now,
        )
        .returning(conversations)
    )
    return tx.execute(query).mappings().one()


def get(tx: sa.Connection, conversation_id: str) -> sa.RowMapping | None:
    """Return the row of one conversation with the `reason` of its state, or None."""
    return tx.execute(_get(), {"conversation": conversation_id}).mappings().first()


@lru_cache
def _get() -> sa.Select[Any]:
    mine = conversations.c.id == sa.bindparam("conversation")
    return sa.select(conversations, *why()).where(mine)


def why() -> tuple[sa.Label[Any], sa.Label[Any]]:
    """Return the `reason` and the `detail` of the newest change of state as columns."""
    mine = state_changes.c.conversation_id == conversations.c.id
    newest = (
        sa.select(state_changes.c.id).where(mine).order_by(state_changes.c.id.desc())
    )
    newest_id = newest.limit(1).correlate(conversations).scalar_subquery()
    reason, detail = (
        sa.select(column)
        .where(state_changes.c.id == newest_id)
        .correlate(conversations)
        .scalar_subquery()
        for column in (state_changes.c.reason, state_changes.c.detail)
    )
    return reason.label("reason"), detail.label("detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which messages to list; `after` and `before` are message ids."""

    size: int
    number: int = 1
    after: int | None = None
    before: int | None = None


def list_messages(
    tx: sa.Connection, conversation_id: str, page: Page
) -> tuple[Rows, int]:
    """Return one page, oldest first, and how many messages there are in all."""
    mine = messages.c.conversation_id == conversation_id
    query = sa.select(messages).where(mine)
    if page.before is not None:
        newest = query.where(messages.c.id < page.before)
        rows = tx.execute(newest.order_by(messages.c.id.desc()).limit(page.size))
        items: Rows = rows.mappings().all()[::-1]
    else:
        after = messages.c.id > (page.after or 0)
        rest = query.where(after).order_by(messages.c.id).limit(page.size)
        items = tx.execute(rest.offset((page.number - 1) * page.size)).mappings().all()
    total = tx.execute(sa.select(sa.func.count()).where(mine)).scalar_one()
    return items, total


def of_user(
    tx: sa.Connection, user_id: str, *, visitor: str | None, limit: int
) -> Rows:
    """Return a user's conversations, the newest activity first.

    Args:
        visitor: only those of this visitor; None for all, which is for agents.
    """
    query = sa.select(conversations, *why()).where(conversations.c.user_id == user_id)
    if visitor is not None:
        query = query.where(conversations.c.visitor == visitor)
    newest = query.order_by(conversations.c.active_at.desc(), conversations.c.id)
    return tx.execute(newest.limit(limit)).mappings().all()


def last_messages(
    tx: sa.Connection, conversation_ids: Sequence[str]
) -> dict[str, sa.RowMapping]:
    """Return the newest message of each conversation that has one."""
    newest = (
        sa.select(sa.func.max(messages.c.id))
        .where(messages.c.conversation_id.in_(conversation_ids))
        .group_by(messages.c.conversation_id)
    )
    rows = tx.execute(sa.select(messages).where(messages.c.id.in_(newest)))
    return {row["conversation_id"]: row for row in rows.mappings()}


def last_message(tx: sa.Connection, conversation_id: str) -> sa.RowMapping | None:
    """Return the newest message of a conversation, or None."""
    query = sa.select(messages).where(messages.c.conversation_id == conversation_id)
    return tx.execute(query.order_by(messages.c.id.desc()).limit(1)).mappings().first()


def get_message(
    tx: sa.Connection,
    conversation_id: str,
    *,
    message_id: int | None = None,
    client_id: str | None = None,
) -> sa.RowMapping | None:
    """Return one message by our id or by its sender's own, or None."""
    query = sa.select(messages).where(messages.c.conversation_id == conversation_id)
    if message_id is not None:
        query = query.where(messages.c.id == message_id)
    else:
        query = query.where(messages.c.client_id == client_id)
    return tx.execute(query).mappings().first()


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a contact's message.

    Attributes:
        settled: nothing more will happen to it.
        answer: what the bot said to it; None when it stayed silent.
    """

    settled: bool
    answer: str | None = None


def fate(tx: sa.Connection, message_id: int) -> Fate:
    """Return whether a message has been answered, and with what."""
    query = sa.select(messages.c.owed, messages.c.turn_id)
    row = tx.execute(query.where(messages.c.id == message_id)).first()
    if row is None or row.owed:
        return Fate(settled=row is None)
    said = tx.execute(
        sa.select(replies.c.state, replies.c.content)
        .where(replies.c.turn_id == row.turn_id, replies.c.kind.not_in(FOR_AGENTS))
        .order_by(replies.c.position)
    ).all()
    if any(reply.state == "open" for reply in said):
        return Fate(settled=False)
    texts = [reply.content for reply in said if reply.state == "delivered"]
    return Fate(settled=True, answer="\n\n".join(texts) or None)
