"""What the demo says without looking anything up: small talk, pictures, names."""

import re
from collections import Counter
from collections.abc import Sequence

from ..core.conversation import Message

# Characters of a message that are looked at.
LOOKED_AT = 2_000
RULES: Sequence[tuple[re.Pattern[str], str]] = (
    (
        re.compile(r"\b(?:how are you|how(?:'s| is) it going)\b", re.IGNORECASE),
        "I am fine, thank you for asking!",
    ),
    (
        re.compile(
            r"\b(?:who are you|what are you|your name|"
            r"are you (?:a )?(?:bot|robot|human|real))\b",
            re.IGNORECASE,
        ),
        "I am {bot}, a bot.",
    ),
    (
        re.compile(
            r"\b(?:what (?:can|do) you (?:do|help)|how can you help|"
            r"how does (?:this|it) work|help me|help)\b",
            re.IGNORECASE,
        ),
        "I answer questions from documents and name the source, book a call with a "
        "colleague, and bring in a person when you want one.",
    ),
)
# What a person has to deal with; a bot that quotes a document here makes it worse.
COMPLAINT = re.compile(
    r"\b(?:complain|complaint|lawyer|unacceptable|outrageous|fed up|"
    r"(?:very|so) (?:angry|upset|disappointed))\b",
    re.IGNORECASE,
)
# Not "call me": that is how contacts ask for a call.
NAME = re.compile(r"\b(?:my name is|i am called)\s+([^\W\d_][\w'-]{0,30})", re.I)


def small_talk(text: str, bot: str) -> list[str]:
    """Return the answers to what is small talk in *text*."""
    text = text[:LOOKED_AT]
    return [said.format(bot=bot) for rule, said in RULES if rule.search(text)]


def name_told(said: Sequence[Message]) -> str | None:
    """Return the name that the contact has told last."""
    for message in reversed(said):
        if match := NAME.search((message.content or "")[:LOOKED_AT]):
            return match[1]
    return None


# Chatwoot's kinds of attachments, one and several.
THINGS = {
    "image": ("a picture", "pictures"),
    "audio": ("a voice message", "voice messages"),
    "video": ("a video", "videos"),
    "file": ("a file", "files"),
    "location": ("a location", "locations"),
    "contact": ("a contact", "contacts"),
}


def received(owed: Sequence[Message]) -> str:
    """Return what came besides text; the demo does not look into it."""
    things = [
        THINGS.get(a.kind, ("a post", "posts")) for m in owed for a in m.attachments
    ]
    if not things:
        return ""
    counted = [
        one if count == 1 else f"{count} {several}"
        for (one, several), count in Counter(things).items()
    ]
    *most, last = counted
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"I have received {listed}, but without a model I cannot look into it."
