"""Logs tell the story of a conversation, and nothing of what was said in it."""

import json

import pytest
from scene import BOT_TOKEN, installed, leaked

from chatwoot_bot.simulator.llm import ToolCall

pytestmark = pytest.mark.anyio

SECRETS = {
    "ADMIN_TOKEN": "admin-token-9b1c77",
    "SECRET_KEY": "secret-key-5e0d21",
    "CHATWOOT_USER_TOKEN": "user-token-71aa03",
}
TEXT = "My parcel went to the wrong house in Larch Lane"
NAME = "Wilhelmina Quistgaard"
EMAIL = "wilhelmina@quistgaard.example"
PLAN = "plutonium-plus"
FILE = "The key lies under the third flowerpot."
TOOL = "A note with the number 4417-2231"
ANSWER = "Then we send it to Thornbury once more, free of charge"
PROMPT = "You are Ada. The margin of the blue one is forty-two in a hundred."


@pytest.fixture(scope="module")
def chatty(tmp_path_factory):
    """A service that logs all that it can."""
    with installed(
        tmp_path_factory.mktemp("chatty"),
        LOG_LEVEL="DEBUG",
        CONTACT_ATTRIBUTES="plan",
        TOOLS="add_private_note",
        SYSTEM_PROMPT=PROMPT,
        REMEMBER_CONTACTS="true",
        **SECRETS,
    ) as installation:
        yield installation


async def test_nothing_that_was_said_and_no_secret_is_logged(chatty):
    """Also where things go wrong: a model and a Chatwoot that fail, a wrong call."""
    async with chatty.scene(model={"reply": ANSWER}) as here:
        chatwoot, model = here.chatwoot, here.model
        cid = await here.answered(TEXT, name=NAME)
        contact = here.conversation(cid).contact
        contact.email = EMAIL
        contact.custom_attributes["plan"] = PLAN
        await here.asks(cid, f"Write to {EMAIL}")
        await chatwoot.contact_sends(
            "file", conversation=cid, filename="a.txt", content=FILE.encode()
        )
        await chatwoot.wait_for_replies(cid, 3)
        model.reply = lambda messages: (
            ANSWER
            if messages[-1]["role"] == "tool"
            else [
                ToolCall(name="add_private_note", arguments={"text": TOOL}),
                ToolCall(name="add_private_note", arguments={"txet": TOOL}),
                ToolCall(name="no_such_tool", arguments={"text": TOOL}),
            ]
        )
        await here.asks(cid, TEXT)
        model.fail(500, times=3)
        await chatwoot.contact_says(TEXT, conversation=cid)
        await chatwoot.until(lambda: chatwoot.status(cid) == "open", timeout=20)
        model.reply = ANSWER
        chatwoot.faults.api("status", status=500)
        await here.answered(TEXT)
        await here.quiet()
        assert leaked(chatwoot, here.service) == []

    output = chatty.service.output
    assert "reply delivered" in output
    told = (TEXT, NAME, EMAIL, PLAN, FILE, TOOL, ANSWER, PROMPT, *SECRETS.values())
    assert [each for each in told if each in output] == []
    assert BOT_TOKEN not in output


async def test_operator_reads_who_silenced_the_bot(chatty):
    """Once; who says the same again changes nothing."""
    logged = len(chatty.service.lines)

    def changes():
        lines = map(json.loads, chatty.service.lines[logged:])
        return [
            (line["level"], line["state"], line["reason"])
            for line in lines
            if line["event"] == "state changed"
        ]

    async with chatty.scene(model={"reply": ANSWER}) as here:
        cid = await here.answered(TEXT)
        await here.chatwoot.agent_says(cid, "I take this.")
        await here.chatwoot.until(changes, timeout=5)
        await here.chatwoot.agent_says(cid, "It is on its way.")
        await here.quiet()

    assert changes() == [("info", "human", "agent_joined")]
