"""A conversation's history as a model sees it."""

import re
from collections.abc import Sequence
from typing import Literal, TypedDict

from .conversation import Message, Sender


class ModelMessage(TypedDict):
    """One message in the Chat Completions form."""

    role: Literal["system", "user", "assistant"]
    content: str


def for_model(transcript: Sequence[Message], *, prompt: str) -> list[ModelMessage]:
    """Return *prompt* and the transcript, oldest first.

    Agents speak for the company, as the bot does, so both are the assistant's side.
    """
    lines: list[ModelMessage] = [{"role": "system", "content": prompt}]
    for message in transcript:
        if message.content and message.sender is not Sender.SYSTEM:
            lines.append({"role": _role(message.sender), "content": message.content})
    return lines


def escape_liquid(text: str) -> str:
    """Break up ``{{`` and ``{%``, which Chatwoot would render as a Liquid template.

    A word joiner, which shows as nothing, goes between the two characters. Code spans
    stay as they are: Chatwoot protects them itself, and its `raw` does not nest
    (`app/models/concerns/liquidable.rb`).
    """
    parts = CODE_SPAN.split(text)
    # Every second part is a code span.
    parts[::2] = [LIQUID.sub("{\u2060", part) for part in parts[::2]]
    return "".join(parts)


CODE_SPAN = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
LIQUID = re.compile(r"\{(?=[{%])")


def _role(sender: Sender) -> Literal["user", "assistant"]:
    return "user" if sender is Sender.CONTACT else "assistant"
