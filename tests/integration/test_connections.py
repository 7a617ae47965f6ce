"""A connection takes no more memory and time than it may, whatever is sent on it."""

import asyncio
import contextlib
import json
import socket

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from chatwoot_bot.commands.connections import Bounds, Connections, bound_buffers
from chatwoot_bot.commands.protocols import MAX_HEADERS, MAX_PIPELINED, Config

pytestmark = pytest.mark.anyio

WAIT_S = 10
LIMIT = 8_192
HERE = b"Host: here\r\n"
GET = b"GET / HTTP/1.1\r\n" + HERE + b"\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\n" + HERE + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
CHUNKED = (
    b"POST / HTTP/1.1\r\n" + HERE + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
)
LONG = b"x" * 4_000_000


@pytest.fixture
def anyio_backend():
    """The loop that the service runs on: its transports behave in their own way."""
    return "asyncio", {"use_uvloop": True}


async def echo(request):
    body = await request.body()
    return PlainTextResponse(f"{len(body)} {len(request.headers)}")


async def long(request):
    return Response(LONG)


async def never(request):
    """Answer nothing as long as the caller is there."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()


async def listening(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


APP = Starlette(
    routes=[
        Route("/", echo, methods=["GET", "POST"]),
        Route("/long", long),
        Route("/never", never),
        WebSocketRoute("/ws", listening),
    ]
)


class Server(uvicorn.Server):
    """uvicorn's, which leaves the signals alone."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


@contextlib.asynccontextmanager
async def serving(**bounds):
    """Yield what opens a connection to a server with *bounds*, and its connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    bound_buffers([listener])
    config = Config(
        APP,
        Bounds(**{"header_bytes": LIMIT, "look_s": 0.05} | bounds),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=0,
        ws_per_message_deflate=False,
    )
    server = Server(config)
    task = asyncio.create_task(server.serve([listener]))

    async def stop():
        server.should_exit = True
        await task

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(stop)

        async def connect(*, unread=False):
            """Open a connection, for one who reads a few kB at a time if *unread*."""
            client = socket.socket()
            if unread:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(
                client, listener.getsockname()
            )
            if unread:
                stack.callback(client.close)
                return client
            reader, writer = await asyncio.open_connection(sock=client)
            stack.callback(writer.close)
            return reader, writer

        yield connect, config.connections


async def answer(reader):
    """Return status line and body of one answer with a length."""
    async with asyncio.timeout(WAIT_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        body = await reader.readexactly(length)
    return head.partition(b"\r\n")[0].decode(), head, body


async def rest(reader):
    """Return all that comes until the connection ends."""
    async with asyncio.timeout(WAIT_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def until(condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


TOO_LONG = {
    "one header": b"GET / HTTP/1.1\r\nx: " + b"a" * LIMIT * 4,
    "many headers": b"GET / HTTP/1.1\r\n" + b"x: a\r\n" * LIMIT,
    "more headers than anybody sends": b"GET / HTTP/1.1\r\n"
    + b"x: a\r\n" * (MAX_HEADERS + 1)
    + b"\r\n",
    "a URL": b"GET /" + b"a" * LIMIT * 4,
    "an upgrade": UPGRADE + b"x: " + b"a" * LIMIT * 4,
    "blank lines": b"\r\n" * LIMIT,
    "a method": b"GET" + b" " * LIMIT,
}


@pytest.mark.parametrize("sent", TOO_LONG.values(), ids=TOO_LONG)
@pytest.mark.parametrize("before", [b"", GET], ids=["at first", "on a kept connection"])
async def test_headers_that_are_too_long_are_refused(sent, before):
    async with serving() as (connect, connections):
        reader, writer = await connect()
        if before:
            writer.write(before)
            assert (await answer(reader))[0] == "HTTP/1.1 200 OK"
        writer.write(sent)
        told = await rest(reader)
        writer.close()
        await until(lambda: connections.total == 0)

    status, _, body = told.partition(b"\r\n\r\n")
    assert status.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert json.loads(body)["error"]["code"] in ("headers_too_large", "bad_request")


@pytest.mark.parametrize("more", [b"x: " + b"a" * LIMIT, b"h: 1\r\n" * 200])
async def test_upgrade_that_websockets_finds_too_long_does_not_hang(more):
    async with serving(header_bytes=4 * LIMIT) as (connect, _):
        reader, writer = await connect()
        writer.write(UPGRADE + more + b"\r\n\r\n")
        told = await rest(reader)

    assert told.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("trailer", [b"t: " + b"a" * LIMIT * 4, b"t: a\r\n" * LIMIT])
async def test_trailers_that_are_too_long_end_the_connection(trailer):
    async with serving() as (connect, connections):
        reader, writer = await connect()
        writer.write(CHUNKED + b"0\r\n" + trailer)
        await rest(reader)
        await until(lambda: connections.total == 0)


async def test_trailer_is_no_header():
    """It came after the headers were checked."""
    async with serving() as (connect, _):
        reader, writer = await connect()
        writer.write(CHUNKED + b"0\r\nx-signature: a\r\n\r\n")
        told = await answer(reader)
        writer.write(GET)
        next_one = await answer(reader)

    assert (told[2], next_one[2]) == (b"1 2", b"0 1")


async def test_headers_as_long_as_they_may_be_are_served_in_any_pieces():
    begin = b"POST / HTTP/1.1\r\n" + HERE + b"Content-Length: 100000\r\nx: "
    head = begin + b"a" * (LIMIT - len(begin) - 4) + b"\r\n\r\n"
    async with serving() as (connect, _):
        reader, writer = await connect()
        for step in (LIMIT, 1_000, 7):
            sent = head + b"b" * 100_000
            for at in range(0, len(sent), step if step > 7 else 40_001):
                writer.write(sent[at : at + (step if step > 7 else 40_001)])
                await writer.drain()
            assert (await answer(reader))[2] == b"100000 3"


async def test_server_does_not_say_what_it_is():
    async with serving() as (connect, _):
        reader, writer = await connect()
        writer.write(GET)
        _, head, _ = await answer(reader)

    assert b"server:" not in head.lower()


SLOW = {
    "nothing": b"",
    "half a line": b"GET / HT",
    "half the headers": GET[:-2],
    "half an upgrade": UPGRADE,
    "half the second request": GET + b"GET / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
async def test_headers_that_do_not_come_in_time_end_the_connection(sent):
    async with serving(header_s=0.2) as (connect, connections):
        reader, writer = await connect()
        writer.write(sent)
        await rest(reader)
        await until(lambda: connections.total == 0)


async def test_bytes_now_and_then_give_no_more_time():
    async with serving(header_s=0.3) as (connect, connections):
        reader, writer = await connect()
        began = asyncio.get_running_loop().time()
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof() and connections.total in (0, 1):
                writer.write(b"\r\n")
                await writer.drain()
                if reader.at_eof() or asyncio.get_running_loop().time() - began > 5:
                    break
                await asyncio.sleep(0.05)
        took = asyncio.get_running_loop().time() - began
        await rest(reader)

    assert took < 5


async def test_kept_connection_and_request_at_work_have_their_time():
    async with serving(header_s=0.2) as (connect, connections):
        kept, idle = await connect()
        idle.write(GET)
        await answer(kept)
        _, working = await connect()
        working.write(b"GET /never HTTP/1.1\r\n" + HERE + b"\r\n")
        _, sending = await connect()
        sending.write(b"POST / HTTP/1.1\r\n" + HERE + b"Content-Length: 9\r\n\r\n")
        await asyncio.sleep(0.6)
        assert connections.total == 3
        idle.write(GET)

        assert (await answer(kept))[2] == b"0 1"


async def test_many_requests_without_reading_an_answer_end_the_connection():
    async with serving() as (connect, connections):
        reader, writer = await connect()
        writer.write((b"GET /never HTTP/1.1\r\n" + HERE + b"\r\n") + GET * 10_000)
        await rest(reader)
        await until(lambda: connections.total == 0)


async def test_few_requests_in_a_row_are_answered_in_order():
    async with serving() as (connect, _):
        reader, writer = await connect()
        writer.write(GET * MAX_PIPELINED)
        told = [await answer(reader) for _ in range(MAX_PIPELINED)]

    assert {body for _, _, body in told} == {b"0 1"}


async def test_crowd_that_sends_nothing_keeps_nobody_out():
    async with serving(total=5) as (connect, connections):
        crowd = [await connect() for _ in range(20)]
        reader, writer = await connect()
        writer.write(GET)
        told = await answer(reader)
        await rest(crowd[0][0])  # the oldest has made room

        assert connections.total <= 5
    assert told[0] == "HTTP/1.1 200 OK"


async def test_refused_connection_reads_why():
    """When all are at work, down to the last places."""
    async with serving(total=2) as (connect, connections):
        for _ in range(2 + 16):
            _, writer = await connect()
            writer.write(b"GET /never HTTP/1.1\r\n" + HERE + b"\r\n")
            await writer.drain()
        await until(lambda: not connections._waiting)
        reader, _ = await connect()
        told = await rest(reader)

    assert told.startswith(b"HTTP/1.1 429 ")  # never 503


class Wire:
    """A connection that does nothing."""

    def __init__(self):
        self.ended = False


def test_one_address_has_only_its_share(monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "198.51.100.7")
    connections = Connections(Bounds(total=100, per_address=2))
    far = [Wire() for _ in range(5)]
    hosts = ["203.0.113.9"] * 3 + ["2001:db8::1", "2001:db8::2"]
    let_in = [connections.enter(*each) for each in zip(far, hosts, strict=True)]
    third = connections.enter(Wire(), "2001:db8::3")
    connections.gone(far[0], far[0])
    again = connections.enter(Wire(), "203.0.113.9")
    many = [connections.enter(Wire(), "198.51.100.7") for _ in range(10)]
    here = [connections.enter(Wire(), "127.0.0.1") for _ in range(10)]

    assert let_in == [True, True, False, True, True]
    assert (third, again) == (False, True)
    assert all(many) and all(here)


def test_every_address_may_be_a_proxys_where_all_are_trusted(monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    connections = Connections(Bounds(per_address=1))

    assert all(connections.enter(Wire(), "203.0.113.9") for _ in range(3))


def test_bounds_leave_descriptors_for_the_rest(monkeypatch):
    few = (300, 300)
    monkeypatch.setattr("resource.getrlimit", lambda _: few)
    bounds = Bounds.of_process()

    assert (bounds.total, bounds.per_address) == (156, 78)


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
async def test_reader_who_takes_nothing_is_cut_off(more):
    async with serving(unread_s=0.3) as (connect, connections):
        client = await connect(unread=True)
        request = b"GET /long HTTP/1.1\r\n" + HERE + more + b"\r\n"
        await asyncio.get_running_loop().sock_sendall(client, request)
        await until(lambda: connections.total == 1)
        await until(lambda: connections.total == 0)


async def test_slow_reader_gets_all_of_it():
    async with serving(unread_s=0.5) as (connect, _):
        client = await connect(unread=True)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(
            client, b"GET /long HTTP/1.1\r\n" + HERE + b"Connection: close\r\n\r\n"
        )
        size = 0
        async with asyncio.timeout(60):
            while data := await loop.sock_recv(client, 65_536):
                size += len(data)
                if size < 400_000:
                    await asyncio.sleep(0.02)

    assert size > len(LONG)


async def test_what_waits_for_slow_readers_is_bounded_in_all():
    async with serving(unread_bytes=3 * len(LONG)) as (connect, connections):
        for _ in range(10):
            client = await connect(unread=True)
            await asyncio.get_running_loop().sock_sendall(
                client, b"GET /long HTTP/1.1\r\n" + HERE + b"\r\n"
            )
        await until(lambda: connections.total == 10 or connections._unread)
        await until(lambda: 1 <= len(connections._unread) == connections.total <= 3)


async def test_pings_of_one_who_reads_nothing_are_not_answered_without_end():
    async with serving(unread_s=0.3) as (connect, connections):
        client = await connect(unread=True)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, UPGRADE + b"\r\n")
        await until(lambda: connections.total == 1)
        ping = b"\x89\xfd\x00\x00\x00\x00" + b"p" * 125
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(WAIT_S):
                for _ in range(200):
                    await loop.sock_sendall(client, ping * 1_000)
        await until(lambda: connections.total == 0)


async def test_message_in_endless_pieces_ends_the_socket():
    async with serving() as (connect, connections):
        reader, writer = await connect()
        writer.write(UPGRADE + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x01\x80\x00\x00\x00\x00" + b"\x00\x80\x00\x00\x00\x00" * 5_000)
        await rest(reader)
        await until(lambda: connections.total == 0)


async def test_socket_is_counted_until_it_closes():
    async with serving() as (connect, connections):
        reader, writer = await connect()
        writer.write(UPGRADE + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert connections.total == 1
        writer.write(b"\x81\x82\x00\x00\x00\x00hi")
        async with asyncio.timeout(WAIT_S):
            assert await reader.readexactly(4) == b"\x81\x02hi"
        writer.close()
        await until(lambda: connections.total == 0)
