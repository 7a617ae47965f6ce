"""The web chat's REST: a visitor, their conversation, and nobody else's."""

import asyncio

import pytest
from test_webhook import SIGNED, delivery, post_signed, rows, serving

from chatwoot_bot.store import chat, schema

pytestmark = pytest.mark.anyio


@pytest.fixture
async def demo(database_url):
    async with serving(database_url) as client:
        yield client


async def begin(client, **body):
    """Begin a conversation; return it and the headers of its visitor."""
    created = await client.post("/conversations", json=body)
    assert created.status_code == 201
    conversation = created.json()
    return conversation, {"authorization": f"Bearer {conversation['token']}"}


async def say(client, conversation, headers, content="Hi", **body):
    return await client.post(
        f"/conversations/{conversation['id']}/messages",
        json={"content": content, "sender": "user", **body},
        headers=headers,
    )


async def messages(client, conversation, headers, **params):
    answer = await client.get(
        f"/conversations/{conversation['id']}/messages",
        params=params,
        headers=headers | {"prefer": "wait=10"},
    )
    assert answer.status_code == 200
    return answer.json()


async def test_visitor_asks_and_is_answered(demo):
    conversation, visitor = await begin(demo, user_id="u-1", name="Tomas")
    said = await say(demo, conversation, visitor, client_id="a")
    news = await messages(demo, conversation, visitor, after=said.json()["id"])

    assert conversation["state"] == "ai"
    assert conversation["user_id"] == "u-1"
    assert said.status_code == 201
    assert said.json()["sender"] == "user"
    assert said.json()["client_id"] == "a"
    assert [item["sender"] for item in news["items"]] == ["ai"]
    assert news["items"][0]["content"]
    assert news["total"] == 2


async def test_same_client_id_twice_is_one_message(demo):
    """A phone that lost its connection sends again."""
    conversation, visitor = await begin(demo)
    first = await say(demo, conversation, visitor, client_id="a")
    again = await say(demo, conversation, visitor, client_id="a")

    assert first.json()["id"] == again.json()["id"]
    assert first.status_code == again.status_code == 201


async def test_pages_are_oldest_first_with_size_and_total(database_url):
    async with serving(database_url, worker=False) as client:
        conversation, visitor = await begin(client)
        for number in range(5):
            await say(client, conversation, visitor, f"message {number}")
        path = f"/conversations/{conversation['id']}/messages"
        first = await client.get(path, params={"size": 2}, headers=visitor)
        last = await client.get(path, params={"size": 2, "page": 3}, headers=visitor)
        before = await client.get(
            path,
            params={"size": 2, "before": last.json()["items"][0]["id"]},
            headers=visitor,
        )

    contents = [
        [i["content"][-1] for i in a.json()["items"]] for a in (first, last, before)
    ]
    assert contents == [["0", "1"], ["4"], ["2", "3"]]
    assert (first.json()["total"], first.json()["page"]) == (5, 1)
    assert first.json()["next"] and not last.json()["next"]


async def test_talk_to_a_human_waits_for_one(demo):
    """Asked for by a button: the bot says so, and then is silent."""
    conversation, visitor = await begin(demo)
    escalated = await demo.post(
        f"/conversations/{conversation['id']}/escalate", json={}, headers=visitor
    )
    told = await messages(demo, conversation, visitor, after=0)
    await say(demo, conversation, visitor, "Anybody there?")
    owed = await rows(demo, schema.messages, schema.messages.c.owed)

    assert escalated.json()["state"] == "handover_pending"
    assert [item["sender"] for item in told["items"]] == ["ai"]
    assert owed == []


async def test_agents_reply_takes_the_conversation(demo):
    conversation, visitor = await begin(demo)
    await demo.post(
        f"/conversations/{conversation['id']}/messages",
        json={"content": "Maria here", "sender": "agent"},
    )
    state = await demo.get(f"/conversations/{conversation['id']}", headers=visitor)

    assert state.json()["state"] == "human"
    assert state.json()["last_message"]["sender"] == "agent"


async def test_waiting_for_news_goes_on_after_a_signal_without_any(demo):
    """On PostgreSQL the signal of the caller's own message may come later than that."""
    conversation, visitor = await begin(demo)
    waiting = asyncio.create_task(messages(demo, conversation, visitor, after=0))
    while not (demo.context.hub._watchers or waiting.done()):  # noqa: ASYNC110
        await asyncio.sleep(0)
    demo.context.hub.publish(conversation["id"])
    await demo.context.db.read(chat.get, conversation["id"])
    await say(demo, conversation, visitor)
    news = await waiting

    assert [item["sender"] for item in news["items"]][:1] == ["user"]


async def test_waiting_for_news_ends_at_a_change_of_state(demo):
    """The page shows at once who holds the conversation."""
    conversation, visitor = await begin(demo)
    waiting = asyncio.create_task(messages(demo, conversation, visitor, after=0))
    while not (demo.context.hub._watchers or waiting.done()):  # noqa: ASYNC110
        await asyncio.sleep(0)
    await demo.post(
        "/toggle-human",
        json={"enabled": True, "conversation_id": conversation["id"]},
    )

    assert (await waiting)["items"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/conversations/{id}"),
        ("GET", "/conversations/{id}/messages"),
        ("POST", "/conversations/{id}/messages"),
        ("POST", "/conversations/{id}/escalate"),
    ],
)
@pytest.mark.parametrize("proof", ["none", "nonsense", "another visitor's"])
async def test_nobody_reads_or_writes_another_visitors_chat(
    tmp_path, method, path, proof
):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, client="203.0.113.7") as client:
        victim, _ = await begin(client)
        _, stranger = await begin(client)
        headers = {
            "none": {},
            "nonsense": {"authorization": "Bearer nonsense"},
            "another visitor's": stranger,
        }[proof]
        answer = await client.request(
            method,
            path.format(id=victim["id"]),
            json={"content": "x"} if method == "POST" else None,
            headers=headers,
        )

    assert answer.status_code == 401


@pytest.mark.parametrize("sender", ["agent", "ai"])
async def test_visitor_cannot_speak_as_somebody_else(tmp_path, sender):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, client="203.0.113.7") as client:
        conversation, visitor = await begin(client)
        answer = await say(client, conversation, visitor, sender=sender)

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": ""}, "content"),
        ({"content": " \n"}, "content"),
        ({"content": "a\x00b"}, "content"),
        ({"content": 5}, "content"),
        ({"content": "x" * 150_001}, "content"),
        ({"sender": "system"}, "sender"),
        ({"client_id": ""}, "client_id"),
    ],
    ids=["empty", "blank", "NUL", "number", "long", "sender", "client_id"],
)
async def test_wrong_message_is_422_and_names_the_field(demo, body, field):
    conversation, visitor = await begin(demo)
    answer = await demo.post(
        f"/conversations/{conversation['id']}/messages",
        json={"content": "Hi", **body},
        headers=visitor,
    )

    assert answer.status_code == 422
    assert answer.json()["fields"].keys() == {field}


@pytest.mark.parametrize(
    "params", [{"page": 0}, {"size": 1000}, {"after": "x"}, {"before": 2**70}], ids=str
)
async def test_wrong_page_is_422(demo, params):
    conversation, visitor = await begin(demo)
    answer = await demo.get(
        f"/conversations/{conversation['id']}/messages", params=params, headers=visitor
    )

    assert answer.status_code == 422


async def test_chatwoot_conversation_is_answered_in_chatwoot(database_url):
    async with serving(database_url, worker=False, **SIGNED) as client:
        await post_signed(client, delivery())
        [row] = await rows(client, schema.conversations)
        answer = await client.post(
            f"/conversations/{row['id']}/messages",
            json={"content": "Hi", "sender": "agent"},
        )

    assert answer.status_code == 409


async def test_unknown_conversation_is_404_to_an_agent(demo):
    answer = await demo.get("/conversations/c_0000000000000000")

    assert answer.status_code == 404


async def test_who_calls_and_who_takes_over_is_logged_once(demo, capsys):
    """The rule, and nobody's words."""
    conversation, visitor = await begin(demo)
    path = f"/conversations/{conversation['id']}"
    reason = {"reason": "my own words"}
    for _ in range(2):
        await demo.post(f"{path}/escalate", json=reason, headers=visitor)
    for _ in range(2):
        await demo.post(f"{path}/takeover")
    logged = capsys.readouterr().out
    changes = [line for line in logged.splitlines() if "state changed" in line]

    assert len(changes) == 2
    assert "handover_pending" in changes[0]
    assert "asked_for_human" in changes[0]
    assert "agent_joined" in changes[1]
    assert "my own words" not in logged
