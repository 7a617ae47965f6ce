"""Who has held a conversation, since when, and why."""

import sqlalchemy as sa

from ..core.conversation import State
from .schema import state_changes


def note_change(
    tx: sa.Connection,
    conversation_id: str,
    state: State,
    *,
    reason: str,
    now: float,
    detail: str | None = None,
) -> None:
    """Keep that a conversation is in *state* from now on.

    Args:
        reason: the rule, never anybody's words.
        detail: the words of whoever asked for it, for agents.
        now: Unix seconds.
    """
    row = {
        "conversation_id": conversation_id,
        "state": state,
        "reason": reason,
        "detail": detail,
        "created_at": now,
    }
    tx.execute(_INSERT, row)


_INSERT = sa.insert(state_changes)
