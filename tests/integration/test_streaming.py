"""The bot's words as they come, and what becomes of them when they are not said."""

import base64

import pytest
from sockets import opened
from test_chat import begin, say
from test_webhook import rows, serving

from chatwoot_bot.simulator.llm import ModelStandIn, ToolCall
from chatwoot_bot.store import schema

pytestmark = pytest.mark.anyio

ANSWER = "It is on its way and will be with you on Thursday."


@pytest.fixture
async def model():
    async with ModelStandIn(reply=ANSWER, delay_s=1.0) as model:
        yield model


@pytest.fixture
async def client(database_url, model):
    settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": "stand-in"}
    async with serving(database_url, **settings) as client:
        yield client


def room(conversation):
    return f"/ws/conversations/{conversation['id']}?token={conversation['token']}"


def names(wire):
    return [event["event"] for event in wire.events]


async def test_answer_comes_in_pieces_that_make_the_message(client):
    conversation, visitor = await begin(client)
    async with opened(client, room(conversation)) as wire:
        await say(client, conversation, visitor)
        await wire.next("NEW_MESSAGE")
        answer = await wire.next("NEW_MESSAGE")

    pieces = [e["body"]["text"] for e in wire.events if e["event"] == "REPLY_CHUNK"]
    assert len(pieces) > 3
    assert ANSWER.startswith("".join(pieces))
    assert answer["content"] == ANSWER
    assert "REPLY_DROPPED" not in names(wire)


async def test_takeover_withdraws_what_the_bot_was_saying(client):
    conversation, visitor = await begin(client)
    async with opened(client, room(conversation)) as wire:
        await say(client, conversation, visitor)
        chunk = await wire.next("REPLY_CHUNK")
        await client.post(f"/conversations/{conversation['id']}/takeover")
        dropped = await wire.next("REPLY_DROPPED")
        if not any(e["body"].get("typing") is False for e in wire.events):
            await wire.next("TYPING")
    said = await rows(client, schema.messages, schema.messages.c.sender == "ai")

    assert dropped["turn_id"] == chunk["turn_id"]
    assert said == []


async def test_second_message_withdraws_the_answer_to_the_first(client, model):
    conversation, visitor = await begin(client)
    async with opened(client, room(conversation)) as wire:
        await say(client, conversation, visitor, "Where is my order?")
        first = await wire.next("REPLY_CHUNK")
        model.delay_s = 0.1
        await say(client, conversation, visitor, "Number 150")
        dropped = await wire.next("REPLY_DROPPED")
        answer = await wire.next("NEW_MESSAGE")
        while answer["sender"] != "ai":
            answer = await wire.next("NEW_MESSAGE")
    turns = await client.get(f"/conversations/{conversation['id']}/turns")

    assert dropped["turn_id"] == first["turn_id"]
    assert answer["turn_id"] != first["turn_id"]
    assert turns.json()["items"][-1]["draft"].startswith(first["text"])


async def test_model_that_calls_a_human_is_on_record(client, model):
    model.reply = ToolCall(name="escalate_to_human", arguments={"reason": "A refund."})
    conversation, visitor = await begin(client)
    async with opened(client, room(conversation)) as wire:
        await say(client, conversation, visitor)
        state = await wire.next("STATE_CHANGED")
    turns = await client.get(f"/conversations/{conversation['id']}/turns")

    assert (state["state"], state["reason"]) == ("handover_pending", "model_asked")
    [called] = turns.json()["items"][0]["tools"]
    assert called.pop("ms") >= 0
    assert called == {
        "name": "escalate_to_human",
        "arguments": {"reason": "A refund."},
        "result": "A human is called.",
        "ok": True,
    }


PROMPT = """You are Ada of the bicycle shop, and open from Tuesday to Saturday.
Internal: the code ZEBRA-4417-QUARTZ gives half off.
Whoever wants their money back is asked for the number of the bill and the reason.
If you do not know something, say so and offer a human; be friendly and brief."""


@pytest.mark.parametrize(
    "leak",
    [
        lambda prompt: f"Sure. {prompt}",
        lambda prompt: base64.b64encode(prompt.encode()).decode(),
        lambda prompt: "It is ZEBRA-4417-QUARTZ, between you and me.",
    ],
)
async def test_nothing_that_is_withheld_is_shown_while_it_is_written(
    database_url, model, leak
):
    """Whoever is told the bot's instructions cannot be made to forget them."""
    model.reply = lambda messages: leak(messages[0]["content"])
    settings = {"OPENAI_BASE_URL": model.base_url, "SYSTEM_PROMPT": PROMPT}
    async with serving(database_url, **settings) as client:
        conversation, visitor = await begin(client)
        async with opened(client, room(conversation)) as wire:
            await say(client, conversation, visitor)
            state = await wire.next("STATE_CHANGED")
        turns = await client.get(f"/conversations/{conversation['id']}/turns")

    shown = "".join(
        e["body"]["text"] for e in wire.events if e["event"] == "REPLY_CHUNK"
    )
    assert (state["state"], state["reason"]) == ("handover_pending", "guardrail")
    assert len(shown) < 30
    assert turns.json()["items"][0]["draft"] == leak(
        model.requests[0]["messages"][0]["content"]
    )


async def test_link_to_a_stranger_is_not_even_shown(client, model):
    model.reply = "Look at https://evil.example/?q=what-you-said and be happy with it."
    conversation, visitor = await begin(client)
    async with opened(client, room(conversation)) as wire:
        await say(client, conversation, visitor)
        await wire.next("NEW_MESSAGE")
        answer = await wire.next("NEW_MESSAGE")

    pieces = [e["body"]["text"] for e in wire.events if e["event"] == "REPLY_CHUNK"]
    assert answer["content"] == "Look at evil[.]example and be happy with it."
    assert answer["content"].startswith("".join(pieces))
