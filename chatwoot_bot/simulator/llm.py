"""A stand-in for an OpenAI-compatible model server.

It speaks the Chat Completions dialect, streaming and not, takes as long as it is
told, says what it is told, fails when it is told, and counts who hung up on it: a
turn that is cancelled must stop the model call, and `aborted` shows whether it did.

    async with ModelStandIn(delay_s=2.0, reply="Yes, in 3 days.") as model:
        base_url = model.base_url     # http://127.0.0.1:40404/v1
        model.fail(503, times=2)
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .serving import LocalServer, wait_for_disconnect
from .waiting import Changes
from .wire import Json

CHUNKS_MAX = 50  # a long reply in fewer, longer pieces keeps the timers few
MODEL = "stand-in"
# With the blanks before it; the last one with those behind it, too.
WORD = re.compile(r"(?<!\s)\s*+\S++(?:\s++\Z)?+")
ERRORS = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided"),
    429: ("rate_limit_error", "rate_limit_exceeded", "Rate limit reached"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A reply that is no text but a call of one of the caller's tools.

    Several in a list are called at once.
    """

    name: str
    arguments: Json


# A status and a body with which a request is refused.
Refused = tuple[int, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deltas:
    """A reply as a server of another make writes it, piece by piece.

    Attributes:
        deltas: what its chunks hold, in order.
        finish: the last chunk's `finish_reason`; None for no such chunk.
        done: whether the stream ends with ``[DONE]``.
    """

    deltas: Sequence[Json]
    finish: str | None = "stop"
    done: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A whole response instead of an answer: a refusal, a page, JSON for a stream."""

    status: int = 200
    content: Any
    content_type: str = "application/json"


Answer = str | ToolCall | Sequence[ToolCall] | Deltas | Body
Reply = Answer | Callable[[list[Json]], Answer]


def echo(messages: list[Json]) -> str:
    """Answer with the content of the last user message."""
    texts = [_text(each.get("content")) for each in messages if each["role"] == "user"]
    return f"Answer to: {texts[-1] if texts else ''}"


class ModelStandIn:
    """The server; an async context manager.

    Attributes:
        reply: What it answers: a text, tool calls, or a function of the messages.
        usage: Returns the counts of tokens, from the request and the answer; None
            for a server that does not count.
        refuses: Returns how a request is refused, from its body; None for one that is
            taken.
        slots: Answers that are written at once; the others wait. 0 for any number.
        tells: What the server says of itself, by path: `/props`, or `/v1/models`.
        delay_s: How long an answer takes. A stream sends its headers at once and
            spreads the text over the time.
        requests: All bodies of chat requests, in order.
        started: Requests that came in.
        finished: Answers that were sent to their end.
        failed: Requests that were failed on request.
        aborted: Requests whose client hung up before the end.
    """

    def __init__(
        self,
        *,
        reply: Reply = echo,
        refuses: Callable[[Json], Refused | None] | None = None,
        slots: int = 0,
        delay_s: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.reply = reply
        self.refuses = refuses
        self.delay_s = delay_s
        self.tells: dict[str, Json] = {}
        self._slots = asyncio.Semaphore(slots) if slots else None
        self.usage: Callable[[Json, Answer], Json | None] = _usage
        self.requests: list[Json] = []
        self.started = self.finished = self.failed = self.aborted = 0
        self._failures: list[int | Literal["timeout"]] = []
        routes = [
            Route("/v1/chat/completions", self._complete, methods=["POST"]),
            Route("/v1/models", self._tell),
            Route("/props", self._tell),
        ]
        self._closing = asyncio.Event()
        self._changes = Changes()
        self._server = LocalServer(Starlette(routes=routes), host=host, port=port)

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._closing.set()
        await self._server.stop()

    @property
    def base_url(self) -> str:
        """What the service needs as OPENAI_BASE_URL."""
        return f"http://{self._server.host}:{self._server.port}/v1"

    def fail(self, how: int | Literal["timeout"], *, times: int = 1) -> None:
        """Fail the next *times* requests with a status, or by never answering."""
        self._failures.extend([how] * times)

    async def until(
        self,
        predicate: Callable[[], bool],
        timeout: float = 10,  # noqa: ASYNC109 - the error tells what was seen
    ) -> None:
        """Wait until *predicate* is true; it is asked again after each change.

        Raises:
            TimeoutError: With the counters.
        """
        await self._changes.until(
            predicate,
            timeout=timeout,
            describe=lambda: (
                f"{self.started} started, {self.finished} finished, "
                f"{self.failed} failed, {self.aborted} aborted"
            ),
        )

    def changed(self) -> None:
        """Let those who wait look at the counters again."""
        self._changes.notify()

    async def _complete(self, request: Request) -> "_Completion":
        body: Json = await request.json()
        self.requests.append(body)
        self.started += 1
        self.changed()
        failure = self._failures.pop(0) if self._failures else None
        return _Completion(self, body, failure, request)

    async def _tell(self, request: Request) -> Response:
        told = self.tells.get(request.url.path)
        if told is None and request.url.path == "/v1/models":
            return await _list_models(request)
        return JSONResponse(told or {}, 404 if told is None else 200)

    async def run(self, send: Send, body: Json, failure: int | str | None) -> None:
        """Send the whole answer, in its own time."""
        async with self._slots or nullcontext():
            await self._run(send, body, failure)

    async def _run(self, send: Send, body: Json, failure: int | str | None) -> None:
        refused = self.refuses(body) if self.refuses else None
        if refused is not None:
            self.failed += 1
            await _send_json(send, *refused)
            return
        if failure == "timeout":
            await asyncio.Event().wait()
        elif isinstance(failure, int):
            self.failed += 1
            await _send_json(send, failure, _error(failure))
            return
        answer = self._say(body["messages"])
        if isinstance(answer, Body):
            await _send_whole(send, answer)
        elif body.get("stream"):
            await self._stream(send, body, answer)
        else:
            await asyncio.sleep(self.delay_s)
            await _send_json(send, 200, _whole(body, answer))
        self.finished += 1

    async def wait_for_close(self) -> None:
        """Wait until the server closes, which ends hanging requests."""
        await self._closing.wait()

    def _say(self, messages: list[Json]) -> Answer:
        return self.reply(messages) if callable(self.reply) else self.reply

    async def _stream(self, send: Send, body: Json, answer: Answer) -> None:
        await _send_start(send, 200, "text/event-stream; charset=utf-8")
        async for chunk in self._chunks(body, answer):
            line = b"data: " + json.dumps(chunk).encode() + b"\n\n"
            await _send_body(send, line, more=True)
        is_done = not isinstance(answer, Deltas) or answer.done
        await _send_body(send, b"data: [DONE]\n\n" if is_done else b"", more=False)

    async def _chunks(self, body: Json, answer: Answer) -> AsyncIterator[Json]:
        """Yield role, pieces, finish and, when asked for, usage."""
        base = _base(body, "chat.completion.chunk")
        yield base | {"choices": [_choice("delta", {"role": "assistant"}, None)]}
        deltas = _deltas(answer)
        began = time.monotonic()
        for number, delta in enumerate(deltas, start=1):
            # Against the clock, so that timers which run late do not add up.
            due = began + self.delay_s * number / len(deltas)
            await asyncio.sleep(max(due - time.monotonic(), 0))
            yield base | {"choices": [_choice("delta", delta, None)]}
        if (finish := _finish_reason(answer)) is not None:
            yield base | {"choices": [_choice("delta", {}, finish)]}
        if (body.get("stream_options") or {}).get("include_usage"):
            usage = self.usage(body, answer)
            if usage is not None:
                yield base | {"choices": [], "usage": usage}


@dataclass(slots=True)
class _Completion:
    """An ASGI response that notices when the client hangs up."""

    model: ModelStandIn
    body: Json
    failure: int | str | None
    request: Request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        run = asyncio.create_task(self.model.run(send, self.body, self.failure))
        hung_up = asyncio.create_task(wait_for_disconnect(self.request))
        closing = asyncio.create_task(self.model.wait_for_close())
        tasks = [run, hung_up, closing]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if run in done:
            run.result()
        elif hung_up in done:
            self.model.aborted += 1
        self.model.changed()


async def _list_models(request: Request) -> JSONResponse:
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "simulator"}
    return JSONResponse({"object": "list", "data": [model]})


def _whole(body: Json, answer: Answer) -> Json:
    return _base(body, "chat.completion") | {
        "choices": [_choice("message", _message(answer), _finish_reason(answer))],
        "usage": _usage(body, answer),
    }


def _base(body: Json, kind: str) -> Json:
    return {
        "id": "chatcmpl-stand-in",
        "object": kind,
        "created": int(time.time()),
        "model": body.get("model") or MODEL,
    }


def _choice(key: str, value: Json, finish_reason: str | None) -> Json:
    return {"index": 0, key: value, "logprobs": None, "finish_reason": finish_reason}


def _finish_reason(answer: Answer) -> str | None:
    if isinstance(answer, Deltas):
        return answer.finish
    return "stop" if isinstance(answer, str) else "tool_calls"


def _message(answer: Answer) -> Json:
    if isinstance(answer, str):
        return {"role": "assistant", "content": answer, "refusal": None}
    if isinstance(answer, Deltas | Body):
        raise TypeError("only a stream has deltas")
    calls = [_tool_call(call, number) for number, call in enumerate(_calls(answer))]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _calls(answer: ToolCall | Sequence[ToolCall]) -> Sequence[ToolCall]:
    return [answer] if isinstance(answer, ToolCall) else answer


def _tool_call(call: ToolCall, number: int) -> Json:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _deltas(answer: Answer) -> list[Json]:
    if isinstance(answer, Deltas):
        return list(answer.deltas)
    if isinstance(answer, Body):
        raise TypeError("a whole response has no deltas")
    if not isinstance(answer, str):
        return [
            {"tool_calls": [{"index": number} | _tool_call(call, number)]}
            for number, call in enumerate(_calls(answer))
        ]
    words = WORD.findall(answer) or [answer]
    size = -(-len(words) // CHUNKS_MAX)
    return [
        {"content": "".join(words[start : start + size])}
        for start in range(0, len(words), size)
    ]


def _usage(body: Json, answer: Answer) -> Json:
    """Return token counts; a token is a word here, which is near enough."""
    prompt = sum(len(_text(each.get("content")).split()) for each in body["messages"])
    completion = len(answer.split()) if isinstance(answer, str) else 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _error(status: int) -> Json:
    kind, code, text = ERRORS.get(status, ("server_error", None, "Failed on request"))
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def _text(content: Any) -> str:
    """Return the text of a message's content, which may be a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


async def _send_json(send: Send, status: int, body: Any) -> None:
    await _send_start(send, status, "application/json")
    await _send_body(send, json.dumps(body).encode(), more=False)


async def _send_whole(send: Send, answer: Body) -> None:
    is_text = isinstance(answer.content, str)
    content = answer.content if is_text else json.dumps(answer.content)
    await _send_start(send, answer.status, answer.content_type)
    await _send_body(send, content.encode(), more=False)


async def _send_start(send: Send, status: int, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_body(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
