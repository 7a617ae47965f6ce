"""Strangers write as fast as people do; nobody who means it meets a limit."""

import pytest
from sockets import opened
from test_chat import begin, say
from test_sockets import room, users
from test_webhook import rows, serving

from chatwoot_bot.store import schema

pytestmark = pytest.mark.anyio

ADMIN = "an-operators-token"
OPERATOR = {"authorization": f"Bearer {ADMIN}"}
FAR_AWAY = "203.0.113.9"
MANY = 700  # more than any bucket holds


@pytest.fixture
async def abroad(tmp_path):
    """A service seen from one address of another network."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, client=FAR_AWAY, ADMIN_TOKEN=ADMIN) as client:
        yield client


async def test_an_office_begins_its_200_chats_from_one_address(abroad):
    for _ in range(200):
        conversation, visitor = await begin(abroad)
        said = await say(abroad, conversation, visitor)
        assert said.status_code == 201


async def begin_until_refused(client, **options):
    for _ in range(MANY):
        answer = await client.post("/conversations", json={}, **options)
        if answer.status_code != 201:
            return answer
    return None


async def test_flood_of_conversations_is_refused_but_not_the_operators(abroad):
    refused = await begin_until_refused(abroad)
    allowed = await abroad.post("/conversations", json={}, headers=OPERATOR)

    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "too_fast"
    assert int(refused.headers["retry-after"]) >= 1
    assert allowed.status_code == 201


async def test_this_machine_itself_has_no_pace(tmp_path):
    """Benchmarks, and programs beside the service."""
    async with serving(f"sqlite:///{tmp_path / 's.db'}", worker=False) as client:
        assert await begin_until_refused(client) is None


async def test_flood_of_messages_is_refused_whichever_way_it_comes(abroad):
    conversation, visitor = await begin(abroad)
    for _ in range(MANY):
        last = await say(abroad, conversation, visitor)
        if last.status_code != 201:
            break
    path = f"/conversations/{conversation['id']}"
    called = await abroad.post(f"{path}/escalate", json={}, headers=visitor)
    async with opened(abroad, room(conversation), address=FAR_AWAY) as wire:
        await wire.send(message="and more", client_id="a")
        error = await wire.next("ERROR")
    agent = {"content": "Calm down.", "sender": "agent"}
    answer = await abroad.post(f"{path}/messages", json=agent, headers=OPERATOR)

    assert (last.status_code, called.status_code) == (429, 429)
    assert (error["code"], error["client_id"]) == ("too_fast", "a")
    assert answer.status_code == 201
    assert len(await rows(abroad, schema.messages)) < 100


async def test_flood_of_conversations_over_a_socket_is_refused(abroad):
    conversation, _ = await begin(abroad)
    assert (await begin_until_refused(abroad)).status_code == 429
    async with opened(abroad, users(conversation), address=FAR_AWAY) as wire:
        await wire.send(message="one more chat")
        assert (await wire.next("ERROR"))["code"] == "too_fast"


async def test_visitors_message_is_shorter_than_an_agents(abroad):
    """Anybody may write; ten pages are enough."""
    conversation, visitor = await begin(abroad)
    path = f"/conversations/{conversation['id']}/messages"
    most = await say(abroad, conversation, visitor, "x" * 20_000)
    more = await say(abroad, conversation, visitor, "x" * 20_001)
    edited = await abroad.put(
        f"{path}/{most.json()['id']}", json={"content": "x" * 20_001}, headers=visitor
    )
    async with opened(abroad, room(conversation), address=FAR_AWAY) as wire:
        await wire.send(message="x" * 20_001)
        error = await wire.next("ERROR")
    agent = {"content": "x" * 150_000, "sender": "agent"}
    answer = await abroad.post(path, json=agent, headers=OPERATOR)

    assert most.status_code == answer.status_code == 201
    assert more.status_code == edited.status_code == 422
    assert more.json()["fields"].keys() == error["fields"].keys() == {"content"}
