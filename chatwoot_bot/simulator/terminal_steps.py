"""The terminal's commands that are one action each, and how they read their line."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .records import Message
from .wire import Json

if TYPE_CHECKING:
    from .terminal import Terminal


class UsageError(Exception):
    """A line that says nothing we know; the text is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Step:
    """An action and how its arguments come from the rest of the line."""

    action: str
    arguments: Callable[["Terminal", str], Json]


def _talk(terminal: "Terminal", rest: str) -> Json:
    if not rest:
        raise UsageError("What is to be said?")
    return {"conversation": terminal.conversation, "content": rest}


def _here(terminal: "Terminal", rest: str) -> Json:
    return {"conversation": terminal.conversation}


def _status(terminal: "Terminal", rest: str) -> Json:
    if rest not in ("open", "pending", "resolved", "snoozed"):
        raise UsageError("/status open|pending|resolved|snoozed")
    return _here(terminal, rest) | {"status": rest}


def _assign(terminal: "Terminal", rest: str) -> Json:
    agent = None if rest == "nobody" else int(rest or 12)
    return _here(terminal, rest) | {"agent_id": agent}


def _labels(terminal: "Terminal", rest: str) -> Json:
    labels = [label.strip() for label in rest.split(",") if label.strip()]
    return _here(terminal, rest) | {"labels": labels}


def _of_type(content_type: str, what: str) -> Callable[["Terminal"], Message]:
    return lambda terminal: terminal.newest(
        what, lambda message: message.content_type == content_type
    )


_select = _of_type("input_select", "select")
_form = _of_type("form", "form")
_box = _of_type("input_email", "e-mail box")
_survey = _of_type("input_csat", "survey")


def _answer(terminal: "Terminal") -> Message:
    return terminal.newest("reply", lambda message: message.is_reply)


def _pick(terminal: "Terminal", rest: str) -> Json:
    message = _select(terminal)
    items = message.content_attributes.get("items", [])
    if not rest.isdecimal() or not 1 <= int(rest) <= len(items):
        raise UsageError(f"/pick 1 to {len(items)}")
    item = items[int(rest) - 1]
    return {"message_id": message.id, "title": item["title"], "value": item["value"]}


def _rate(terminal: "Terminal", rest: str) -> Json:
    rating, _, feedback = rest.partition(" ")
    survey = _survey(terminal).id
    return {"message_id": survey, "rating": int(rating or 5), "feedback": feedback}


def _fail(terminal: "Terminal", rest: str) -> Json:
    return {"message_id": _answer(terminal).id} | ({"error": rest} if rest else {})


def parse_value(text: str) -> Any:
    """Return a number, a word of JSON, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_pairs(text: str) -> Json:
    """Return `name=value` pairs; a value goes on until the next name."""
    pairs: Json = {}
    name = ""
    for word in text.split():
        before, equals, after = word.partition("=")
        if equals and before.isidentifier():
            name, pairs[before] = before, after
        elif name:
            pairs[name] += f" {word}"
        else:
            raise UsageError(f"{word!r} is no NAME=VALUE")
    return {name: parse_value(value) for name, value in pairs.items()}


STEPS = {
    "agent": Step("agent_says", _talk),
    "note": Step("agent_says", lambda t, r: _talk(t, r) | {"private": True}),
    "phone": Step("phone_echo", _talk),
    "template": Step("template_says", _talk),
    "automation": Step("automation_says", _talk),
    "status": Step("set_status", _status),
    "wake": Step("snooze_ends", _here),
    "assign": Step("assign", _assign),
    "bot": Step("assign_bot", _here),
    "team": Step("set_team", lambda t, r: _here(t, r) | {"team_id": int(r or 2)}),
    "labels": Step("set_labels", _labels),
    "priority": Step("set_priority", lambda t, r: _here(t, r) | {"priority": r}),
    "reply": Step(
        "contact_replies_to", lambda t, r: {"message_id": _answer(t).id, "content": r}
    ),
    "pick": Step("contact_picks", _pick),
    "fill": Step(
        "contact_submits",
        lambda t, r: {"message_id": _form(t).id, "values": parse_pairs(r)},
    ),
    "email": Step(
        "contact_gives_email", lambda t, r: {"message_id": _box(t).id, "email": r}
    ),
    "rate": Step("contact_rates", _rate),
    "type": Step("contact_types", lambda t, r: _here(t, r) | {"state": r or "on"}),
    "read": Step("contact_reads", _here),
    "end": Step("contact_resolves", _here),
    "delete": Step("agent_deletes", lambda t, r: {"message_id": _answer(t).id}),
    "fail": Step("channel_fails", _fail),
    "window": Step("window_closes", _here),
}
