"""Each call to another server: what a hostile answer, or a broken one, makes of it."""

import asyncio
import contextlib
import gzip
import tracemalloc
import zlib

import pytest
import tenacity
from factories import NOW, assignment, conversation, message
from files import OGG

from chatwoot_bot.booking.calcom import CalcomClient
from chatwoot_bot.chatwoot.admin import AdminClient
from chatwoot_bot.chatwoot.client import ChatwootClient
from chatwoot_bot.core.conversation import Status
from chatwoot_bot.core.endpoint import Endpoint
from chatwoot_bot.core.slots import Span
from chatwoot_bot.doctor import model
from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.errors import ChatwootBotError
from chatwoot_bot.http import MAX_BODY, make_client
from chatwoot_bot.knowledge.embeddings import Embedder
from chatwoot_bot.knowledge.help_center import (
    Portal,
    articles_of,
    portal_at,
    portals_of,
)
from chatwoot_bot.media.transcribe import Transcriber
from chatwoot_bot.responders.openai import OpenAIResponder
from chatwoot_bot.settings import Settings
from chatwoot_bot.tools.base import Call, ToolError
from chatwoot_bot.tools.http import MAX_BYTES, endpoint_tool

pytestmark = pytest.mark.anyio

TOKEN = "hush-hush-token"
MEGABYTE = 1_048_576


def chatwoot(http, url):
    return ChatwootClient(http, base_url=url, token=TOKEN)


def admin(http, url):
    return AdminClient(http, base_url=url, token=TOKEN)


def calcom(http, url):
    return CalcomClient(http, base_url=url, api_key=TOKEN, event_type_id=1)


def embed(http, url):
    embedder = Embedder(http, base_url=url, api_key=TOKEN, model="m")
    return embedder.texts(["a"] * 64)


def ask(http, url):
    responder = OpenAIResponder(
        http, base_url=url, api_key=TOKEN, model="m", prompt="p", timeout_s=20
    )
    return responder.respond(assignment())


async def check_model(http, url):
    given = {"OPENAI_API_KEY": TOKEN, "OPENAI_BASE_URL": url, "OPENAI_MODEL": "m"}
    finding = await model.check_model(Settings.load(given), http)
    return "failed" if finding.level is Level.FAIL else finding


def transcribe(http, url):
    transcriber = Transcriber(http, base_url=url, api_key=TOKEN, model="m")
    return transcriber.transcribe(OGG)


def call_tool(http, url):
    endpoint = Endpoint(
        name="shop",
        description="d",
        url=f"{url}/shop",
        secret_headers={"X-Shop-Secret": TOKEN},
    )
    tool = endpoint_tool(http, endpoint)
    call = Call(key="e_1", conversation=conversation(), transcript=[message()], now=NOW)
    return tool.run(tool.arguments(), call)


CALLS = {
    "chatwoot reads": lambda *at: chatwoot(*at).get_conversation(1, 2),
    "chatwoot lists": lambda *at: chatwoot(*at).list_last_messages(
        1, status=Status.OPEN, page=1
    ),
    "chatwoot writes": lambda *at: chatwoot(*at).create_message(
        1, 2, content="c", reply_key="r"
    ),
    "administrator asks": lambda *at: admin(*at).profile(),
    "administrator writes": lambda *at: admin(*at).connect_bot(1, 2, 3),
    "help centres": lambda http, url: portals_of(http, url, 1, TOKEN),
    "help centre": lambda http, url: portal_at(http, f"{url}/hc/help"),
    "articles": lambda http, url: articles_of(http, Portal(f"{url}/hc/help", ("en",))),
    "cal.com reads": lambda *at: calcom(*at).slots(Span(NOW, NOW + 1), minutes=30),
    "cal.com writes": lambda *at: calcom(*at).cancel("uid"),
    "embeddings": embed,
    "model": ask,
    "doctor asks the model": check_model,
    "transcription": transcribe,
    "tool": call_tool,
}
WITH_TOKEN = sorted(CALLS.keys() - {"help centre", "articles"})


class Hostile:
    """A server that answers everything with the same pieces.

    Attributes:
        head: of the answer, after the version.
        pieces: of the body; the last one for ever when `endless`.
        requests: the heads of what was asked.
        sent: bytes of bodies that clients took.
    """

    def __init__(self, head="200 OK", body=b"", *, endless=False, length=True):
        self.head = head
        self.body = body
        self.endless = endless
        if length and not endless:
            self.head += f"\r\ncontent-length: {len(body)}"
        self.requests = []
        self.sent = 0
        self.url = ""

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(f"HTTP/1.1 {self.head}\r\nconnection: close\r\n\r\n".encode())
            while True:
                writer.write(self.body)
                await writer.drain()
                self.sent += len(self.body)
                if not self.endless:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def running(server):
    """Run *server* while the block lasts."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    # Another origin than 127.0.0.1 of any port.
    server.url = f"http://localhost:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server


@pytest.fixture
async def http(monkeypatch):
    # Blips are tried again at once.
    monkeypatch.setattr(tenacity, "wait_exponential", lambda **_: tenacity.wait_none())
    monkeypatch.setattr(tenacity, "wait_random", lambda *_: tenacity.wait_none())
    async with make_client() as client:
        yield client


async def outcome(call, http, server):
    """Return what comes of a call: "failed" for an error that its callers know."""
    async with asyncio.timeout(30):
        try:
            return await call(http, server.url)
        except (ChatwootBotError, ToolError):
            return "failed"


def zeros(megabytes):
    """Return so many megabytes of zeros, compressed as a bomb is."""
    packer = zlib.compressobj(9, wbits=31)
    packed = [packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join([*packed, packer.flush()])


JSON = "200 OK\r\ncontent-type: application/json"
EVENTS = "200 OK\r\ncontent-type: text/event-stream"
NESTED = b"[" * 100_000
DEEP = [
    b'{"data":[' + NESTED + b"1" + b"]" * 100_000 + b"]}",
    b'{"payload":' + NESTED + b"]" * 100_000 + b"}",
    b"data: " + NESTED + b"]" * 100_000 + b"\n\n",
]
FRAME = b'data: {"choices":[{"delta":{"content":""}}]}\n\n' * 1_000
ANSWERS = {
    "compressed by gzip": (JSON + "\r\ncontent-encoding: gzip", gzip.compress(b"{}")),
    "compressed by deflate": (JSON + "\r\ncontent-encoding: deflate", b"x\x9c\xab"),
    "compressed by zstd": (JSON + "\r\ncontent-encoding: zstd", b"(\xb5/\xfd"),
    "compressed by br": (JSON + "\r\ncontent-encoding: br", b"\x8b"),
    "compressed twice": (JSON + "\r\ncontent-encoding: gzip, gzip", b"\x1f\x8b"),
    "compressed by nobody knows": (JSON + "\r\ncontent-encoding: x", b"{}"),
    "deep data": (JSON, DEEP[0]),
    "deep payload": (JSON, DEEP[1]),
    "deep event": (EVENTS, DEEP[2]),
    "zlib for a charset": ("400 No\r\ncontent-type: text/html; charset=zlib", b"{}"),
    "hex for a charset": ("500 No\r\ncontent-type: text/html; charset=hex", b"{}"),
    "date of no year": (JSON + "\r\ndate: Mon, 01 Jan 99999999999999 1:1:1 GMT", b"{}"),
    "date of year 1": (JSON + "\r\ndate: Mon, 01 Jan 0001 00:00:00 +2359", b"{}"),
    "booking of year 1": (
        JSON,
        b'{"data":{"status":"accepted","uid":"u","start":"0001-01-01T00:00:00+23:59",'
        b'"end":"9999-12-31T23:59:59-23:59","a":[{"start":"0001-01-01T00:00:00"}]}}',
    ),
    "long number": (
        JSON,
        b'{"id":1' + b"0" * 5_000 + b',"data":[1' + b"0" * 400 + b"]}",
    ),
    "no number": (JSON, b'{"id":NaN,"data":[{"embedding":[1e999]}],"payload":1e999}'),
    "not utf-8": (EVENTS, b'data: "\xff\xfe"\n\n{"a":"\xff"}'),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_no_odd_answer_surprises_a_caller(http, call, answer):
    """Only errors that its callers know may come of it: another ends a part of us."""
    head, body = ANSWERS[answer]
    async with running(Hostile(head, body)) as server:
        came = await outcome(CALLS[call], http, server)

    assert len(server.requests) >= 1
    if answer.startswith("compressed"):
        assert came == "failed"


@pytest.mark.parametrize("call", CALLS)
async def test_no_request_allows_compression(http, call):
    async with running(Hostile(JSON, b"{}")) as server:
        await outcome(CALLS[call], http, server)

    for request in server.requests:
        assert "\r\naccept-encoding: identity\r\n" in request.lower()


@pytest.mark.parametrize("status", ["301 M", "302 M", "303 M", "307 M", "308 M"])
@pytest.mark.parametrize("call", WITH_TOKEN)
async def test_no_redirect_carries_a_token_away(http, call, status):
    async with running(Hostile(JSON, b"{}")) as stranger:
        head = f"{status}\r\nlocation: {stranger.url}/steal"
        async with running(Hostile(head)) as server:
            came = await outcome(CALLS[call], http, server)

    assert came == "failed"
    assert TOKEN in server.requests[0]
    assert stranger.requests == []


@pytest.mark.parametrize("call", ["articles"])
async def test_redirect_is_followed_where_no_token_is_sent(http, call):
    other, server = Hostile(JSON, b'{"payload":[]}'), Hostile()
    async with running(other), running(server):
        server.head = f"302 M\r\nlocation: {other.url}/x\r\ncontent-length: 0"
        await outcome(CALLS[call], http, server)

    assert len(other.requests) == 1


ENDLESS = {
    "body": (JSON, b"[[[" * 20_000),
    "text": ("200 OK\r\ncontent-type: text/plain", b"x" * 65_536),
    "events": (EVENTS, FRAME),
    "compressed": (JSON + "\r\ncontent-encoding: gzip", zeros(16)),
    "refusal": ("400 No\r\ncontent-type: application/json", b" " * 65_536),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", ENDLESS)
async def test_answer_without_end_is_given_up(http, call, answer):
    head, body = ENDLESS[answer]
    async with running(Hostile(head, body, endless=True)) as server:
        came = await outcome(CALLS[call], http, server)

    # A call is tried three times, and as much is under way in the sockets.
    assert server.sent < 3 * 3 * MAX_BODY
    if call == "tool" and head.startswith("200") and answer != "compressed":
        assert came.text.endswith("\n[The rest is left out.]")
        assert server.sent < 100 * MAX_BYTES
    else:
        assert came == "failed"


@pytest.mark.parametrize("call", CALLS)
async def test_bomb_takes_no_memory(http, call):
    """2 MB of gzip unpacked to 2 GB, and stood the event loop still for 9 s."""
    head = JSON + "\r\ncontent-encoding: gzip"
    async with running(Hostile(head, BOMB)) as server:
        tracemalloc.start()
        try:
            assert await outcome(CALLS[call], http, server) == "failed"
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < 20 * MEGABYTE


BOMB = zeros(512)
