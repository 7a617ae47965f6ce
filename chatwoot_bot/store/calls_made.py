"""What the bot's model has called in a conversation, for the agents who take over."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ..core.notes import Done
from .schema import turns

# Of turns, the newest ones.
LOOKED_AT = 30
# What is no news beside a handover.
SILENT = ("escalate_to_human",)


def calls_made(
    tx: sa.Connection, conversation_id: str, *, since: float
) -> Sequence[Done]:
    """Return the calls of a conversation that did what they should, oldest first.

    Args:
        since: of turns that began then or later, Unix seconds.
    """
    found = tx.execute(
        sa.select(turns.c.tools)
        .where(
            turns.c.conversation_id == conversation_id,
            turns.c.created_at >= since,
            turns.c.tools.is_not(None),
        )
        .order_by(turns.c.created_at.desc())
        .limit(LOOKED_AT)
    )
    stored = [json.loads(tools) for (tools,) in found]
    return [done for calls in reversed(stored) for done in done_of(calls)]


def done_of(calls: Sequence[Mapping[str, Any]]) -> list[Done]:
    """Return those of `Toolbox.calls` that did what they should."""
    return [
        Done(call["name"], call["result"].partition("\n")[0])
        for call in calls
        if call.get("ok") and call["name"] not in SILENT
    ]
