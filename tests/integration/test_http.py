"""The shared HTTP client, with real sockets: connections are kept, and given back."""

import asyncio
import contextlib

import httpx
import pytest

from chatwoot_bot.http import POOL, SpreadTransport, make_client

pytestmark = pytest.mark.anyio


class Server:
    """A server that counts connections; what asks for /held waits for `gate`."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.held = 0
        self.all_held = asyncio.Condition()
        self.connections = 0
        self.open = 0
        self.all_closed = asyncio.Condition()

    async def serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                await self.answer(request.split()[1], writer)
        writer.close()
        async with self.all_closed:
            self.open -= 1
            self.all_closed.notify_all()

    async def answer(self, path, writer):
        if path == b"/held":
            async with self.all_held:
                self.held += 1
                self.all_held.notify_all()
            await self.gate.wait()
        if path == b"/moved":
            head = b"302 Found\r\nlocation: http://elsewhere.invalid/"
        else:
            head = b"200 OK"
        writer.write(b"HTTP/1.1 " + head + b"\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()

    async def holds(self, count):
        async with asyncio.timeout(10), self.all_held:
            await self.all_held.wait_for(lambda: self.held >= count)

    async def closed(self):
        async with asyncio.timeout(10), self.all_closed:
            await self.all_closed.wait_for(lambda: self.open == 0)


@pytest.fixture
async def server():
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=200)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server
        server.gate.set()
        await server.closed()


@contextlib.asynccontextmanager
async def spread(connections):
    transport = SpreadTransport(connections)
    async with httpx.AsyncClient(transport=transport, timeout=5) as http:
        yield http


def busy(http):
    """How many requests each pool has under way."""
    return http._transport._busy


async def test_requests_one_after_the_other_share_a_connection(server):
    """A TLS handshake for every typing indicator would double the work."""
    async with spread(10 * POOL) as http:
        for _ in range(30):
            response = await http.get(server.url)
            assert response.json() == {}

    assert server.connections == 1


async def test_many_requests_at_once_are_all_under_way(server):
    """Nobody waits for a free connection; also when there are more than foreseen."""
    count = 3 * POOL
    async with spread(2 * POOL) as http:
        asked = [
            asyncio.create_task(http.get(f"{server.url}/held")) for _ in range(count)
        ]
        await server.holds(count)
        server.gate.set()
        answers = await asyncio.gather(*asked)

    assert [answer.status_code for answer in answers] == [200] * count
    assert server.connections == count


async def test_connections_are_used_again_after_a_rush(server):
    """The next rush finds them warm."""
    async with spread(2 * POOL) as http:
        for _ in range(3):
            server.gate.clear()
            server.held = 0
            rush = [
                asyncio.create_task(http.get(f"{server.url}/held"))
                for _ in range(2 * POOL)
            ]
            await server.holds(2 * POOL)
            server.gate.set()
            await asyncio.gather(*rush)

    assert server.connections == 2 * POOL


async def lost(http, server):
    """A server that is not there."""
    with pytest.raises(httpx.ConnectError):
        await http.get("http://127.0.0.1:1/")


async def cancelled(http, server):
    """A turn that is interrupted while it waits for the answer."""
    held = server.held
    asking = asyncio.create_task(http.get(f"{server.url}/held"))
    await server.holds(held + 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def late(http, server):
    """A server that takes too long."""
    with pytest.raises(httpx.TimeoutException):
        await http.get(f"{server.url}/held", timeout=0.05)


async def unread(http, server):
    """A stream that is closed before its end."""
    async with http.stream("GET", server.url):
        pass


@pytest.mark.parametrize("ending", [lost, cancelled, late, unread])
async def test_however_a_request_ends_its_place_is_free_again(server, ending):
    """Or after a bad night every request would go to the last pool."""
    async with spread(2 * POOL) as http:
        for _ in range(3):
            await ending(http, server)

        assert busy(http) == [0, 0]


async def test_first_pool_is_filled_before_the_next_is_touched(server):
    """A quiet service keeps one pool's connections open, not every pool's."""
    async with spread(3 * POOL) as http:
        asked = [
            asyncio.create_task(http.get(f"{server.url}/held")) for _ in range(POOL + 1)
        ]
        await server.holds(POOL + 1)

        assert busy(http) == [POOL, 1, 0]
        server.gate.set()
        await asyncio.gather(*asked)


async def test_closing_the_client_closes_every_connection(server):
    """A stopped service leaves nothing behind at Chatwoot."""
    async with spread(2 * POOL) as http:
        asked = [
            asyncio.create_task(http.get(f"{server.url}/held")) for _ in range(2 * POOL)
        ]
        await server.holds(2 * POOL)
        server.gate.set()
        await asyncio.gather(*asked)

    await server.closed()


async def test_redirect_is_not_followed(server):
    """It could carry a token to another host."""
    async with make_client(turns=1) as http:
        response = await http.get(f"{server.url}/moved")

    assert response.status_code == 302


@pytest.mark.parametrize("turns", [1, 10, 200])
async def test_there_is_room_for_every_turn_and_its_typing(turns):
    """Two requests of each turn at once, and some to spare."""
    async with make_client(turns=turns) as http:
        room = len(http._transport._pools) * POOL

    assert 2 * turns < room <= 2 * turns + 2 * POOL


async def test_every_request_has_a_time_limit():
    """Whoever forgets to set one does not wait for ever."""
    async with make_client(turns=1) as http:
        assert http.timeout == httpx.Timeout(30.0, connect=5.0)
