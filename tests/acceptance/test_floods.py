"""Floods from outside: the service stays small and answers everybody else."""

import asyncio
import contextlib
import resource
import time
from itertools import islice

import httpx
import psutil
import pytest
from service import Service

pytestmark = pytest.mark.anyio

MB = 1_048_576
SECRET = "a-secret-of-24-characters"
ADMIN = "an-operators-token-of-length"
OPERATOR = {"authorization": f"Bearer {ADMIN}"}
WAIT_S = 30
# The flood comes from this process, which asks for the health too: no figure for speed.
SLOWEST_S = 10.0
HEADER_S = 10


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    """As many sockets as an attacker may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8_192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    settings = {
        "ADMIN_TOKEN": ADMIN,
        "CHATWOOT_BASE_URL": "http://127.0.0.1:9",
        "CHATWOOT_API_TOKEN": "t",
        "CHATWOOT_WEBHOOK_SECRET": SECRET,
        "RESPONDER": "mock",
        "SWEEP_INTERVAL_SECONDS": 0,
    }
    with Service(tmp_path_factory.mktemp("floods"), **settings) as running:
        yield running


@pytest.fixture
def grown(service):
    """Return how many MB the service has grown since the test began."""
    process = psutil.Process(service.pid)
    before = process.memory_info().rss
    return lambda: (process.memory_info().rss - before) / MB


@pytest.fixture
async def healthy(service):
    """Ask for the service's health all the time; it always answers."""
    times, stop = [], asyncio.Event()

    async def ask():
        async with httpx.AsyncClient(timeout=WAIT_S) as client:
            while not stop.is_set():
                began = time.monotonic()
                answer = await client.get(
                    f"{service.url}/health", headers={"connection": "close"}
                )
                assert answer.status_code == 200
                times.append(time.monotonic() - began)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.1)

    task = asyncio.create_task(ask())
    yield times
    stop.set()
    await task
    assert max(times) < SLOWEST_S


@contextlib.asynccontextmanager
async def connections(service, count, **options):
    host, port = service.url.removeprefix("http://").split(":")
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection(host, int(port), **options)
            stack.callback(writer.transport.abort)
            made.append((reader, writer))
        yield made


async def ended(reader):
    """Read to the end."""
    async with asyncio.timeout(WAIT_S):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


async def begin(client):
    made = (await client.post("/conversations", json={})).json()
    return made, {"authorization": f"Bearer {made['token']}"}


async def test_60_mb_of_headers_are_refused(service, grown, healthy):
    async with connections(service, 1) as [(reader, writer)]:
        writer.write(b"GET /health HTTP/1.1\r\nHost: here\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(60):
                writer.write(b"x: b\r\n" * (MB // 6))
                await writer.drain()
        told = await ended(reader)

    assert not told.startswith(b"HTTP/1.1 200")
    assert grown() < 30


async def test_2000_connections_that_say_nothing_are_closed(service, grown, healthy):
    began = time.monotonic()
    async with connections(service, 2_000) as crowd:
        for _, writer in crowd[::2]:
            writer.write(b"GET /health HTTP/1.1\r\nHost: he")
        opened = time.monotonic()
        await asyncio.gather(*(ended(reader) for reader, _ in crowd))
        took = time.monotonic() - opened

    assert took < HEADER_S + 5 + (opened - began)
    assert grown() < 100


async def test_400_bodies_that_stall_are_not_kept(service, grown, healthy):
    head = (
        b"POST /webhook/chatwoot HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n"
    )
    part = head + b"x" * (MB - 6)
    async with connections(service, 400) as crowd:
        for _, writer in crowd:
            writer.write(part)
            await writer.drain()
        refused = await asyncio.gather(*(ended(reader) for reader, _ in crowd[:100]))
        most = grown()

    assert {told.partition(b"\r\n")[0] for told in refused} <= {
        b"HTTP/1.1 429 Too Many Requests",
        b"HTTP/1.1 400 Bad Request",
    }
    assert most < 150


async def test_150_readers_who_do_not_read_hold_little(service, grown, healthy):
    async with httpx.AsyncClient(base_url=service.url, timeout=WAIT_S) as client:
        made, visitor = await begin(client)
        path = f"/conversations/{made['id']}/messages"
        for _ in range(150):
            # An agent's, who has no pace: a visitor alone could not write so much.
            said = await client.post(
                path, json={"content": "x" * 20_000}, headers=OPERATOR
            )
            assert said.status_code == 201
    request = (
        f"GET {path}?size=200 HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: {visitor['authorization']}\r\n\r\n"
    ).encode()
    async with connections(service, 150, limit=4_096) as crowd:
        for _, writer in crowd:
            writer.transport.pause_reading()
            writer.write(request)
        async with httpx.AsyncClient(base_url=service.url, timeout=WAIT_S) as client:
            for _ in range(20):  # all are answered when these are
                await client.get("/health")
        held = grown()

    assert held < 120


async def test_2000_long_polls_make_a_message_no_dearer(service, healthy):
    async with httpx.AsyncClient(base_url=service.url, timeout=WAIT_S) as client:
        made, visitor = await begin(client)
        path = f"/conversations/{made['id']}/messages"
        request = (
            f"GET {path}?after=0 HTTP/1.1\r\nHost: a\r\nPrefer: wait=20\r\n"
            f"Authorization: {visitor['authorization']}\r\nConnection: close\r\n\r\n"
        ).encode()
        async with connections(service, 2_000) as crowd:
            for _, writer in crowd:
                writer.write(request)
            refused = await asyncio.gather(
                *(reader.readline() for reader, _ in crowd[4:])
            )
            cpu = psutil.Process(service.pid).cpu_times()
            said = await client.post(path, json={"content": "Hi"}, headers=visitor)
            waiting = await asyncio.gather(
                *(reader.readline() for reader, _ in crowd[:4])
            )
            after = psutil.Process(service.pid).cpu_times()

    assert said.status_code == 201
    told = [line.split()[1] for line in (*refused, *waiting)]
    assert told.count(b"200") == 4
    assert told.count(b"429") == 1_996
    assert after.user + after.system - cpu.user - cpu.system < 1


async def test_visitor_has_ten_sockets_of_1500(service, healthy):
    async with httpx.AsyncClient(base_url=service.url, timeout=WAIT_S) as client:
        made, _ = await begin(client)
    upgrade = (
        f"GET /ws/conversations/{made['id']}?token={made['token']} HTTP/1.1\r\n"
        "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    async with connections(service, 1_500) as crowd:
        for _, writer in crowd:
            writer.write(upgrade)
        heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in crowd]
        frames = [asyncio.create_task(reader.readexactly(4)) for reader, _ in crowd]
        async with asyncio.timeout(WAIT_S):
            for frame in islice(asyncio.as_completed(frames), 1_490):
                assert (await frame)[2:] == (4429).to_bytes(2)
        accepted = [frame for frame in frames if not frame.done()]
        for frame in accepted:
            frame.cancel()

    assert all(head.startswith(b"HTTP/1.1 101") for head in heads)
    assert all(b"server:" not in head.lower() for head in heads)
    assert len(accepted) == 10
