"""What a responder is: the part that writes the bot's answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core.conversation import Message
from ..core.outgoing import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the bot is going to say.

    Attributes:
        text: never empty, unless the model calls a human.
        model: who wrote it; None for the mock.
        tokens: prompt and completion together; None when the model did not say.
        options: quick replies that go with the text, the best first.
        handover: why the model calls a human instead of answering, or None.
    """

    text: str
    model: str | None = None
    tokens: int | None = None
    options: tuple[Option, ...] = ()
    handover: str | None = None


class Listener(Protocol):
    """Somebody who hears an answer while it is being written."""

    def hear(self, piece: str) -> None:
        """Take the next piece of the text."""

    def forget(self) -> None:
        """Forget what has been heard: the answer begins anew."""


class Responder(Protocol):
    """Write one answer to everything that is owed.

    Attributes:
        name: as in the `RESPONDER` setting.
        model: the model's name, or None.
    """

    name: str
    model: str | None

    async def respond(
        self, transcript: Sequence[Message], listener: Listener | None = None
    ) -> Answer:
        """Answer the owed messages of *transcript* (oldest first), together, once.

        Cancelling the call aborts the model's work. What *listener* hears may differ
        from the answer in white space, and is void when the model calls a human.

        Raises:
            ResponderError: there is no answer to be had.
        """
        ...

    async def summarize(self, transcript: Sequence[Message]) -> str | None:
        """Return in a few sentences what *transcript* is about, for an agent.

        None from a responder that cannot.

        Raises:
            ResponderError: there is no summary to be had.
        """
        ...
