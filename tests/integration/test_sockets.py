"""The WebSockets: what each kind of guest hears and may say, event by event."""

import asyncio

import pytest
import sqlalchemy as sa
from sockets import Closed, opened
from test_chat import begin, say
from test_webhook import SIGNED, delivery, post_signed, rows, serving

from chatwoot_bot.store import schema
from chatwoot_bot.web import presence, socket, sockets
from chatwoot_bot.web.socket import MAX_WAITING

pytestmark = pytest.mark.anyio


@pytest.fixture
async def demo(database_url):
    async with serving(database_url) as client:
        yield client


@pytest.fixture
async def quiet(database_url):
    """Without a worker, so that nobody answers."""
    async with serving(database_url, worker=False) as client:
        yield client


def room(conversation):
    return f"/ws/conversations/{conversation['id']}?token={conversation['token']}"


def users(conversation):
    return f"/ws/users/{conversation['user_id']}?token={conversation['token']}"


async def test_message_over_rest_is_heard_in_the_room(quiet):
    conversation, visitor = await begin(quiet)
    async with opened(quiet, room(conversation)) as wire:
        said = await say(quiet, conversation, visitor, "Hi", client_id="a")
        heard = await wire.next("NEW_MESSAGE")

    assert heard == said.json() | {"timestamp": said.json()["created_at"]}


async def test_answer_is_written_before_the_visitors_eyes(demo):
    """Typing, the text as it comes, then the message with the same turn."""
    conversation, _ = await begin(demo)
    async with opened(demo, room(conversation)) as wire:
        await wire.send(message="Hello", client_id="a")
        await wire.next("NEW_MESSAGE")
        answer = await wire.next("NEW_MESSAGE")
        if not any(e["body"].get("typing") is False for e in wire.events):
            await wire.next("TYPING")

    names = [event["event"] for event in wire.events]
    chunks = [e["body"] for e in wire.events if e["event"] == "REPLY_CHUNK"]
    typing = [e["body"] for e in wire.events if e["event"] == "TYPING"]
    assert names[0] == "NEW_MESSAGE"
    assert {c["turn_id"] for c in chunks} <= {answer["turn_id"]}
    assert [(t["sender"], t["typing"]) for t in typing] == [("ai", True), ("ai", False)]
    person = "Talk to a person"
    assert answer["options"][-1] == {"title": person, "value": person}


async def test_visitor_hears_only_their_own_room(quiet):
    ours, _ = await begin(quiet)
    other, stranger = await begin(quiet)
    async with opened(quiet, room(ours)) as wire:
        await say(quiet, other, stranger, "secret")
        await wire.send(message="mine")
        heard = await wire.next("NEW_MESSAGE")

    assert heard["content"] == "mine"
    assert len(wire.events) == 1


async def test_agents_hear_every_conversation(quiet):
    async with opened(quiet, "/ws/agents") as wire:
        conversation, visitor = await begin(quiet)
        await say(quiet, conversation, visitor, "Hi")
        heard = await wire.next("NEW_MESSAGE")

    assert heard["conversation_id"] == conversation["id"]
    assert heard["content"] == "Hi"


async def test_agents_hear_chatwoots_conversations(database_url):
    async with (
        serving(database_url, worker=False, **SIGNED) as client,
        opened(client, "/ws/agents") as wire,
    ):
        await post_signed(client, delivery())
        heard = await wire.next("NEW_MESSAGE")

    assert heard["sender"] == "user"


async def test_agent_takes_over_by_answering_on_the_socket(quiet):
    conversation, _ = await begin(quiet)
    async with (
        opened(quiet, room(conversation)) as visitor,
        opened(quiet, "/ws/agents") as agent,
    ):
        await agent.send(message="Maria here", conversation_id=conversation["id"])
        said = await visitor.next("NEW_MESSAGE")
        states = [await one.next("STATE_CHANGED") for one in (visitor, agent)]

    assert said["sender"] == "agent"
    assert states[0] == states[1]
    assert states[0] == {
        "conversation_id": conversation["id"],
        "state": "human",
        "reason": "agent_joined",
    }


@pytest.mark.parametrize(
    ("path", "state", "reason"),
    [
        ("escalate", "handover_pending", "asked_for_human"),
        ("takeover", "human", "agent_joined"),
        ("resolve", "ai", "resolved"),
    ],
)
async def test_change_of_state_is_seen_by_everybody_at_once(quiet, path, state, reason):
    conversation, visitor = await begin(quiet)
    headers = visitor if path == "escalate" else {}
    async with (
        opened(quiet, room(conversation)) as one,
        opened(quiet, users(conversation)) as two,
        opened(quiet, "/ws/agents") as three,
    ):
        await quiet.post(f"/conversations/{conversation['id']}/{path}", headers=headers)
        seen = [await wire.next("STATE_CHANGED") for wire in (one, two, three)]

    expected = {
        "conversation_id": conversation["id"],
        "state": state,
        "reason": reason,
    }
    assert seen == [expected] * 3


async def test_edit_and_deletion_are_heard(quiet):
    conversation, visitor = await begin(quiet)
    said = (await say(quiet, conversation, visitor, "Helo")).json()
    path = f"/conversations/{conversation['id']}/messages/{said['id']}"
    async with opened(quiet, room(conversation)) as wire:
        await quiet.put(path, json={"content": "Hello"}, headers=visitor)
        edited = await wire.next("MESSAGE_UPDATED")
        await quiet.delete(path, headers=visitor)
        deleted = await wire.next("MESSAGE_DELETED")

    assert (edited["id"], edited["content"]) == (said["id"], "Hello")
    assert (deleted["id"], deleted["content"]) == (said["id"], None)
    assert edited["edited_at"] and deleted["deleted_at"]


async def test_everybody_sees_who_types_but_the_one_who_does(quiet):
    conversation, _ = await begin(quiet)
    async with (
        opened(quiet, room(conversation)) as visitor,
        opened(quiet, "/ws/agents") as agent,
    ):
        await visitor.send(typing=True)
        typing = await agent.next("TYPING")
        await agent.send(typing=True, conversation_id=conversation["id"])
        other = await visitor.next("TYPING")

    assert typing == {
        "conversation_id": conversation["id"],
        "sender": "user",
        "typing": True,
    }
    assert other["sender"] == "agent"
    assert [e["event"] for e in visitor.events] == ["TYPING"]


async def test_typing_ends_with_the_socket(quiet):
    conversation, _ = await begin(quiet)
    async with opened(quiet, "/ws/agents") as agent:
        async with opened(quiet, room(conversation)) as visitor:
            await visitor.send(typing=True)
            assert (await agent.next("TYPING"))["typing"] is True
        stopped = await agent.next("TYPING")

    assert stopped["typing"] is False


async def test_what_was_missed_is_replayed(quiet):
    """After a tunnel: new messages, and what became of the old ones."""
    conversation, visitor = await begin(quiet)
    first = (await say(quiet, conversation, visitor, "one")).json()
    async with opened(quiet, room(conversation)) as wire:
        await wire.send(message="two")
        seen = await wire.next("NEW_MESSAGE")
    await say(quiet, conversation, visitor, "three")
    await quiet.put(
        f"/conversations/{conversation['id']}/messages/{first['id']}",
        json={"content": "ONE"},
        headers=visitor,
    )
    await quiet.post(f"/conversations/{conversation['id']}/takeover")
    async with opened(quiet, room(conversation)) as wire:
        await wire.send(after=seen["id"])
        done = await wire.next("REPLAYED")

    told = [(e["event"], e["body"].get("content")) for e in wire.events]
    assert told[:3] == [
        ("NEW_MESSAGE", "three"),
        ("MESSAGE_UPDATED", "ONE"),
        ("STATE_CHANGED", None),
    ]
    assert done == {"after": seen["id"], "complete": True}


async def test_agents_replay_covers_every_conversation(quiet):
    said = []
    for text in ("a", "b"):
        conversation, visitor = await begin(quiet)
        said.append((await say(quiet, conversation, visitor, text)).json())
    async with opened(quiet, "/ws/agents") as wire:
        await wire.send(after=said[0]["id"] - 1)
        await wire.next("REPLAYED")
        await wire.send(after=0, conversation_id=said[1]["conversation_id"])
        await wire.next("REPLAYED")

    heard = [e["body"]["content"] for e in wire.events if e["event"] == "NEW_MESSAGE"]
    assert heard == ["a", "b", "b"]


async def test_same_client_id_twice_is_one_message_and_told_again(quiet):
    """The socket fell before the echo: the page sends again and must get it."""
    conversation, _ = await begin(quiet)
    async with opened(quiet, room(conversation)) as wire:
        await wire.send(message="Hi", client_id="a")
        first = await wire.next("NEW_MESSAGE")
        await wire.send(message="Hi", client_id="a")
        again = await wire.next("NEW_MESSAGE")

    assert first == again
    assert len(await rows(quiet, schema.messages)) == 1


@pytest.mark.parametrize(
    ("frame", "code", "field"),
    [
        ("{", "invalid_payload", None),
        (b"\xff\xfe", "invalid_payload", None),
        ("", "invalid_payload", None),
        ("[]", "validation_failed", "body"),
        ("{}", "validation_failed", "body"),
        ('{"message": "a", "typing": true}', "validation_failed", "body"),
        ('{"message": 5}', "validation_failed", "message"),
        ('{"message": "  "}', "validation_failed", "message"),
        ('{"message": "a\\u0000b"}', "validation_failed", "message"),
        ('{"typing": "yes"}', "validation_failed", "typing"),
        ('{"after": -1}', "validation_failed", "after"),
        ('{"after": 99999999999999999999}', "validation_failed", "after"),
        ('{"message": "a", "sender": "system"}', "validation_failed", "sender"),
        ('{"message": "a", "conversation_id": "c_1"}', "not_found", None),
        ("[" * 100_000, "invalid_payload", None),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_bad_frame_gets_an_error_and_the_socket_stays_open(
    tmp_path, frame, code, field
):
    async with serving(f"sqlite:///{tmp_path / 's.db'}", worker=False) as client:
        conversation, _ = await begin(client)
        async with opened(client, room(conversation)) as wire:
            await wire.send(frame)
            error = await wire.next("ERROR")
            await wire.send(message="still here")
            heard = await wire.next("NEW_MESSAGE")

    assert error["code"] == code
    assert set(error.get("fields", {})) == ({field} if field else set())
    assert error["message"]
    assert heard["content"] == "still here"


async def test_error_names_the_message_that_failed(quiet):
    """The page marks the right bubble as not sent."""
    async with opened(quiet, "/ws/agents") as wire:
        await wire.send(message="Hi", client_id="a")
        error = await wire.next("ERROR")

    assert (error["client_id"], error["code"]) == ("a", "validation_failed")
    assert error["fields"].keys() == {"conversation_id"}


async def test_message_into_a_chatwoot_conversation_is_refused(database_url):
    async with serving(database_url, worker=False, **SIGNED) as client:
        await post_signed(client, delivery())
        [row] = await rows(client, schema.conversations)
        async with opened(client, "/ws/agents") as wire:
            await wire.send(message="Hi", conversation_id=row["id"])
            error = await wire.next("ERROR")

    assert error["code"] == "conflict"


async def test_too_many_frames_are_not_heeded(quiet):
    conversation, _ = await begin(quiet)
    async with opened(quiet, room(conversation)) as wire:
        for _ in range(60):
            await wire.send(typing=True)
        error = await wire.next("ERROR")

    assert "Too many frames" in error["message"]


async def test_users_socket_hears_all_of_their_conversations(quiet):
    first, visitor = await begin(quiet, user_id="u-1")
    second, _ = await begin_again(quiet, visitor, user_id="u-1")
    async with opened(quiet, users(first)) as wire:
        for conversation in (first, second):
            await wire.send(message="Hi", conversation_id=conversation["id"])
            heard = await wire.next("NEW_MESSAGE")
            assert heard["conversation_id"] == conversation["id"]


async def begin_again(client, visitor, **body):
    """Begin another conversation of the same visitor."""
    created = await client.post("/conversations", json=body, headers=visitor)
    conversation = created.json()
    return conversation, {"authorization": f"Bearer {conversation['token']}"}


async def test_users_socket_begins_a_conversation(quiet):
    """Without an id it is a new one, and both the sender and agents hear of it."""
    first, visitor = await begin(quiet, user_id="u-1")
    async with (
        opened(quiet, users(first)) as wire,
        opened(quiet, "/ws/agents") as agent,
    ):
        await wire.send(message="Hello!")
        heard = await wire.next("NEW_MESSAGE")
        assert await agent.next("NEW_MESSAGE") == heard
    listed = await quiet.get("/users/u-1/conversations", headers=visitor)

    assert heard["conversation_id"] != first["id"]
    ids = {item["id"] for item in listed.json()["items"]}
    assert ids == {first["id"], heard["conversation_id"]}


async def test_users_socket_hears_a_conversation_begun_elsewhere(quiet):
    """Another tab begins one while this one is open."""
    first, visitor = await begin(quiet, user_id="u-1")
    async with opened(quiet, users(first)) as wire:
        second, headers = await begin_again(quiet, visitor, user_id="u-1")
        await say(quiet, second, headers, "from the other tab")
        heard = await wire.next("NEW_MESSAGE")

    assert heard["conversation_id"] == second["id"]


async def test_same_name_is_not_the_same_visitor(quiet):
    """Anybody may call themselves u-1; that shows them nothing of the first u-1."""
    first, _ = await begin(quiet, user_id="u-1")
    thief, visitor = await begin(quiet, user_id="u-1")
    async with opened(quiet, users(thief)) as wire:
        await wire.send(message="x", conversation_id=first["id"])
        error = await wire.next("ERROR")
        await wire.send(after=0, conversation_id=first["id"])
        assert (await wire.next("ERROR"))["code"] == "not_found"
    listed = await quiet.get("/users/u-1/conversations", headers=visitor)

    assert error["code"] == "not_found"
    assert [item["id"] for item in listed.json()["items"]] == [thief["id"]]


async def test_presence_is_told_to_agents_and_counted(quiet):
    conversation, visitor = await begin(quiet, user_id="u-1")

    async def status():
        answer = await quiet.get("/ws/users/u-1/status", headers=visitor)
        return answer.json()

    before = await status()
    async with opened(quiet, "/ws/agents") as agent:
        async with (
            opened(quiet, room(conversation)),
            opened(quiet, users(conversation)),
        ):
            came = await agent.next("PRESENCE")
            during = await status()
        went = await agent.next("PRESENCE")
    after = await status()

    assert came == {"user_id": "u-1", "online": True}
    assert went == {"user_id": "u-1", "online": False}
    assert before == {
        "user_id": "u-1",
        "online": False,
        "connections": 0,
        "last_seen_at": None,
    }
    assert (during["online"], during["connections"]) == (True, 2)
    assert (after["online"], after["connections"]) == (False, 0)
    assert after["last_seen_at"]


async def test_agents_sockets_are_not_the_visitors(quiet):
    await begin(quiet, user_id="u-1")
    conversation, _ = await begin(quiet, user_id="u-1")
    async with opened(quiet, f"/ws/conversations/{conversation['id']}"):
        status = await quiet.get("/ws/users/u-1/status")

    assert status.json()["connections"] == 0


async def test_slow_reader_is_dropped_and_others_do_not_feel_it(quiet):
    """A phone in a tunnel must cost the shop's agents nothing."""
    conversation, _ = await begin(quiet)
    async with (
        opened(quiet, room(conversation), room=1) as slow,
        opened(quiet, room(conversation)) as fast,
    ):
        for number in range(MAX_WAITING + 5):
            quiet.context.hub.typing(conversation["id"], "ai", number % 2 == 0)
            await fast.next("TYPING")
        with pytest.raises(Closed) as closed:
            while True:
                await slow.any()

    assert closed.value.code == 1013
    assert "too slow" in closed.value.reason
    assert len(slow.events) < 5


async def test_reader_that_is_stuck_for_good_leaves_nothing_behind(quiet, monkeypatch):
    monkeypatch.setattr(socket, "CLOSE_S", 0.01)
    conversation, _ = await begin(quiet)
    async with opened(quiet, room(conversation), room=1):
        for number in range(MAX_WAITING + 5):
            quiet.context.hub.typing(conversation["id"], "ai", number % 2 == 0)
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while quiet.context.rooms.sockets:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


async def test_socket_asks_for_its_right_to_be_there_again(quiet, monkeypatch):
    """A signed-in browser that is never closed must not stay an agent for ever.

    Nor is it a refusal: whoever has the right still is let in again.
    """
    conversation, _ = await begin(quiet)
    monkeypatch.setattr(sockets, "SESSION_AGE_S", 0.05)
    for path in ("/ws/agents", room(conversation)):
        async with opened(quiet, path) as wire:
            with pytest.raises(Closed) as closed:
                await wire.any()
        assert closed.value.code == 4408
    monkeypatch.undo()
    async with opened(quiet, room(conversation)) as wire:
        await wire.send(message="still here")
        assert (await wire.next("NEW_MESSAGE"))["content"] == "still here"


async def test_nothing_is_remembered_of_sockets_that_have_gone(quiet):
    conversation, visitor = await begin(quiet, user_id="u-1")
    async with (
        opened(quiet, room(conversation)),
        opened(quiet, users(conversation)),
        opened(quiet, "/ws/agents") as agent,
    ):
        await say(quiet, conversation, visitor)
        await agent.next("NEW_MESSAGE")
        assert quiet.context.rooms.sockets == 3
    rooms = quiet.context.rooms

    assert not any((rooms._rooms, rooms._users, rooms._agents, rooms._seen))
    assert rooms.sockets == 0


async def test_same_name_does_not_tell_who_is_online(quiet):
    """Whoever knows an address may call themselves by it, and learns nothing."""
    ann, visitor = await begin(quiet, user_id="ann@shop.example")
    _, stranger = await begin(quiet, user_id="ann@shop.example")

    async def status(headers):
        path = "/ws/users/ann@shop.example/status"
        return (await quiet.get(path, headers=headers)).json()

    async with opened(quiet, "/ws/agents") as agent:
        async with opened(quiet, room(ann)):
            await agent.next("PRESENCE")
            seen = [await status(who) for who in (visitor, stranger, {})]
        await agent.next("PRESENCE")
    after = await status(stranger)

    assert [one["connections"] for one in seen] == [1, 0, 1]
    assert [one["online"] for one in seen] == [True, False, True]
    assert (seen[1]["last_seen_at"], after["last_seen_at"]) == (None, None)


@pytest.fixture
async def refreshing(database_url, monkeypatch):
    """A service whose presence is refreshed all the time."""
    monkeypatch.setattr(presence, "REFRESH_S", 0.1)
    async with serving(database_url, worker=False) as client:
        yield client


async def test_presence_stays_fresh_while_others_come_and_go(refreshing):
    """Or another process would take a busy one's visitors for gone."""
    still, _ = await begin(refreshing, user_id="still")
    other, _ = await begin(refreshing, user_id="other")

    async def seen_at():
        is_still = schema.presence.c.user_id == "still"
        found = await rows(refreshing, schema.presence, is_still)
        return found[0].seen_at if found else 0.0

    async with (
        opened(refreshing, "/ws/agents") as agent,
        opened(refreshing, room(still)),
        asyncio.timeout(10),
    ):
        await agent.next("PRESENCE")
        first = await seen_at()
        while await seen_at() == first:
            async with opened(refreshing, room(other)):
                await agent.next("PRESENCE")
            await agent.next("PRESENCE")


async def test_who_never_came_back_is_forgotten(refreshing):
    row = {"visitor": "v", "process": "dead", "connections": 0}
    gone = [{"user_id": f"u-{n}", "seen_at": n * 1.0, **row} for n in range(5)]

    def insert(tx):
        tx.execute(sa.insert(schema.presence), gone)

    await refreshing.context.db.write(insert)
    async with asyncio.timeout(10):
        while await rows(refreshing, schema.presence):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
