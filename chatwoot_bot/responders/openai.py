"""Answer with a model behind the Chat Completions API (OpenAI, Groq, Ollama, vLLM).

The model may call tools, in several rounds, before it says its answer. The answer is
streamed, so that cancelling the turn stops the model at once and a server that hangs
in the middle is noticed. Retries live here and nowhere else for blips of seconds;
what lasts longer is the fallback's business.
"""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import structlog
import tenacity

from .. import texts
from ..core.conversation import Message
from ..core.prompt import with_rules
from ..core.text import storable
from ..core.transcript import ModelMessage, ToolCall, for_model, has_images
from ..core.window import IMAGE, OVERHEAD, tokens
from ..errors import ResponderError
from ..tools.base import Tool
from ..tools.toolbox import Toolbox
from .base import TOO_LONG, Answer, Assignment, Listener, Meter, Usage
from .streaming import Gathering, Said

log = structlog.get_logger(__name__)

OPENAI = "https://api.openai.com/v1"
# Of calls; then the model has to answer with what it knows.
ROUNDS = 8

ATTEMPTS = 3
RETRY_FOR_S = 10.0
# Bytes of one streamed answer: a thousand times the text of a usual one, as each word
# comes in a JSON of its own, and what a model thinks before it speaks comes likewise.
MAX_STREAM = 32 * 2**20
# Of tools in a row, each followed by an answer without them.
REFUSALS = 3
# openai hands on what the server sent, unchecked.
UNREADABLE = (
    *(AttributeError, LookupError, TypeError, ValueError),
    *(OverflowError, RecursionError),
)


class OpenAIResponder:
    """Ask a Chat Completions server.

    Args:
        http: the shared client; openai would make its own, of another library.
        base_url: None for OpenAI's own; the client would read the environment again.
        prompt: the system prompt.
        timeout_s: for one round of the model, retries included.
        key_setting: where the operator has set the key; for the log.
        model_setting: where they have set the model.
        agents_language: of summaries for agents, in English.
    """

    name = "openai"

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str | None,
        api_key: str,
        model: str,
        prompt: str,
        timeout_s: float,
        key_setting: str = "OPENAI_API_KEY",
        model_setting: str = "OPENAI_MODEL",
        agents_language: str = "English",
    ) -> None:
        self.model: str | None = model
        self._model = model
        self._prompt = prompt
        self._refusals = 0
        self._timeout_s = timeout_s
        self._key_setting = key_setting
        self._model_setting = model_setting
        self._agents_language = agents_language
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url or OPENAI,
            timeout=timeout_s,
            max_retries=0,
            http_client=http,  # type: ignore[arg-type]  # it names httpx2, and takes httpx
        )

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Ask the model; see `Responder`."""
        toolbox, usage = assignment.toolbox, Usage()
        messages = self._begin(assignment)
        for number in range(ROUNDS + 1):
            offer = _Offer(toolbox.tools if toolbox else (), last=number == ROUNDS)
            try:
                said = await self._in_time(messages, offer, assignment.meter, listener)
            except ResponderError as error:
                refused = not error.retryable and error.kind != TOO_LONG
                if number or not refused or not has_images(messages):
                    raise
                # Many a model has no eyes, and its server says so by a refusal.
                messages = self._begin(assignment, images=False)
                said = await self._in_time(messages, offer, assignment.meter, listener)
            usage += said.usage or Usage()
            if toolbox is None or not said.calls:
                break
            if offer.last:
                raise ResponderError(
                    "the model calls tools and does not answer", retryable=False
                )
            messages += await _call(toolbox, said)
            if toolbox.handover is not None:
                break
        return Answer(
            text=said.text,
            model=self._model,
            usage=usage if usage.total else None,
            handover=toolbox.handover if toolbox else None,
        )

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Ask the model; see `Responder`."""
        lines = [_as_line(message) for message in transcript if message.content]
        if so_far:
            lines.insert(0, json.dumps({"known so far": so_far}, ensure_ascii=False))
        prompt = texts.text("memory")
        if so_far is None:
            summary = texts.text("summary")
            prompt = summary.format(language=self._agents_language)
        messages: list[ModelMessage] = [
            {"role": "system", "content": prompt},
            {"role": "user", "content": "\n".join(lines)},
        ]
        meter = Meter()
        said = await self._in_time(messages, _Offer(()), meter)
        usage = sum((used for _, used in meter.take()), Usage())
        return Answer(text=said.text, model=self._model, usage=usage)

    def _begin(
        self, assignment: Assignment, *, images: bool = True
    ) -> list[ModelMessage]:
        """Return what the model is told first.

        What an earlier attempt at the answer has done comes as calls that this one
        has made already, so that the model goes on from there.
        """
        offered = assignment.toolbox.tools if assignment.toolbox else ()
        prompt = with_rules(self._prompt, [tool.rule for tool in offered if tool.rule])
        parts = (prompt, assignment.facts, assignment.memory)
        prompt = "\n\n".join(part for part in parts if part)
        messages = for_model(assignment.transcript, prompt=prompt, images=images)
        history = assignment.toolbox.history() if assignment.toolbox else []
        for entry, text in history:
            call: ToolCall = {
                "id": entry.key,
                "type": "function",
                "function": {"name": entry.name, "arguments": entry.arguments},
            }
            messages += _called([call], [text], said=None)
        return messages

    async def _in_time(
        self,
        messages: Sequence[ModelMessage],
        offer: "_Offer",
        meter: Meter,
        listener: Listener | None = None,
    ) -> Said:
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            stop=tenacity.stop_after_attempt(ATTEMPTS)
            | tenacity.stop_after_delay(RETRY_FOR_S),
            wait=tenacity.wait_exponential(multiplier=0.2)
            + tenacity.wait_random(0, 0.2),
            reraise=True,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                said: Said = await retrying(self._ask, messages, offer, meter, listener)
                return said
        except TimeoutError as error:
            raise ResponderError(
                f"no answer within {self._timeout_s:g} s",
                retryable=True,
                kind="timeout",
            ) from error

    async def _ask(
        self,
        messages: Sequence[ModelMessage],
        offer: "_Offer",
        meter: Meter,
        listener: Listener | None,
    ) -> Said:
        if listener is not None:
            listener.forget()  # what an attempt or a round before has said
        tools = offer.body() if self._refusals < REFUSALS else {}
        try:
            said = await self._stream(messages, tools, meter, listener)
            if tools:
                self._refusals = 0
            return said
        except openai.BadRequestError as error:
            if not tools or messages[-1]["role"] == "tool" or _is_misused(error):
                raise self._refused(error) from error
            return await self._ask_without_tools(messages, meter, listener)
        except openai.APIStatusError as error:
            raise self._refused(error) from error
        except (openai.OpenAIError, httpx.HTTPError) as error:
            # httpx's own errors too: openai translates only those of httpx2.
            raise ResponderError(
                f"the model's server cannot be reached ({type(error).__name__})",
                retryable=True,
                kind="unreachable",
            ) from error
        except UNREADABLE as error:
            raise ResponderError(
                f"the model's answer is not understood ({type(error).__name__})",
                retryable=True,
                kind="not_understood",
            ) from error

    async def _ask_without_tools(
        self,
        messages: Sequence[ModelMessage],
        meter: Meter,
        listener: Listener | None,
    ) -> Said:
        """Ask a server that says 400: many a local model knows no tools.

        If it does so again and again, tools are not offered any more.
        """
        said = await self._ask(messages, _Offer(()), meter, listener)
        self._refusals += 1
        if self._refusals == REFUSALS:
            log.warning(
                "the model takes no tools, and cannot call a human: only the "
                "contact's own words can",
                model=self._model,
            )
        return said

    async def _stream(
        self,
        messages: Sequence[ModelMessage],
        tools: Mapping[str, Any],
        meter: Meter,
        listener: Listener | None,
    ) -> Said:
        body = {
            "model": self._model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            **tools,
        }
        # Not `chat.completions.create`: its checks of what we send and the objects it
        # builds from each chunk take three times as long as the request itself.
        stream: openai.AsyncStream[Any] = await self._client.post(
            "/chat/completions",
            body=body,
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        response: Any = stream.response
        response.stream = _Bounded(response.stream)
        gathering = Gathering(listener)
        try:
            async with stream:
                async for chunk in stream:
                    gathering.take(chunk)
        finally:
            # Also of an answer that breaks off, or that an agent has stopped.
            used = gathering.usage or _estimated(messages, tools, gathering.written)
            meter.add(self._model, used)
        said = gathering.said()
        if not said.text and not said.calls:
            raise ResponderError(
                "the model's answer is empty", retryable=True, kind="empty"
            )
        return said

    def _refused(self, error: openai.APIStatusError) -> ResponderError:
        """Return what a refusal means, and where it is mended; never its words."""
        status = error.status_code
        message = f"the model's server answered {status}"
        if status in (401, 403):
            message += (
                f": it refuses the key; see {self._key_setting}, and run "
                "chatwoot-bot doctor"
            )
        elif status == 404:
            message += (
                f": it does not know the model {self._model}, or its address is "
                f"wrong; see {self._model_setting}, and run chatwoot-bot doctor"
            )
        return ResponderError(
            message,
            retryable=status in (408, 409, 429) or status >= 500 or _is_misused(error),
            kind=str(status),
        )


def _estimated(
    messages: Sequence[ModelMessage], tools: Mapping[str, Any], written: int
) -> Usage:
    """Return about what a call takes whose server does not say; see `core.window`."""
    prompt = tokens(json.dumps(tools, ensure_ascii=False)) if tools else 0
    for message in messages:
        content = message["content"] or ""
        texts = [content] if isinstance(content, str) else []
        for part in () if isinstance(content, str) else content:
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                prompt += IMAGE
        calls = message.get("tool_calls", ())
        texts += [call["function"]["arguments"] for call in calls]
        prompt += OVERHEAD + sum(map(tokens, texts))
    return Usage(prompt=prompt, completion=written, estimated=True)


class _Bounded(httpx.AsyncByteStream):
    """A streamed body that is not read beyond `MAX_STREAM`."""

    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for part in self._inner:
            received += len(part)
            if received > MAX_STREAM:
                raise ResponderError(
                    f"the model's server sent more than {MAX_STREAM} bytes",
                    retryable=False,
                    kind=TOO_LONG,
                )
            yield part

    async def aclose(self) -> None:
        """Close the body."""
        await self._inner.aclose()


@dataclass(frozen=True, slots=True)
class _Offer:
    """The tools that the model is offered; in the last round only to look back at."""

    tools: Sequence[Tool]
    last: bool = False

    def body(self) -> Mapping[str, Any]:
        """Return what the request says of them."""
        if not self.tools:
            return {}
        body: dict[str, Any] = {"tools": [_described(tool) for tool in self.tools]}
        if self.last:
            body["tool_choice"] = "none"
        return body


@functools.lru_cache
def _described(tool: Tool) -> Mapping[str, Any]:
    """Return a tool in the form of the API."""
    parameters = tool.arguments.model_json_schema()
    for schema in (parameters, *parameters.get("properties", {}).values()):
        schema.pop("title", None)
    parameters.setdefault("properties", {})
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters,
        },
    }


async def _call(toolbox: Toolbox, said: Said) -> list[ModelMessage]:
    """Run what the model has called, at once; return how its next round begins."""
    results = await asyncio.gather(
        *(
            toolbox.call(call["function"]["name"], call["function"]["arguments"])
            for call in said.calls
        )
    )
    return _called(said.calls, results, said=said.text or None)


def _called(
    calls: Sequence[ToolCall], results: Sequence[str], *, said: str | None
) -> list[ModelMessage]:
    first: ModelMessage = {"role": "assistant", "content": said, "tool_calls": calls}
    told: list[ModelMessage] = [
        {"role": "tool", "tool_call_id": call["id"], "content": storable(result)}
        for call, result in zip(calls, results, strict=True)
    ]
    return [first, *told]


def _as_line(message: Message) -> str:
    """Return a message in one line, in which no text can pose as another sender's."""
    said = {"sender": str(message.sender), "text": message.content}
    return json.dumps(said, ensure_ascii=False)


def _is_misused(error: openai.APIStatusError) -> bool:
    """Return whether the model has called a tool in a wrong form: Groq says 400."""
    return error.code == "tool_use_failed"


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ResponderError) and error.retryable
