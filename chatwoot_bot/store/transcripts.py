"""What has been said in a conversation, as the engine's own type."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from ..core import attachments
from ..core.conversation import Message, Sender
from .schema import messages


def recent(tx: sa.Connection, row: Mapping[Any, Any], limit: int) -> list[Message]:
    """Return the last messages of a conversation and all that are owed, oldest first.

    Args:
        row: with the conversation's `id` and `channel`.
    """
    parameters = {"conversation": row["id"], "limit": limit}
    rows = tx.execute(_RECENT[row["channel"] == "chatwoot"], parameters)
    return [message_of(row) for row in rows.mappings()]


def _select_recent(written: sa.ColumnElement[int]) -> sa.Select[Any]:
    """Return the newest messages and all that are owed an answer, oldest first."""
    mine = messages.c.conversation_id == sa.bindparam("conversation")
    # No index knows when they were written, so that is asked of the last ones only:
    # what comes too late comes a little too late, and some conversations are endless.
    last = (
        sa.select(messages.c.id, written.label("written"))
        # Of a deleted one that closes a request, the line under it stays.
        .where(mine, messages.c.deleted_at.is_(None) | messages.c.closes)
        .order_by(messages.c.id.desc())
        .limit(2 * sa.bindparam("limit"))
        .subquery("last")
    )
    newest = (
        sa.select(last.c.id)
        .order_by(last.c.written.desc())
        .limit(sa.bindparam("limit"))
        .subquery("newest")
    )
    owed = sa.select(messages.c.id).where(mine, messages.c.owed)
    wanted = sa.union(sa.select(newest.c.id), owed)
    return sa.select(messages).where(messages.c.id.in_(wanted)).order_by(written)


_RECENT = {
    # It may deliver out of order; its ids say in which order people wrote.
    True: _select_recent(sa.func.coalesce(messages.c.external_id, messages.c.id)),
    False: _select_recent(messages.c.id),
}


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
        attachments=attachments.load(stored) if (stored := row["attachments"]) else (),
        closes=row["closes"],
        owed_at=row["owed_at"] or row["created_at"],
        # What an empty message was filled with is no edit, and nobody handed it back.
        edited_at=None if row["owed_at"] == row["edited_at"] else row["edited_at"],
        handed_back=row["owed_at"] not in (None, row["edited_at"]),
    )
