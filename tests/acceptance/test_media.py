"""What contacts send besides text reaches the model, by the whole path."""

import asyncio
import base64
import json
import sqlite3

import pytest
from files import JPEG, OGG, answer, serving
from service import Service
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatwoot_bot.simulator.server import Simulator
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

TOKEN = "bot-token"


class Model:
    """A model with eyes and ears.

    Attributes:
        words: what it hears in every voice note; None when it is deaf.
        eyes: False to refuse pictures by 400.
        asked: the messages of each chat request.
        heard: the body of each transcription request.
    """

    def __init__(self, *, words="Where is my order?", eyes=True):
        self.words = words
        self.eyes = eyes
        self.asked = []
        self.heard = []
        routes = [
            Route("/v1/chat/completions", self.answer, methods=["POST"]),
            Route("/v1/audio/transcriptions", self.listen, methods=["POST"]),
        ]
        self.server = LocalServer(Starlette(routes=routes), host="127.0.0.1", port=0)

    async def __aenter__(self):
        await self.server.start()
        return self

    async def __aexit__(self, *exc_info):
        await self.server.stop()

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.server.port}/v1"

    @property
    def last(self):
        """The last user message of the last request."""
        return [m for m in self.asked[-1] if m["role"] == "user"][-1]["content"]

    async def answer(self, request: Request):
        messages = (await request.json())["messages"]
        self.asked.append(messages)
        if not self.eyes and any(isinstance(m["content"], list) for m in messages):
            return JSONResponse({"error": {"message": "no images"}}, status_code=400)
        delta = {"choices": [{"index": 0, "delta": {"content": "I see."}}]}
        body = f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n"
        return Response(body, media_type="text/event-stream")

    async def listen(self, request: Request):
        self.heard.append(await request.body())
        if self.words is None:
            return Response(status_code=404)
        return JSONResponse({"text": self.words})


def simulated():
    return Simulator(webhook_url="http://127.0.0.1:9/", bot_token=TOKEN)


def connected(folder, chatwoot, model=None, **settings):
    """Return the service, not yet started, connected to a simulated Chatwoot."""
    if model is not None:
        settings |= {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k"}
    else:
        settings = {"RESPONDER": "mock"} | settings
    return Service(
        folder,
        CHATWOOT_BASE_URL=chatwoot.base_url,
        CHATWOOT_API_TOKEN=TOKEN,
        CHATWOOT_ALLOW_UNSIGNED="true",
        CHATWOOT_ACCOUNT_ID=1,
        **settings,
    )


def attach(chatwoot, service):
    chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"


async def replies(chatwoot, sent, count=1):
    found = await chatwoot.wait_for_replies(sent.conversation_id, count)
    return [reply.content for reply in found]


async def test_model_sees_a_picture(tmp_path):
    """Behind a redirect, stored late, without a caption, and no token on the way."""
    async with Model() as model, simulated() as chatwoot:
        chatwoot.faults.files.missing_requests = 2
        with connected(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends("image", content=JPEG, filename="a.jpg")
            said = await replies(chatwoot, sent)

    assert said == ["I see."]
    text, picture = model.last
    assert text == {"type": "text", "text": "[image]"}
    url = f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"
    assert picture == {"type": "image_url", "image_url": {"url": url}}
    asked = chatwoot.world.files.asked
    assert [status for _, status, _ in asked] == [404, 404, 302, 200]
    assert not any(with_token for _, _, with_token in asked)


async def test_voice_note_is_understood_and_paid_for_once(tmp_path):
    """The next answer knows what was said, without hearing it again."""
    async with Model() as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends("audio", content=OGG)
            await replies(chatwoot, sent)
            first = model.last
            await chatwoot.contact_says("Hello?", conversation=sent.conversation_id)
            await replies(chatwoot, sent, 2)

    assert first == "[audio: Where is my order?]"
    assert [m["content"] for m in model.asked[-1]][1:] == [first, "I see.", "Hello?"]
    assert len(model.heard) == 1
    assert b"whisper-1" in model.heard[0]
    assert OGG in model.heard[0]


async def test_words_that_chatwoot_has_heard_are_taken_from_it(tmp_path):
    """The enterprise build listens itself, and is done a moment after the message."""
    settings = {"TRANSCRIPTION_MODEL": "none", "QUIET_SECONDS": 1}
    async with Model() as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model, **settings) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends("audio", content=OGG)
            await chatwoot.transcribe(sent.id, "Where is my order?")
            await replies(chatwoot, sent)

    assert model.last == "[audio: Where is my order?]"
    assert model.heard == []


async def test_voice_note_may_ask_for_a_human(tmp_path):
    """Who speaks must not be worse off than who types."""
    async with Model(words="A human, please!") as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends("audio", content=OGG)
            await replies(chatwoot, sent)
            cid = sent.conversation_id
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.until(lambda: model.asked)  # by the note, at the latest

    # The only question is what to tell the colleague, who reads the words too.
    [summary] = model.asked
    assert summary[0]["content"].startswith("Summarize")
    assert "A human, please!" in summary[1]["content"]


async def test_model_reads_a_file(tmp_path):
    """It is quoted as data, and what it says is kept."""
    async with Model() as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends(
                "file",
                content=b"Order 4711: two chairs",
                filename="order.txt",
                caption="Is this right?",
            )
            await replies(chatwoot, sent)
            await chatwoot.contact_says("Well?", conversation=sent.conversation_id)
            await replies(chatwoot, sent, 2)

    content = model.asked[-1][1]["content"]
    assert content.startswith("Is this right?\n[file: order.txt]\n")
    assert "<file>\nOrder 4711: two chairs\n</file>" in content
    assert len([path for path, _, _ in chatwoot.world.files.asked]) == 2


async def test_model_without_eyes_and_ears_is_no_obstacle(tmp_path):
    """It is told what came, and answers."""
    async with Model(words=None, eyes=False) as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model, QUIET_SECONDS=0.5) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends("image", content=JPEG)
            await chatwoot.contact_sends("audio", conversation=sent.conversation_id)
            said = await replies(chatwoot, sent)

    assert said == ["I see."]
    assert [m["content"] for m in model.asked[-1]][1:] == [
        "[image]\n[You cannot see pictures. Say so, and ask what is in them.]",
        "[audio, not readable because nobody can listen to it now]",
    ]


async def test_file_on_another_private_address_is_not_fetched(tmp_path):
    """Unless the operator has named it: a store of files beside Chatwoot."""
    async with Model() as model, simulated() as chatwoot, serving() as inside:
        url = inside.put("/secret.txt", answer(200, b"the keys"))
        settings = {}
        for asked in (0, 1):
            folder = tmp_path / str(asked)
            folder.mkdir()
            with connected(folder, chatwoot, model, **settings) as service:
                attach(chatwoot, service)
                sent = await chatwoot.contact_sends("file", data_url=url)
                await replies(chatwoot, sent)
            assert len(inside.requests) == asked
            settings["MEDIA_HOSTS"] = f"127.0.0.1:{inside.port}"

    refused, allowed = (asked[1]["content"] for asked in model.asked)
    assert refused == (
        "[file: secret.txt, not readable because its address must not be opened]"
    )
    assert "the keys" in allowed


async def test_everything_else_is_told_in_words(tmp_path):
    """Nothing that a channel can carry is met with silence."""
    kinds = ["location", "contact", "video", "fallback", "embed", "share"]
    kinds += ["story_mention", "ig_reel", "ig_post", "ig_story"]
    async with Model() as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model, QUIET_SECONDS=1) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends(kinds[0])
            for kind in kinds[1:]:
                await chatwoot.contact_sends(kind, conversation=sent.conversation_id)
            await replies(chatwoot, sent)

    told = [m["content"] for m in model.asked[-1][1:]]
    assert told == [
        "[location: Acme Pickup Point, Example Street 1, 52.520008, 13.404954]",
        "Dana Lee\n[contact: Dana Lee, +15550100144]",
        "[video]",
        "[link: A page, https://shop.example.com/page]",
        "[embedded page: https://video.example.com/embed/1]",
        "[shared post: https://lookaside.example.com/ig_messaging_cdn/?asset_id=1]",
        "[mention in a story]",
        "[Instagram reel]",
        "[Instagram post]",
        "[Instagram story]",
    ]
    assert chatwoot.world.files.asked == []


async def test_agent_who_steps_in_stops_a_download(tmp_path):
    """A picture that is not there yet must not make the bot talk over an agent."""
    async with Model() as model, simulated() as chatwoot:
        chatwoot.faults.files.missing_s = 60.0
        with connected(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends("image", content=JPEG)
            cid = sent.conversation_id
            while not chatwoot.world.files.asked:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            await chatwoot.agent_says(cid, "Maria here.")
            await chatwoot.until(lambda: chatwoot.typing(cid) == ["on", "off"])

    assert (chatwoot.replies(cid), model.asked) == ([], [])


async def test_demo_acknowledges_a_picture(tmp_path):
    """Without a model nothing is fetched, and the contact is told."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends("image")
            [said] = await replies(chatwoot, sent)

    assert "I have received a picture" in said
    assert chatwoot.world.files.asked == []


async def test_pictures_are_neither_stored_nor_logged(tmp_path):
    """The database and the log hold no file, and no link to one in the log."""
    async with Model() as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model, LOG_LEVEL="DEBUG") as service:
            attach(chatwoot, service)
            sent = await chatwoot.contact_sends("image", content=JPEG)
            await replies(chatwoot, sent)
            await chatwoot.settled()
            output = service.output

    with sqlite3.connect(tmp_path / "bot.db") as db:
        [(stored,)] = db.execute(
            "SELECT attachments FROM messages WHERE attachments IS NOT NULL"
        )
    db.close()
    assert json.loads(stored)[0]["kind"] == "image"
    assert "base64" not in stored
    assert "active_storage" not in output
