"""What a graph is given, and what its state in the end means; over both databases."""

import asyncio
import operator
import sys
import types
from typing import Annotated, TypedDict

import pytest
from factories import assignment, message
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from chatwoot_bot.core.conversation import Attachment, Sender
from chatwoot_bot.errors import ResponderError, SettingsError
from chatwoot_bot.responders.base import Answer, Usage
from chatwoot_bot.responders.langgraph import load
from chatwoot_bot.store.checkpoints import finish
from chatwoot_bot.store.turns import TurnRecord, insert_record

pytestmark = pytest.mark.anyio


class State(MessagesState):
    handover: str
    steps: Annotated[list[str], operator.add]


def chain(*nodes, state=State):
    """A graph of nodes in a row."""
    graph = StateGraph(state)
    before = START
    for number, node in enumerate(nodes):
        graph.add_node(f"n{number}", node)
        graph.add_edge(before, f"n{number}")
        before = f"n{number}"
    graph.add_edge(before, END)
    return graph


def says(text, **more):
    async def node(state):
        return {"messages": [AIMessage(text, **more)]}

    return node


@pytest.fixture
def responder(db, monkeypatch):
    """Make the responder of a graph, as if an operator's module held it."""

    def make(graph):
        module = types.ModuleType("operators")
        module.graph = graph
        monkeypatch.setitem(sys.modules, "operators", module)
        return load("operators:graph", db)

    return make


async def keep(db, turn_id):
    """Let the turn's answer be kept."""
    record = TurnRecord(
        id=turn_id,
        conversation_id="c_1",
        decision="bot",
        reason="default",
        outcome="kept",
        started_at=0.0,
        latency_ms=1,
    )
    await db.write(insert_record, record)


def asked(turn_id, *messages, **changes):
    return assignment(list(messages), turn_id=turn_id, **changes)


async def test_last_text_is_the_answer_with_its_model_and_its_tokens(responder):
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    call = {"name": "x", "args": {}, "id": "1"}
    graph = chain(
        says("", tool_calls=[call], usage_metadata=usage),
        says("Yes.", usage_metadata=usage, response_metadata={"model_name": "m-2"}),
    )
    answer = await responder(graph.compile()).respond(asked("t_1", message("Hi")))

    usage = Usage(prompt=6, completion=4)
    assert answer == Answer(text="Yes.", model="m-2", usage=usage)


async def test_each_model_of_a_graph_is_metered(responder):
    said = [
        ({"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}, "m-1"),
        ({"input_tokens": 10**15, "output_tokens": 4, "total_tokens": -1}, "m-2"),
        (None, "m-3"),
    ]
    nodes = [
        says("Yes.", usage_metadata=used, response_metadata={"model_name": name})
        for used, name in said
    ]
    given = asked("t_1", message("Hi"))
    await responder(chain(*nodes).compile()).respond(given)

    assert given.meter.take() == [
        ("m-1", Usage(prompt=3, completion=2)),
        ("m-2", Usage(completion=4)),
    ]


async def test_what_a_stopped_graph_has_taken_is_metered(responder):
    """Its first model has answered; an agent was faster than the second."""
    begun = asyncio.Event()

    async def wait(state):
        begun.set()
        await asyncio.Event().wait()

    used = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    first = says("Hm.", usage_metadata=used, response_metadata={"model_name": "m-1"})
    given = asked("t_1", message("Hi"))
    thinking = asyncio.create_task(responder(chain(first, wait)).respond(given))
    await begun.wait()
    thinking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await thinking

    assert given.meter.take() == [("m-1", Usage(prompt=3, completion=2))]


async def test_graph_sees_who_said_what(responder):
    """An agent's words are the company's, and named; a picture is a picture."""
    seen = []

    async def look(state):
        seen.extend(state["messages"])
        return {"messages": [AIMessage("ok")]}

    image = Attachment(kind="image", line="[image]", image="data:image/png;base64,AA")
    await responder(chain(look)).respond(
        asked(
            "t_1",
            message("An old request", id=1, owed=False, closes=True),
            message("Hi", id=2, owed=False),
            message("Maria here.", id=3, sender=Sender.AGENT, owed=False),
            message("Let me see.", id=4, sender=Sender.BOT, owed=False),
            message(None, id=5, owed=False),
            message("[image]", id=6, attachments=(image,)),
        )
    )

    assert [(type(each), each.name, each.id) for each in seen] == [
        (HumanMessage, None, "m_2"),
        (AIMessage, "human_agent", "m_3"),
        (AIMessage, None, "m_4"),
        (HumanMessage, None, "m_6"),
    ]
    assert seen[3].content[1]["image_url"] == {"url": "data:image/png;base64,AA"}


async def test_state_lasts_and_a_handover_does_not(responder, db):
    """Who was called has come and gone; the graph must say so anew."""
    steps = []

    async def step(state):
        steps.append((list(state["steps"]), state["handover"]))
        number = len(state["steps"])
        return {
            "steps": [f"s{number}"],
            "handover": "" if number else "too hard",
            "messages": [AIMessage(f"a{number}")],
        }

    ask = responder(chain(step)).respond
    first = await ask(asked("t_1", message("one", id=1)))
    await keep(db, "t_1")
    second = await ask(
        asked("t_2", message("one", id=1, owed=False), message("two", id=2))
    )

    assert (first.handover, second.handover) == ("too hard", None)
    assert steps == [([], ""), (["s0"], "")]


async def test_graph_that_interrupts_itself_calls_a_human(responder):
    async def stop(state):
        interrupt("May I refund 300 euros?")

    answer = await responder(chain(stop)).respond(asked("t_1", message("Refund")))

    assert answer.handover == "May I refund 300 euros?"


async def test_tool_that_calls_a_human_needs_no_text(responder):
    async def call(state, config: RunnableConfig):
        toolbox = config["configurable"]["toolbox"]
        await toolbox.call("escalate_to_human", '{"reason": "angry"}')
        assert config["configurable"]["assignment"].conversation.id == "c_1"
        return {}

    answer = await responder(chain(call)).respond(asked("t_1", message("!")))

    assert answer.handover == "angry"


async def test_what_a_node_streams_is_heard(responder):
    """Not the words of every model in it: a router's are for nobody."""
    heard = []

    async def stream(state):
        for piece in ("Yes", " and no."):
            get_stream_writer()(piece)
        return {"messages": [AIMessage("Yes and no.")]}

    class Listener:
        hear = heard.append

    graph = responder(chain(says("router"), stream))
    answer = await graph.respond(asked("t_1", message("Hi")), Listener())

    assert answer.text == "".join(heard) == "Yes and no."


async def test_graph_that_says_nothing_has_failed(responder, db):
    async def nothing(state):
        return {"steps": ["x"]}

    with pytest.raises(ResponderError, match="no answer"):
        await responder(chain(nothing)).respond(asked("t_1", message("Hi")))


async def test_graph_goes_on_after_the_node_that_was_done(responder, db):
    """Its process died in the second node."""
    ran = []

    def node(name, *, dies=False):
        async def run(state):
            ran.append(name)
            if dies and ran.count(name) == 1:
                raise RuntimeError("killed")
            return {"messages": [AIMessage(name)]}

        return run

    inner = chain(node("inner"), node("inner dies", dies=True)).compile()
    ask = responder(chain(node("first"), inner, node("last"))).respond
    with pytest.raises(RuntimeError):
        await ask(asked("t_1", message("Hi")))
    answer = await ask(asked("t_2", message("Hi")))

    assert answer.text == "last"
    assert ran == ["first", "inner", "inner dies", "inner dies", "last"]


async def test_answer_that_was_lost_at_the_last_moment_is_given_again(responder, db):
    """The graph had ended; the process died before the answer was kept."""
    ran = []

    async def once(state):
        ran.append(1)
        return {"messages": [AIMessage("Yes.")]}

    ask = responder(chain(once)).respond
    first = await ask(asked("t_1", message("Hi")))
    again = await ask(asked("t_2", message("Hi")))
    await db.write(finish, "t_2")

    assert first == again
    assert ran == [1]


class NoMessages(TypedDict):
    text: str


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        ("graph", "operators:graph is no graph of LangGraph's, but str"),
        (StateGraph(State), "cannot be compiled"),
        (chain(says("x"), state=NoMessages), "needs messages in its state"),
    ],
)
async def test_start_says_what_is_wrong_with_the_graph(responder, graph, problem):
    with pytest.raises(SettingsError) as caught:
        responder(graph)

    assert problem in caught.value.problems["RESPONDER"]
