"""A real llama.cpp server: what our stand-in of one cannot know.

The model is small and its words are not ours to promise; what is asserted holds for
whatever it says. It runs at temperature 0, so that a failure can be repeated.
"""

import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import aiohttp
import anyio
import httpx
import pytest
from llama_server import Llama
from service import Service, environment

from chatwoot_bot.core.conversation import Conversation, Message, Sender, State
from chatwoot_bot.http import make_client
from chatwoot_bot.responders.base import Assignment
from chatwoot_bot.responders.openai import OpenAIResponder
from chatwoot_bot.responders.terms import Options
from chatwoot_bot.simulator.server import Simulator

pytestmark = pytest.mark.anyio

SMALL, USUAL = 1_024, 4_096
WAIT_S = 120
QUESTIONS = [
    "Where is my parcel? It is late.",
    "I want to speak with a person.",
    "Can I return shoes that I have worn?",
    "You sent me the wrong lamp, and I am angry.",
]
# Nothing of how a model calls a tool is for a contact.
DEBRIS = ("escalate_to_human", "<tool", "</tool", "Function Name", '"arguments"', "<|")


SECRET, TOKEN = "a-secret-of-the-webhook", "bot-token"


@asynccontextmanager
async def desk(folder, **settings):
    """Chatwoot with the service behind it."""
    async with Simulator(
        webhook_url="http://127.0.0.1:9/", secret=SECRET, bot_token=TOKEN
    ) as chatwoot:
        with Service(
            folder,
            CHATWOOT_BASE_URL=chatwoot.base_url,
            CHATWOOT_API_TOKEN=TOKEN,
            CHATWOOT_WEBHOOK_SECRET=SECRET,
            CHATWOOT_ACCOUNT_ID=1,
            **settings,
        ) as service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            yield chatwoot, service


def asked(server, **more):
    """Return the settings that make the service ask *server*."""
    return {**server.settings, "LLM_TEMPERATURE": 0, "LLM_MAX_TOKENS": 120} | more


async def until(condition):
    """Wait for something in the server, which tells nobody."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        await anyio.sleep(0.05)


def public_texts(chatwoot, number):
    return [reply.content for reply in chatwoot.replies(number) if not reply.private]


async def test_visitor_reads_the_answer_while_it_is_written(tmp_path, server):
    """The pieces are the answer; and the tokens are counted."""
    events = []
    with Service(tmp_path, **asked(server)) as service:
        async with (
            httpx.AsyncClient(base_url=service.url) as http,
            aiohttp.ClientSession() as ws,
        ):
            chat = (await http.post("/conversations", json={})).json()
            visitor = {"authorization": f"Bearer {chat['token']}"}
            room = f"{service.url}/ws/conversations/{chat['id']}"
            async with ws.ws_connect(room, params={"token": chat["token"]}) as socket:
                text = {"content": "Count from one to ten, in words.", "sender": "user"}
                await http.post(
                    f"/conversations/{chat['id']}/messages", json=text, headers=visitor
                )
                with anyio.fail_after(WAIT_S):
                    async for message in socket:
                        events.append(json.loads(message.data))
                        if is_answer(events[-1]):
                            break
            turns = await http.get(
                f"/conversations/{chat['id']}/turns", headers=service.agent
            )
        [turn] = turns.json()["items"]

    pieces = [e["body"]["text"] for e in events if e["event"] == "REPLY_CHUNK"]
    assert len(pieces) > 1
    assert events[-1]["body"]["content"].startswith("".join(pieces).strip())
    assert turn["outcome"] == "kept"
    assert turn["tokens"] > 0


def is_answer(event):
    return event["event"] == "NEW_MESSAGE" and event["body"]["sender"] == "ai"


async def test_agent_who_steps_in_frees_the_servers_slot(tmp_path, server):
    """A model that goes on for nobody keeps the next contact waiting."""
    settings = asked(server, LLM_MAX_TOKENS=2_000)
    async with desk(tmp_path, **settings) as (chatwoot, _):
        said = await chatwoot.contact_says("Write a story of a thousand words.")
        await until(server.is_busy)
        await chatwoot.agent_says(said.conversation_id, "I am here.")
        await until(lambda: not server.is_busy())
        await chatwoot.settled()

    assert public_texts(chatwoot, said.conversation_id) == []


async def test_conversation_longer_than_the_context_is_answered(model):
    """Its older part is left out, and what the server holds is remembered."""
    long = "My lamp flickers, and I have tried another bulb and another socket. " * 6
    transcript = [
        Message(id=n, sender=sender, content=f"{n}. {long}", created_at=n, owed=n == 14)
        for n, sender in enumerate([Sender.BOT, Sender.CONTACT] * 7, 1)
    ]
    conversation = Conversation(id="c_long", channel="web", state=State.AI)
    with Llama(model, context=SMALL) as server:
        async with make_client() as http:
            responder = OpenAIResponder(
                http,
                base_url=f"{server.url}/v1",
                api_key="none",
                model="small",
                prompt="Answer in one sentence.",
                timeout_s=WAIT_S,
                options=Options(temperature=0, max_tokens=40),
            )
            answer = await responder.respond(
                Assignment(transcript=transcript, conversation=conversation)
            )

    assert answer.text
    assert responder.terms.context == SMALL


async def test_no_contact_reads_how_a_model_calls_a_tool(tmp_path, server):
    """So small a model writes its calls as text; they are calls all the same."""
    async with desk(tmp_path, **asked(server)) as (chatwoot, _):
        numbers = []
        for question in QUESTIONS:
            said = await chatwoot.contact_says(question)
            numbers.append(said.conversation_id)
            await chatwoot.wait_for_replies(numbers[-1], 1, timeout=WAIT_S)
        await chatwoot.settled()

    texts = [text for number in numbers for text in public_texts(chatwoot, number)]
    assert len(texts) >= len(QUESTIONS)
    assert not [text for text in texts if any(each in text for each in DEBRIS)]


def test_doctor_says_what_the_server_can(tmp_path, server):
    """One real question shows what a list of models does not."""
    done = run(tmp_path, "doctor", "--json", **asked(server))

    found = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert found["model"]["level"] in ("ok", "warn")
    for told in ("tools", "usage yes", f"context {USUAL} tokens", "first word after"):
        assert told in found["model"]["message"]


def test_documents_get_vectors_from_a_server_of_their_own(tmp_path, model):
    """Which cannot answer, as llama.cpp serves one model with one process."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Refunds\n\nMoney comes back in a week.")
    (tmp_path / "docs" / "b.md").write_text("# Lamps\n\nBulbs have a screw cap.")
    with Llama(model, context=USUAL, meaning=True) as server:
        meant = {
            "RESPONDER": "mock",
            "EMBEDDING_BASE_URL": f"{server.url}/v1",
            "EMBEDDING_API_KEY": "none",
            "EMBEDDING_MODEL": "small",
        }
        added = run(tmp_path, "knowledge", "add", "docs", **meant)
        done = run(tmp_path, "doctor", "--json", **meant)

    assert "2 added" in added.stdout, added.stdout
    found = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert found["embeddings"]["level"] == "ok", found["embeddings"]


def run(folder, *arguments, **settings):
    """Run a command as an operator does."""
    database = {"DATABASE_URL": f"sqlite:///{folder / 'bot.db'}", "COLUMNS": 200}
    return subprocess.run(
        [sys.executable, "-m", "chatwoot_bot", *arguments],
        cwd=folder,
        env=environment(**database | settings),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
