"""Answer with a model behind the Chat Completions API (OpenAI, Groq, Ollama, vLLM).

The model may call tools, in several rounds, before it says its answer. The answer is
streamed, so that cancelling the turn stops the model at once and a server that hangs
in the middle is noticed. Retries live here and nowhere else for blips of seconds;
what lasts longer is the fallback's business. What a server refuses is read, and asked
for in another form; see `terms`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

import httpx
import openai
import structlog
import tenacity

from .. import texts
from ..core.conversation import Message
from ..core.prompt import with_rules
from ..core.text import storable
from ..core.transcript import (
    THOUGHTS,
    ModelMessage,
    ToolCall,
    for_model,
    has_images,
    without_thoughts,
)
from ..errors import DeclinedError, ResponderError
from ..store.effects import Entry
from ..tools.base import Tool
from ..tools.toolbox import Toolbox
from . import refusals, without_tools
from .base import TOO_LONG, Answer, Assignment, Listener, Meter, Usage
from .bodies import chunks, status_of, unbroken
from .cut_off import in_full, shorter
from .facts import context_of
from .finish import REFUSED, is_filtered
from .places import Patience, Places, Silence
from .posting import Posting
from .refusals import Cause, Refusal
from .schemas import described
from .streaming import Gathering, Said
from .terms import Options, Request, Terms, weight

log = structlog.get_logger(__name__)

OPENAI = "https://api.openai.com/v1"
# Of calls; then the model has to answer with what it knows.
ROUNDS = 8

ATTEMPTS = 3
RETRY_FOR_S = 10.0
# Bytes of one streamed answer: a thousand times the text of a usual one, as each word
# comes in a JSON of its own, and what a model thinks before it speaks comes likewise.
MAX_STREAM = 32 * 2**20
# Of one question: each refusal changes it, until nothing is left to change.
FORMS = 12
# Statuses of a refusal that is read; of the others only those for a reason of its own.
READ = (400, 404, 413, 422, 500, 501)
FORM = frozenset({Cause.OVERFLOW, Cause.EFFORT, Cause.ROLES, Cause.SYSTEM, Cause.TOOLS})
# Beyond all limits of time, so that they end a request and not the connection.
SPARE_S = 10.0
# Of a stream, among which is how it ends.
LAST_BYTES = 64
DONE = "[You have done this for the answer already; do not do it again:"
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
        timeout_s: between two words of the model.
        first_token_s: until the first one, retries included; None for the same.
        options: what is asked for besides an answer.
        terms: on which the model takes requests; shared by all who ask it.
        places: of its server, shared likewise.
        agents_language: of the summaries that agents read, in English.
        key_setting: where the operator has set the key; for the log.
        model_setting: where they have set the model.
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
        first_token_s: float | None = None,
        options: Options | None = None,
        terms: Terms | None = None,
        places: Places | None = None,
        agents_language: str = "English",
        key_setting: str = "OPENAI_API_KEY",
        model_setting: str = "OPENAI_MODEL",
    ) -> None:
        self.model: str | None = model
        self.terms = terms or Terms()
        self._http = http
        self._root = (base_url or OPENAI).rstrip("/")
        self._model = model
        self._prompt = prompt
        self._thinks_first = False
        self._timeout_s = timeout_s
        self._first_token_s = first_token_s or timeout_s
        self._options = options or Options()
        self._places = places or Places(0, alive_s=self._first_token_s)
        self._agents_language = agents_language
        self._key_setting = key_setting
        self._model_setting = model_setting
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=self._root,
            timeout=max(timeout_s, self._first_token_s) + SPARE_S,
            max_retries=0,
            http_client=http,  # type: ignore[arg-type]  # it names httpx2, and takes httpx
        )
        self._posting = Posting(http, self._client)

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Ask the model; see `Responder`."""
        try:
            return await self._respond(assignment, listener)
        except DeclinedError as error:
            log.warning(
                "model refused to answer",
                model=self._model,
                finish_reason=error.finish_reason,
            )
            return Answer(
                text="",
                model=self._model,
                declined=error.reason,
                finish_reason=error.finish_reason,
            )

    async def _respond(
        self, assignment: Assignment, listener: Listener | None
    ) -> Answer:
        toolbox, usage = assignment.toolbox, Usage()
        asking = _Asking(assignment.meter, assignment.patience, listener)
        messages = self._begin(assignment)
        cut: Said | None = None
        for number in range(ROUNDS + 1):
            offer = _Offer(toolbox.tools if toolbox else (), last=number == ROUNDS)
            try:
                said = await self._in_time(messages, offer, asking)
            except ResponderError as error:
                messages = self._plainer(error, messages, assignment, number)
                said = await self._in_time(messages, offer, asking)
            usage += said.usage or Usage()
            if said.is_cut_off and cut is None and not offer.last:
                log.warning("answer cut off", model=self._model, asked_again=True)
                messages, cut = shorter(messages), said
                continue
            if toolbox is None or not said.calls:
                break
            if offer.last:
                raise ResponderError(
                    "the model calls tools and does not answer", retryable=False
                )
            messages += await _call(toolbox, said)
            if toolbox.handover is not None:
                break
        text = in_full(said, cut, listener) if said.is_cut_off else said.text
        return Answer(
            text=text,
            model=self._model,
            usage=usage if usage.total else None,
            handover=toolbox.handover if toolbox else None,
            finish_reason=said.finish,
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
        said = await self._in_time(messages, _Offer(()), _Asking(meter, Patience()))
        usage = sum((used for _, used in meter.take()), Usage())
        text = in_full(said) if said.is_cut_off else said.text
        return Answer(text=text, model=self._model, usage=usage)

    def _begin(
        self, assignment: Assignment, *, is_plain: bool = False
    ) -> list[ModelMessage]:
        """Return what the model is told first.

        What an earlier attempt at the answer has done comes as calls that this one
        has made already, so that the model goes on from there.

        Args:
            is_plain: without pictures, and with such calls in words.
        """
        offered = assignment.toolbox.tools if assignment.toolbox else ()
        prompt = with_rules(self._prompt, [tool.rule for tool in offered if tool.rule])
        parts = (prompt, assignment.facts, assignment.memory)
        prompt = "\n\n".join(part for part in parts if part)
        images = not is_plain
        messages = for_model(assignment.transcript, prompt=prompt, images=images)
        history = assignment.toolbox.history() if assignment.toolbox else []
        if history and is_plain:
            return [*messages, _done(history)]
        for entry, text in history:
            call: ToolCall = {
                "id": entry.key,
                "type": "function",
                "function": {"name": entry.name, "arguments": entry.arguments},
            }
            messages += _called([call], [text], said=None)
        return messages

    def _plainer(
        self,
        error: ResponderError,
        messages: Sequence[ModelMessage],
        assignment: Assignment,
        number: int,
    ) -> list[ModelMessage]:
        """Return a refused request without what not every server takes.

        Args:
            number: of the round.

        Raises:
            ResponderError: it has nothing of that kind, or was not refused for it.
        """
        is_answer = isinstance(error, DeclinedError) or error.kind == TOO_LONG
        if error.retryable or is_answer:
            raise error
        if any(each.keys() & THOUGHTS for each in messages):
            return without_thoughts(messages)
        has_calls = any("tool_calls" in each for each in messages)
        if number or not (has_images(messages) or has_calls):
            raise error
        # Many a model has no eyes, and its server says so by a refusal; and no call
        # that an earlier attempt has made has the signature that Gemini wants.
        return self._begin(assignment, is_plain=True)

    async def _in_time(
        self, messages: Sequence[ModelMessage], offer: "_Offer", asking: "_Asking"
    ) -> Said:
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            stop=tenacity.stop_after_attempt(ATTEMPTS)
            | tenacity.stop_after_delay(RETRY_FOR_S),
            wait=tenacity.wait_exponential(multiplier=0.2)
            + tenacity.wait_random(0, 0.2),
            reraise=True,
        )
        async with self._places.taken(asking.patience):
            silence = self._places.silence(self._first_token_s, self._timeout_s)
            try:
                async with silence:
                    asked = messages, offer, asking, silence
                    said: Said = await retrying(self._ask, *asked)
                    return said
            except TimeoutError as error:
                raise self._silent(silence) from error

    def _silent(self, silence: Silence) -> ResponderError:
        if silence.is_writing:
            return ResponderError(
                f"the model stopped in its answer for {self._timeout_s:g} s",
                retryable=True,
                kind="stalled",
            )
        return ResponderError(
            f"no answer within {self._first_token_s:g} s",
            retryable=True,
            kind="timeout",
        )

    async def _ask(
        self,
        messages: Sequence[ModelMessage],
        offer: "_Offer",
        asking: "_Asking",
        silence: Silence,
    ) -> Said:
        """Ask, in another form after each refusal that says which."""
        request = self.terms.begin(messages, offer.body())
        for _ in range(FORMS):
            asking.forget()  # what an attempt or a round before has said
            silence.again()
            body = self.terms.body(request, self._options)
            try:
                said = await self._once(body, request, asking, silence)
            except openai.APIError as error:
                refusal = await self._told(_read(error, body))
                changed = self._changed(request, refusal, body, status_of(error))
                if changed is None:
                    raise self._refused(error, refusal) from error
                request = changed
            else:
                self.terms.took(request)
                return said
        raise ResponderError(
            "the model's server refuses each form of the question",
            retryable=False,
            kind="400",
        )

    async def _told(self, refusal: Refusal) -> Refusal:
        """Return *refusal* with the context that a server of one's own tells."""
        is_asked = self._root == OPENAI or self.terms.context is not None
        if refusal.cause is not Cause.OVERFLOW or refusal.context or is_asked:
            return refusal
        asked = self._http, self._root, self._client.api_key, self._model
        return replace(refusal, context=await context_of(*asked))

    def _changed(
        self, request: Request, refusal: Refusal, body: Mapping[str, Any], status: int
    ) -> Request | None:
        if status not in READ or (
            status not in (400, 422) and refusal.cause not in FORM
        ):
            return None
        changed = self.terms.remedy(
            request, refusal, status=status, sent=body, options=self._options
        )
        if changed is not None:
            log.info(
                "request refused, asked in another form",
                model=self._model,
                status=status,
                cause=str(refusal.cause),
                told=refusal.told,
            )
        return changed

    async def _once(
        self,
        body: Mapping[str, Any],
        request: Request,
        asking: "_Asking",
        silence: Silence,
    ) -> Said:
        escalates = request.withheld and _can_escalate(request.tools)
        listener = asking.listener
        if escalates and listener is not None:
            listener = without_tools.Holding(listener)
        try:
            said = await self._stream(body, asking.meter, listener, silence)
        except (openai.APIConnectionError, httpx.HTTPError) as error:
            # httpx's own errors too: openai translates only those of httpx2.
            raise ResponderError(
                f"the model's server cannot be reached ({type(error).__name__})",
                retryable=True,
                kind="unreachable",
            ) from error
        except openai.APIError:
            raise
        except UNREADABLE as error:
            raise ResponderError(
                f"the model's answer is not understood ({type(error).__name__})",
                retryable=True,
                kind="not_understood",
            ) from error
        call = without_tools.call_in(said.text) if escalates else None
        return said if call is None else replace(said, text="", calls=(call,))

    async def _stream(
        self,
        body: Mapping[str, Any],
        meter: Meter,
        listener: Listener | None,
        silence: Silence,
    ) -> Said:
        # Not `chat.completions.create`: its checks of what we send and the objects it
        # builds from each chunk take three times as long as the request itself.
        stream = await self._posting.stream({"model": self._model, **body})
        response: Any = stream.response
        response.stream = received = _Bounded(response.stream)
        names = [each["function"]["name"] for each in body.get("tools", ())]
        gathering = Gathering(listener, names, thinks_first=self._thinks_first)
        try:
            async with stream:
                with unbroken():
                    async for chunk in chunks(stream, begins=await received.begins()):
                        gathering.take(chunk)
                        if not silence.is_writing and not gathering.written:
                            continue  # a role, or a sign of life
                        silence.hear()
        finally:
            # Also of an answer that breaks off, or that an agent has stopped.
            used = gathering.usage or _estimated(body, gathering.written)
            meter.add(self._model, used)
        said = gathering.said(is_done=received.is_done)
        self._thinks_first = gathering.thought_first
        return said

    def _refused(self, error: openai.APIError, refusal: Refusal) -> ResponderError:
        """Return what a refusal means, and where it is mended; never its words."""
        if is_filtered(error.code) or refusal.cause is Cause.FILTERED:
            return DeclinedError(REFUSED)
        status = status_of(error)
        message = f"the model's server answered {status}"
        if refusal.told:
            message += f" ({refusal.told})"
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
            retryable=status in (408, 409, 429)
            or status >= 500
            or refusal.cause is Cause.MISUSED,
            kind=str(refusal.cause if refusal.cause is Cause.MISUSED else status),
        )


def _read(error: openai.APIError, body: Mapping[str, Any]) -> Refusal:
    return refusals.read(error.body, body.keys())


def _can_escalate(tools: Mapping[str, Any]) -> bool:
    names = [tool["function"]["name"] for tool in tools.get("tools", ())]
    return without_tools.ESCALATE in names


def _estimated(body: Mapping[str, Any], written: int) -> Usage:
    """Return about what a call takes whose server does not say; see `core.window`."""
    tools = {name: body[name] for name in ("tools", "tool_choice") if name in body}
    prompt = weight(body["messages"], tools)
    return Usage(prompt=prompt, completion=written, estimated=True)


@dataclass(frozen=True, slots=True)
class _Asking:
    """For whom a question is asked."""

    meter: Meter
    patience: Patience
    listener: Listener | None = None

    def forget(self) -> None:
        """Have the listener forget what it has heard."""
        if self.listener is not None:
            self.listener.forget()


class _Bounded(httpx.AsyncByteStream):
    """A streamed body that is not read beyond `MAX_STREAM`.

    Attributes:
        is_done: it ends with ``[DONE]``, which openai does not pass on.
    """

    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self.is_done = False
        self._inner = inner
        self._parts = self._read()
        self._head = b""

    async def begins(self) -> bytes:
        """Return the first part that is more than blanks; it stays to be read."""
        async for part in self._parts:
            if part.strip():
                self._head = part
                break
        return self._head

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        async for part in self._parts:
            yield part

    async def _read(self) -> AsyncIterator[bytes]:
        received, tail = 0, b""
        async for part in self._inner:
            received += len(part)
            tail = (tail + part[-LAST_BYTES:])[-LAST_BYTES:]
            self.is_done = b"[DONE]" in tail
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
        body: dict[str, Any] = {"tools": [described(tool) for tool in self.tools]}
        if self.last:
            body["tool_choice"] = "none"
        return body


def _done(history: Sequence[tuple[Entry, str]]) -> ModelMessage:
    """Return in words what an earlier attempt has done."""
    done = [
        {"tool": entry.name, "arguments": entry.arguments, "result": storable(text)}
        for entry, text in history
    ]
    words = f"{DONE}\n{json.dumps(done, ensure_ascii=False)}]"
    return {"role": "user", "content": words}


async def _call(toolbox: Toolbox, said: Said) -> list[ModelMessage]:
    """Run what the model has called, at once; return how its next round begins."""
    results = await asyncio.gather(
        *(
            toolbox.call(call["function"]["name"], call["function"]["arguments"])
            for call in said.calls
        )
    )
    thoughts = {"reasoning_content": said.thoughts, "reasoning_details": said.details}
    return _called(said.calls, results, said=said.text or None, thoughts=thoughts)


def _called(
    calls: Sequence[ToolCall],
    results: Sequence[str],
    *,
    said: str | None,
    thoughts: Mapping[str, Any] = MappingProxyType({}),
) -> list[ModelMessage]:
    given = {name: thought for name, thought in thoughts.items() if thought}
    plain: ModelMessage = {"role": "assistant", "content": said, "tool_calls": calls}
    first = cast(ModelMessage, {**plain, **given})
    told: list[ModelMessage] = [
        {"role": "tool", "tool_call_id": call["id"], "content": storable(result)}
        for call, result in zip(calls, results, strict=True)
    ]
    return [first, *told]


def _as_line(message: Message) -> str:
    """Return a message in one line, in which no text can pose as another sender's."""
    said = {"sender": str(message.sender), "text": message.content}
    return json.dumps(said, ensure_ascii=False)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ResponderError) and error.retryable
