"""A LangGraph graph that answers contacts. To use it, start the service in this folder.

RESPONDER=langgraph:support_graph:graph TOOLS=callbacks chatwoot-bot serve

A router sends each request to an answer, to the list of people to call back, or to a
human. A node that is done is not run again after a crash; a tool that is called through
the toolbox does what it does once, whatever happens.
"""

import functools
import json
import os
from typing import Any, Literal

import openai
from langchain_core.messages import AIMessage, convert_to_openai_messages
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph

ROUTES = ("answer", "call_back", "escalate")
ROUTER = f"Where does this request belong? Say one word: {', '.join(ROUTES)}."
ANSWER = "You are the assistant of a shop. Answer in a few friendly sentences."


class State(MessagesState):
    """What the graph knows of a request.

    Attributes:
        route: where the router sends it.
        done: what a tool has said.
        handover: why a human is called; the service looks for it here.
    """

    route: str
    done: str
    handover: str


async def route(state: State) -> dict[str, Any]:
    """Ask the model where the request belongs."""
    said = (await ask(ROUTER, state)).strip().lower()
    return {"route": said if said in ROUTES else "answer", "done": ""}


def routed(state: State) -> Literal["answer", "call_back", "escalate"]:
    """Return the next node."""
    return state["route"]  # type: ignore[return-value]


async def answer(state: State) -> dict[str, Any]:
    """Write the answer."""
    said = await ask(f"{ANSWER} {state['done']}".strip(), state)
    return {"messages": [AIMessage(said)]}


async def call_back(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Put the contact on the list; `answer` then tells them."""
    toolbox = config["configurable"]["toolbox"]
    topic = json.dumps({"topic": str(state["messages"][-1].text)})
    return {"done": await toolbox.call("request_callback", topic)}


async def escalate(state: State) -> dict[str, Any]:
    """Call a human."""
    return {"handover": "The router says that a human should answer."}


async def ask(prompt: str, state: State) -> str:
    """Return what the model says to the conversation."""
    completion = await client().chat.completions.create(
        model=os.environ.get("OPENAI_MODEL", "gpt-6-luna"),
        messages=[
            {"role": "system", "content": prompt},
            *convert_to_openai_messages(state["messages"]),
        ],
    )
    return completion.choices[0].message.content or ""


@functools.cache
def client() -> openai.AsyncOpenAI:
    """Return the client of the model's server, as the environment names it."""
    return openai.AsyncOpenAI()


graph = StateGraph(State)
graph.add_node(route)
graph.add_node(answer)
graph.add_node(call_back)
graph.add_node(escalate)
graph.add_edge(START, "route")
graph.add_conditional_edges("route", routed)
graph.add_edge("call_back", "answer")
graph.add_edge("answer", END)
graph.add_edge("escalate", END)
