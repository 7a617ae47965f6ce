"""Answer with an operator's graph (`RESPONDER=langgraph:package.module:graph`).

The graph is a LangGraph graph, compiled or not, whose state has `messages` as in
`MessagesState`. A request is one thread: the graph is given what has been said since
it was last asked, and the last text that it adds is the answer. If its state has a
`handover` that is not empty in the end, a human is called with it as the reason; so is
one when the graph interrupts itself.

A node finds in `config["configurable"]` the `toolbox`, whose `call` runs a tool of the
bot's, effects only once; and the `assignment`, with the conversation. Texts that it
gives LangGraph's stream writer are heard by a web chat while it writes.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from ..core.conversation import Message, Sender
from ..core.transcript import for_model
from ..errors import ResponderError
from ..store import checkpoints
from ..store.checkpoints import Run
from ..store.engine import Database
from .base import Answer, Assignment, Listener, Usage
from .graph_memory import GraphMemory
from .own import named, unusable

Graph = Pregel[Any, Any, Any, Any]
# How an agent's words are told from the bot's.
AGENT = "human_agent"
# Where LangGraph tells of an interrupt.
INTERRUPT = "__interrupt__"


def load(spec: str, db: Database) -> "LangGraphResponder":
    """Return the responder that asks the graph ``package.module:name``.

    Raises:
        SettingsError: it cannot be used; it says why.
    """
    found = named(spec)
    if isinstance(found, StateGraph):
        try:
            found = found.compile()
        except ValueError as error:
            raise unusable(f"{spec} cannot be compiled: {error}") from error
    if not isinstance(found, Pregel):
        raise unusable(f"{spec} is no graph of LangGraph's, but {type(found).__name__}")
    if "messages" not in found.channels:
        raise unusable(f"{spec} needs messages in its state, as in MessagesState")
    kinds = {type(channel).__name__ for channel in found.channels.values()}
    if "DeltaChannel" in kinds:
        raise unusable(f"{spec} has a DeltaChannel; only whole checkpoints are kept")
    return LangGraphResponder(found, db)


class LangGraphResponder:
    """Run the graph for each answer. See `Responder`."""

    name = "langgraph"
    model: str | None = None

    def __init__(self, graph: Graph, db: Database) -> None:
        self._graph = graph
        self._db = db

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Ask the graph; it goes on where an attempt that died has stopped."""
        run = await self._begin(assignment)
        memory = GraphMemory(self._db, run)
        config: RunnableConfig = {
            "configurable": {
                "thread_id": run.thread_id,
                "toolbox": assignment.toolbox,
                "assignment": assignment,
            }
        }
        given: Mapping[str, Any] | None = self._input(assignment, run)
        if run.resumes and await memory.has_begun():
            given = None
        state: dict[str, Any] = {}
        try:
            await self._run(memory, given, config, listener, state)
        finally:
            # Also of what an agent has stopped: what the steps until then have taken.
            for each in _written(state.get("messages", ())):
                assignment.meter.add(_model(each), _usage(each))
        toolbox = assignment.toolbox
        answer = _answer(state, handover=toolbox.handover if toolbox else None)
        await self._db.write(checkpoints.finish, run.id)
        return answer

    async def _run(
        self,
        memory: GraphMemory,
        given: Mapping[str, Any] | None,
        config: RunnableConfig,
        listener: Listener | None,
        state: dict[str, Any],
    ) -> None:
        """Keep *state* as the graph's; let *listener* hear what nodes stream."""
        graph = self._graph.copy({"checkpointer": memory})
        stream: AsyncIterator[Any] = graph.astream(
            given,
            config,
            stream_mode=["values", "updates", "custom"],
            durability="sync",  # each step is on disk before the next one begins
        )
        async for mode, piece in stream:
            if mode == "values":
                state |= piece
            elif mode == "updates" and INTERRUPT in piece:
                state[INTERRUPT] = piece[INTERRUPT]
            elif mode == "custom" and listener is not None and isinstance(piece, str):
                listener.hear(piece)

    async def _begin(self, assignment: Assignment) -> Run:
        transcript = assignment.transcript
        owed = [message.id for message in transcript if message.owed]
        newest = max(message.id for message in transcript)
        return await self._db.write(
            checkpoints.begin,
            run_id=assignment.turn_id,
            conversation_id=assignment.conversation.id,
            seen=newest,
            owed_from=min(owed, default=newest),
            now=time.time(),
        )

    def _input(self, assignment: Assignment, run: Run) -> Mapping[str, Any]:
        """Return what has been said since the run's head, in this request."""
        new = [
            message
            for message in _request(assignment.transcript)
            if message.id > run.seen and message.id not in run.said
        ]
        given: dict[str, Any] = {"messages": _messages(new)}
        if "handover" in self._graph.channels:
            given["handover"] = ""  # what an earlier answer has asked for is done
        return given


def _request(transcript: Sequence[Message]) -> Sequence[Message]:
    """Return what was said since the conversation was last resolved."""
    for position in range(len(transcript) - 1, -1, -1):
        if transcript[position].closes:
            return transcript[position + 1 :]
    return transcript


def _messages(said: Sequence[Message]) -> list[AnyMessage]:
    return [each for message in said for each in _message(message)]


def _message(message: Message) -> list[AnyMessage]:
    """Return the message as LangChain's; nothing of one without words."""
    own_id = f"m_{message.id}"
    found: list[AnyMessage] = []
    for line in for_model([message], prompt="")[1:]:
        content: Any = line["content"]
        if message.sender is Sender.CONTACT:
            found.append(HumanMessage(content=content, id=own_id))
        else:
            name = AGENT if message.sender is Sender.AGENT else None
            found.append(AIMessage(content=content, id=own_id, name=name))
    return found


def _answer(state: Mapping[str, Any], *, handover: str | None) -> Answer:
    """Return what the graph has come to.

    Args:
        handover: what a tool has asked for.

    Raises:
        ResponderError: it has written nothing, and calls nobody.
    """
    written = _written(state["messages"])
    handover = str(state.get("handover") or "") or _interrupt(state) or handover
    texts = [str(each.text) for each in written if not each.tool_calls]
    text = next((each for each in reversed(texts) if each.strip()), "")
    if not text and handover is None:
        raise ResponderError("the graph has written no answer", retryable=False)
    usage = sum((_usage(each) for each in written), Usage())
    models = [model for each in written if (model := _model(each))]
    return Answer(
        text=text,
        model=models[-1] if models else None,
        usage=usage if usage.total else None,
        handover=handover,
        seen=_seen(state["messages"]),
    )


def _seen(messages: Sequence[AnyMessage]) -> tuple[str, ...]:
    """Return what the graph's own model was told besides the transcript."""
    told = [m for m in messages if isinstance(m, ToolMessage | SystemMessage)]
    return tuple(str(each.text) for each in told)


def _written(messages: Sequence[AnyMessage]) -> list[AIMessage]:
    """Return what the graph has added since it was last told something."""
    told = [n for n, each in enumerate(messages) if str(each.id).startswith("m_")]
    added = messages[told[-1] + 1 :] if told else messages
    return [each for each in added if isinstance(each, AIMessage)]


def _interrupt(state: Mapping[str, Any]) -> str | None:
    interrupts = state.get(INTERRUPT)
    return str(interrupts[0].value) if interrupts else None


def _usage(message: AIMessage) -> Usage:
    """Return what the message has taken; its provider may have counted anything."""
    told: Mapping[str, Any] = message.usage_metadata or {}
    return Usage(
        prompt=told.get("input_tokens", 0), completion=told.get("output_tokens", 0)
    )


def _model(message: AIMessage) -> str | None:
    name = message.response_metadata.get("model_name")
    return str(name) if name else None
