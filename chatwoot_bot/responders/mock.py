"""Answer without a model: deterministic, for demos, tests, and when a model is down.

It reads the whole conversation: it answers everything that is owed in one go, greets
once, and knows the contact's name if they told it.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from ..core.conversation import Message, Sender
from ..core.outgoing import Option
from .base import Answer, Assignment, Listener

CLOSING = "I am a demo without a language model, so I keep to small talk."
OFFER = "If you would rather speak with a person, just say “human”."
# Channels without quick replies show nothing more: the text has the word already.
HUMAN = (Option("human"),)

Rule = tuple[re.Pattern[str], Callable[[str], str]]


def _rule(pattern: str, answer: str) -> Rule:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), lambda bot: answer.format(
        bot=bot
    )


RULES: Sequence[Rule] = (
    _rule(r"how are you|how('s| is) it going", "I am fine, thank you for asking!"),
    _rule(
        r"who are you|what are you|your name|are you (?:a )?(?:bot|robot|human|real)",
        "I am {bot}, a bot.",
    ),
    _rule(
        r"what can you do|help|how does (?:this|it) work",
        "In real use I answer from your company's knowledge, book calls and bring in "
        "a colleague when it matters.",
    ),
    _rule(
        r"book|appointment|schedule|call me|meeting",
        "I would gladly arrange a call; in this demo a person has to do that.",
    ),
    _rule(
        r"order|parcel|ship|shipping|delivery|refund|invoice|price|cost",
        "With a model and your shop's data behind me I would look that up for you.",
    ),
    _rule(r"thanks|thank you|thx|danke|merci|gracias", "You are welcome!"),
    _rule(
        r"bye|goodbye|see you|ciao|tschüss", "Goodbye, and come back whenever you like."
    ),
)
GREETING = re.compile(
    r"\b(hi|hello|hey|good (morning|afternoon|evening)|hallo|bonjour|hola)\b", re.I
)
# Not "call me": that is how people ask for a call.
NAME = re.compile(r"\b(?:my name is|i am called)\s+([^\W\d_][\w'-]{0,30})", re.I)


class MockResponder:
    """The responder that needs nothing.

    Args:
        bot_name: how it introduces itself.
    """

    name = "mock"
    model: str | None = None

    def __init__(self, bot_name: str) -> None:
        self._bot_name = bot_name

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Answer from a handful of rules; never fails and never is empty."""
        transcript = assignment.transcript
        said = [m for m in transcript if m.sender is Sender.CONTACT and m.content]
        owed = [m for m in said if m.owed] or said[-1:]
        first = not any(m.sender is Sender.BOT for m in transcript)
        greeting = self._greet(owed, said, first=first)
        parts = [greeting, _received(owed), *self._answers(owed)]
        parts = [part for part in parts if part]
        if not parts:
            parts = [self._admit(owed)]
        if first:
            parts += [CLOSING, OFFER]
        text = " ".join(parts)
        if listener is not None:
            listener.hear(text)
        return Answer(text=text, options=HUMAN if OFFER in text else ())

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Return None: that takes a model."""
        return None

    def _greet(
        self, owed: Sequence[Message], said: Sequence[Message], *, first: bool
    ) -> str:
        name = _contact_name(said)
        to = f", {name}" if name else ""
        if first:
            return f"Hello{to}! I am {self._bot_name}."
        if any(GREETING.search(m.content or "") for m in owed):
            return f"Hello again{to}!"
        if name and _contact_name(owed):
            return f"Nice to meet you, {name}."
        return ""

    def _answers(self, owed: Sequence[Message]) -> list[str]:
        text = " ".join(m.content or "" for m in owed)
        return [answer(self._bot_name) for rule, answer in RULES if rule.search(text)]

    def _admit(self, owed: Sequence[Message]) -> str:
        count = len(owed)
        if count > 1:
            return f"I have read all {count} messages. {CLOSING} {OFFER}"
        return f"I have read your message. {CLOSING} {OFFER}"


# Chatwoot's kinds of attachments, one and several.
THINGS = {
    "image": ("a picture", "pictures"),
    "audio": ("a voice message", "voice messages"),
    "video": ("a video", "videos"),
    "file": ("a file", "files"),
    "location": ("a location", "locations"),
    "contact": ("a contact", "contacts"),
}


def _received(owed: Sequence[Message]) -> str:
    """Return what came besides text; nobody looks into it here."""
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


def _contact_name(said: Sequence[Message]) -> str | None:
    for message in reversed(said):
        if match := NAME.search(message.content or ""):
            return match.group(1)
    return None
