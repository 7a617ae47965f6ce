"""What visitors may make the service do costs little, however often they ask."""

import asyncio
import contextlib
import json
import time

import pytest
import sqlalchemy as sa
from sockets import Closed, opened
from test_chat import begin, say
from test_pace import ADMIN, FAR_AWAY, OPERATOR
from test_sockets import room, users
from test_webhook import SIGNED, SMALLEST, post_signed, rows, serving

from chatwoot_bot.handover import Handover
from chatwoot_bot.store import chat, feed, schema
from chatwoot_bot.web import body, pace
from chatwoot_bot.web.bodies import Bodies
from chatwoot_bot.web.rates import Rate

pytestmark = pytest.mark.anyio

LONG = "漢" * 20_000
PAGE_BYTES = 3 * chat.PAGE_CHARS + 200_000
WAIT_S = 10


@pytest.fixture
async def quiet(database_url):
    async with serving(database_url, worker=False, ADMIN_TOKEN=ADMIN) as client:
        yield client


@pytest.fixture
async def abroad(tmp_path):
    """A service seen from one address of another network."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, client=FAR_AWAY, ADMIN_TOKEN=ADMIN) as client:
        yield client


async def stored(client, conversation, *contents):
    """Put messages into the database without a word to anybody; return their ids."""
    values = [
        {
            "conversation_id": conversation["id"],
            "sender": "user",
            "content": content,
            "created_at": time.time(),
        }
        for content in contents
    ]
    query = sa.insert(schema.messages).values(values).returning(schema.messages.c.id)
    return await client.context.db.write(lambda tx: list(tx.execute(query).scalars()))


def messages_of(conversation):
    return f"/conversations/{conversation['id']}/messages"


async def walk(client, conversation, visitor, way, **params):
    """Read all pages one way; return the ids as read, and the longest page."""
    ids, longest, at = [], 0, {}
    while True:
        answer = await client.get(
            messages_of(conversation), params=params | at, headers=visitor
        )
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found = [item["id"] for item in page["items"]]
        ids += found if way == "after" else found[::-1]
        longest = max(longest, len(answer.content))
        if page["next"] is None:
            return ids, longest
        at = {way: page["next"]}


@pytest.mark.parametrize(("way", "begin_at"), [("after", 0), ("before", 10**9)])
@pytest.mark.parametrize("size", [7, 200])
async def test_page_is_bounded_in_bytes_and_nothing_is_lost(quiet, way, begin_at, size):
    conversation, visitor = await begin(quiet)
    novel = "x" * 150_000
    said = ["short", *[LONG] * 40, novel, novel, "", *["short"] * 10]
    ids = await stored(quiet, conversation, *said)
    read, longest = await walk(
        quiet, conversation, visitor, way, size=size, **{way: begin_at}
    )

    assert read == (ids if way == "after" else ids[::-1])
    assert longest < PAGE_BYTES


async def test_message_longer_than_a_page_has_one_for_itself(quiet, monkeypatch):
    monkeypatch.setattr(chat, "PAGE_CHARS", 10)
    conversation, visitor = await begin(quiet)
    ids = await stored(quiet, conversation, "x" * 100, "y" * 100)

    assert (await walk(quiet, conversation, visitor, "after"))[0] == ids


async def test_lists_show_the_beginning_of_the_last_message(quiet):
    conversation, visitor = await begin(quiet, user_id="u-1")
    await stored(quiet, conversation, LONG)
    one = f"/conversations/{conversation['id']}"
    listed = (await quiet.get("/conversations", headers=OPERATOR)).json()
    own = (await quiet.get("/users/u-1/conversations", headers=visitor)).json()
    whole = (await quiet.get(one, headers=visitor)).json()

    for page in (listed, own):
        [item] = page["items"]
        assert item["last_message"]["content"] == LONG[: chat.PREVIEW_CHARS]
    assert whole["last_message"]["content"] == LONG


async def test_news_of_a_busy_conversation_are_read_in_pieces(quiet, monkeypatch):
    """It must not fill the memory; all of it comes, in order."""
    monkeypatch.setattr(feed, "LOOK_CHARS", 60_000)
    conversation, _ = await begin(quiet)
    async with opened(quiet, f"/ws/agents?token={ADMIN}") as wire:
        said = [*map(str, range(450)), *[LONG] * 5, "end"]
        await stored(quiet, conversation, *said)
        quiet.context.hub.publish(conversation["id"])
        heard = [(await wire.next("NEW_MESSAGE"))["content"] for _ in said]

    assert heard == said


NOWHERE = (2**63 - 1, 2**63, 10**400, 1.5, -1, "x", [], "1" * 5_000)


@pytest.mark.parametrize("at", NOWHERE, ids=range(len(NOWHERE)))
async def test_place_that_cannot_be_is_an_error_and_the_socket_stays_open(quiet, at):
    conversation, _ = await begin(quiet)
    async with opened(quiet, room(conversation)) as wire:
        await wire.send(json.dumps({"after": at, "client_id": "a"}))
        error = await wire.next("ERROR")
        await wire.send(after=2**63 - 2)
        done = await wire.next("REPLAYED")
        await wire.send(message="still here")
        heard = await wire.next("NEW_MESSAGE")

    assert error["code"] in ("validation_failed", "invalid_payload")
    assert done["complete"]
    assert heard["content"] == "still here"


@contextlib.asynccontextmanager
async def polling(client, conversation, headers, times):
    """Have *times* requests wait for news while the block runs; yield their answers."""
    hub = client.context.hub
    path = messages_of(conversation)
    waiting = [
        asyncio.create_task(
            client.get(
                path, params={"after": 0}, headers=headers | {"prefer": "wait=50"}
            )
        )
        for _ in range(times)
    ]
    async with asyncio.timeout(WAIT_S):
        while _settled(hub, conversation, waiting) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    try:
        yield waiting
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


def _settled(hub, conversation, waiting):
    """How many wait, or have been answered."""
    watching = len(hub._watchers.get(conversation["id"], ()))
    return watching + sum(task.done() for task in waiting)


async def test_few_requests_of_a_visitor_wait_for_news(quiet):
    conversation, visitor = await begin(quiet)
    async with polling(quiet, conversation, visitor, 6) as waiting:
        refused = [task.result() for task in waiting if task.done()]
        agents = asyncio.create_task(_wait(quiet, conversation, OPERATOR))
        await say(quiet, conversation, visitor)
        answers = await asyncio.gather(*waiting)
        agent = await agents
    again = await _wait(quiet, conversation, visitor)

    assert [answer.status_code for answer in refused] == [429, 429]
    assert int(refused[0].headers["retry-after"]) >= 1
    assert [answer.status_code for answer in answers].count(200) == 4
    assert (agent.status_code, again.status_code) == (200, 200)


async def _wait(client, conversation, headers):
    return await client.get(
        messages_of(conversation),
        params={"after": 0},
        headers=headers | {"prefer": "wait=9"},
    )


async def test_conversation_wakes_few_requests_wherever_they_come_from(quiet):
    conversation, visitor = await begin(quiet)
    strangers = quiet.context.strangers
    with contextlib.ExitStack() as held:
        for number in range(pace.POLLS_IN_ONE // pace.POLLS_FROM_ONE_ADDRESS):
            for _ in range(pace.POLLS_FROM_ONE_ADDRESS):
                far = _Connection(f"203.0.113.{number}")
                held.enter_context(strangers.polling(far, conversation["id"]))
        refused = await _wait(quiet, conversation, visitor)

    assert refused.status_code == 429


class _Connection:
    """A request, as far as its pace goes."""

    def __init__(self, host, **headers):
        self.client = type("Address", (), {"host": host})
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


async def test_look_of_a_waiting_request_reads_no_text(quiet):
    """Each message wakes all that wait."""
    conversation, _ = await begin(quiet)
    [first, second] = await stored(quiet, conversation, LONG, LONG)
    look = quiet.context.db.read

    assert await look(chat.look, conversation["id"], after=first) == (True, "ai")
    assert await look(chat.look, conversation["id"], after=second) == (False, "ai")
    assert await look(chat.look, "c_unknown", after=0) == (False, None)


@contextlib.asynccontextmanager
async def many(client, path, times):
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(opened(client, path)) for _ in range(times)
        ]


@pytest.mark.parametrize("way", [room, users])
async def test_visitor_has_few_sockets_and_agents_have_many(quiet, way):
    conversation, _ = await begin(quiet, user_id="u-1")
    most = pace.SOCKETS_OF_ONE
    async with many(quiet, way(conversation), most) as wires:
        async with opened(quiet, way(conversation)) as more:
            with pytest.raises(Closed) as closed:
                await more.any()
        async with many(quiet, f"/ws/agents?token={ADMIN}", most + 1) as agents:
            await wires[0].send(message="Hi", **_named(way, conversation))
            for wire in (*wires, *agents):
                await wire.next("NEW_MESSAGE")
    async with opened(quiet, way(conversation)) as again:
        await again.send(after=0, **_named(way, conversation))
        await again.next("REPLAYED")

    assert closed.value.code == 4429


def _named(way, conversation):
    return {"conversation_id": conversation["id"]} if way is users else {}


async def test_address_has_its_share_of_sockets(abroad):
    abroad.context.strangers._sockets._most = 2
    first, _ = await begin(abroad)
    second, _ = await begin(abroad)
    async with contextlib.AsyncExitStack() as stack:
        for one in (first, second):
            await stack.enter_async_context(opened(abroad, room(one), address=FAR_AWAY))
        third = await stack.enter_async_context(
            opened(abroad, room(first), address=FAR_AWAY)
        )
        with pytest.raises(Closed) as closed:
            await third.any()
        other = await stack.enter_async_context(
            opened(abroad, room(first), address="203.0.113.77")
        )
        await other.send(after=0)
        await other.next("REPLAYED")

    assert closed.value.code == 4429


async def test_replays_count_as_many_frames(quiet):
    conversation, _ = await begin(quiet)
    async with opened(quiet, room(conversation)) as wire:
        for _ in range(8):
            await wire.send(after=0)
        error = await wire.next("ERROR")
        replayed = sum(event["event"] == "REPLAYED" for event in wire.events)

    assert error["code"] == "too_fast"
    assert replayed <= 5


async def test_replay_is_counted_by_what_it_brings(quiet):
    quiet.context.strangers._read_in_one = Rate(250, 60)
    conversation, _ = await begin(quiet)
    await stored(quiet, conversation, *[LONG] * 20)  # 400 units, five in a page
    async with opened(quiet, room(conversation)) as wire:
        await wire.send(after=0)
        error = await wire.next("ERROR")
        told = sum(event["event"] == "NEW_MESSAGE" for event in wire.events)
    async with opened(quiet, f"/ws/agents?token={ADMIN}") as wire:
        await wire.send(after=0)
        done = await wire.next("REPLAYED")

    assert (error["code"], told) == ("too_fast", 10)
    assert done["complete"]


async def test_reading_is_counted_by_what_it_brings(quiet):
    quiet.context.strangers._read_in_one = Rate(250, 60)
    conversation, visitor = await begin(quiet)
    await stored(quiet, conversation, *[LONG] * 5)  # 100 units, and two for asking
    path = messages_of(conversation)
    answers = [await quiet.get(path, headers=visitor) for _ in range(4)]
    agent = await quiet.get(path, headers=OPERATOR)

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[-1].json()["error"]["code"] == "too_fast"
    assert agent.status_code == 200


async def test_address_reads_its_share(abroad):
    abroad.context.strangers._read = Rate(3, 60)
    codes = []
    for _ in range(3):
        conversation, visitor = await begin(abroad)
        answer = await abroad.get(messages_of(conversation), headers=visitor)
        codes.append(answer.status_code)

    assert codes == [200, 429, 429]


@pytest.fixture
def told(monkeypatch):
    """How often it was worked out what to tell at a handover."""
    calls = []
    real = Handover.tell

    def tell(self, *args, **options):
        calls.append(args)
        return real(self, *args, **options)

    monkeypatch.setattr(Handover, "tell", tell)
    return calls


def escalate(client, conversation, headers):
    path = f"/conversations/{conversation['id']}/escalate"
    return client.post(path, json={}, headers=headers)


async def test_human_who_has_been_called_is_not_called_again(quiet, told):
    conversation, visitor = await begin(quiet)
    answers = [await escalate(quiet, conversation, visitor) for _ in range(20)]
    one = f"/conversations/{conversation['id']}"
    await quiet.post(f"{one}/takeover", headers=OPERATOR)
    held = await escalate(quiet, conversation, visitor)
    states = await rows(quiet, schema.state_changes)

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["state"] for answer in answers} == {"handover_pending"}
    assert held.json()["state"] == "human"
    assert len(told) == 1
    assert len(states) == 2


async def test_visitor_calls_a_human_five_times_an_hour(quiet, told):
    conversation, visitor = await begin(quiet)
    codes = []
    for _ in range(7):
        codes.append((await escalate(quiet, conversation, visitor)).status_code)
        one = f"/conversations/{conversation['id']}"
        await quiet.post(f"{one}/release", headers=OPERATOR)
    agent = await escalate(quiet, conversation, OPERATOR)

    assert codes == [200] * 5 + [429] * 2
    assert agent.status_code == 200
    assert len(told) == 6


@pytest.fixture
async def signed(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, **SIGNED) as client:
        yield client


async def stalled(size, read):
    """A body of which *size* bytes come, and then nothing."""
    yield b"x" * size
    read.append(size)
    await asyncio.Event().wait()


async def test_body_that_says_it_is_too_long_is_not_read(signed):
    read = []
    answer = await signed.post(
        "/webhook/chatwoot",
        content=stalled(10, read),
        headers={"content-length": "1048577"},
    )

    assert answer.status_code == 413
    assert read == []


async def test_bodies_that_stall_give_way_to_those_that_come(signed):
    """The first to begin gives way, and Chatwoot's own delivery is taken."""
    object.__setattr__(signed.context, "bodies", Bodies(10_000))
    read = []
    slow = [
        asyncio.create_task(
            signed.post("/webhook/chatwoot", content=stalled(4_000, read))
        )
        for _ in range(5)
    ]
    async with asyncio.timeout(WAIT_S):
        while len(read) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        first = [(await task).status_code for task in slow[:3]]
        held = signed.context.bodies.held
        taken = await post_signed(signed, SMALLEST | {"content": "x" * 3_000})
    for task in slow:
        task.cancel()
    await asyncio.wait(slow)

    assert first == [429] * 3  # never 503
    assert held == 8_000
    assert taken.status_code == 200


async def test_body_that_was_read_counts_no_more(signed):
    for _ in range(3):
        await post_signed(signed, SMALLEST)

    assert signed.context.bodies.held == 0


async def test_body_that_stalls_is_ended(signed, monkeypatch):
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.05)
    answer = await signed.post("/webhook/chatwoot", content=stalled(10, []))

    assert answer.status_code == 400
    assert signed.context.bodies.held == 0


@pytest.mark.parametrize("header", ["x-forwarded-for", "true-client-ip", "forwarded"])
async def test_proxy_that_is_not_trusted_is_warned_of_once(abroad, capsys, header):
    """Or all its visitors share one limit, and nobody knows why."""
    for _ in range(3):
        forwarded = {header: "198.51.100.1"}
        await abroad.post("/conversations", json={}, headers=forwarded)
    logged = capsys.readouterr().out

    assert logged.count("FORWARDED_ALLOW_IPS") == 1
    assert FAR_AWAY in logged


@pytest.mark.parametrize(
    ("proxies", "headers"),
    [("", {}), (FAR_AWAY, {"via": "1.1 proxy"}), ("", {"x-forwarded-for": FAR_AWAY})],
    ids=["no proxy", "trusted, without the client", "trusted, with the client"],
)
async def test_nothing_else_is_warned_of(
    tmp_path, monkeypatch, capsys, proxies, headers
):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", proxies)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, client=FAR_AWAY, ADMIN_TOKEN=ADMIN) as client:
        await client.post("/conversations", json={}, headers=headers)

    assert "FORWARDED_ALLOW_IPS" not in capsys.readouterr().out
