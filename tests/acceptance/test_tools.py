"""Tools through the real path: what they change happens once, whatever else happens."""

import asyncio
import json
import textwrap

import pytest
from service import Service
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from test_reply import attach, connected, simulated

from chatwoot_bot.simulator.llm import ModelStandIn, ToolCall
from chatwoot_bot.simulator.serving import LocalServer
from chatwoot_bot.simulator.waiting import Changes

pytestmark = pytest.mark.anyio

TOOLS = '''
    import os
    import httpx
    from chatwoot_bot.tools import Call, Result, ToolError, tool

    async def _post(**order):
        async with httpx.AsyncClient(verify=False, timeout=30) as http:
            answer = await http.post(os.environ["SHOP_URL"], json=order)
        if answer.status_code != 200:
            raise ToolError("The shop is closed.")

    @tool(effect="{effect}")
    async def order(item: str, call: Call) -> Result:
        """Order something."""
        await _post(item=item, key=call.key)
        return Result(text=f"Ordered: {{item}}.", notes=(f"I have ordered {{item}}.",))
'''


class Shop:
    """Where the bot orders; it takes its time when told to."""

    def __init__(self):
        self.orders = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.refuses = 0
        self._changes = Changes()
        route = Route("/orders", self._order, methods=["POST"])
        self._server = LocalServer(Starlette(routes=[route]), host="127.0.0.1", port=0)

    async def _order(self, request: Request) -> JSONResponse:
        order = await request.json()
        if self.refuses:
            self.refuses -= 1
            return JSONResponse({}, status_code=503)
        self.orders.append(order)
        self._changes.notify()
        await self.is_open.wait()
        return JSONResponse({})

    async def until(self, count):
        await self._changes.until(
            lambda: len(self.orders) >= count,
            timeout=10,
            describe=lambda: f"{len(self.orders)} orders",
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.port}/orders"

    async def __aenter__(self):
        await self._server.start()
        return self

    async def __aexit__(self, *exc_info):
        self.is_open.set()
        await self._server.stop()


@pytest.fixture
async def shop():
    async with Shop() as shop:
        yield shop


@pytest.fixture
async def chatwoot():
    async with simulated() as chatwoot:
        yield chatwoot


@pytest.fixture
async def model():
    async with ModelStandIn(reply=orders_tea) as model:
        yield model


@pytest.fixture
def start(tmp_path, chatwoot, model, shop, monkeypatch):
    """Start a service whose model may order; stop all at the end."""
    monkeypatch.setenv("SHOP_URL", shop.url)
    services = []

    def started(effect="once", **settings) -> Service:
        (tmp_path / "shop_tools.py").write_text(
            textwrap.dedent(TOOLS.format(effect=effect))
        )
        service = connected(
            tmp_path,
            chatwoot,
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="k",
            **{"TOOLS": "shop_tools", **settings},
        )
        services.append(service)
        attach(chatwoot, service.start())
        return service

    yield started
    for service in services:
        service.kill()


TEA = ToolCall(name="order", arguments={"item": "tea"})


def results(messages):
    return [line["content"] for line in messages if line["role"] == "tool"]


def orders_tea(messages):
    """Order once, and tell what came of it."""
    return results(messages)[-1] if results(messages) else TEA


def orders_again(messages):
    """The worst model: it orders again, whatever it has been told."""
    told = results(messages)
    return told[-1] if len(told) > 1 else TEA


def summarizes(reply):
    """Let summaries alone, so that a script sees only the conversation."""

    def answer(messages):
        asked = messages[0]["content"].startswith("Summarize")
        return "A summary." if asked else reply(messages)

    return answer


async def asks(chatwoot):
    return (await chatwoot.contact_says("Tea, please.")).conversation_id


async def only_reply(chatwoot, cid):
    [reply] = await chatwoot.wait_for_replies(cid, 1)
    await chatwoot.settled()
    assert len(chatwoot.replies(cid)) == 1
    return reply.content


async def test_tool_is_run_and_its_result_told(start, chatwoot, model, shop):
    start()
    cid = await asks(chatwoot)

    assert await only_reply(chatwoot, cid) == "Ordered: tea."
    await chatwoot.until(lambda: chatwoot.notes(cid))
    assert [note.content for note in chatwoot.notes(cid)] == ["I have ordered tea."]
    assert [order["item"] for order in shop.orders] == ["tea"]
    assert len(model.requests) == 2


async def test_tools_called_at_once_run_at_once(start, chatwoot, model, shop):
    shop.is_open.clear()
    model.reply = lambda messages: (
        " ".join(results(messages))
        if results(messages)
        else [TEA, ToolCall(name="order", arguments={"item": "milk"})]
    )
    start()
    cid = await asks(chatwoot)
    await shop.until(2)
    shop.is_open.set()

    assert await only_reply(chatwoot, cid) == "Ordered: tea. Ordered: milk."


async def test_kill_in_the_middle_of_a_call_orders_once(start, chatwoot, model, shop):
    """Nobody knows whether the order was taken, so it is not repeated."""
    model.reply = orders_again
    shop.is_open.clear()
    service = start()
    cid = await asks(chatwoot)
    await shop.until(1)
    service.kill()
    shop.is_open.set()

    start()

    assert "nobody knows whether" in await only_reply(chatwoot, cid)
    assert len(shop.orders) == 1


async def test_kill_in_a_call_with_a_key_repeats_it_with_the_same(
    start, chatwoot, model, shop
):
    """The shop knows the key, and so it is one order."""
    model.reply = orders_again
    shop.is_open.clear()
    service = start("keyed")
    cid = await asks(chatwoot)
    await shop.until(1)
    service.kill()
    shop.is_open.set()

    start("keyed")

    assert await only_reply(chatwoot, cid) == "Ordered: tea."
    first, second = shop.orders
    assert first == second


async def test_kill_after_a_call_tells_the_next_process_of_it(
    start, chatwoot, model, shop
):
    """The effect is on record, and the model that comes after goes on from there."""
    model.reply = orders_again
    model.delay_s = 0.0
    service = start()
    second = asyncio.Event()

    def hangs_when_told(messages):
        if results(messages) and not second.is_set():
            model.fail("timeout")
            second.set()
        return orders_again(messages)

    model.reply = hangs_when_told
    # The round that follows the order never ends.
    cid = await asks(chatwoot)
    await shop.until(1)
    await model.until(lambda: model.started >= 2)
    service.kill()
    model.reply = orders_again

    start()

    assert await only_reply(chatwoot, cid) == "Ordered: tea."
    assert len(shop.orders) == 1
    await chatwoot.until(lambda: chatwoot.notes(cid))
    assert len(chatwoot.notes(cid)) == 1


async def test_contact_who_writes_meanwhile_orders_once(start, chatwoot, model, shop):
    """The turn begins anew with the new words, and knows what was done."""
    model.reply = orders_again
    shop.is_open.clear()
    start()
    cid = await asks(chatwoot)
    await shop.until(1)
    await chatwoot.contact_says("And thank you!", conversation=cid)
    await chatwoot.settled()
    shop.is_open.set()

    assert await only_reply(chatwoot, cid) == "Ordered: tea."
    assert len(shop.orders) == 1


async def test_agent_who_steps_in_reads_what_was_done(start, chatwoot, model, shop):
    """The order goes on, the bot says nothing, and the agent is told."""
    shop.is_open.clear()
    start()
    cid = await asks(chatwoot)
    await shop.until(1)
    await chatwoot.agent_says(cid, "I am here.")
    await chatwoot.settled()
    shop.is_open.set()

    await chatwoot.until(lambda: chatwoot.notes(cid))
    assert [note.content for note in chatwoot.notes(cid)] == ["I have ordered tea."]
    assert chatwoot.replies(cid) == []
    assert len(shop.orders) == 1


async def test_tool_that_could_not_is_tried_again_by_the_model(
    start, chatwoot, model, shop
):
    shop.refuses = 1
    model.reply = orders_again
    start()
    cid = await asks(chatwoot)

    assert await only_reply(chatwoot, cid) == "Ordered: tea."
    assert len(shop.orders) == 1


async def test_model_that_calls_without_end_has_to_answer(start, chatwoot, model, shop):
    """In the last round it may only speak; one that still does not is as if down."""
    count = iter(range(1_000))
    model.reply = summarizes(
        lambda _: ToolCall(name="order", arguments={"item": f"tea {next(count)}"})
    )
    start()
    cid = await asks(chatwoot)

    await chatwoot.wait_for_replies(cid, 1)
    await chatwoot.until(lambda: chatwoot.status(cid) == "open")
    chats = [
        r for r in model.requests if "Summarize" not in r["messages"][0]["content"]
    ]
    assert chats[-1]["tool_choice"] == "none"
    assert len(shop.orders) < 12


async def test_labels_notes_and_the_end_come_with_the_answer(start, chatwoot, model):
    model.reply = lambda messages: (
        "Gladly. Goodbye!"
        if results(messages)
        else [
            ToolCall(name="set_label", arguments={"label": "tea"}),
            ToolCall(name="add_private_note", arguments={"text": "Likes tea."}),
            ToolCall(name="resolve_conversation", arguments={}),
        ]
    )
    start(
        TOOLS="add_private_note, resolve_conversation",
        TOOL_LABELS="tea",
        MAX_WAIT_SECONDS=0.2,
    )
    cid = await asks(chatwoot)

    assert await only_reply(chatwoot, cid) == "Gladly. Goodbye!"
    await chatwoot.until(lambda: chatwoot.status(cid) == "resolved")
    assert [note.content for note in chatwoot.notes(cid)] == ["Likes tea."]
    assert chatwoot.world.conversations[cid].label_list == ("tea",)

    # The contact comes back, and it is a new request.
    model.reply = "Hello again."
    await chatwoot.contact_says("One more thing.", conversation=cid)
    await chatwoot.wait_for_replies(cid, 2)
    lines = json.dumps(model.requests[-1]["messages"])
    assert "What is above was resolved" in lines


async def test_contact_who_goes_on_is_not_cut_off(start, chatwoot, model):
    """The model took the conversation for finished; the contact did not."""
    model.reply = lambda messages: (
        "Goodbye!"
        if results(messages)
        else ToolCall(name="resolve_conversation", arguments={})
    )
    start(TOOLS="resolve_conversation", MAX_WAIT_SECONDS=600)
    cid = await asks(chatwoot)
    await chatwoot.wait_for_replies(cid, 1)
    await chatwoot.settled()

    model.reply = "Of course."
    await chatwoot.contact_says("One more thing.", conversation=cid)
    await chatwoot.wait_for_replies(cid, 2)
    await chatwoot.settled()

    assert chatwoot.status(cid) == "pending"


async def test_module_that_cannot_be_used_stops_the_start(tmp_path):
    service = Service(tmp_path, TOOLS="no_such_tools")

    try:
        with pytest.raises(AssertionError, match="TOOLS: no_such_tools cannot be"):
            service.start()
    finally:
        service.kill()
