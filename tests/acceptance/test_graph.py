"""A graph of LangGraph's answers contacts: the whole path, over both databases."""

import shutil
from pathlib import Path

import pytest
from test_reply import attach, connected, simulated

from chatwoot_bot.language import languages
from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.store.turns import LEASE_S

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[2] / "examples"
ROUTED = "Where does this request belong?"


def with_graph(folder, chatwoot, model, **settings):
    for name in ("support_graph.py", "callbacks.py"):
        shutil.copy(EXAMPLES / name, folder)
    return connected(
        folder,
        chatwoot,
        RESPONDER="langgraph:support_graph:graph",
        TOOLS="callbacks",
        OPENAI_BASE_URL=model.base_url,
        OPENAI_API_KEY="k",
        **settings,
    )


class Shop:
    """What the model says: the route by the contact's last words, then an answer."""

    def __init__(self):
        self.route = {}

    def __call__(self, messages):
        last = [line["content"] for line in messages if line["role"] == "user"][-1]
        if is_routing(messages):
            return self.route.get(last, "answer")
        return f"Answer to: {last}"


def is_routing(messages):
    return messages[0]["content"].startswith(ROUTED)


def asked(model, *, routing):
    """Return what the model was shown, without the prompt, by request."""
    return [
        [line["content"] for line in request["messages"][1:]]
        for request in model.requests
        if is_routing(request["messages"]) is routing
    ]


async def test_thread_is_the_conversation_until_it_is_resolved(tmp_path, database_url):
    """The graph remembers what was said, whoever said it, and forgets a closed case."""
    shop = Shop()
    async with ModelStandIn(reply=shop) as model, simulated() as chatwoot:
        with with_graph(tmp_path, chatwoot, model, DATABASE_URL=database_url) as bot:
            attach(chatwoot, bot)
            said = await chatwoot.contact_says("Hello")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            await chatwoot.contact_says("And when?", conversation=cid)
            await chatwoot.wait_for_replies(cid, 2)
            await chatwoot.settled()
            await chatwoot.agent_says(cid, "Maria here: tomorrow.")
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.settled()
            await chatwoot.set_status(cid, "pending")
            await chatwoot.settled()
            await chatwoot.contact_says("Thanks", conversation=cid)
            await chatwoot.wait_for_replies(cid, 3)
            await chatwoot.settled()
            await chatwoot.set_status(cid, "resolved")
            await chatwoot.settled()
            await chatwoot.contact_says("Something else", conversation=cid)
            replies = await chatwoot.wait_for_replies(cid, 4)

    hello = ["Hello"]
    when = [*hello, "Answer to: Hello", "And when?"]
    thanks = [*when, "Answer to: And when?", "Maria here: tomorrow.", "Thanks"]
    assert asked(model, routing=True) == [hello, when, thanks, ["Something else"]]
    assert [reply.content for reply in replies] == [
        "Answer to: Hello",
        "Answer to: And when?",
        "Answer to: Thanks",
        "Answer to: Something else",
    ]


async def test_router_calls_a_human(tmp_path, database_url):
    shop = Shop()
    shop.route["You broke it!"] = "escalate"
    async with ModelStandIn(reply=shop) as model, simulated() as chatwoot:
        with with_graph(tmp_path, chatwoot, model, DATABASE_URL=database_url) as bot:
            attach(chatwoot, bot)
            said = await chatwoot.contact_says("You broke it!")
            cid = said.conversation_id
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.until(lambda: chatwoot.notes(cid))

    [note] = chatwoot.notes(cid)
    assert "The router says that a human should answer." in note.content


async def test_kill_in_the_middle_repeats_no_node_and_no_effect(tmp_path, database_url):
    """`kill -9` after the tool has run: the next process goes on from there."""
    shop = Shop()
    shop.route["Call me"] = "call_back"
    hangs = True

    def reply(messages):
        model.delay_s = 30.0 if hangs and not is_routing(messages) else 0.0
        return shop(messages)

    async with ModelStandIn(reply=reply) as model, simulated() as chatwoot:
        service = with_graph(tmp_path, chatwoot, model, DATABASE_URL=database_url)
        with service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Call me")
            await model.until(lambda: model.started == 2)
            assert service.kill() == -9
        hangs = False
        with service:
            # On PostgreSQL another process could have it: until the lease ends.
            cid, wait_s = said.conversation_id, LEASE_S + 15
            replies = await chatwoot.wait_for_replies(cid, 1, timeout=wait_s)
            await chatwoot.settled()

    assert [reply.content for reply in replies] == ["Answer to: Call me"]
    assert asked(model, routing=True) == [["Call me"]]
    assert asked(model, routing=False) == [["Call me"], ["Call me"]]
    prompts = [request["messages"][0]["content"] for request in model.requests]
    assert all("They are on the list" in prompt for prompt in prompts[1:])
    [line] = (tmp_path / "callbacks.txt").read_text().splitlines()
    assert line.endswith(": Call me")


async def test_superseded_run_leaves_nothing_in_the_thread(tmp_path, database_url):
    """The contact writes while the graph thinks: both are answered together, once."""
    shop = Shop()

    def reply(messages):
        first = messages[-1]["content"] == "Hello"
        model.delay_s = 30.0 if first and not is_routing(messages) else 0.0
        return shop(messages)

    async with ModelStandIn(reply=reply) as model, simulated() as chatwoot:
        with with_graph(tmp_path, chatwoot, model, DATABASE_URL=database_url) as bot:
            attach(chatwoot, bot)
            said = await chatwoot.contact_says("Hello")
            cid = said.conversation_id
            await model.until(lambda: model.started == 2)
            await chatwoot.contact_says("Are you there?", conversation=cid)
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            await chatwoot.contact_says("Fine", conversation=cid)
            replies = await chatwoot.wait_for_replies(cid, 2)

    both = ["Hello", "Are you there?"]
    assert asked(model, routing=True) == [
        ["Hello"],
        both,
        [*both, "Answer to: Are you there?", "Fine"],
    ]
    assert [reply.content for reply in replies] == [
        "Answer to: Are you there?",
        "Answer to: Fine",
    ]


async def test_answer_of_another_becomes_part_of_the_thread(tmp_path):
    """The graph fails, a stand-in answers, and the graph knows what it has said."""
    shop = Shop()
    async with ModelStandIn(reply=shop) as model, simulated() as chatwoot:
        service = with_graph(tmp_path, chatwoot, model, LLM_FALLBACK="mock")
        with service:
            attach(chatwoot, service)
            model.fail(400, times=1)
            said = await chatwoot.contact_says("Hello, my secret is hunter2")
            cid = said.conversation_id
            [apology] = await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            await chatwoot.contact_says("Again", conversation=cid)
            replies = await chatwoot.wait_for_replies(cid, 2)

    assert apology.content == languages()["en"].no_model
    assert asked(model, routing=True)[-1] == [
        "Hello, my secret is hunter2",
        apology.content,
        "Again",
    ]
    assert replies[1].content == "Answer to: Again"
    assert "responder failed" in service.output
    assert "hunter2" not in service.output
