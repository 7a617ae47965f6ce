"""Whom Chatwoot has just assigned a conversation to.

Only a change of the assignee says so (docs of `conversation_updated`, key
`changed_attributes`): every payload shows the assignee, and a customer who comes back
still has the one from before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Chatwoot changes a handful at once, and never this many.
MAX_CHANGES = 50
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A new assignee: exactly one of *agent* and *bot* is set.

    Attributes:
        agent: Chatwoot's id of a user.
        bot: Chatwoot's id of an agent bot, ours or another.
        replaces: an agent was assigned before; Chatwoot itself assigns only
            conversations that are nobody's.
    """

    agent: int | None = None
    bot: int | None = None
    replaces: bool = False


def assigned(changed_attributes: Any) -> Assigned | None:
    """Return the new assignee, or None when nobody was assigned.

    Args:
        changed_attributes: as in the payload: a list of objects of one key each.
    """
    changes = _changes(changed_attributes)
    if "id" in changes:
        # A new conversation, told as a change of all its columns.
        return None
    if (agent := _id(changes, "assignee_id", "current_value")) is not None:
        before = _id(changes, "assignee_id", "previous_value")
        return Assigned(agent=agent, replaces=before is not None)
    bot = _id(changes, "assignee_agent_bot_id", "current_value")
    if bot is None and _value(changes, "ai_assignee_type") in (None, "AgentBot"):
        bot = _id(changes, "ai_assignee_id", "current_value")  # since 4.18
    return None if bot is None else Assigned(bot=bot)


def _changes(changed_attributes: Any) -> Mapping[str, Any]:
    if not isinstance(changed_attributes, list):
        return {}
    changes: dict[str, Any] = {}
    for each in changed_attributes[:MAX_CHANGES]:
        if isinstance(each, dict):
            changes |= each
    return changes


def _value(
    changes: Mapping[str, Any], name: str, which: str = "current_value"
) -> Any | None:
    change = changes.get(name)
    return change.get(which) if isinstance(change, dict) else None


def _id(changes: Mapping[str, Any], name: str, which: str) -> int | None:
    value = _value(changes, name, which)
    # bool is an int to Python.
    is_id = type(value) is int and 0 < value <= MAX_ID
    return value if is_id else None
