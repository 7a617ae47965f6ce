"""The guard of one turn: what of the model's answer the contact gets to read."""

from collections.abc import Sequence
from dataclasses import replace

from .core.conversation import Message, Sender
from .core.guardrail import Guardrail
from .core.links import Ways, finished, host_of
from .responders.base import Answer, Listener
from .tools.toolbox import Toolbox

# Of the bot's last messages, which count when instructions come out bit by bit.
REMEMBERED = 12


class Guard:
    """What a turn must not say, and where it must not lead.

    Args:
        transcript: what the model was shown.
    """

    def __init__(
        self,
        guardrail: Guardrail,
        transcript: Sequence[Message],
        toolbox: Toolbox | None,
    ) -> None:
        self.rail = guardrail
        self._toolbox = toolbox
        said = [m.content for m in transcript if m.sender is Sender.BOT and m.content]
        self._before = said[-REMEMBERED:]
        self._seen = [
            text
            for message in transcript
            for text in (message.content, *(a.text for a in message.attachments))
            if text
        ]

    def listens(self, listener: Listener | None) -> Listener | None:
        """Return somebody who passes on to *listener* what may be shown."""
        return None if listener is None else _Listener(self, listener)

    def withholds(self, answer: Answer) -> bool:
        """Return whether the contact must not read *answer*, or would read nothing."""
        leaks = self.rail.withholds(answer.text, self._before)
        return leaks or not self.defused(answer).text.strip()

    def defused(self, answer: Answer) -> Answer:
        """Return *answer* without pictures and links that lead to strangers."""
        return replace(answer, text=self.safe(answer.text))

    def safe(self, text: str) -> str:
        """Return *text* without them; agents' browsers fetch pictures, too."""
        return self.ways().defused(text)

    def ways(self) -> Ways:
        """Return where an answer may lead, as things stand in the turn."""
        told, sources = [], []
        if self._toolbox is not None:
            told = self._toolbox.told
            sources = [host_of(s.url) for s in self._toolbox.sources if s.url]
        hosts = self.rail.hosts.union(filter(None, sources))
        return Ways(hosts=hosts, seen=(*self._seen, *told))


class _Listener:
    """Pass on what is certainly harmless of an answer that is being written."""

    def __init__(self, guard: Guard, inner: Listener) -> None:
        self._guard = guard
        self._inner = inner
        self._begin()

    def _begin(self) -> None:
        self._reading = self._guard.rail.reads()
        self._ways: Ways | None = None
        self._text = ""
        self._shown = 0

    def hear(self, piece: str) -> None:
        """Take the next piece, and show what no later one can make a leak of."""
        if self._ways is None:
            # Only now it is known what the tools have told.
            self._ways = self._guard.ways()
        self._text += piece
        self._reading.hear(piece)
        ready = self._text[self._shown : self._reading.safe]
        ready = ready[: finished(ready)]
        if ready:
            self._shown += len(ready)
            self._inner.hear(self._ways.defused(ready))

    def forget(self) -> None:
        """Forget what has been heard: the answer begins anew."""
        self._begin()
        self._inner.forget()
