"""The guard of one turn: what of the model's answer the contact gets to read."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from .core.conversation import Message, Sender
from .core.guardrail import Guardrail
from .core.links import Pending, Ways, addresses_in
from .responders.base import Answer, Listener, check_length
from .tools.toolbox import Toolbox

# Of the bot's last messages, which count when instructions come out bit by bit: how
# many, and how many characters of them together.
REMEMBERED, REMEMBERED_CHARACTERS = 12, 20_000


class Guard:
    """What a turn must not say, and where it must not lead.

    Args:
        transcript: what the model was shown.
        told: what else it was told of the contact and the conversation.
    """

    def __init__(
        self,
        guardrail: Guardrail,
        transcript: Sequence[Message],
        toolbox: Toolbox | None,
        told: Sequence[str] = (),
    ) -> None:
        self.rail = guardrail
        self._transcript = transcript
        self._toolbox = toolbox
        self._told = told
        self._before = _last_of_the_bot(transcript)
        self._looked_at: tuple[Answer, Answer] | None = None

    def listens(self, listener: Listener | None) -> Listener | None:
        """Return a listener that passes to *listener* only what may be shown."""
        return None if listener is None else _Listener(self, listener)

    def withholds(self, answer: Answer) -> bool:
        """Return whether the contact must not read *answer*, or would read nothing."""
        leaks = self.rail.withholds(answer.text, self._before)
        return leaks or not self.defused(answer).text.strip()

    def defused(self, answer: Answer) -> Answer:
        """Return *answer* without pictures and links that lead to strangers.

        It is asked for twice: the tools have told all before there is an answer.
        """
        if self._looked_at is None or self._looked_at[0] is not answer:
            text = self.ways(answer.seen).defused(answer.text)
            defused = answer if text == answer.text else replace(answer, text=text)
            self._looked_at = answer, defused
        return self._looked_at[1]

    def for_agents(self, text: str) -> str:
        """Return *text* without pictures, and without links of the contact's.

        What the bot has said does not make a link trusted: it may have repeated one.
        """
        told = self._toolbox.told if self._toolbox is not None else ()
        agents = [
            message.content
            for message in self._transcript
            if message.sender is Sender.AGENT and message.content
        ]
        return Ways(seen=(*agents, *told), shown=self.rail.shown).defused(text)

    def ways(self, seen: Sequence[str] = ()) -> Ways:
        """Return where an answer may lead, as things stand in the turn.

        Args:
            seen: what else the answer rests on.
        """
        told = self._toolbox.told if self._toolbox is not None else ()
        return Ways(hosts=self.rail.hosts, seen=(*told, *seen), shown=self._shown)

    @cached_property
    def _shown(self) -> frozenset[str]:
        """The addresses that the model was shown before it called any tool."""
        texts = [*self._told]
        for message in self._transcript:
            texts += [
                message.content or "",
                *(a.text or "" for a in message.attachments),
            ]
        return self.rail.shown.union(*map(addresses_in, texts))


def _last_of_the_bot(transcript: Sequence[Message]) -> Sequence[str]:
    """Return what the bot has said last, oldest first."""
    said = [m.content for m in transcript if m.sender is Sender.BOT and m.content]
    room, last = REMEMBERED_CHARACTERS, deque[str]()
    for text in reversed(said[-REMEMBERED:]):
        last.appendleft(text[-room:])
        room -= len(text)
        if room <= 0:
            break
    return last


class _Listener:
    """Pass on what is certainly harmless of an answer that is being written."""

    def __init__(self, guard: Guard, inner: Listener) -> None:
        self._guard = guard
        self._inner = inner
        self._begin()

    def _begin(self) -> None:
        self._reading = self._guard.rail.reads()
        self._pending = Pending()
        self._ways: Ways | None = None
        self._held: list[str] = []
        self._shown = 0

    def hear(self, piece: str) -> None:
        """Take the next piece, and show what no later one can make a leak of.

        Raises:
            ResponderError: the answer is too long.
        """
        check_length(self._pending.length + len(piece))
        if self._ways is None:
            # Only now it is known what the tools have told.
            self._ways = self._guard.ways()
        self._held.append(piece)
        self._reading.hear(piece)
        self._pending.hear(piece)
        ready = self._pending.ready(self._reading.safe) - self._shown
        if ready > 0:
            held = "".join(self._held)
            self._held = [held[ready:]]
            self._shown += ready
            self._inner.hear(self._ways.defused(held[:ready]))

    def forget(self) -> None:
        """Forget what has been heard: the answer begins anew."""
        self._begin()
        self._inner.forget()
