"""The first minute without a key: streaming, a source, a call, a handover."""

import asyncio
import json
import re

import httpx
import pytest
import websockets
from service import Service
from test_reply import attach, connected, simulated

from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio

NOTICE = "This is a demo"
SUMMARY = (
    "The contact wrote: “Hi”; “What does shipping cost?”; “I want to talk to a human”. "
    "The bot answered from these documents: Delivery."
)


class Visitor:
    """A conversation over REST."""

    def __init__(self, client):
        self._client = client
        begun = client.post("/conversations", json={}).json()
        self.id, self.token = begun["id"], begun["token"]
        self._headers = {"authorization": f"Bearer {begun['token']}"}

    def says(self, text):
        """Say *text*; return the answer."""
        path, headers = f"/conversations/{self.id}/messages", self._headers
        said = self._client.post(path, json={"content": text}, headers=headers)
        answers = self._client.get(
            path,
            params={"after": said.json()["id"]},
            headers=headers | {"prefer": "wait=20"},
        )
        [answer] = answers.json()["items"]
        return answer


def say_to(url, text):
    with httpx.Client(base_url=url, timeout=30) as client:
        return Visitor(client).says(text)


@pytest.fixture
def demo(tmp_path):
    with Service(tmp_path) as service, httpx.Client(base_url=service.url) as client:
        client.timeout = 30
        yield client


def test_answer_is_cited(demo):
    """The visitor reads the source, and the console shows the same one."""
    visitor = Visitor(demo)

    answer = visitor.says("What does shipping cost?")

    turns = demo.get(f"/conversations/{visitor.id}/turns").json()["items"]
    assert "€4.90" in answer["content"]
    assert answer["content"].endswith("Source: Delivery")
    assert turns[0]["sources"] == [{"title": "Delivery (delivery.md)", "url": None}]
    assert [tool["name"] for tool in turns[0]["tools"]] == ["search_shop"]


def test_it_says_once_that_it_is_a_demo(demo):
    """At the start, and not with every answer."""
    visitor = Visitor(demo)
    answers = [visitor.says(text)["content"] for text in ("Hi", "Returns", "Xyzzy")]

    assert [NOTICE in answer for answer in answers] == [True, False, False]
    assert len(set(answers)) == 3


def test_call_is_booked_by_four_presses_and_an_address(demo):
    """It is in the calendar, and nothing had to be set for that."""
    visitor = Visitor(demo)
    first = visitor.says("Hi")
    offer = visitor.says(first["options"][2]["value"])
    time = offer["options"][0]["value"]

    asked = visitor.says(time)
    booked = visitor.says("Ann Smith, ann@shop.example")

    [row] = demo.get("/bookings").json()["items"]
    assert asked["content"].startswith(f"{time} it is.")
    assert booked["content"].startswith("Your call is booked, Ann Smith:")
    assert (row["state"], row["name"], row["email"], row["conversation_id"]) == (
        "booked",
        "Ann Smith",
        "ann@shop.example",
        visitor.id,
    )
    assert time.split(", ")[1] in row["start"]


async def test_model_is_offered_nothing_of_the_demo(tmp_path):
    """No contact of a real company reads an invented shop, or books its calls."""
    async with ModelStandIn(reply="Hello.") as model:
        settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": model.base_url}
        with Service(tmp_path, **settings) as service:
            await asyncio.to_thread(say_to, service.url, "Book a call")

    offered = {tool["function"]["name"] for tool in model.requests[0]["tools"]}
    assert offered == {"escalate_to_human"}


async def test_contact_in_chatwoot_books_no_call_unasked(tmp_path):
    """The operator who shows the mock to contacts has set no calendar."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("I would like to book a call.")
            [reply] = await chatwoot.wait_for_replies(said.conversation_id, 1)

    assert "Calls cannot be booked here" in reply.content


async def test_handover_comes_with_a_summary(tmp_path):
    """Agents read in the note what it was about, and the contact that they come."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hi")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.contact_says("What does shipping cost?", conversation=cid)
            await chatwoot.wait_for_replies(cid, 2)
            await chatwoot.contact_says("I want to talk to a human", conversation=cid)
            await chatwoot.until(lambda: chatwoot.notes(cid))
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")

    [note] = chatwoot.notes(cid)
    assert note.content.startswith(SUMMARY)
    assert "The contact asked for a human" in note.content


async def test_complaint_is_handed_over_with_the_reason(tmp_path):
    """As a model does it: by the tool, with a sentence for the agents."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("This is unacceptable!")
            cid = said.conversation_id
            await chatwoot.until(lambda: chatwoot.notes(cid))
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")

    [note] = chatwoot.notes(cid)
    assert "The contact complains" in note.content
    assert NOTICE not in chatwoot.replies(cid)[0].content


async def test_answer_is_streamed(tmp_path):
    """Word by word, before the message is there."""
    with Service(tmp_path, QUIET_SECONDS=1) as service:
        async with httpx.AsyncClient(base_url=service.url) as client:
            begun = (await client.post("/conversations", json={})).json()
        address = service.url.replace("http", "ws")
        room = f"{address}/ws/conversations/{begun['id']}?token={begun['token']}"
        chunks, answer = [], None
        async with websockets.connect(room) as socket:
            await socket.send(json.dumps({"message": "Hi", "client_id": "1"}))
            while answer is None:
                event = json.loads(await socket.recv())
                if event["event"] == "REPLY_CHUNK":
                    chunks.append(event["body"]["text"])
                if event["event"] == "NEW_MESSAGE" and event["body"]["sender"] == "ai":
                    answer = event["body"]["content"]

    assert len(chunks) >= 5
    assert re.sub(r"\s", "", answer).startswith(re.sub(r"\s", "", "".join(chunks)))
