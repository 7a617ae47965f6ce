"""A message in Chatwoot gets its reply: the whole path, by real HTTP."""

import collections
import json
import re

import httpx
import pytest
from service import Service

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.server import Simulator

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-24-characters"
TOKEN = "bot-token"


def connected(folder, simulator, **settings):
    """Return the service, not yet started, connected to a simulated Chatwoot."""
    if "OPENAI_BASE_URL" not in settings:
        settings = {"RESPONDER": "mock"} | settings
    return Service(
        folder,
        CHATWOOT_BASE_URL=simulator.base_url,
        CHATWOOT_API_TOKEN=TOKEN,
        CHATWOOT_WEBHOOK_SECRET=SECRET,
        CHATWOOT_ACCOUNT_ID=1,
        **settings,
    )


def simulated(**options):
    return Simulator(
        webhook_url="http://127.0.0.1:9/", secret=SECRET, bot_token=TOKEN, **options
    )


def attach(simulator, service):
    simulator.webhook_url = f"{service.url}/webhook/chatwoot"


async def test_contact_gets_a_reply(tmp_path):
    """The main job, with nothing but the mock."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)

            said = await chatwoot.contact_says("Hi")
            replies = await chatwoot.wait_for_replies(said.conversation_id, 1)
            await chatwoot.until(
                lambda: chatwoot.typing(said.conversation_id) == ["on", "off"]
            )
            await chatwoot.settled()

    assert replies[0].content.startswith("Hello")
    assert replies[0].content_attributes["chatwoot_bot"]["reply_key"]
    assert {attempt.status for attempt in chatwoot.delivery_log} == {200}


async def test_200_conversations_get_200_replies_each_its_own(tmp_path):
    """Nobody is forgotten, answered twice, or given somebody else's answer."""
    async with ModelStandIn(delay_s=1.0) as model, simulated() as chatwoot:
        with connected(
            tmp_path,
            chatwoot,
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="k",
        ) as service:
            attach(chatwoot, service)
            said = [
                await chatwoot.contact_says(f"question {number}")
                for number in range(200)
            ]
            await chatwoot.until(
                lambda: all(chatwoot.replies(m.conversation_id) for m in said),
                timeout=60,
            )
            await chatwoot.settled()

    answers = [
        [reply.content for reply in chatwoot.replies(m.conversation_id)] for m in said
    ]
    assert answers == [[f"Answer to: question {number}"] for number in range(200)]
    assert model.started == 200


async def test_reply_owed_at_a_kill_is_made_after_the_restart(tmp_path):
    """`kill -9` right after the 200: the event was on disk, so nothing is lost."""
    async with ModelStandIn(delay_s=30.0) as model, simulated() as chatwoot:
        service = connected(
            tmp_path, chatwoot, OPENAI_BASE_URL=model.base_url, OPENAI_API_KEY="k"
        )
        with service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Where is my order?")
            await chatwoot.settled()
            assert service.kill() == -9
        service.settings.pop("OPENAI_BASE_URL")
        service.settings.pop("OPENAI_API_KEY")
        service.settings["RESPONDER"] = "mock"
        with service:
            replies = await chatwoot.wait_for_replies(said.conversation_id, 1)

    assert len(replies) == 1


async def test_burst_gets_one_answer(tmp_path):
    """Three hurried messages are one question."""
    async with ModelStandIn() as model, simulated() as chatwoot:
        with connected(
            tmp_path,
            chatwoot,
            QUIET_SECONDS=0.5,
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="k",
        ) as service:
            attach(chatwoot, service)
            first = await chatwoot.contact_says("Hello")
            for text in ("I have a question", "Where is my order?"):
                await chatwoot.contact_says(text, conversation=first.conversation_id)
            replies = await chatwoot.wait_for_replies(first.conversation_id, 1)
            await chatwoot.settled()

    assert [reply.content for reply in replies] == ["Answer to: Where is my order?"]
    assert len(model.requests) == 1
    asked = [line["content"] for line in model.requests[0]["messages"][1:]]
    assert asked == ["Hello", "I have a question", "Where is my order?"]


async def test_agent_who_steps_in_silences_the_bot_at_once(tmp_path):
    """Humans always win: the model call is aborted and the draft is dropped."""
    async with ModelStandIn(delay_s=20.0) as model, simulated() as chatwoot:
        with connected(
            tmp_path, chatwoot, OPENAI_BASE_URL=model.base_url, OPENAI_API_KEY="k"
        ) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hello?")
            cid = said.conversation_id
            await model.until(lambda: model.started == 1)
            await chatwoot.agent_says(cid, "Maria here, I take this one.")
            await chatwoot.until(lambda: chatwoot.typing(cid) == ["on", "off"])
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.contact_says("Thanks Maria", conversation=cid)
            await chatwoot.settled()

    assert chatwoot.replies(cid) == []
    assert (model.started, model.finished) == (1, 0)
    answers = [json.loads(a.body) for a in chatwoot.delivery_log if a.body]
    assert [a["route"] for a in answers if "route" in a] == ["bot", "human"]


async def test_contact_who_asks_for_a_human_is_handed_over(tmp_path):
    """A message, a note, and the conversation in the agents' list."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("I want to talk to a HUMAN, please")
            cid = said.conversation_id
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.contact_says("Are you there?", conversation=cid)
            await chatwoot.until(lambda: chatwoot.notes(cid))
            await chatwoot.settled()

    assert len(chatwoot.replies(cid)) == 1
    assert len(chatwoot.notes(cid)) == 1


async def test_model_that_fails_calls_a_human(tmp_path):
    """`LLM_FALLBACK=handoff` is the default with Chatwoot; silence is not."""
    async with ModelStandIn() as model, simulated() as chatwoot:
        model.fail(500, times=3)
        with connected(
            tmp_path, chatwoot, OPENAI_BASE_URL=model.base_url, OPENAI_API_KEY="k"
        ) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hello?")
            await chatwoot.until(
                lambda: chatwoot.status(said.conversation_id) == "open"
            )

    assert len(chatwoot.replies(said.conversation_id)) == 1
    assert len(model.requests) == 3


async def test_one_conversation_is_a_story_of_few_lines_without_its_text(tmp_path):
    """An operator can follow it, and nobody can read it."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("my password is hunter2")
            await chatwoot.wait_for_replies(said.conversation_id, 1)
            await chatwoot.settled()
            service.stop()

    story = collections.Counter(
        json.loads(line)["conversation"]
        for line in service.lines
        if line.startswith("{") and "conversation" in line
    )
    assert all(3 <= count <= 7 for count in story.values())
    for secret in ("hunter2", SECRET, TOKEN, "Hello"):
        assert not re.search(secret, service.output)


async def test_prefer_wait_returns_the_reply_and_posts_it(tmp_path):
    """`Prefer: wait` is for scripts; the contact gets the reply all the same."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot, CHATWOOT_ALLOW_UNSIGNED="true") as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hi")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            body = {
                "event": "message_created",
                "id": 990_001,
                "content": "And how are you?",
                "message_type": "incoming",
                "account": {"id": 1},
                "conversation": {"id": cid, "status": "pending"},
            }
            async with httpx.AsyncClient() as client:
                answer = await client.post(
                    f"{service.url}/webhook/chatwoot",
                    json=body,
                    headers={"prefer": "wait=10"},
                )
            replies = await chatwoot.wait_for_replies(cid, 2)

    assert answer.json()["reply"] == replies[1].content
