"""One streamed answer of a Chat Completions server, put together from its chunks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.answer_text import AnswerText, Heard
from ..core.text import storable
from ..core.textual_calls import labelled_behind
from ..core.transcript import ToolCall
from ..core.window import tokens
from ..errors import ResponderError
from .base import TOO_LONG, Listener, Usage, check_length, counted
from .calls import Calls, from_text
from .finish import LENGTH, check_finish, reason_of
from .thoughts import Thoughts

Chunk = Mapping[str, Any]
# Characters of all that the model writes, its thoughts and calls included.
MAX_WRITTEN = 1_000_000
# Of a part, as servers name it.
TEXT = ("text", "output_text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the model has said in one go: text, calls of tools, or both.

    Attributes:
        finish: the server's `finish_reason`; None when it gave none.
        thoughts: what the server sent as `reasoning_content`.
        details: what it sent as `reasoning_details`.
    """

    text: str
    calls: Sequence[ToolCall]
    usage: Usage | None
    finish: str | None = None
    thoughts: str = ""
    details: Sequence[Mapping[str, Any]] = ()

    @property
    def is_cut_off(self) -> bool:
        """Whether the text ends where the server's limit was."""
        return self.finish in LENGTH and not self.calls


class Gathering:
    """Put the chunks together; a chunk that is not understood raises what it raises.

    Nothing is kept, nor heard, of what goes beyond `MAX_ANSWER` or `MAX_ARGUMENTS`, or
    is no part of the answer; see `core.answer_text`.

    Args:
        tools: the names of those that the model may call.
        thinks_first: see `AnswerText`.
    """

    def __init__(
        self,
        listener: Listener | None,
        tools: Collection[str] = (),
        *,
        thinks_first: bool = False,
    ) -> None:
        self._listener = listener
        self._tools = tools
        self._reading = AnswerText(tools, thinks_first=thinks_first)
        self._text: list[str] = []
        self._length = 0
        self._written = 0
        self._calls = Calls()
        self._usage: Usage | None = None
        self._thoughts = Thoughts()
        self._finish: str | None = None
        self._refuses = False
        self._is_whole = False
        self._choice: object = None

    def take(self, chunk: Chunk) -> None:
        """Take the next chunk, or a whole completion.

        Raises:
            ResponderError: the answer is too long.
        """
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        for choice in chunk.get("choices") or ():
            if self._choice is None:
                self._choice = choice.get("index") or 0
            if self._choice != (choice.get("index") or 0):
                continue  # a second answer, which an option of the operator asks for
            self._finish = reason_of(choice.get("finish_reason")) or self._finish
            is_whole = "message" in choice and "delta" not in choice
            self._is_whole = self._is_whole or is_whole
            self._take(choice["message"] if is_whole else choice.get("delta") or {})

    def said(self, *, is_done: bool) -> Said:
        """Return what it comes to.

        Args:
            is_done: the server has said that this is all.

        Raises:
            DeclinedError: the model will not answer.
            ResponderError: it broke off, is empty or too long.
        """
        self._hear(self._reading.end())
        calls = self._calls.all() or from_text(self._reading.calls) or self._labelled()
        said = Said(
            text=storable("".join(self._text)).strip(),
            calls=calls,
            usage=self._usage,
            finish=self._finish,
            thoughts=self._thoughts.words,
            details=self._thoughts.details,
        )
        check_finish(
            self._finish, is_done=is_done or self._is_whole, refuses=self._refuses
        )
        if not said.text and not said.calls and not said.is_cut_off:
            raise ResponderError(
                "the model's answer is empty",
                retryable=True,
                kind="empty",
                finish_reason=self._finish,
            )
        return said

    def _labelled(self) -> tuple[ToolCall, ...]:
        """Return the call at the end of the text; then the words before it stay."""
        before, calls = labelled_behind("".join(self._text), self._tools)
        if calls:
            self._hear(Heard(before, withdrawn=True))
        return from_text(calls)

    @property
    def thought_first(self) -> bool:
        """Return whether the model began with a thought that it only closed."""
        return self._reading.thought_first

    @property
    def usage(self) -> Usage | None:
        """Return what the server has counted; None when it has not, or not all."""
        return self._usage

    @property
    def written(self) -> int:
        """Return about how many tokens the model has written so far."""
        # What it thinks before it speaks is paid for, too.
        unsaid = self._thoughts.written + self._written - self._length
        return tokens("".join(self._text)) + self._calls.written + unsaid // 4

    def _take(self, delta: Mapping[str, Any]) -> None:
        self._write(_text_in(delta.get("content")))
        self._thoughts.take(delta)
        self._refuses = self._refuses or bool(delta.get("refusal"))
        for call in delta.get("tool_calls") or ():
            self._calls.take(call)
        if older := delta.get("function_call"):
            self._calls.take({"index": 0, "function": older})

    def _write(self, piece: str) -> None:
        """Take what the model has written next, be it its answer or not."""
        self._written += len(piece)
        if self._written > MAX_WRITTEN:
            raise ResponderError(
                f"the model wrote more than {MAX_WRITTEN} characters",
                retryable=False,
                kind=TOO_LONG,
            )
        self._hear(self._reading.hear(piece))

    def _hear(self, heard: Heard) -> None:
        if heard.withdrawn:
            self._text.clear()
            self._length = 0
            if self._listener is not None:
                self._listener.forget()
        self._length += len(heard.text)
        check_length(self._length)
        self._text.append(heard.text)
        if self._listener is not None and heard.text:
            self._listener.hear(heard.text)


def _text_in(content: object) -> str:
    """Return the text of a delta; Mistral's thinking models send a list of parts.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(content, list):
        return "".join(_text_in(p["text"]) for p in content if p["type"] in TEXT)
    if content is not None and not isinstance(content, str):
        raise TypeError("content is no text")
    return content or ""


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
