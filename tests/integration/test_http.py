"""The shared HTTP client, with real sockets: connections, and what an error means."""

import asyncio
import contextlib
import socket

import httpx
import pytest

from chatwoot_bot.http import make_client

pytestmark = pytest.mark.anyio


# What the server says before it hangs up.
BROKEN = {
    b"/silent": b"",
    b"/half-head": b"HTTP/1.1 200 OK\r\ncontent-le",
    b"/half-body": b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{",
    b"/half-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{",
    b"/no-http": b"220 mail.example.com ESMTP\r\n",
    b"/not-gzip": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n"
    b"content-length: 2\r\n\r\n{}",
}


class Server:
    """A server that counts connections; what asks for /held waits for `gate`."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.held = 0
        self.all_held = asyncio.Condition()
        self.connections = 0
        self.requests = []
        self.open = 0
        self.all_closed = asyncio.Condition()

    async def serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(request)
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
        if path in BROKEN:
            writer.write(BROKEN[path])
            raise ConnectionResetError
        if path == b"/cookie":
            head = b"200 OK\r\nset-cookie: session=1"
        elif path == b"/moved":
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


@pytest.fixture
async def http():
    async with make_client() as http:
        yield http


async def rush(http, server, count):
    """Ask for *count* answers that are all under way at once."""
    server.gate.clear()
    server.held = 0
    asked = [asyncio.create_task(http.get(f"{server.url}/held")) for _ in range(count)]
    await server.holds(count)
    server.gate.set()
    return await asyncio.gather(*asked)


async def test_requests_one_after_the_other_share_a_connection(server, http):
    """A TLS handshake for every typing indicator would double the work."""
    for _ in range(30):
        response = await http.get(server.url)
        assert response.json() == {}

    assert server.connections == 1


async def test_many_requests_at_once_are_all_under_way(server, http):
    """Nobody waits for a free connection."""
    answers = await rush(http, server, 150)

    assert [answer.status_code for answer in answers] == [200] * 150
    assert server.connections == 150


async def test_connections_are_used_again_after_a_rush(server, http):
    """The next rush finds them warm."""
    for _ in range(3):
        await rush(http, server, 10)

    assert server.connections == 10


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
    with pytest.raises(httpx.ReadTimeout):
        await http.get(f"{server.url}/held", timeout=0.05)


async def unread(http, server):
    """A stream that is closed in the middle."""
    with contextlib.suppress(httpx.TransportError):
        async with http.stream("GET", f"{server.url}/half-body") as response:
            assert response.status_code == 200


@pytest.mark.parametrize("ending", [cancelled, late, unread])
async def test_request_that_is_given_up_takes_its_connection_along(
    server, http, ending
):
    """That is how the model's server notices that nobody wants its answer."""
    await ending(http, server)
    server.gate.set()

    await server.closed()


async def test_closing_the_client_closes_every_connection(server):
    """A stopped service leaves nothing behind at Chatwoot."""
    async with make_client() as http:
        await rush(http, server, 10)

    await server.closed()


async def test_redirect_is_not_followed(server, http):
    """It could carry a token to another host."""
    response = await http.get(f"{server.url}/moved")

    assert response.status_code == 302


async def test_headers_arrive_as_they_were_named(server, http):
    """Chatwoot's token has underscores in its name, and aiohttp adds headers."""
    await http.post(server.url, json={}, headers={"api_access_token": "t"})

    head = server.requests[0].decode().splitlines()
    names = [line.partition(":")[0].lower() for line in head[1:] if line]
    assert "api_access_token: t" in head
    assert len(names) == len(set(names))


async def test_every_request_has_a_time_limit(http):
    """Whoever forgets to set one does not wait for ever."""
    assert http.timeout == httpx.Timeout(30.0, connect=5.0)


async def test_request_that_found_no_server_was_never_sent(http):
    """So it may be sent again without a look whether it is there."""
    with pytest.raises(httpx.ConnectError):
        await http.post("http://127.0.0.1:1/", json={})


async def test_request_that_found_no_address_was_never_sent(http, monkeypatch):
    """A name server that is away is no reason to doubt either."""

    def unknown(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpx.ConnectError):
        await http.post("http://chatwoot.invalid/", json={})


async def test_handshake_that_failed_has_sent_nothing(http):
    """A certificate or a protocol that does not fit shows before the token is sent."""

    async def refuse(_reader, writer):
        writer.write(b"I speak no TLS.\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(httpx.ConnectError):
            await http.post(f"https://127.0.0.1:{port}/", json={})


@pytest.mark.parametrize("path", [path.decode() for path in BROKEN])
async def test_answer_that_breaks_off_leaves_the_fate_of_the_request_open(
    server, http, path
):
    """Never as if it had not been sent: the reply would be said twice."""
    with pytest.raises(httpx.RequestError) as caught:
        await http.post(f"{server.url}{path}", json={})

    assert not isinstance(
        caught.value, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    )


async def test_message_is_not_sent_again_over_a_connection_that_has_just_closed(
    server, http
):
    """A library that repeats by itself would say a reply twice."""
    await http.post(server.url, json={})
    with pytest.raises(httpx.RequestError):
        await http.post(f"{server.url}/silent", json={})

    assert len([r for r in server.requests if b"/silent" in r]) == 1


async def test_cookies_are_not_kept(server):
    """One client speaks for several tokens: a session must not join them."""
    async with make_client() as client:
        await client.get(f"{server.url}/cookie")
        await client.get(f"{server.url}/")

    assert b"session" not in server.requests[-1]


async def test_proxy_of_the_environment_is_used_and_netrc_is_not_read(
    server, tmp_path, monkeypatch
):
    """A password for some other program must not take the place of our token."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:secret@"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with make_client() as client:
        token = {"authorization": "Bearer ours"}
        await client.get("http://chatwoot.invalid/there", headers=token)
        await client.get(f"{server.url}/here")
    there, here = server.requests

    assert there.startswith(b"GET http://chatwoot.invalid/there ")
    assert b"authorization: bearer ours" in there.lower()
    assert b"proxy-authorization: basic bwu6c2vjcmv0" in there.lower()
    assert here.startswith(b"GET /here ")


async def test_proxy_of_another_kind_is_named(monkeypatch):
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    async with make_client() as client:
        with pytest.raises(httpx.UnsupportedProtocol, match="HTTPS_PROXY"):
            await client.get("https://chatwoot.invalid/")
