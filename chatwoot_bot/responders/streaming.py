"""One streamed answer of a Chat Completions server, put together from its chunks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.text import storable
from ..core.transcript import ToolCall
from ..core.window import tokens
from ..errors import ResponderError
from .base import TOO_LONG, Listener, Usage, check_length, counted

Chunk = Mapping[str, Any]
# More than a server should let a model call at once.
MAX_CALLS = 32
# Characters of the arguments of all calls together.
MAX_ARGUMENTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the model has said in one go: text, calls of tools, or both."""

    text: str
    calls: Sequence[ToolCall]
    usage: Usage | None


class Gathering:
    """Put the chunks together; a chunk that is not understood raises what it raises.

    Nothing is kept, nor heard, of what goes beyond `MAX_ANSWER` or `MAX_ARGUMENTS`.
    """

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self._text: list[str] = []
        self._length = 0
        self._calls: dict[object, ToolCall] = {}
        self._arguments: dict[object, list[str]] = {}
        self._arguments_length = 0
        self._usage: Usage | None = None
        self._unsaid = 0

    def take(self, chunk: Chunk) -> None:
        """Take the next chunk.

        Raises:
            ResponderError: the answer is too long.
        """
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        for choice in chunk["choices"]:
            delta = choice["delta"]
            piece = delta.get("content") or ""
            self._length += len(piece)
            check_length(self._length)
            self._text.append(piece)
            # What it thinks before it speaks is paid for, too.
            thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
            self._unsaid += len(thought)
            if self._listener is not None:
                self._listener.hear(piece)
            for call in delta.get("tool_calls") or ():
                self._take_call(call)

    def said(self) -> Said:
        """Return what it comes to."""
        for key, call in self._calls.items():
            call["function"]["arguments"] = "".join(self._arguments[key])
        return Said(
            text=storable("".join(self._text)).strip(),
            calls=tuple(self._calls.values()),
            usage=self._usage,
        )

    @property
    def usage(self) -> Usage | None:
        """Return what the server has counted; None when it has not, or not all."""
        return self._usage

    @property
    def written(self) -> int:
        """Return about how many tokens the model has written so far."""
        texts = ["".join(self._text)]
        for call in self._calls.values():
            texts += (call["function"]["name"], call["function"]["arguments"])
        return sum(map(tokens, texts)) + self._unsaid // 4

    def _take_call(self, piece: Mapping[str, Any]) -> None:
        """Take a piece of a call; its number says of which, or else its id does."""
        number = piece.get("index")
        key = number if number is not None else piece.get("id")
        if key is None and self._calls:
            key = list(self._calls)[-1]
        if key not in self._calls:
            if len(self._calls) >= MAX_CALLS:
                return
            own = str(piece.get("id") or f"call_{len(self._calls)}")
            self._arguments[key] = []
            self._calls[key] = {
                "id": own,
                "type": "function",
                "function": {"name": "", "arguments": ""},
            }
        said, function = piece["function"], self._calls[key]["function"]
        function["name"] = function["name"] or storable(said.get("name") or "")
        arguments = said.get("arguments") or ""
        self._arguments_length += len(arguments)
        if self._arguments_length > MAX_ARGUMENTS:
            raise ResponderError(
                f"calls of tools have more than {MAX_ARGUMENTS} characters",
                retryable=False,
                kind=TOO_LONG,
            )
        self._arguments[key].append(arguments)


def _usage(said: object) -> Usage | None:
    """Return the counts; some servers name only the sum. None without plausible ones.

    A prompt of no tokens is none: some servers send zeros for what they do not count.
    """
    if not isinstance(said, Mapping):
        return None
    prompt = counted(said.get("prompt_tokens"))
    completion = counted(said.get("completion_tokens"))
    total = counted(said.get("total_tokens"))
    if prompt and completion is not None:
        return Usage(prompt=prompt, completion=completion)
    named = said.get("prompt_tokens"), said.get("completion_tokens")
    if total and named == (None, None):
        return Usage(prompt=total)
    return None
