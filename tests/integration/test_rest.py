"""The REST contract, row by row: shapes, pages, cursors, states and the figures."""

import json
import re

import pydantic
import pytest
import sqlalchemy as sa
from sockets import opened
from test_chat import begin, messages, say
from test_webhook import SIGNED, delivery, post_signed, rows, serving

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.store import schema
from chatwoot_bot.web import schemas
from chatwoot_bot.web.events import EVENTS
from chatwoot_bot.web.routes import OPERATIONS, ROUTES, described

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


def fits(shape, body):
    """Check a body against its TypedDict: every field, its type, and no other."""
    assert pydantic.TypeAdapter(shape).validate_python(body) == body
    return body


async def test_every_answer_has_the_shape_that_is_described(quiet):
    conversation, visitor = await begin(quiet, user_id="u-1", name="Ann")
    said = (await say(quiet, conversation, visitor, client_id="a")).json()
    one = f"/conversations/{conversation['id']}"
    for operation in OPERATIONS:
        if operation.answer is None or operation.path.endswith("replay"):
            continue
        path = operation.path.replace(":int", "").format(
            conversation_id=conversation["id"], message_id=said["id"], user_id="u-1"
        )
        bodies = {
            "/toggle-human": {"enabled": False},
            f"{one}/messages": {"content": "x"},
            f"{one}/messages/{said['id']}": {"content": "y"},
        }
        method = operation.method
        body = bodies.get(path) if method in ("POST", "PUT") else None
        answer = await quiet.request(method, path, json=body)

        assert answer.status_code == operation.status, answer.text
        fits(operation.answer, answer.json())


def test_description_names_every_call_and_every_reference_is_there():
    document = described()
    named = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
    }
    served = {(o.method, o.path.replace(":int", "")) for o in OPERATIONS}
    references = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))

    assert named == served
    assert references <= document["components"]["schemas"].keys()
    assert len({o.name for o in OPERATIONS}) == len(OPERATIONS)
    assert all(operation.summary.endswith(".") for operation in OPERATIONS)
    assert "``" not in str(document)  # no page renders that
    assert len(ROUTES) > len(OPERATIONS)


async def test_pages_and_the_description_are_served(quiet):
    for path in ("/", "/console", "/docs", "/dashboard-app"):
        page = await quiet.get(path)
        assert page.status_code == 200
        assert "<script>" not in page.text  # the policy would block it
    spec = await quiet.get("/openapi.json")
    widget = await quiet.get("/widget.js")

    assert spec.json()["openapi"] == "3.1.0"
    assert spec.json()["x-websockets"]["events"].keys() == EVENTS.keys()
    assert widget.headers["content-type"].startswith("text/javascript")
    assert widget.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_list_is_newest_activity_first_in_pages(quiet):
    """A console with a thousand conversations reads fifty at a time."""
    made = [(await begin(quiet, user_id=f"u-{n}")) for n in range(5)]
    await say(quiet, *made[0], "up")  # the oldest is the newest now
    seen, before = [], None
    while True:
        params = {"limit": 2} | ({"before": before} if before else {})
        page = (await quiet.get("/conversations", params=params)).json()
        seen += [item["user_id"] for item in page["items"]]
        before = page["next"]
        if before is None:
            break

    assert seen == ["u-0", "u-4", "u-3", "u-2", "u-1"]


async def test_list_by_state_and_by_user(quiet):
    waiting, visitor = await begin(quiet, user_id="u-1")
    held, _ = await begin(quiet, user_id="u-2")
    await begin(quiet, user_id="u-3")
    await quiet.post(f"/conversations/{waiting['id']}/escalate", headers=visitor)
    await quiet.post(f"/conversations/{held['id']}/takeover")

    async def users(**params):
        answer = await quiet.get("/conversations", params=params)
        return [item["user_id"] for item in answer.json()["items"]]

    assert await users(state="handover_pending") == ["u-1"]
    assert await users(state="human") == ["u-2"]
    assert await users(state="ai") == ["u-3"]
    assert await users(user_id="u-2") == ["u-2"]
    assert await users(user_id="u-2", state="ai") == []


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/conversations", {"state": "open"}, "state"),
        ("/conversations", {"limit": 0}, "limit"),
        ("/conversations", {"before": "x"}, "before"),
        ("/conversations", {"before": "nan:c_1"}, "before"),
        ("/conversations", {"before": "1.5:\x00"}, "before"),
        ("/stats", {"since": "yesterday"}, "since"),
        ("/stats", {"inbox_id": 0}, "inbox_id"),
    ],
    ids=str,
)
async def test_wrong_parameter_is_422_and_named(quiet, path, params, field):
    answer = await quiet.get(path, params=params)

    assert answer.status_code == 422
    assert answer.json()["fields"].keys() == {field}


async def test_chatwoots_conversations_are_listed_with_their_link(database_url):
    async with serving(database_url, worker=False, **SIGNED) as client:
        await post_signed(client, delivery())
        [item] = (await client.get("/conversations")).json()["items"]
        transcript = await client.get(f"/conversations/{item['id']}/messages")
        taken = await client.post(f"/conversations/{item['id']}/takeover")
        [row] = await rows(client, schema.conversations)
        released = await client.post(f"/conversations/{item['id']}/release")
        refused = [
            await client.post(f"/conversations/{item['id']}/escalate"),
            await client.put(
                f"/conversations/{item['id']}/messages/1", json={"content": "x"}
            ),
            await client.delete(f"/conversations/{item['id']}/messages/1"),
        ]

    assert item["channel"] == "chatwoot"
    assert item["url"] == "http://127.0.0.1:9/app/accounts/1/conversations/150"
    assert transcript.json()["total"] == 1
    assert (taken.json()["state"], row["wanted_status"]) == ("human", "open")
    assert released.json()["state"] == "ai"
    assert [answer.status_code for answer in refused] == [409] * 3


async def test_resolving_a_chatwoot_conversation_tells_chatwoot(database_url):
    async with serving(database_url, worker=False, **SIGNED) as client:
        await post_signed(client, delivery())
        [item] = (await client.get("/conversations")).json()["items"]
        await client.post(f"/conversations/{item['id']}/resolve")
        [row] = await rows(client, schema.conversations)

    assert row["wanted_status"] == "resolved"


async def test_agent_takes_over_in_any_state_and_gives_back(quiet):
    conversation, visitor = await begin(quiet)
    one = f"/conversations/{conversation['id']}"
    states = []
    for step in ("takeover", "takeover", "release", "escalate", "takeover", "resolve"):
        headers = visitor if step == "escalate" else {}
        answer = await quiet.post(f"{one}/{step}", headers=headers)
        states.append((answer.json()["state"], answer.json()["reason"]))

    assert states == [
        ("human", "agent_joined"),
        ("human", "agent_joined"),
        ("ai", "released"),
        ("handover_pending", "asked_for_human"),
        ("human", "agent_joined"),
        ("ai", "resolved"),
    ]


async def test_visitors_words_at_handover_are_for_agents(quiet):
    conversation, visitor = await begin(quiet)
    one = f"/conversations/{conversation['id']}"
    await quiet.post(f"{one}/escalate", json={"reason": "It burns"}, headers=visitor)
    theirs = await quiet.get(one, headers=visitor)
    agents = await quiet.get(one)

    assert agents.json()["detail"] == "It burns"
    assert "detail" not in theirs.json()
    assert theirs.json()["reason"] == "asked_for_human"


async def test_resolve_draws_a_line_and_the_next_message_is_the_bots(demo):
    conversation, visitor = await begin(demo)
    first = (await say(demo, conversation, visitor)).json()
    await messages(demo, conversation, visitor, after=first["id"])
    await demo.post(f"/conversations/{conversation['id']}/takeover")
    await demo.post(f"/conversations/{conversation['id']}/resolve")
    again = (await say(demo, conversation, visitor, "Hello again")).json()
    answer = await messages(demo, conversation, visitor, after=again["id"])
    all_of_it = await messages(demo, conversation, visitor)

    assert [item["sender"] for item in answer["items"]] == ["ai"]
    assert [item["closes"] for item in all_of_it["items"]] == [
        *(False, True),
        *(False, False),
    ]


async def test_edit_and_delete_keep_place_and_times(quiet):
    conversation, visitor = await begin(quiet)
    said = (await say(quiet, conversation, visitor, "Helo")).json()
    one = f"/conversations/{conversation['id']}/messages/{said['id']}"
    edited = await quiet.put(one, json={"content": "Hello"}, headers=visitor)
    deleted = await quiet.delete(one, headers=visitor)
    twice = await quiet.delete(one, headers=visitor)
    late = await quiet.put(one, json={"content": "x"}, headers=visitor)
    listed = await messages(quiet, conversation, visitor)
    owed = await rows(quiet, schema.messages, schema.messages.c.owed)

    assert (edited.json()["content"], edited.json()["id"]) == ("Hello", said["id"])
    assert edited.json()["edited_at"]
    assert (deleted.json()["content"], deleted.json()["id"]) == (None, said["id"])
    assert twice.json() == deleted.json()
    assert late.status_code == 409
    assert listed["items"] == [deleted.json()]
    assert owed == []  # nobody answers what was taken back


@pytest.mark.parametrize("message_id", [0, 999, 2**70])
async def test_unknown_message_is_404(quiet, message_id):
    conversation, visitor = await begin(quiet)
    one = f"/conversations/{conversation['id']}/messages/{message_id}"

    assert (await quiet.delete(one, headers=visitor)).status_code == 404


async def test_edit_while_the_bot_thinks_is_answered_as_edited(database_url):
    """And what it was writing to the old words is withdrawn and on record."""
    async with ModelStandIn(delay_s=3.0) as model:
        settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": "stand-in"}
        async with serving(database_url, **settings) as client:
            conversation, visitor = await begin(client)
            path = f"/ws/conversations/{conversation['id']}"
            full = f"{path}?token={conversation['token']}"
            async with opened(client, full) as wire:
                said = (await say(client, conversation, visitor, "colour blue")).json()
                chunk = await wire.next("REPLY_CHUNK")
                model.delay_s = 0.1
                await client.put(
                    f"/conversations/{conversation['id']}/messages/{said['id']}",
                    json={"content": "colour red"},
                    headers=visitor,
                )
                dropped = await wire.next("REPLY_DROPPED")
                answer = await wire.next("NEW_MESSAGE")
            turns = await client.get(f"/conversations/{conversation['id']}/turns")

    newest, older = turns.json()["items"]
    assert dropped["turn_id"] == chunk["turn_id"] == older["id"]
    assert answer["content"] == "Answer to: colour red"
    assert answer["turn_id"] == newest["id"] != older["id"]
    assert (older["outcome"], newest["outcome"]) == ("superseded", "kept")
    assert chunk["text"] in older["draft"]
    for event in wire.events:
        fits(EVENTS[event["event"]], event["body"])


async def test_turns_tell_why_the_bot_said_what_it_said(demo):
    conversation, visitor = await begin(demo)
    said = (await say(demo, conversation, visitor)).json()
    answer = await messages(demo, conversation, visitor, after=said["id"])
    await say(demo, conversation, visitor, "I want a human")
    await messages(demo, conversation, visitor, after=answer["items"][0]["id"] + 1)
    turns = (await demo.get(f"/conversations/{conversation['id']}/turns")).json()
    fits(schemas.TurnPage, turns)
    handover, first = turns["items"]

    assert answer["items"][0]["turn_id"] == first["id"]
    assert (first["decision"], first["reason"]) == ("bot", "default")
    assert (handover["decision"], handover["reason"]) == ("handover", "asked_for_human")
    assert first["replies"][0]["content"] == answer["items"][0]["content"]
    assert first["replies"][0]["state"] == "delivered"
    assert first["latency_ms"] >= 0
    page = await demo.get(
        f"/conversations/{conversation['id']}/turns", params={"limit": 1}
    )
    rest = await demo.get(
        f"/conversations/{conversation['id']}/turns",
        params={"limit": 1, "before": page.json()["next"]},
    )
    assert [i["id"] for i in (*page.json()["items"], *rest.json()["items"])] == [
        *(handover["id"], first["id"])
    ]


async def test_returning_visitor_goes_on_with_an_earlier_chat(quiet):
    first, visitor = await begin(quiet, user_id="u-1", name="Ann")
    await say(quiet, first, visitor, "Remember me")
    second = await quiet.post("/conversations", json={}, headers=visitor)
    listed = await quiet.get("/users/u-1/conversations", headers=visitor)
    tokens = {item["id"]: item["token"] for item in listed.json()["items"]}
    again = {"authorization": f"Bearer {tokens[first['id']]}"}
    read = await messages(quiet, first, again)
    agents = await quiet.get("/users/u-1/conversations")

    assert (second.json()["user_id"], second.json()["name"]) == ("u-1", "Ann")
    assert set(tokens) == {first["id"], second.json()["id"]}
    assert read["items"][0]["content"] == "Remember me"
    assert len(agents.json()["items"]) == 2
    assert "token" not in agents.json()["items"][0]


async def test_dead_letters_are_listed_and_replayed(database_url):
    async with serving(database_url, worker=False, **SIGNED) as client:
        await post_signed(client, b'{"event":"message_created","id":"x"}')
        [letter] = (await client.get("/dead-letters")).json()["items"]
        fits(schemas.DeadLetters, (await client.get("/dead-letters")).json())
        again = await client.post(f"/dead-letters/{letter['id']}/replay")
        unknown = [
            await client.post(f"/dead-letters/{name}/replay")
            for name in ("t_0.0", "delivery:99", "delivery:x", "delivery:" + "9" * 30)
        ]

    assert letter["kind"] == "delivery"
    assert letter["error"]
    assert again.status_code == 409  # still not understood
    assert [answer.status_code for answer in unknown] == [404] * 4


async def test_dead_delivery_of_another_account_is_not_replayed(database_url):
    """It was kept before anybody could read whose it is."""
    other = delivery()
    other["account"] = {"id": 2}
    kept = {
        "outcome": "quarantined",
        "reason": "test",
        "body": json.dumps(other).encode(),
        "received_at": 1.0,
    }
    async with serving(database_url, worker=False, **SIGNED) as client:
        await client.context.db.write(
            lambda tx: tx.execute(sa.insert(schema.deliveries), [kept])
        )
        [letter] = (await client.get("/dead-letters")).json()["items"]
        again = await client.post(f"/dead-letters/{letter['id']}/replay")
        stored = await rows(client, schema.conversations)

    assert again.status_code == 409
    assert "other_account" in again.json()["error"]["message"]
    assert stored == []


async def test_chatwoots_conversation_is_found_by_its_number(database_url):
    async with serving(database_url, worker=False, **SIGNED) as client:
        await post_signed(client, delivery())
        await begin(client)

        async def found(**params):
            answer = await client.get("/conversations", params=params)
            return [item["display_id"] for item in answer.json()["items"]]

        assert await found(display_id=150) == [150]
        assert await found(display_id=150, account_id=1) == [150]
        assert await found(display_id=150, account_id=2) == []
        assert await found(display_id=151) == []


async def test_dead_reply_is_said_after_all(quiet):
    conversation, visitor = await begin(quiet)
    await quiet.post(f"/conversations/{conversation['id']}/escalate", headers=visitor)
    [reply] = await rows(quiet, schema.replies)
    await quiet.context.db.write(
        lambda tx: tx.execute(
            schema.replies.update().values(state="dead", error="404 Not Found")
        )
    )
    [letter] = (await quiet.get("/dead-letters")).json()["items"]
    stats = (await quiet.get("/stats")).json()
    replayed = await quiet.post(f"/dead-letters/{letter['id']}/replay")
    [after] = await rows(quiet, schema.replies)

    assert letter["id"] == reply["key"]
    assert (letter["conversation_id"], letter["error"]) == (
        conversation["id"],
        "404 Not Found",
    )
    assert stats["now"]["dead_letters"] == 1
    assert replayed.json() == {"id": reply["key"], "status": "queued"}
    assert (after["state"], after["kind"]) == ("open", "replay")


async def test_figures_tell_what_became_of_the_conversations(demo):
    alone, ann = await begin(demo)
    said = (await say(demo, alone, ann)).json()
    await messages(demo, alone, ann, after=said["id"])
    asked, bob = await begin(demo)
    said = (await say(demo, asked, bob, "human please")).json()
    await messages(demo, asked, bob, after=said["id"])
    await demo.post(f"/conversations/{asked['id']}/resolve")
    await say(demo, asked, bob, "one more thing")
    stats = fits(schemas.StatsOut, (await demo.get("/stats")).json())
    outcomes = stats["outcomes"]
    future = await demo.get("/stats", params={"since": "2199-01-01T00:00:00Z"})
    inbox = await demo.get("/stats", params={"inbox_id": 3})

    assert outcomes["conversations"] == 2
    assert outcomes["answered_by_bot"] == 1
    assert outcomes["handed_over"] == {"asked_for_human": 1}
    assert outcomes["reopened"] == 1
    assert outcomes["first_answer_seconds"]["p50"] >= 0
    assert outcomes["cost"] is None
    assert future.json()["outcomes"]["conversations"] == 0
    assert inbox.json()["outcomes"]["first_answer_seconds"] == {
        "p50": None,
        "p90": None,
    }


async def test_an_agents_answer_is_not_the_bots(database_url):
    """In a conversation that a human had before the bot ever saw it."""
    async with serving(database_url, worker=False, **SIGNED) as client:
        asked = delivery()
        asked["conversation"]["status"] = "open"
        asked["conversation"]["first_reply_created_at"] = 1_784_538_000
        agent = {"id": 1, "name": "Maria", "type": "user"}
        asked["conversation"]["meta"]["assignee"] = agent
        answered = json.loads(json.dumps(asked))
        answered |= {
            "id": asked["id"] + 1,
            "message_type": "outgoing",
            "content": "Yes, we do.",
            "sender": agent,
        }
        answered["conversation"]["messages"] = []
        await post_signed(client, asked)
        await post_signed(client, answered)
        stats = await client.get("/stats", params={"since": "2020-01-01"})

    outcomes = stats.json()["outcomes"]
    assert (outcomes["conversations"], outcomes["answered_by_bot"]) == (1, 0)


async def test_words_before_the_first_question_are_no_answer_to_it(quiet):
    conversation, visitor = await begin(quiet)
    path = f"/conversations/{conversation['id']}"
    greeting = {"content": "Hello from us", "sender": "agent"}
    await quiet.post(f"{path}/messages", json=greeting)
    await quiet.post(f"{path}/release")
    await say(quiet, conversation, visitor, "A question")
    outcomes = (await quiet.get("/stats")).json()["outcomes"]

    assert outcomes["first_answer_seconds"] == {"p50": None, "p90": None}
    assert outcomes["answered_by_bot"] == 0


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
)
async def test_figures_of_any_time_that_can_be_written(quiet, moment):
    for bound in ("since", "until"):
        answer = await quiet.get("/stats", params={bound: moment})
        assert answer.status_code == 200
