"""What a tool is: something that the model may do in a turn besides speaking."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pydantic

from ..core.conversation import Conversation, Message

TIMEOUT_S = 20.0


class Effect(StrEnum):
    """What running a tool changes in the world."""

    NONE = "none"  # it only reads
    ONCE = "once"  # whoever does not know whether it has run must not run it again
    KEYED = "keyed"  # it knows by `Call.key` what it has done already


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a tool, as the tool sees it.

    Attributes:
        key: the same when the same call is made again after a crash.
        transcript: oldest first; what the contact said last is in it.
        now: Unix seconds.
    """

    key: str
    conversation: Conversation
    transcript: Sequence[Message]
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What an answer rests on."""

    title: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a call.

    What is not `text` takes place together with the answer, and only if that is said.

    Attributes:
        text: for the model; data, never instructions.
        sources: what the text was taken from.
        notes: private notes for the agents.
        labels: to add to the conversation.
        handover: why a human must be called, or None.
        resolve: whether the conversation is over once the answer is said.
    """

    text: str
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    handover: str | None = None
    resolve: bool = False


class ToolError(Exception):
    """A tool could not do it; the text says why, in words for the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Something that the model may call.

    Attributes:
        name: as the model calls it.
        description: for the model: what it does and when to use it.
        arguments: what it takes; a call that does not fit is told what is wrong.
        run: gets the checked arguments. It may raise `ToolError`.
        timeout_s: how long one call may take.
        for_agents: what it does is seen by agents, so it has no place in the web chat.
        offered: asked before each turn whether the tool is any use; None for always.
        offered_to: likewise for one contact, by their conversation and the time now.
        lenient: arguments that do not fit are left out; for what must not fail.
        rule: for the system prompt of turns in which the tool is offered; "" for none.
    """

    name: str
    description: str
    arguments: type[pydantic.BaseModel]
    run: Callable[[Any, Call], Awaitable[Result]]
    effect: Effect = Effect.NONE
    timeout_s: float = TIMEOUT_S
    for_agents: bool = False
    offered: Callable[[], Awaitable[bool]] | None = None
    offered_to: Callable[[Conversation, float], Awaitable[bool]] | None = None
    lenient: bool = False
    rule: str = ""

    async def is_of_use(self, conversation: Conversation, now: float) -> bool:
        """Return whether the model should know of it in this conversation."""
        if self.offered is not None and not await self.offered():
            return False
        return self.offered_to is None or await self.offered_to(conversation, now)
