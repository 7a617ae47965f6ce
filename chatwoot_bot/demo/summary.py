"""Sum a conversation of the demo up for the agent who takes it over."""

from collections.abc import Sequence

from ..core.conversation import Message, Sender
from ..core.notes import quoted
from .calls import DONE
from .words import every_source

SHOWN, CHARACTERS = 3, 120


def summary(transcript: Sequence[Message]) -> str:
    """Return what the contact has written, and what the bot has done; "" for nothing.

    Nothing in it is a link, a picture or a mention, whoever wrote the text.
    """
    texts = [m.content for m in transcript if m.sender is Sender.CONTACT and m.content]
    if not texts:
        return ""
    asked = "; ".join(f"“{_short(text)}”" for text in texts[-SHOWN:])
    parts = [f"The contact wrote: {asked}."]
    answers = [m.content for m in transcript if m.sender is Sender.BOT and m.content]
    lines = [line for text in answers for line in text.splitlines()]
    sources = [
        line.partition(": ")[2] for line in lines if line.startswith(every_source())
    ]
    if sources:
        listed = ", ".join(_short(each) for each in dict.fromkeys(sources))
        parts.append(f"The bot answered from these documents: {listed}.")
    parts += [_short(line) for line in lines if line.startswith(DONE)][-1:]
    return " ".join(parts)


def _short(text: str) -> str:
    line = " ".join(text[: 2 * CHARACTERS].split())
    return quoted(line if len(line) <= CHARACTERS else f"{line[: CHARACTERS - 1]}…")
