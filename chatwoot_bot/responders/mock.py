"""Answer without a model: the demo, for the first minute and for tests.

It does what a model does, with rules: the same question has the same answer, no server
is asked, and nothing costs anything. See `demo.script`.
"""

import asyncio
import re
from collections.abc import Sequence

from ..core.conversation import Message, Sender
from ..core.outgoing import Option
from ..demo.script import Script
from ..demo.summary import summary
from ..demo.using import offers, use
from ..language import language_of
from .base import Answer, Assignment, Listener

ESCALATE = "escalate_to_human"
# An answer is streamed in so many pieces at most, and with so long a pause between.
PIECES = 50
LONGEST_PAUSE_S = 0.03
WORD = re.compile(r"\S+\s*|\s+")


class MockResponder:
    """The responder that needs nothing. See `Responder`.

    Args:
        bot_name: how it introduces itself.
        languages: codes of those that the bot speaks; all when empty.
        quiet_s: the quiet period; streaming an answer takes no longer.
    """

    name = "mock"
    model: str | None = None

    def __init__(
        self, bot_name: str, languages: Sequence[str] = (), *, quiet_s: float = 0.0
    ) -> None:
        self._bot_name = bot_name
        self._languages = languages
        self._pause_s = min(quiet_s / PIECES, LONGEST_PAUSE_S)

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Answer by the script; never fails and never is empty."""
        script = self._script(assignment)
        if reason := script.needs_person:
            if assignment.toolbox and offers(assignment.toolbox, ESCALATE):
                await use(assignment.toolbox, ESCALATE, reason=reason)
            return Answer(text="", handover=reason)
        said = await script.reply()
        if listener is not None:
            await self._stream(said.text, listener)
        titles = () if said.options is None else (*said.options, script.person)
        return Answer(text=said.text, options=tuple(map(Option, titles)))

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Sum up for an agent; None for the mock's own memory, which takes a model."""
        text = summary(transcript) if so_far is None else ""
        return Answer(text=text) if text else None

    def _script(self, assignment: Assignment) -> Script:
        said = assignment.transcript
        contact = [m.content or "" for m in said if m.sender is Sender.CONTACT]
        others = [m.content or "" for m in said if m.sender is not Sender.CONTACT]
        return Script(
            self._bot_name,
            language_of(contact, others, among=self._languages).code,
            said,
            assignment.conversation,
            assignment.toolbox,
        )

    async def _stream(self, text: str, listener: Listener) -> None:
        """Let *listener* hear the text word by word, as a model writes it."""
        words = WORD.findall(text)
        at_once = -(-len(words) // PIECES)
        for begin in range(0, len(words), at_once):
            await asyncio.sleep(self._pause_s)
            listener.hear("".join(words[begin : begin + at_once]))
