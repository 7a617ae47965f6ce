"""What agents read of a conversation in a private note."""

from collections.abc import Sequence

from .conversation import Message, Sender

# A note shows this much of the conversation.
SHOWN = 6
SHOWN_CHARACTERS = 300
SPEAKERS = {Sender.CONTACT: "Contact", Sender.AGENT: "Agent", Sender.BOT: "Bot"}


def note(why: str, transcript: Sequence[Message]) -> str:
    """Return a note that says *why*, and shows the last messages."""
    return f"{why}\n\n{_last_messages(transcript)}".strip()


def with_summary(note: str, summary: str) -> str:
    """Return *note* with *summary* in the place of the last messages."""
    why = note.partition("\n\n")[0]
    return f"{why}\n\n**Summary:** {summary}"


def _last_messages(transcript: Sequence[Message]) -> str:
    shown = [
        (SPEAKERS[message.sender], message.content)
        for message in transcript
        if message.content and message.sender in SPEAKERS
    ]
    # Blanks go away, so a little more than what is shown is enough to shorten.
    lines = [
        f"> **{speaker}:** {_shortened(content[: 4 * SHOWN_CHARACTERS])}"
        for speaker, content in shown[-SHOWN:]
    ]
    return "\n".join(lines)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    if len(line) <= SHOWN_CHARACTERS:
        return line
    return f"{line[: SHOWN_CHARACTERS - 1]}…"
