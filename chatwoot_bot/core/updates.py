"""What `message_updated` tells of a message that was sent before.

Chatwoot sends it for receipts, transcripts, answers to a form, failures, edits and
deletions alike, and does not say which; it shows in `content_attributes` (facts,
section 4.7). The same one may come again with every later receipt.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .text import without_controls

# Characters of a channel's error that are kept.
MAX_ERROR = 500
# The channel has it, so an error from before no longer counts.
ARRIVED = ("delivered", "read")
# Of an answer to a WhatsApp Flow; a form of Meta's has far fewer fields.
MAX_FIELDS = 60
MAX_VALUE = 500
MAX_JSON = 50_000
# Of a reaction: one emoji, and as much of the message as tells it from others.
MAX_REACTION = 20
MAX_QUOTED = 100


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
    error = without_controls(_text(attributes.get("external_error"))[:MAX_ERROR])
    if status == "failed":
        return error or "no reason given"
    return error or None if status not in ARRIVED else None


def flow_lines(flow: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that a contact filled in in a WhatsApp Flow, a line for each.

    Args:
        flow: `whatsapp_flow_response` of a message: `name`, `body` and
            `response_json`, the fields as an object or as its JSON.
    """
    fields = flow.get("response_json")
    if isinstance(fields, str) and len(fields) <= MAX_JSON:
        try:
            fields = json.loads(fields)
        except (ValueError, RecursionError):
            fields = None
    if not isinstance(fields, dict):
        return
    for name, value in list(fields.items())[:MAX_FIELDS]:
        # Meta's own, which says nothing to anybody else.
        given = "" if name == "flow_token" else _field(value)
        if given:
            yield f"{str(name)[:MAX_VALUE]}: {given}"


def _field(value: Any) -> str:
    if isinstance(value, list):
        parts = [part for each in value[:MAX_FIELDS] if (part := _text(each))]
        return ", ".join(parts)[:MAX_VALUE]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _text(value)[:MAX_VALUE]


def reaction(emoji: str, to: str) -> str:
    """Return a contact's reaction as the model reads it.

    Args:
        to: the message it is on; "" when that is not known.
    """
    emoji, to = emoji[:MAX_REACTION], " ".join(to[:MAX_VALUE].split())
    if len(to) > MAX_QUOTED:
        to = f"{to[: MAX_QUOTED - 1]}…"
    return f"[reaction {emoji} to: {to}]" if to else f"[reaction {emoji}]"
