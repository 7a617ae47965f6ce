"""What agents read of a conversation in a private note.

Chatwoot notifies people and adds them to a conversation when a private note holds
``(mention://user/…)``, and agents' browsers load its pictures: so no note of the bot's
mentions anybody or shows a picture, whoever wrote its text, and what it quotes is text.
"""

import re
from collections.abc import Sequence

from .conversation import Message, Sender
from .links import unlinked
from .text import visible

# A note shows this much of the conversation.
SHOWN = 6
SHOWN_CHARACTERS = 300
LOOKED_AT = 3_000
MENTION = re.compile(r"mention://", re.IGNORECASE)
SPEAKERS = {Sender.CONTACT: "Contact", Sender.AGENT: "Agent", Sender.BOT: "Bot"}


def note(why: str, transcript: Sequence[Message]) -> str:
    """Return a note that says *why*, and shows the last messages."""
    return f"{why}\n\n{_last_messages(transcript)}".strip()


def with_summary(note: str, summary: str) -> str:
    """Return *note* with *summary* in the place of the last messages."""
    why = note.partition("\n\n")[0]
    return f"{why}\n\n**Summary:** {summary}"


def harmless(note: str) -> str:
    """Return a note that mentions nobody, shows no picture and hides nothing."""
    note = MENTION.sub("mention[:]//", visible(note))
    return note.replace("![", "! [")


def quoted(text: str) -> str:
    """Return what others wrote as text that holds no link, picture or mention."""
    return harmless(unlinked(visible(text)).replace("](", "] (").replace("]:", "] :"))


def _last_messages(transcript: Sequence[Message]) -> str:
    lines = [
        f"> **{SPEAKERS[message.sender]}:** {_shortened(message.content)}"
        for message in transcript
        if message.content and message.sender in SPEAKERS
    ]
    return "\n".join(lines[-SHOWN:])


def _shortened(text: str) -> str:
    # White space may be all of a long text.
    line = " ".join(text[:LOOKED_AT].split())
    if len(line) > SHOWN_CHARACTERS or len(text) > LOOKED_AT:
        line = f"{line[: SHOWN_CHARACTERS - 1]}…"
    return quoted(line)
