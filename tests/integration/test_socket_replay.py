"""What a socket that was away is sent again: all of it, in bounds, for every reader."""

import asyncio
import time

import pytest
import sqlalchemy as sa
from sockets import Closed, opened
from test_chat import begin, say
from test_sockets import room, users
from test_webhook import rows, serving

from chatwoot_bot.store import schema
from chatwoot_bot.store.feed import OVERLAP_S
from chatwoot_bot.web import socket

pytestmark = pytest.mark.anyio

NOVEL = "漢" * 100_000


@pytest.fixture
async def quiet(database_url):
    async with serving(database_url, worker=False) as client:
        yield client


async def stored(client, conversation, *contents, **columns):
    """Put messages into the database without a word to anybody; return their ids."""
    values = [
        {
            "conversation_id": conversation["id"],
            "sender": "user",
            "content": content,
            "created_at": time.time(),
            **columns,
        }
        for content in contents
    ]

    def insert(tx):
        query = sa.insert(schema.messages).values(values)
        return list(tx.execute(query.returning(schema.messages.c.id)).scalars())

    return await client.context.db.write(insert)


async def replayed(wire, **frame):
    """Everything up to REPLAYED: the messages' contents, and its body."""
    before = len(wire.events)
    await wire.send(**frame)
    done = await wire.next("REPLAYED")
    told = [e["body"] for e in wire.events[before:] if e["event"] == "NEW_MESSAGE"]
    return [body["content"] for body in told], done


@pytest.mark.parametrize("way", [0, 1], ids=["fast", "slow"])
async def test_more_than_a_queue_holds_is_replayed_in_two_rounds(quiet, way):
    conversation, _ = await begin(quiet)
    await stored(quiet, conversation, *map(str, range(510)))
    async with opened(quiet, room(conversation), room=way) as wire:
        first, done = await replayed(wire, after=0)
        last = wire.events[-2]["body"]["id"]
        second, end = await replayed(wire, after=last)

    assert first == [str(number) for number in range(500)]
    assert second == [str(number) for number in range(500, 510)]
    assert (done["complete"], end["complete"]) == (False, True)


async def test_long_messages_are_replayed_a_page_at_a_time(quiet, monkeypatch):
    """A stranger's few novels must not fill the memory, nor hold up the others."""
    monkeypatch.setattr(socket, "MAX_WAITING_BYTES", 2 * 6 * len(NOVEL))
    conversation, _ = await begin(quiet)
    await stored(quiet, conversation, *[NOVEL] * 10)
    async with opened(quiet, room(conversation), room=1) as wire:
        told, done = await replayed(wire, after=0)

    assert told == [NOVEL] * 10
    assert done["complete"]


async def test_reader_who_takes_nothing_of_a_replay_is_dropped(quiet, monkeypatch):
    monkeypatch.setattr(socket, "PAGE_S", 0.05)
    conversation, _ = await begin(quiet)
    await stored(quiet, conversation, *map(str, range(300)))
    async with opened(quiet, room(conversation), room=1) as wire:
        await wire.send(after=0)
        async with asyncio.timeout(10):
            while quiet.context.rooms.sockets and not wire.incoming.full():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        with pytest.raises(Closed) as closed:
            while True:
                await wire.any()

    assert closed.value.code == 1013
    assert len(wire.events) < 5


async def test_few_long_events_are_as_much_as_many_short_ones(quiet, monkeypatch):
    monkeypatch.setattr(socket, "MAX_WAITING_BYTES", 3 * 6 * len(NOVEL))
    conversation, _ = await begin(quiet)
    agent = {"sender": "agent"}
    async with opened(quiet, room(conversation), room=1) as wire:
        for _ in range(8):
            await say(quiet, conversation, {}, NOVEL, **agent)
        async with asyncio.timeout(10):
            with pytest.raises(Closed) as closed:
                while True:
                    await wire.any()

    assert closed.value.code == 1013


async def test_agents_hear_of_what_moved_without_a_message(quiet):
    conversation, visitor = await begin(quiet)
    said = (await say(quiet, conversation, visitor)).json()
    await quiet.post(f"/conversations/{conversation['id']}/takeover")
    async with opened(quiet, "/ws/agents") as wire:
        await wire.send(after=said["id"])
        await wire.next("REPLAYED")

    states = [e["body"] for e in wire.events if e["event"] == "STATE_CHANGED"]
    assert [(s["conversation_id"], s["state"]) for s in states] == [
        (conversation["id"], "human")
    ]


@pytest.fixture
async def several(postgres_url):
    """Only there do several commit at once; SQLite does in the numbers' order."""
    async with serving(postgres_url, worker=False) as client:
        yield client


@pytest.fixture
async def late(several):
    """A conversation whose message gets its number early and is committed late."""
    quiet = several
    slow, _ = await begin(quiet, user_id="u-1")
    other, _ = await begin(quiet)
    [number] = await stored(quiet, other, "takes the number")

    def take_away(tx):
        tx.execute(sa.delete(schema.messages).where(schema.messages.c.id == number))

    await quiet.context.db.write(take_away)
    [newest] = await stored(quiet, other, "committed first")

    async def commit():
        await stored(quiet, slow, "committed late", id=number)
        quiet.context.hub.publish(slow["id"])

    return newest, slow, commit


async def test_message_committed_late_is_replayed_to_those_who_see_many(several, late):
    newest, slow, commit = late
    await commit()
    for path in ("/ws/agents", users(slow)):
        async with opened(several, path) as wire:
            if path != "/ws/agents":
                await wire.send(message="a second chat of theirs")
                await wire.next("NEW_MESSAGE")
            told, _ = await replayed(wire, after=newest)
        assert "committed late" in told


async def test_message_committed_late_is_heard_by_agents_once(several, late):
    _, slow, commit = late
    async with opened(several, "/ws/agents") as wire:
        await commit()
        first = await wire.next("NEW_MESSAGE")
        await stored(several, slow, "and the next")
        several.context.hub.publish(slow["id"])
        second = await wire.next("NEW_MESSAGE")

    assert [first["content"], second["content"]] == ["committed late", "and the next"]


async def test_what_is_known_to_be_old_is_not_replayed(quiet):
    """The overlap is one of seconds, not of hours."""
    conversation, _ = await begin(quiet)
    long_ago = time.time() - OVERLAP_S - 60
    await stored(quiet, conversation, "old", created_at=long_ago)
    [newest] = await stored(quiet, conversation, "new")
    async with opened(quiet, "/ws/agents") as wire:
        told, _ = await replayed(wire, after=newest)

    assert "old" not in told
    assert len(await rows(quiet, schema.messages)) == 2
