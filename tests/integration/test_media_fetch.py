"""Downloads over real sockets: patience, limits, and where they must not go."""

import asyncio
import contextlib
import socket

import aiohttp.abc
import pytest
from files import JPEG, answer, moved, serving

from chatwoot_bot.errors import MediaError
from chatwoot_bot.media import fetch as fetching
from chatwoot_bot.media.fetch import Fetcher
from chatwoot_bot.media.guard import Guard

pytestmark = pytest.mark.anyio

MAX = 1_000


class Names(aiohttp.abc.AbstractResolver):
    """A DNS that says what it is told, and something else the next time.

    Args:
        names: name -> the addresses of each look-up in turn, the last for ever.
    """

    def __init__(self, **names):
        self.names = {name.replace("_", "."): list(a) for name, a in names.items()}
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        turns = self.names.get(host)
        if turns is None:
            raise OSError(None, "no such name")
        found = turns.pop(0) if len(turns) > 1 else turns[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in found
        ]

    async def close(self):
        pass


@pytest.fixture
async def server():
    async with serving() as server:
        yield server


@pytest.fixture
async def inside():
    """Something on this machine that no attachment may reach."""
    async with serving() as server:
        server.put("/secret", answer(200, JPEG))
        yield server


@pytest.fixture
async def make():
    """Return a function that makes a fetcher; the transports are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        def made(*own, names=None, max_bytes=MAX):
            guard = Guard([("127.0.0.1", each.port) for each in own], names)
            return Fetcher(open_(guard), max_bytes=max_bytes)

        def open_(guard):
            transport = guard.transport()
            stack.push_async_callback(transport.aclose)
            return transport

        made.open = open_
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fetching, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(fetching, "LAST_WAIT_S", 0.02)


async def problem(fetcher, url, patience_s=0.0):
    with pytest.raises(MediaError) as caught:
        await fetcher.fetch(url, patience_s=patience_s)
    return str(caught.value), caught.value.retryable


FORBIDDEN = ("its address must not be opened", False)


# A good day.


async def test_file_behind_a_chain_of_redirects(server, make):
    """Active Storage answers 302 to a store of files, which may go on."""
    url = server.put("/blob", moved("/store/1"))
    server.put("/store/1", moved(f"{server.url}/store/2?sig=x", 307))
    server.put("/store/2?sig=x", answer(200, JPEG))

    assert await make(server).fetch(url, patience_s=0.0) == JPEG
    assert server.paths == ["/blob", "/store/1", "/store/2?sig=x"]


async def test_file_that_is_stored_a_moment_later(server, make):
    """Chatwoot tells of a voice note before it has it (its issue 12605)."""
    absent, denied = answer(404), answer(403)
    url = server.put("/blob", absent, absent, moved("/store"))
    server.put("/store", denied, answer(200, JPEG))

    assert await make(server).fetch(url, patience_s=5.0) == JPEG
    assert len(server.requests) == 6


async def test_nothing_that_proves_who_we_are_is_sent(server, make):
    """No token, no cookie, no referrer: a redirect may lead anywhere."""
    first = answer(302, location="/store", set_cookie="session=1; Path=/")
    url = server.put("/blob", first)
    server.put("/store", answer(200, JPEG))

    await make(server).fetch(url, patience_s=0.0)

    sent = [line for head in server.requests for line in head.split("\r\n")[1:]]
    names = {line.split(":")[0].lower() for line in sent if line}
    assert names == {"host", "accept", "accept-encoding", "user-agent"}


async def test_body_without_a_length(server, make):
    url = server.put("/blob", answer(200, JPEG, length=False))

    assert await make(server).fetch(url, patience_s=0.0) == JPEG


# A bad day.


async def test_file_that_never_comes(server, make):
    """That is final: the next turn need not ask again."""
    url = server.put("/blob", answer(404))

    assert await problem(make(server), url, 1.0) == ("it is not there", False)
    assert len(server.requests) > 2


async def test_old_file_is_asked_for_once(server, make):
    """Nobody waits ten seconds for a picture of last week."""
    url = server.put("/blob", answer(404))

    await problem(make(server), url)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (410, False), (429, True), (500, True), (503, True)],
)
async def test_server_that_refuses(server, make, status, retryable):
    """What passes may be tried by a later turn."""
    url = server.put("/blob", answer(status))

    told = await problem(make(server), url)

    assert told == (f"its server answers {status}", retryable)


async def test_outage_of_a_second_is_not_noticed(server, make):
    url = server.put("/blob", answer(503), b"", answer(200, JPEG))

    assert await make(server).fetch(url, patience_s=5.0) == JPEG


async def test_server_that_is_not_there(make):
    async with serving() as gone:
        url = gone.put("/blob")

    assert await problem(make(gone), url) == ("its server does not answer", True)


async def test_body_that_breaks_off(server, make):
    whole = answer(200, JPEG)
    url = server.put("/blob", whole[:-10])

    assert await problem(make(server), url) == ("its server does not answer", True)


@pytest.mark.parametrize("length", [True, False])
async def test_file_that_is_too_large(server, make, length):
    """With or without an honest length, and no byte more than allowed is kept."""
    url = server.put("/blob", answer(200, bytes(MAX + 1), length=length))

    assert await problem(make(server), url) == ("it is larger than 0.000954 MB", False)


async def test_endless_body_is_cut_off(server, make):
    head = answer(200, length=False)
    url = server.put("/blob", [head + bytes(MAX + 1), b"never sent"])

    told, _ = await problem(make(server), url)

    assert told.startswith("it is larger than")


async def test_file_as_large_as_allowed(server, make):
    url = server.put("/blob", answer(200, bytes(MAX)))

    assert len(await make(server).fetch(url, patience_s=0.0)) == MAX


async def test_server_that_drips(server, make, monkeypatch):
    """A byte now and then keeps a connection alive, not a turn waiting."""
    monkeypatch.setattr(fetching, "WHOLE_S", 0.05)
    url = server.put("/blob", [answer(200, JPEG)[:-5], b"."])

    assert await problem(make(server), url) == ("it takes too long to load", True)


async def test_compressed_body_is_not_unpacked(server, make):
    """A thousand zeros of a bomb are one byte on the wire."""
    url = server.put("/blob", answer(200, b"\x1f\x8b", content_encoding="gzip"))

    assert await problem(make(server), url) == ("it comes compressed", False)


async def test_cancelled_turn_stops_the_download(server, make):
    url = server.put("/blob", [answer(200, JPEG)[:-5], b"."])
    fetching_it = asyncio.create_task(make(server).fetch(url, patience_s=9.0))
    await server.asked.wait()

    fetching_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching_it


@pytest.mark.parametrize(
    "location",
    [None, "", "/blob", "ftp://127.0.0.1/x", "file:///etc/passwd", "//"],
)
async def test_redirect_that_leads_nowhere(server, make, location):
    """Circles, other protocols and nonsense end; nothing else happens."""
    first = answer(302) if location is None else moved(location)
    url = server.put("/blob", first)

    told, retryable = await problem(make(server), url)

    assert not retryable
    assert told.startswith("its address")
    assert len(server.requests) <= 6


# Where it must not go.


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"],
)
async def test_own_machine_is_refused(inside, make, host):
    """However its address is written."""
    url = f"http://{host}:{inside.port}/secret"

    told, _ = await problem(make(), url)

    assert told in (FORBIDDEN[0], "its server does not answer")
    assert inside.requests == []


async def test_own_machine_is_refused_at_once(inside, make):
    """That is no outage, and final."""
    url = f"http://127.0.0.1:{inside.port}/secret"

    assert await problem(make(), url, 60.0) == FORBIDDEN


async def test_redirect_into_the_network_is_refused(server, inside, make):
    """Each hop is checked like the first."""
    url = server.put("/blob", moved(f"http://127.0.0.1:{inside.port}/secret"))

    assert await problem(make(server), url) == FORBIDDEN
    assert inside.requests == []


async def test_redirect_to_a_cloud_s_metadata_is_refused(server, make):
    url = server.put("/blob", moved("http://169.254.169.254/latest/meta-data/"))

    assert await problem(make(server), url) == FORBIDDEN


async def test_name_that_leads_inside_is_refused(inside, make):
    names = Names(evil_test=[["127.0.0.1"]])
    url = f"http://evil.test:{inside.port}/secret"

    assert await problem(make(names=names), url) == FORBIDDEN
    assert inside.requests == []


async def test_name_with_one_address_inside_is_refused(inside, make):
    names = Names(evil_test=[["1.1.1.1", "127.0.0.1"]])
    url = f"http://evil.test:{inside.port}/secret"

    assert await problem(make(names=names), url) == FORBIDDEN
    assert inside.requests == []


async def test_name_is_looked_up_once_for_check_and_connection(server, inside, make):
    """A name that changes its mind in between gains nothing (DNS rebinding)."""
    names = Names(files_test=[["127.0.0.1"], ["127.0.0.2"]])
    server.put("/blob", answer(200, JPEG))
    guard = Guard([("files.test", server.port)], names)

    body = await Fetcher(make.open(guard), max_bytes=MAX).fetch(
        f"http://files.test:{server.port}/blob", patience_s=0.0
    )

    assert body == JPEG
    assert names.asked == ["files.test"]


async def test_name_that_turns_inward_between_two_hops_is_refused(server, inside, make):
    """It is looked up, and checked, for every connection."""
    names = Names(files_test=[["1.1.1.1"], ["127.0.0.1"]])
    guard = Guard([], names)
    guard.check("files.test", inside.port, ["1.1.1.1"])
    await names.resolve("files.test")
    fetcher = Fetcher(make.open(guard), max_bytes=MAX)

    told = await problem(fetcher, f"http://files.test:{inside.port}/secret")

    assert told == FORBIDDEN
    assert inside.requests == []


async def test_address_is_checked_again_where_it_is_connected_to(inside, make):
    """Should a library ever come by an address without the resolver."""
    guard = Guard([])
    guard.check = lambda *_: None
    names = Names(evil_test=[["127.0.0.1"]])
    guard._resolver = names
    fetcher = Fetcher(make.open(guard), max_bytes=MAX)

    told = await problem(fetcher, f"http://evil.test:{inside.port}/secret")

    assert told == FORBIDDEN
    assert inside.requests == []


async def test_other_ports_of_the_operators_host_are_refused(server, inside, make):
    """Chatwoot's own address is no way to the database beside it."""
    url = server.put("/blob", moved(f"http://127.0.0.1:{inside.port}/secret"))

    assert await problem(make(server), url) == FORBIDDEN


@pytest.mark.parametrize("url", ["ftp://x/y", "//x/y", "", "http://", "gopher://x"])
async def test_only_the_web_is_opened(make, url):
    assert await problem(make(), url) == FORBIDDEN


async def test_password_in_an_address_is_not_sent(server, make):
    """It would go to whoever is named behind it."""
    url = server.put("/blob", answer(200, JPEG)).replace("//", "//user:secret@")

    assert await problem(make(server), url) == FORBIDDEN
    assert server.requests == []


async def test_proxy_of_the_environment_is_not_asked(server, inside, make, monkeypatch):
    """It would look the name up again, where nobody checks."""
    monkeypatch.setenv("HTTP_PROXY", inside.url)
    monkeypatch.setenv("http_proxy", inside.url)
    url = server.put("/blob", answer(200, JPEG))

    assert await make(server).fetch(url, patience_s=0.0) == JPEG
    assert inside.requests == []
