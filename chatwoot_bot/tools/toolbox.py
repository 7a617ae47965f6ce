"""The tools of one turn: run what the model calls, and keep what came of it.

A tool that changes something in the world runs once for a request, however often the
turn is begun anew: after a crash, and when the contact writes meanwhile. Before it
runs it is on record; what it said is recorded too, and told to the next attempt,
whose model goes on from there. Once begun it is brought to its end, also when an
agent steps in, because nobody can take back half of it.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any, Protocol

import pydantic
import structlog

from ..core.conversation import Conversation, Message
from ..core.text import storable
from ..store.effects import Entry
from ..thinking import let_go
from .base import Call, Effect, Result, Source, Tool, ToolError
from .coercion import checked
from .journal import result_of, told

MAX_CALLS = 24
# Of a result, in the turn record; the model gets all of it.
MAX_RECORDED = 2_000
# Of a result, for the model.
MAX_TEXT = 30_000

IN_DOUBT = (
    "This was interrupted, and nobody knows whether it has taken effect. Do not claim "
    "that it has or has not; if it matters, call a human."
)
HELD = "A human holds the conversation now. Do nothing more."
TOO_MANY = "These were too many calls. Answer with what you know."


class Recorder(Protocol):
    """Where effects are put on record; see `journal.Journal`."""

    async def read(self) -> list[Entry]:
        """Return what earlier attempts at this answer have done."""
        ...

    async def begin(self, name: str, arguments: str) -> Entry | None:
        """Put an effect on record, or return None if it must not be brought about."""
        ...

    async def done(self, entry: Entry, result: Result) -> Entry:
        """Note what came of it, and return it so."""
        ...

    async def undone(self, entry: Entry) -> None:
        """Forget one that has certainly not come about."""
        ...


class DoubtfulError(ToolError):
    """A tool has failed in a way that does not tell what it has done."""


class Toolbox:
    """The tools that the model may call in one turn.

    Attributes:
        tools: in the order in which they are offered.
        calls: what was called, for the turn record: `name`, `arguments`, `result`,
            `ok`, and how long it took in `ms`.
        sources: what the answer rests on, each once.
        told: what the model was told of them, in full.
        handover: why a human must be called, or None.
        resolve: the conversation is over once the answer is said.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        recorder: Recorder,
        *,
        conversation: Conversation,
        transcript: Sequence[Message],
        now: float,
    ) -> None:
        self.tools = tools
        self.calls: list[dict[str, Any]] = []
        self.sources: list[Source] = []
        self.told: list[str] = []
        self.notes: list[str] = []
        self.labels: list[str] = []
        self.handover: str | None = None
        self.resolve = False
        self._recorder = recorder
        self._conversation = conversation
        self._transcript = transcript
        self._now = now
        self._entries: dict[str, Entry] = {}
        self._under_way: set[str] = set()
        self._running: dict[tuple[str, str], asyncio.Task[Result]] = {}
        self._log = structlog.get_logger(__name__).bind(conversation=conversation.id)

    async def open(self) -> None:
        """Find out what earlier attempts at this answer have done."""
        if all(tool.effect is Effect.NONE for tool in self.tools):
            return
        self._entries = {entry.key: entry for entry in await self._recorder.read()}
        self._recall()
        self.told += [text for _, text in self.history()]

    def history(self) -> list[tuple[Entry, str]]:
        """Return what was changed for this answer so far, and what came of it."""
        return told(list(self._entries.values()), IN_DOUBT)

    def begin_again(self) -> None:
        """Forget what was to go with an answer that was not written; effects stay."""
        self.sources, self.notes, self.labels = [], [], []
        self.handover, self.resolve = None, False
        self._recall()

    def _recall(self) -> None:
        """Take up what the effects on record want to have with the answer."""
        for entry in self._entries.values():
            if (result := result_of(entry)) is not None:
                self._collect(result, with_notes=False)

    @property
    def has_effects(self) -> bool:
        """Whether there is anything on record that the answer will settle."""
        return bool(self._entries)

    async def call(self, name: str, arguments: str) -> str:
        """Run a tool; return what the model is told of it, be it an error.

        Args:
            arguments: JSON, as the model wrote it.
        """
        began = time.monotonic()
        arguments = _clean(arguments)
        record: dict[str, Any] = {"name": name[:64], "arguments": _shown(arguments)}
        self.calls.append(record)
        try:
            tool, given = self._checked(name, arguments)
            if tool.effect is Effect.NONE:
                result = await self._run(tool, given, key="")
            else:
                result = await self._affect(tool, given)
        except ToolError as error:
            text, ok = str(error), False
        else:
            self._collect(result, with_notes=tool.effect is Effect.NONE)
            text, ok = result.text, True
        record["result"], record["ok"] = text[:MAX_RECORDED], ok
        record["ms"] = round((time.monotonic() - began) * 1000)
        self._log.info("tool called", tool=record["name"], ok=ok, ms=record["ms"])
        self.told.append(text[:MAX_TEXT])
        return text[:MAX_TEXT]

    async def wait(self) -> None:
        """Wait until what has begun has come to its end, as long as that may take."""
        if running := self._running.values():
            longest = max(tool.timeout_s for tool in self.tools)
            await asyncio.wait(running, timeout=longest)
            await let_go(running)

    def _checked(self, name: str, arguments: str) -> tuple[Tool, pydantic.BaseModel]:
        """Return the tool and its arguments.

        Raises:
            ToolError: there is no such tool, or the arguments do not fit.
        """
        if len(self.calls) > MAX_CALLS:
            raise ToolError(TOO_MANY)
        tool = next((tool for tool in self.tools if tool.name == name), None)
        if tool is None:
            names = ", ".join(tool.name for tool in self.tools)
            raise ToolError(f"There is no such tool. There are: {names}.")
        try:
            # A call without arguments may come as an empty text.
            return tool, checked(tool.arguments, arguments or "{}")
        except pydantic.ValidationError as error:
            if tool.lenient:
                return tool, tool.arguments()
            wrong = error.errors(
                include_input=False, include_url=False, include_context=False
            )
            said = [f"{'.'.join(map(str, i['loc']))}: {i['msg']}" for i in wrong]
            raise ToolError(f"The arguments do not fit. {'; '.join(said)}") from None

    async def _affect(self, tool: Tool, given: pydantic.BaseModel) -> Result:
        """Run a tool with an effect; equal calls are one."""
        arguments = json.dumps(given.model_dump(mode="json"), sort_keys=True)
        call = tool.name, arguments
        if call not in self._running:
            self._running[call] = asyncio.create_task(
                self._bring_about(tool, given, arguments)
            )
        try:
            return await asyncio.shield(self._running[call])
        except ToolError:
            self._running.pop(call, None)  # it may be tried again
            raise

    async def _bring_about(
        self, tool: Tool, given: pydantic.BaseModel, arguments: str
    ) -> Result:
        """Run the tool between its two records.

        Raises:
            ToolError: it was not done, or the outcome is unknown.
        """
        entry = self._earlier(tool, arguments)
        is_first = entry is None
        if entry is not None and (result := result_of(entry)) is not None:
            return result
        if entry is None:
            entry = await self._recorder.begin(tool.name, arguments)
            if entry is None:
                raise ToolError(HELD)
        self._entries[entry.key] = entry
        self._under_way.add(entry.key)
        try:
            result = await self._run(tool, given, entry.key)
            self._entries[entry.key] = await self._recorder.done(entry, result)
        except DoubtfulError:
            raise
        except ToolError:
            # The outcome of an earlier attempt is unknown.
            if is_first:
                await self._recorder.undone(entry)
                del self._entries[entry.key]
            raise
        finally:
            self._under_way.discard(entry.key)
        return result

    def _earlier(self, tool: Tool, arguments: str) -> Entry | None:
        """Return the same call, as an earlier attempt has made it.

        Raises:
            ToolError: the tool's outcome is unknown; run it only once that is settled.
        """
        mine = [entry for entry in self._entries.values() if entry.name == tool.name]
        in_doubt = any(
            entry.result is None and entry.key not in self._under_way for entry in mine
        )
        if in_doubt and tool.effect is Effect.ONCE:
            raise ToolError(IN_DOUBT)
        return next((entry for entry in mine if entry.arguments == arguments), None)

    async def _run(self, tool: Tool, given: pydantic.BaseModel, key: str) -> Result:
        """Run the tool itself.

        Raises:
            ToolError: it says that it could not, or it has failed.
        """
        call = Call(
            key=key,
            conversation=self._conversation,
            transcript=self._transcript,
            now=self._now,
        )
        try:
            async with asyncio.timeout(tool.timeout_s):
                return await tool.run(given, call)
        except ToolError:
            raise
        except TimeoutError:
            problem = f"It took longer than {tool.timeout_s:g} s."
        except Exception as error:  # noqa: BLE001 - an operator's code may raise anything
            # Without its text, which may be a customer's.
            self._log.error("tool failed", tool=tool.name, error=type(error).__name__)
            problem = f"It failed ({type(error).__name__})."
        if tool.effect is Effect.NONE:
            raise ToolError(problem)
        raise DoubtfulError(f"{problem} {IN_DOUBT}")

    def _collect(self, result: Result, *, with_notes: bool) -> None:
        self.sources += [each for each in result.sources if each not in self.sources]
        self.labels += [each for each in result.labels if each not in self.labels]
        if with_notes:
            self.notes += result.notes
        self.handover = self.handover or result.handover
        self.resolve = self.resolve or result.resolve


def _clean(arguments: str) -> str:
    """Return the arguments without what no database takes, also where it is escaped."""
    try:
        return json.dumps(_storable(json.loads(arguments)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return storable(arguments)  # the tool will say what is wrong


def _storable(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case list():
            return [_storable(each) for each in value]
        case dict():
            return {storable(name): _storable(each) for name, each in value.items()}
    return value


def _shown(arguments: str) -> Any:
    """Return the arguments for the record: as JSON, if they are."""
    try:
        return json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return arguments[:MAX_RECORDED]
