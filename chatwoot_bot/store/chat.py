"""The web chat in the database: its conversations, and transcripts to read."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import sqlalchemy as sa

from ..core.conversation import State
from .conversations import new_id
from .replies import FOR_AGENTS
from .schema import conversations, messages, replies, state_changes

Rows = Sequence[sa.RowMapping]
# A message's id, and how many characters it has.
Name = tuple[int, int]


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


# Of a page's messages together; one that is longer has a page for itself.
PAGE_CHARS = 250_000
# What a list shows of a conversation's last message.
PREVIEW_CHARS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which messages to list; `after` and `before` are message ids."""

    size: int
    number: int = 1
    after: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of messages.

    Attributes:
        items: oldest first.
        total: how many messages there are in all.
        chars: what the items' words have together.
        is_full: there may be more behind it, or before it if that was asked for.
    """

    items: Rows
    total: int
    chars: int
    is_full: bool


def list_messages(tx: sa.Connection, conversation_id: str, page: Page) -> Listed:
    """Return one page: `page.size` messages, or fewer that have `PAGE_CHARS`."""
    mine = messages.c.conversation_id == conversation_id
    # Their words may be long, so they are read only once it is known how long.
    chars = sa.func.coalesce(sa.func.length(messages.c.content), 0)
    query = sa.select(messages.c.id, chars).where(mine).limit(page.size)
    if page.before is not None:
        query = query.where(messages.c.id < page.before)
        query = query.order_by(messages.c.id.desc())
    else:
        query = query.where(messages.c.id > (page.after or 0)).order_by(messages.c.id)
        query = query.offset((page.number - 1) * page.size)
    names = [(row[0], row[1]) for row in tx.execute(query)]
    ids = first_page(names, chars=PAGE_CHARS, size=page.size)
    listed = sa.select(messages).where(messages.c.id.in_(ids)).order_by(messages.c.id)
    total = tx.execute(sa.select(sa.func.count()).where(mine)).scalar_one()
    return Listed(
        items=tx.execute(listed).mappings().all(),
        total=total,
        chars=sum(length for _, length in names[: len(ids)]),
        is_full=len(ids) < len(names) or len(names) == page.size,
    )


def first_page(names: Sequence[Name], *, chars: int, size: int) -> list[int]:
    """Return the ids of the first of *names*, one at least.

    Args:
        chars: what they may have together.
        size: how many they may be.
    """
    lengths = accumulate(length for _, length in names[:size])
    fitting = sum(length <= chars for length in lengths)
    return [message_id for message_id, _ in names[: max(fitting, 1)]]


def look(
    tx: sa.Connection, conversation_id: str, *, after: int
) -> tuple[bool, str | None]:
    """Return whether there is a newer message, and the state; None for no such one."""
    mine = messages.c.conversation_id == conversation_id
    newer = sa.exists().where(mine, messages.c.id > after)
    query = sa.select(newer, conversations.c.state)
    row = tx.execute(query.where(conversations.c.id == conversation_id)).first()
    return (False, None) if row is None else (bool(row[0]), row[1])


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
    """Return the newest message of each conversation that has one, its words cut."""
    newest = (
        sa.select(sa.func.max(messages.c.id))
        .where(messages.c.conversation_id.in_(conversation_ids))
        .group_by(messages.c.conversation_id)
    )
    cut = sa.func.substr(messages.c.content, 1, PREVIEW_CHARS).label("content")
    columns = [cut if one.name == "content" else one for one in messages.c]
    rows = tx.execute(sa.select(*columns).where(messages.c.id.in_(newest)))
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
