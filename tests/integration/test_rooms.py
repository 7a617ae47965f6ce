"""Who is told what as it happens, also where a signal is lost or a room is old."""

import asyncio
import itertools

import pytest
from sockets import opened
from test_chat import begin, say
from test_socket_replay import stored
from test_sockets import room, users
from test_webhook import serving

from chatwoot_bot.store import pooling, signals
from chatwoot_bot.web import rooms

pytestmark = pytest.mark.anyio

ONE_KEY = "one-key-for-all-of-us"


@pytest.fixture
async def quiet(database_url, monkeypatch):
    monkeypatch.setattr(rooms, "POLL_S", 0.05)
    async with serving(database_url, worker=False) as client:
        yield client


async def test_message_whose_signal_was_lost_is_heard_all_the_same(quiet):
    """In a room, by its user, and by agents, who did not know the conversation."""
    conversation, _ = await begin(quiet)
    async with (
        opened(quiet, room(conversation)) as one,
        opened(quiet, users(conversation)) as two,
        opened(quiet, "/ws/agents") as three,
    ):
        await stored(quiet, conversation, "nobody was told")
        heard = [await wire.next("NEW_MESSAGE") for wire in (one, two, three)]

    assert {body["content"] for body in heard} == {"nobody was told"}


async def test_conversation_that_began_while_no_signal_came_is_met(quiet):
    async with opened(quiet, "/ws/agents") as wire:
        conversation, _ = await begin(quiet)
        await stored(quiet, conversation, "new here")
        heard = await wire.next("NEW_MESSAGE")

    assert heard["conversation_id"] == conversation["id"]


async def test_poll_repeats_nothing(quiet):
    conversation, visitor = await begin(quiet)
    async with opened(quiet, "/ws/agents") as wire:
        await say(quiet, conversation, visitor, "once")
        await wire.next("NEW_MESSAGE")
        for _ in range(8):
            await quiet.context.rooms._look_around()
        await say(quiet, conversation, visitor, "last")
        assert (await wire.next("NEW_MESSAGE"))["content"] == "last"

    assert len(wire.events) == 2


async def test_agent_is_not_told_what_was_said_while_none_was_there(quiet):
    """A user's open socket keeps the rooms awake meanwhile."""
    bystander, _ = await begin(quiet, user_id="u-1")
    conversation, visitor = await begin(quiet)
    async with opened(quiet, users(bystander)):
        async with opened(quiet, "/ws/agents") as wire:
            await say(quiet, conversation, visitor, "heard")
            await wire.next("NEW_MESSAGE")
        for number in range(3):
            await say(quiet, conversation, visitor, f"unheard {number}")
        await quiet.context.rooms._look_around()
        async with opened(quiet, "/ws/agents") as wire:
            await say(quiet, conversation, visitor, "new")
            assert (await wire.next("NEW_MESSAGE"))["content"] == "new"


async def test_rooms_forget_still_conversations_and_repeat_nothing(quiet, monkeypatch):
    monkeypatch.setattr(rooms, "MAX_SEEN", 10)
    begun = [await begin(quiet) for _ in range(15)]
    async with opened(quiet, "/ws/agents") as wire:
        for turn in ("first", "second"):
            for conversation, visitor in begun:
                await say(quiet, conversation, visitor, turn)
                heard = await wire.next("NEW_MESSAGE")
                assert heard["content"] == turn
                assert heard["conversation_id"] == conversation["id"]
        await asyncio.sleep(0)
        assert len(quiet.context.rooms._seen) <= 11

    assert len(wire.events) == 30


async def test_signals_pass_while_the_connection_is_asked_whether_it_lives(
    postgres_url, monkeypatch
):
    monkeypatch.setattr(rooms, "POLL_S", 1_000.0)
    monkeypatch.setattr(signals, "ASK_EVERY_S", 0.01)
    async with (
        serving(postgres_url, worker=False, SECRET_KEY=ONE_KEY) as here,
        serving(postgres_url, worker=False, SECRET_KEY=ONE_KEY) as there,
        opened(there, "/ws/agents") as wire,
    ):
        conversation, visitor = await begin(here)
        for number in range(50):
            await say(here, conversation, visitor, str(number))
            assert (await wire.next("NEW_MESSAGE"))["content"] == str(number)


def answers_twice_of_three_times():
    """Answer twice, as when a connection is new, and then once not at all."""
    session_of, asked = pooling.session_of, itertools.count()

    async def answer(connection):
        if next(asked) % 3 == 2:
            raise TimeoutError
        return await session_of(connection)

    return answer


async def test_connection_that_does_not_answer_is_opened_again(
    postgres_url, monkeypatch
):
    """A firewall forgets a quiet connection and tells nobody."""
    monkeypatch.setattr(rooms, "POLL_S", 1_000.0)
    monkeypatch.setattr(signals, "ASK_EVERY_S", 0.01)
    monkeypatch.setattr(pooling, "session_of", answers_twice_of_three_times())
    monkeypatch.setattr(signals, "RECONNECT_S", 0.05)
    async with serving(postgres_url, worker=False) as client:
        conversation, _ = await begin(client)
        async with opened(client, room(conversation)) as wire:
            await stored(client, conversation, "said while nobody listened")
            heard = await wire.next("NEW_MESSAGE")

    assert heard["content"] == "said while nobody listened"
