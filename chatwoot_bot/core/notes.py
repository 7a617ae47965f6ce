"""What agents read of a conversation in a private note.

The matter first, because Chatwoot's list of conversations shows the first words alone;
then the reason, and how to hand the conversation back; then the last messages. All
texts are in English here; `Say` says them in the agents' language.

Chatwoot notifies people and adds them to a conversation when a private note holds
``(mention://user/…)``, and agents' browsers load its pictures: so no note of the bot's
mentions anybody or shows a picture, whoever wrote its text, and what it quotes is text.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .conversation import Message, Sender
from .links import unlinked
from .text import without_controls

Say = Callable[[str], str]


class Done(NamedTuple):
    """A tool that the bot's model has called, and the first line of what it said."""

    name: str
    result: str


# A note shows this much of the conversation.
SHOWN = 6
SHOWN_CHARACTERS = 300
MATTER_CHARACTERS = 160
DONE_CHARACTERS = 160
LOOKED_AT = 3_000
MENTION = re.compile(r"mention://", re.IGNORECASE)
SPEAKERS = {Sender.CONTACT: "Contact", Sender.AGENT: "Agent", Sender.BOT: "Bot"}
DONE = "done"
NO_TEXT = "The contact has written no text."
HAND_BACK = (
    "To hand the conversation back to the bot, write `{command}` as a private note."
)
NOT_DELIVERED = "This reply of the bot was not delivered:"
# What an answer of Chatwoot without any words means.
REFUSALS = {
    "401": "Chatwoot does not accept the bot's access token.",
    "403": "Chatwoot does not allow the bot to write in this conversation.",
    "404": "Chatwoot does not know the conversation any more.",
}
NOT_ROUTED = (
    "Chatwoot did not accept {settings}, so the conversation was not assigned that way."
)
REFUSED = "Chatwoot refused it: {error}"
OTHERWISE = "The reason: {error}"
ANSWERED = re.compile(r"answered (\d{3})(?:: (.*))?")


def note(
    why: str,
    transcript: Sequence[Message],
    *,
    command: str = "",
    done: Sequence[Done] = (),
    say: Say = str,
) -> str:
    """Return a note with the matter, *why*, what was done, and the last messages.

    Args:
        why: in the agents' language already.
        command: hands the conversation back; "" for none.
        done: the calls that the bot's model has made, the oldest first.
    """
    said = [m.content for m in transcript if m.content and m.sender is Sender.CONTACT]
    matter = _shortened(said[-1], MATTER_CHARACTERS) if said else say(NO_TEXT)
    # One paragraph: a summary takes the place of what is before and behind it.
    reason = " ".join(why.split())
    if command:
        reason = f"{reason} {say(HAND_BACK).format(command=command)}"
    # Lines of the same paragraph, so that they stay.
    reason = "\n".join([reason, *_done_lines(done, say)])
    return f"{matter}\n\n{reason}\n\n{_last_messages(transcript, say)}".strip()


def with_summary(note: str, summary: str) -> str:
    """Return *note* with *summary* in the place of the matter and the last messages."""
    _, _, rest = note.partition("\n\n")
    reason = rest.partition("\n\n")[0]
    return f"{summary.strip()}\n\n{reason}"


def undelivered(text: str, error: str, say: Say = str) -> str:
    """Return a note on a reply that Chatwoot did not take, with its text and why.

    Args:
        error: what was logged of it.
    """
    found = ANSWERED.search(error)
    reason = say(OTHERWISE).format(error=_shortened(error))
    if found is not None and found[2]:
        # One status has many causes; Chatwoot's own words name the right one.
        reason = say(REFUSED).format(error=_shortened(found[2]))
    elif found is not None and found[1] in REFUSALS:
        reason = say(REFUSALS[found[1]])
    return f"{say(NOT_DELIVERED)}\n\n{text}\n\n{reason}"


def harmless(note: str) -> str:
    """Return a note that mentions nobody, shows no picture and hides nothing."""
    note = MENTION.sub("mention[:]//", without_controls(note))
    return note.replace("![", "! [")


def quoted(text: str) -> str:
    """Return what others wrote as text that holds no link, picture or mention."""
    text = unlinked(without_controls(text))
    return harmless(text.replace("](", "] (").replace("]:", "] :"))


def not_routed(settings: Sequence[str], say: Say = str) -> str:
    """Return a note on a handover whose team or agent Chatwoot does not know.

    Args:
        settings: that name them, with their values.
    """
    return say(NOT_ROUTED).format(settings=", ".join(f"`{each}`" for each in settings))


def _done_lines(done: Sequence[Done], say: Say) -> list[str]:
    """Return the last calls, each once."""
    lines = dict.fromkeys(
        f"- {say(DONE)}: {call.name} → {_shortened(call.result, DONE_CHARACTERS)}"
        for call in done
    )
    return list(lines)[-SHOWN:]


def _last_messages(transcript: Sequence[Message], say: Say) -> str:
    shown = [
        (SPEAKERS[message.sender], message.content)
        for message in transcript
        if message.content and message.sender in SPEAKERS
    ]
    lines = [
        f"- **{say(speaker)}:** {_shortened(content)}"
        for speaker, content in shown[-SHOWN:]
    ]
    return "\n".join(lines)


def _shortened(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    # White space may be all of a long text.
    line = " ".join(text[:LOOKED_AT].split())
    if len(line) > limit or len(text) > LOOKED_AT:
        line = f"{line[: limit - 1]}…"
    return quoted(line)
