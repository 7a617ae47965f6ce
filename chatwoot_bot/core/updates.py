"""What `message_updated` tells of a message that was sent before.

Chatwoot sends it for receipts, transcripts, answers to a form, failures, edits and
deletions alike, and does not say which; it shows in `content_attributes` (facts,
section 4.7). The same one may come again with every later receipt.
"""

from collections.abc import Mapping
from typing import Any

from .text import visible

# Characters of a channel's error that are kept.
MAX_ERROR = 500
# The channel has it, so an error from before no longer counts.
ARRIVED = ("delivered", "read")


def submission(attributes: Mapping[str, Any]) -> str:
    """Return what the contact chose or filled in, a line for each; "" for nothing.

    Titles for a choice, ``name: value`` for a form, or an address. A rating (CSAT)
    is an object instead of a list, and no message to anybody.
    """
    values = attributes.get("submitted_values")
    lines = [_line(value) for value in values] if isinstance(values, list) else []
    lines.append(_text(attributes.get("submitted_email")))
    return "\n".join(line for line in lines if line)


def _line(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    title, name, given = (_text(value.get(key)) for key in ("title", "name", "value"))
    if title or not name:
        return title or given
    return f"{name}: {given}" if given else ""


def _text(value: Any) -> str:
    """Return a text or a number as text; a form has both."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def failure(attributes: Mapping[str, Any], message_id: int, shown: Any) -> str | None:
    """Return why a message did not reach the contact, or None if it may have.

    Args:
        shown: the conversation's `messages`; only there has a message its status,
            and only the newest one is there.
    """
    status = next(
        (
            message.get("status")
            for message in (shown if isinstance(shown, list) else ())
            if isinstance(message, dict) and message.get("id") == message_id
        ),
        None,
    )
    error = visible(_text(attributes.get("external_error"))[:MAX_ERROR])
    if status == "failed":
        return error or "no reason given"
    return error or None if status not in ARRIVED else None
