"""What a responder is: the part that writes the bot's answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..core.conversation import Conversation, Message
from ..core.outgoing import Option
from ..core.text import storable
from ..errors import ResponderError
from ..tools.toolbox import Toolbox
from .places import Patience

# Of a turn, prompt or completion: far above what any model takes.
MAX_TOKENS = 10_000_000


def counted(value: object) -> int | None:
    """Return a server's count of tokens; None for what cannot be one."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 9:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared first: 1e999 is no integer, and 400 digits are no float.
    return int(value) if 0 <= value <= MAX_TOKENS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer took, in tokens, as the model's server counts them.

    What cannot be a count is 0.

    Attributes:
        estimated: the server did not say, at least not of all.
    """

    prompt: int = 0
    completion: int = 0
    estimated: bool = False

    def __post_init__(self) -> None:
        """Bound what an operator's code may have handed on unchecked."""
        for name in ("prompt", "completion"):
            object.__setattr__(self, name, counted(getattr(self, name)) or 0)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt=min(self.prompt + other.prompt, MAX_TOKENS),
            completion=min(self.completion + other.completion, MAX_TOKENS),
            estimated=self.estimated or other.estimated,
        )

    @property
    def total(self) -> int:
        """Return both together."""
        return self.prompt + self.completion


class Meter:
    """What models have taken in one turn, also for answers that came to nothing.

    A responder adds each call as soon as it has ended or was stopped, so that a turn
    which an agent has stopped is billed too.

    Attributes:
        readings: model and usage of each call; not yet billed.
    """

    def __init__(self) -> None:
        self.readings: list[tuple[str | None, Usage]] = []

    def add(self, model: str | None, usage: Usage | None) -> None:
        """Add a call of *model*; None for one that took nothing that is known."""
        if usage is not None and usage.total:
            self.readings.append((model, usage))

    def take(self) -> Sequence[tuple[str | None, Usage]]:
        """Return the readings, and begin anew."""
        taken, self.readings = self.readings, []
        return taken


# Characters of an answer, and of the reason for a handover. No contact reads a longer
# answer: a model that writes one goes round in circles, and a human is called instead.
MAX_ANSWER = 40_000
MAX_REASON = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a responder is to answer, and with what.

    Attributes:
        transcript: oldest first; the messages that are owed an answer are in it.
        toolbox: what the responder may do besides speaking; None for nothing.
        facts: what it should know of the moment and the contact, for the system prompt.
        memory: what was said before the transcript begins, in short; "" for nothing.
        turn_id: whose answer it will be.
        meter: for what the responder takes.
        patience: for how long it has to wait for a place at its server.
    """

    transcript: Sequence[Message]
    conversation: Conversation
    toolbox: Toolbox | None = None
    facts: str = ""
    memory: str = ""
    turn_id: str = ""
    meter: Meter = field(default_factory=Meter, compare=False)
    patience: Patience = field(default_factory=Patience, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the bot is going to say.

    Raises:
        ResponderError: the text is longer than `MAX_ANSWER`.

    Attributes:
        text: never empty, unless the model calls a human or declines.
        model: who wrote it; None for the mock.
        usage: in all calls of the model together; None when it did not say. The
            `Meter` has more: what was estimated, and calls that came to nothing.
        options: quick replies that go with the text, the best first.
        handover: why a human is called instead of answering, or None. A tool may have
            said so as well; see `Toolbox`.
        seen: texts that the answer rests on besides the transcript, the prompt and the
            results of tools; an address in them may be said.
        declined: why there is no answer although the model works, as the reason of
            the decision to hand over; "" for an answer.
        finish_reason: how the model's server says that the answer ended.
    """

    text: str
    model: str | None = None
    usage: Usage | None = None
    options: tuple[Option, ...] = ()
    handover: str | None = None
    seen: tuple[str, ...] = ()
    declined: str = ""
    finish_reason: str | None = None

    def __post_init__(self) -> None:
        """Make of it what every database takes, whoever has written it."""
        check_length(len(self.text))
        handover = self.handover and self.handover[:MAX_REASON]
        clean = {
            "text": storable(self.text),
            "options": tuple(Option(*map(storable, each)) for each in self.options),
            "handover": None if handover is None else storable(handover),
            "finish_reason": self.finish_reason and storable(self.finish_reason)[:32],
        }
        for name, value in clean.items():
            object.__setattr__(self, name, value)


def check_length(characters: int) -> None:
    """Refuse an answer that is too long, while it is written or afterwards.

    Raises:
        ResponderError: it has more than `MAX_ANSWER` characters.
    """
    if characters > MAX_ANSWER:
        raise ResponderError(
            f"the answer is longer than {MAX_ANSWER} characters",
            retryable=False,
            kind=TOO_LONG,
        )


TOO_LONG = "too_long"


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
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Answer the owed messages of the transcript, together, once.

        Cancelling the call aborts the model's work. What *listener* hears may differ
        from the answer in white space, and is void when the model calls a human.

        Raises:
            ResponderError: there is no answer to be had.
        """
        ...

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Return in a few sentences what *transcript* is about.

        None from a responder that cannot.

        Args:
            so_far: None when an agent will read it. Else the responder itself will,
                and this is what it knows of what came before; "" for nothing.

        Raises:
            ResponderError: there is no summary to be had.
        """
        ...
