"""What a responder is: the part that writes the bot's answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core.conversation import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the bot is going to say.

    Attributes:
        text: never empty.
        model: who wrote it; None for the mock.
        tokens: prompt and completion together; None when the model did not say.
    """

    text: str
    model: str | None = None
    tokens: int | None = None


class Responder(Protocol):
    """Write one answer to everything that is owed.

    Attributes:
        name: as in the `RESPONDER` setting.
        model: the model's name, or None.
    """

    name: str
    model: str | None

    async def respond(self, transcript: Sequence[Message]) -> Answer:
        """Answer the owed messages of *transcript* (oldest first), together, once.

        Cancelling the call aborts the model's work.

        Raises:
            ResponderError: there is no answer to be had.
        """
        ...
