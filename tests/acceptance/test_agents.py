"""A human is called: what the contact reads, what the agents find, and who decides."""

from dataclasses import replace

import pytest
from service import Service

from chatwoot_bot.simulator.llm import ModelStandIn, ToolCall
from chatwoot_bot.simulator.server import Simulator

pytestmark = pytest.mark.anyio

EACH_RELEASE = pytest.mark.usefixtures("each_release")
TOKEN = "bot-token"
SUMMARY = "Maria wants a refund for order 4711; the bot could not find it."


def simulated(**options):
    return Simulator(webhook_url="http://127.0.0.1:9/", bot_token=TOKEN, **options)


def connected(folder, chatwoot, **settings):
    if "OPENAI_BASE_URL" not in settings:
        settings = {"RESPONDER": "mock"} | settings
    return Service(
        folder,
        CHATWOOT_BASE_URL=chatwoot.base_url,
        CHATWOOT_API_TOKEN=TOKEN,
        CHATWOOT_ALLOW_UNSIGNED="true",
        CHATWOOT_ACCOUNT_ID=1,
        QUIET_SECONDS=0.1,
        **settings,
    )


def with_model(model):
    return {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k"}


def attach(chatwoot, service):
    chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"


def answer_or_summary(messages):
    """What a model says: a summary if it is asked for one."""
    if messages[0]["content"].startswith("Summarize"):
        return SUMMARY
    return "I cannot find order 4711."


def conversation(chatwoot, cid):
    return chatwoot.world.conversations[cid]


@EACH_RELEASE
async def test_agents_find_the_conversation_where_it_belongs_and_summed_up(tmp_path):
    """Team, agent, priority; labels and attributes beside those that were there."""
    async with (
        ModelStandIn(reply=answer_or_summary) as model,
        simulated() as chatwoot,
    ):
        with connected(
            tmp_path,
            chatwoot,
            HANDOFF_TEAM_ID=2,
            HANDOFF_ASSIGNEE_ID=12,
            HANDOFF_PRIORITY="high",
            HANDOFF_LABELS="vip",
            HANDOFF_ATTRIBUTES="source=bot",
            **with_model(model),
        ) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Wo ist meine Bestellung 4711?")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            await chatwoot.set_labels(cid, ["billing"])
            await chatwoot.set_custom_attributes(cid, {"plan": "gold"})
            await chatwoot.contact_says(
                "Ich will mit einem Menschen sprechen!", conversation=cid
            )
            await chatwoot.until(lambda: chatwoot.notes(cid))
            await chatwoot.settled()

        told = chatwoot.replies(cid)[-1].content
        [note] = chatwoot.notes(cid)
        now = conversation(chatwoot, cid)

    assert told.startswith("Ich gebe Sie an einen Kollegen weiter")
    assert now.status == "open"
    assert (now.team_id, now.assignee_id, now.priority) == (2, 12, "high")
    assert set(now.label_list) == {"billing", "vip"}
    assert now.custom_attributes == {"plan": "gold", "source": "bot"}
    assert note.content == (
        f"{SUMMARY}\n\n"
        "The contact asked for a human, so the bot has stepped back. "
        "To hand the conversation back to the bot, write `/bot on` as a private note."
    )


async def test_model_may_call_a_human_itself(tmp_path):
    """And gives its reason to the agents, not to the contact."""
    call = ToolCall(name="escalate_to_human", arguments={"reason": "wants a refund"})

    def reply(messages):
        return SUMMARY if messages[0]["content"].startswith("Summarize") else call

    async with ModelStandIn(reply=reply) as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, **with_model(model)) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("I am really not happy.")
            cid = said.conversation_id
            await chatwoot.until(lambda: chatwoot.notes(cid))
            await chatwoot.settled()

        [told] = chatwoot.replies(cid)
        [note] = chatwoot.notes(cid)

    assert told.content.startswith("I am passing you on to a colleague")
    assert "wants a refund" in note.content
    assert "wants a refund" not in told.content
    assert chatwoot.status(cid) == "open"


async def test_summary_that_fails_leaves_the_last_messages(tmp_path):
    """A handover without any context would be worse than a late one."""
    async with ModelStandIn() as model, simulated() as chatwoot:
        model.fail(500, times=10)
        with connected(tmp_path, chatwoot, **with_model(model)) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("I want a human for order 4711.")
            cid = said.conversation_id
            await chatwoot.until(lambda: chatwoot.notes(cid), timeout=30)

        [note] = chatwoot.notes(cid)

    assert "- **Contact:** I want a human for order 4711." in note.content


async def test_outside_working_hours_the_contact_learns_when_somebody_is_back(tmp_path):
    async with simulated() as chatwoot:
        with connected(
            tmp_path,
            chatwoot,
            # One minute a week, which is not now as long as this test is young.
            BUSINESS_HOURS="Sun 03:00-03:01",
            TIMEZONE="Pacific/Kiritimati",
        ) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("I want a human.")
            [told] = await chatwoot.wait_for_replies(said.conversation_id, 1)

    assert "when our team is back on Sunday, 03:00" in told.content


async def test_with_a_users_token_the_contact_learns_that_nobody_is_there(tmp_path):
    async with simulated(user_token="user-token") as chatwoot:
        agents = chatwoot.world.office.agents
        for number, agent in agents.items():
            agents[number] = replace(agent, availability_status="offline")
        with connected(tmp_path, chatwoot, CHATWOOT_USER_TOKEN="user-token") as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("I want a human.")
            [told] = await chatwoot.wait_for_replies(said.conversation_id, 1)

    assert "Nobody of our team is at their desk" in told.content


@EACH_RELEASE
async def test_agent_switches_the_bot_by_private_notes(tmp_path):
    """Off, on again, and each order is answered by a note."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hi")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()

            await chatwoot.agent_says(cid, "/bot off", private=True)
            await chatwoot.until(lambda: len(chatwoot.notes(cid)) == 1)
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.contact_says("Anybody?", conversation=cid)
            await chatwoot.settled()
            silent = len(chatwoot.replies(cid))

            await chatwoot.agent_says(cid, "/bot retry", private=True)
            await chatwoot.wait_for_replies(cid, 2)
            await chatwoot.until(lambda: len(chatwoot.notes(cid)) == 2)
            await chatwoot.until(lambda: chatwoot.status(cid) == "pending")

            await chatwoot.agent_says(cid, "/bot summary", private=True)
            await chatwoot.until(lambda: len(chatwoot.notes(cid)) == 3)

        summary = chatwoot.notes(cid)[-1].content

    assert silent == 1
    assert "The contact wrote: “Hi”; “Anybody?”." in summary


@EACH_RELEASE
async def test_label_silences_the_bot(tmp_path):
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hi")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            await chatwoot.set_labels(cid, ["bot-off"])
            await chatwoot.until(lambda: chatwoot.notes(cid))
            await chatwoot.contact_says("Anybody?", conversation=cid)
            await chatwoot.settled()
            assert len(chatwoot.replies(cid)) == 1

            await chatwoot.set_labels(cid, [])
            await chatwoot.until(lambda: len(chatwoot.notes(cid)) == 2)
            await chatwoot.agent_says(cid, "/bot on", private=True)
            [_, answer] = await chatwoot.wait_for_replies(cid, 2)

    assert answer.content


async def test_contact_does_not_wait_behind_a_summary(tmp_path):
    """The model is slow, and an agent has asked it for something else first."""
    async with ModelStandIn(reply=answer_or_summary) as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, **with_model(model)) as service:
            attach(chatwoot, service)
            cid = (await chatwoot.contact_says("Hi")).conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            await chatwoot.contact_says("And now?", conversation=cid)
            await chatwoot.agent_says(cid, "/bot summary", private=True)
            await chatwoot.until(lambda: chatwoot.notes(cid))

    asked = [r["messages"][0]["content"] for r in model.requests]
    assert [a.startswith("Summarize") for a in asked] == [False, False, True]
    assert len(chatwoot.replies(cid)) == 2


@EACH_RELEASE
async def test_outage_in_the_middle_of_routing_loses_no_part_of_it(tmp_path):
    """Once the conversation has a team, a bot could not read its attributes."""
    async with simulated() as chatwoot:
        settings = {"HANDOFF_TEAM_ID": 2, "HANDOFF_ATTRIBUTES": "source=bot"}
        with connected(tmp_path, chatwoot, **settings) as service:
            attach(chatwoot, service)
            chatwoot.faults.api("status", status=503, call="set_custom_attributes")
            cid = (await chatwoot.contact_says("A human, please")).conversation_id
            await chatwoot.until(lambda: conversation(chatwoot, cid).team_id)

    assert conversation(chatwoot, cid).custom_attributes == {"source": "bot"}
