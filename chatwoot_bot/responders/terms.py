"""On which terms one model of one server takes a request; learnt from its refusals.

A refusal changes the request and not the bot: a parameter is dropped or renamed,
messages are joined, a long history is halved, and the same question is asked again.
What has been learnt holds for the model from then on. Tools are given up only when the
server names them, and only for some minutes; meanwhile the model can still call a
colleague, by a word (`without_tools`).
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from ..core.squeeze import halved
from ..core.strict import in_turns, without_system
from ..core.transcript import ModelMessage
from ..core.window import IMAGE, OVERHEAD, tokens
from . import without_tools
from .refusals import Cause, Refusal

log = structlog.get_logger(__name__)

# Of tools in a row; then they are not offered for a while.
REFUSALS = 3
AGAIN_S = 300.0
# A larger context is noticed after so long.
CONTEXT_S = 3_600.0
NONE = "none"
EFFORT = "reasoning_effort"
# One is the older name of the other; a server knows either.
LIMITS = ("max_tokens", "max_completion_tokens")
# Of a context that the server did not tell: this much of what it has refused.
SAFE = 0.75
# Statuses of a refusal that nothing explains, which may yet be of a form.
UNEXPLAINED = (400, 422)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator wants of each answer.

    Attributes:
        limit_name: what the server most likely calls `max_tokens`.
        max_tokens: of one answer; 0 for no limit.
        extra: further fields of the request.
    """

    temperature: float | None = None
    max_tokens: int = 0
    limit_name: str = LIMITS[0]
    effort: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return them as they stand in a request."""
        named = {
            "temperature": self.temperature,
            self.limit_name: self.max_tokens or None,
            EFFORT: self.effort,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return {**given, **self.extra}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question, before the terms of the model give it its form.

    Attributes:
        tools: `tools` and `tool_choice`; empty for none.
        withheld: there are tools, and they are left out.
        plain: without anything that a server need not know.
    """

    messages: Sequence[ModelMessage]
    tools: Mapping[str, Any]
    withheld: bool = False
    plain: bool = False

    @property
    def offers_tools(self) -> bool:
        """Whether the model may call tools."""
        return bool(self.tools) and not self.withheld

    @property
    def is_begun(self) -> bool:
        """Whether the model has called tools for this answer already."""
        return self.messages[-1]["role"] == "tool"


class Terms:
    """What one model takes.

    Attributes:
        context: tokens that fit into it, as far as a refusal has told.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._dropped: set[str] = set()
        self._refused_limits: set[str] = set()
        self._effort: str | None = None
        self._in_turns = False
        self._without_system = False
        self._refusals = 0
        self._tools_from = 0.0
        self._context: int | None = None
        self._room = 0
        self._context_until = 0.0

    @property
    def takes_tools(self) -> bool:
        """Whether tools are offered now."""
        return self._clock() >= self._tools_from

    @property
    def context(self) -> int | None:
        """Return how many tokens fit; None when nothing was refused for its length."""
        return self._context if self._clock() < self._context_until else None

    @property
    def refused_tools(self) -> bool:
        """Whether the last request with tools was refused for them."""
        return self._refusals > 0

    @property
    def learnt(self) -> tuple[str, ...]:
        """Return what is asked for in another form, for the operator."""
        found = [f"without {name}" for name in sorted(self._dropped)]
        found += [f"{name} by its other name" for name in self._refused_limits]
        if self._effort is not None:
            found.append(f"{EFFORT} {self._effort}")
        if self._without_system:
            found.append("system prompt as the contact's words")
        elif self._in_turns:
            found.append("messages of one side joined")
        return tuple(found)

    def begin(
        self, messages: Sequence[ModelMessage], tools: Mapping[str, Any]
    ) -> Request:
        """Return the question as it is asked first.

        What is known to be too long is made shorter at once.
        """
        withheld = bool(tools) and not self.takes_tools
        if self.context is not None:
            messages = self._fitting(messages, tools)
        return Request(messages=messages, tools=tools, withheld=withheld)

    def body(self, request: Request, options: Options) -> dict[str, Any]:
        """Return the question in the form that this model takes."""
        messages = request.messages
        if request.withheld:
            messages = without_tools.told(messages)
        if self._without_system:
            messages = without_system(messages)
        elif self._in_turns or request.plain:
            messages = in_turns(messages)
        body: dict[str, Any] = {"messages": messages, "stream": True}
        if not request.plain:
            body["stream_options"] = {"include_usage": True}
            body |= self._named(options.fields())
        if request.offers_tools:
            body |= request.tools
        return {name: body[name] for name in body if name not in self._dropped}

    def _named(self, fields: dict[str, Any]) -> dict[str, Any]:
        if self._effort is not None:
            fields[EFFORT] = self._effort
        for name, other in (LIMITS, LIMITS[::-1]):
            if name in self._refused_limits and name in fields:
                limit = fields.pop(name)
                if other not in self._refused_limits:
                    fields[other] = limit
        return fields

    def took(self, request: Request) -> None:
        """Note that the model has answered."""
        if request.offers_tools:
            self._refusals = 0

    def remedy(
        self,
        request: Request,
        refusal: Refusal,
        *,
        status: int,
        sent: Mapping[str, Any],
        options: Options,
    ) -> Request | None:
        """Return what to ask instead, or None when nothing is left to change.

        Args:
            sent: the body that was refused; others may have learnt more since.
        """
        match refusal.cause:
            case Cause.OVERFLOW:
                return self._shorter(request, refusal, options)
            case Cause.EFFORT if self._learns_effort(sent):
                return replace(request, plain=False)
            case Cause.FIELD if refusal.field in sent:
                self._drop(refusal.field)
                return request
            case Cause.ROLES if not (self._in_turns and _in_turns(sent)):
                self._in_turns = True
                return request
            case Cause.SYSTEM if sent["messages"][0]["role"] == "system":
                self._without_system = True
                return request
            case Cause.TOOLS | Cause.EFFORT if request.offers_tools:
                return self._without_tools(request, refusal)
            case Cause.MISUSED | Cause.FILTERED:
                return None
        return _plainer(request) if status in UNEXPLAINED else None

    def _shorter(
        self, request: Request, refusal: Refusal, options: Options
    ) -> Request | None:
        """Halve the question until it fits, and remember what does."""
        refused = weight(request.messages, request.tools)
        room = int(refused * SAFE)
        if refusal.context is not None:
            told = refusal.context - min(options.max_tokens, refusal.context // 2)
            # Unless we count fewer tokens than the server does.
            room = told if told < refused else room
        elif self.context is not None:
            room = min(room, self._room)
        if self.context is None:
            log.warning("context exceeded", context=refusal.context, told=refusal.told)
        self._room, self._context = room, refusal.context or room
        self._context_until = self._clock() + CONTEXT_S
        shorter = halved(request.messages)
        if shorter is None:
            return None
        return replace(request, messages=self._fitting(shorter, request.tools))

    def _fitting(
        self, messages: Sequence[ModelMessage], tools: Mapping[str, Any]
    ) -> Sequence[ModelMessage]:
        while weight(messages, tools) > self._room:
            shorter = halved(messages)
            if shorter is None:
                break
            messages = shorter
        return messages

    def _learns_effort(self, sent: Mapping[str, Any]) -> bool:
        """Ask for no reasoning; of a server that does not know that, leave it out."""
        if EFFORT in self._dropped and EFFORT not in sent:
            return False
        if sent.get(EFFORT) != NONE:
            if self._effort is None:
                log.warning(
                    "reasoning switched off, as its server demands", effort=NONE
                )
            self._effort = NONE
        else:
            self._drop(EFFORT)
        return True

    def _drop(self, name: str) -> None:
        if name in LIMITS:
            self._refused_limits.add(name)
        else:
            self._dropped.add(name)
        log.info("parameter left out", parameter=name)

    def _without_tools(self, request: Request, refusal: Refusal) -> Request | None:
        if request.is_begun:
            return None  # it took them a moment ago
        self._refusals += 1
        if self._refusals >= REFUSALS and self.takes_tools:
            self._tools_from = self._clock() + AGAIN_S
            log.warning(
                "tools refused, not offered for a while", s=AGAIN_S, told=refusal.told
            )
        return replace(request, withheld=True)


def _in_turns(sent: Mapping[str, Any]) -> bool:
    messages = list(sent["messages"])
    return in_turns(messages) == messages


def _plainer(request: Request) -> Request | None:
    """Return the question in a plainer form, for a refusal that nothing explains."""
    if not request.plain:
        return replace(request, plain=True)
    if request.offers_tools and not request.is_begun:
        return replace(request, withheld=True)
    return None


def weight(messages: Sequence[ModelMessage], tools: Mapping[str, Any]) -> int:
    """Return about how many tokens a question has; see `core.window`."""
    count = tokens(json.dumps(tools, ensure_ascii=False)) if tools else 0
    for message in messages:
        content = message["content"] or ""
        texts = [content] if isinstance(content, str) else []
        for part in () if isinstance(content, str) else content:
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                count += IMAGE
        calls = message.get("tool_calls", ())
        texts += [call["function"]["arguments"] for call in calls]
        count += OVERHEAD + sum(map(tokens, texts))
    return count
