"""POST /webhook/chatwoot: the whole answer table and every refusal, over ASGI."""

import hashlib
import hmac
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from chatwoot_bot.app import build
from chatwoot_bot.settings import Settings
from chatwoot_bot.store import engine, schema

pytestmark = pytest.mark.anyio

DELIVERIES = Path(__file__).parents[1] / "deliveries"
SECRET = "a-secret-of-24-characters"
SMALLEST = {
    "event": "message_created",
    "id": 1,
    "content": "Hi",
    "message_type": "incoming",
    "content_type": "text",
}
HUMAN = {
    "status": "ok",
    "route": "human",
    "message": "Human mode is ON. No bot reply generated.",
}
SIGNED = {
    "CHATWOOT_BASE_URL": "http://127.0.0.1:9",
    "CHATWOOT_API_TOKEN": "t",
    "CHATWOOT_WEBHOOK_SECRET": f"another-one-of-ours,{SECRET}",
    "CHATWOOT_ACCOUNT_ID": "1",
    "agent": True,
    "RESPONDER": "mock",
}
ADMIN = "the-operators-token"


@asynccontextmanager
async def serving(url, *, client="127.0.0.1", worker=True, agent=False, **settings):
    """The application without a socket, and a client that talks to it.

    Args:
        agent: the client sends `ADMIN_TOKEN`, unless a call says otherwise.
    """
    headers = {"authorization": f"Bearer {ADMIN}"} if agent else {}
    settings |= {"ADMIN_TOKEN": ADMIN} if agent else {}
    loaded = Settings.load({"DATABASE_URL": url, "QUIET_SECONDS": "0", **settings})
    app = build(loaded, with_worker=worker)
    transport = httpx.ASGITransport(
        app, client=(client, 1234), raise_app_exceptions=False
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as http,
    ):
        http.context = app.state.context
        http.transport = transport
        yield http


@pytest.fixture
async def demo(database_url):
    async with serving(database_url) as client:
        yield client


@pytest.fixture
async def signed(database_url):
    """Connected to a Chatwoot that does not answer; no worker, so nothing is sent."""
    async with serving(database_url, worker=False, **SIGNED) as client:
        yield client


def sign(body, *, secret=SECRET, timestamp=None, delivery=None):
    timestamp = timestamp or str(int(time.time()))
    digest = hmac.new(
        secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256
    ).hexdigest()
    headers = {
        "x-chatwoot-signature": f"sha256={digest}",
        "x-chatwoot-timestamp": timestamp,
    }
    return headers | ({"x-chatwoot-delivery": delivery} if delivery else {})


async def post(client, body, **headers):
    """Post *body* (an object, or bytes as they are)."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post("/webhook/chatwoot", content=data, headers=headers)


async def post_signed(client, body, **options):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(
        "/webhook/chatwoot", content=data, headers=sign(data, **options)
    )


def delivery(name="message_created__incoming_text_webwidget", **changes):
    return json.loads((DELIVERIES / f"{name}.json").read_text()) | changes


async def rows(client, table, *where):
    query = sa.select(table).where(*where)
    return await client.context.db.read(lambda tx: tx.execute(query).mappings().all())


async def test_smallest_body_is_answered_in_the_response(demo):
    """The smallest possible integration: curl, and a reply."""
    answer = await post(demo, SMALLEST)

    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "route", "reply"}
    assert answer.json()["status"] == "ok"
    assert answer.json()["route"] == "bot"
    assert answer.json()["reply"]


async def test_repeated_curl_is_answered_again(demo):
    """Without a conversation there is nothing to tell a repeat by."""
    answers = [await post(demo, SMALLEST) for _ in range(2)]

    assert [a.json()["route"] for a in answers] == ["bot", "bot"]


async def test_repeated_delivery_id_is_a_duplicate(demo):
    header = {"x-chatwoot-delivery": "0b0f1cc0-0000-4000-8000-000000000000"}
    await post(demo, SMALLEST, **header)
    again = await post(demo, SMALLEST, **header)

    assert again.json() == {"status": "duplicate"}


async def test_human_mode_answers_for_humans(demo):
    await demo.post("/toggle-human", json={"enabled": True})
    answer = await post(demo, SMALLEST)
    await demo.post("/toggle-human", json={"enabled": False})
    after = await post(demo, SMALLEST)

    assert answer.json() == HUMAN
    assert after.json()["route"] == "bot"


async def test_signed_delivery_is_queued(signed):
    answer = await post_signed(signed, delivery())

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "route": "bot", "queued": True}


async def test_same_message_twice_is_a_duplicate(signed):
    await post_signed(signed, delivery(), delivery="d-1")
    same_delivery = await post_signed(signed, delivery(), delivery="d-1")
    other_route = await post_signed(signed, delivery(), delivery="d-2")

    assert same_delivery.json() == other_route.json() == {"status": "duplicate"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{not json", id="not JSON"),
        pytest.param(b"[1, 2]", id="not an object"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deep nesting"),
        pytest.param(b'{"event": 5}', id="event is a number"),
        pytest.param(
            b'{"event":"message_created","id":"x","message_type":"incoming"}',
            id="id is text",
        ),
        pytest.param(
            b'{"event":"message_created","message_type":"incoming"}', id="no id"
        ),
        pytest.param(b'{"event":"message_created","id":1}', id="no type"),
        pytest.param(
            b'{"event":"message_created","id":1e99,"message_type":"incoming"}',
            id="huge number",
        ),
        pytest.param(
            json.dumps({**SMALLEST, "id": 2**80}).encode(), id="id beyond a bigint"
        ),
        pytest.param(
            json.dumps({**SMALLEST, "content": ["x"]}).encode(), id="content is a list"
        ),
        pytest.param(
            json.dumps({**SMALLEST, "conversation": "x"}).encode(),
            id="conversation is text",
        ),
        pytest.param(
            b'{"event":"message_created","id":1,"message_type":"incoming",'
            b'"conversation":{"id":1,"updated_at":NaN}}',
            id="NaN",
        ),
    ],
)
class TestNotUnderstood:
    async def test_unsigned_is_400(self, demo, body):
        """Whoever sends it can mend it."""
        answer = await post(demo, body)

        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "invalid_payload"
        assert answer.json()["error"]["message"]

    async def test_signed_is_kept_aside(self, signed, body):
        """A refusal would make Chatwoot hand the customer to humans."""
        answer = await post_signed(signed, body)

        kept = await rows(signed, schema.deliveries)
        assert answer.status_code == 200
        assert answer.json()["status"] == "quarantined"
        assert answer.json()["reason"]
        assert [(row["outcome"], row["body"]) for row in kept] == [
            ("quarantined", body)
        ]


@pytest.mark.parametrize(
    "change",
    [
        {"content": "a\x00b\ud800c"},
        {"content": "héllo ✓ 漢字 🙂"},
        {"content_type": "hologram"},
        {"content": "x" * 200_000},
        {"sender": {"name": "\x00\udfff"}},
        {"unknown": {"deeply": [[[[1]]]]}},
    ],
    ids=["not storable", "any script", "unknown type", "long", "name", "unknown key"],
)
async def test_odd_but_readable_message_is_answered(demo, change):
    """PostgreSQL stores neither NUL nor lone surrogates; the contact still asks."""
    answer = await post(demo, {**SMALLEST, **change})

    assert answer.status_code == 200
    assert answer.json()["reply"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "no_event"),
        ({"event": "who_knows"}, "not_message_created"),
        (
            {"event": "message_updated", "id": 1, "message_type": 0},
            "not_message_created",
        ),
        ({**SMALLEST, "message_type": "outgoing"}, "agent_reply"),
        ({**SMALLEST, "message_type": "template"}, "template"),
        ({**SMALLEST, "message_type": "who knows"}, "unknown_message_type"),
        ({**SMALLEST, "private": True}, "private"),
        ({**SMALLEST, "content": None}, "empty"),
        ({**SMALLEST, "content": "  "}, "empty"),
    ],
    ids=str,
)
async def test_ignored(demo, body, reason):
    answer = await post(demo, body)

    assert answer.status_code == 200
    assert answer.json() == {"status": "ignored", "reason": reason}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"account": {"id": 2}}, "other_account"),
        ({"inbox": {"id": 99}}, "other_inbox"),
    ],
)
async def test_other_accounts_and_inboxes_are_not_ours(database_url, changes, reason):
    settings = {**SIGNED, "CHATWOOT_INBOX_ID": "3, 5"}
    async with serving(database_url, worker=False, **settings) as client:
        answer = await post_signed(client, delivery(**changes))
        stored = await rows(client, schema.conversations)

    assert answer.json() == {"status": "ignored", "reason": reason}
    assert stored == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-chatwoot-signature": "sha256=" + "0" * 64, "x-chatwoot-timestamp": "1"},
        {"x-chatwoot-signature": b"sha256=\xe9\xff", "x-chatwoot-timestamp": b"\xb2"},
        {"x-chatwoot-timestamp": "9" * 5_000, "x-chatwoot-signature": "sha256=0"},
    ],
    ids=["unsigned", "old", "not ASCII", "endless"],
)
async def test_every_401_looks_alike(signed, headers, caplog):
    """Whoever guesses learns nothing; the log names the reason."""
    body = json.dumps(SMALLEST).encode()
    answer = await signed.post("/webhook/chatwoot", content=body, headers=headers)

    assert answer.status_code == 401
    assert answer.json() == {
        "error": {
            "code": "unauthorized",
            "message": "The delivery is not signed as expected.",
        }
    }
    assert await rows(signed, schema.deliveries) == []


@pytest.mark.parametrize(
    ("shift", "status"), [(-290, 200), (290, 200), (-310, 401), (310, 401)]
)
async def test_five_minute_window(signed, shift, status):
    answer = await post_signed(
        signed, delivery(), timestamp=str(int(time.time()) + shift)
    )

    assert answer.status_code == status


async def test_unsigned_is_allowed_only_by_choice(database_url):
    settings = {**SIGNED, "CHATWOOT_ALLOW_UNSIGNED": "true"}
    async with serving(database_url, worker=False, **settings) as client:
        unsigned = await post(client, delivery())
        wrong = await client.post(
            "/webhook/chatwoot",
            content=b"{}",
            headers=sign(b"{}", secret="not this one"),
        )

    assert unsigned.json()["route"] == "bot"
    assert wrong.status_code == 401


async def test_message_without_a_conversation_has_nowhere_to_be_answered(signed):
    """With Chatwoot configured; in the demo the answer is in the response."""
    answer = await post_signed(signed, SMALLEST)

    assert answer.json() == {"status": "ignored", "reason": "no_conversation"}


async def test_too_large_is_413(demo):
    answer = await post(demo, b"x" * (1_048_576 + 1))

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


async def test_full_queue_is_429(demo, monkeypatch):
    """Chatwoot repeats a bot's delivery on 429, three seconds later."""
    monkeypatch.setattr(engine, "MAX_WAITING", 0)
    answer = await post(demo, SMALLEST)

    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "busy"


async def test_what_cannot_be_stored_is_500_and_never_503(demo):
    """On 503 Chatwoot would hand the conversation to humans at once."""
    await demo.context.db.write(lambda tx: tx.execute(sa.text("DROP TABLE messages")))
    answer = await post(demo, SMALLEST)

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "storage_failed"


async def test_errors_have_one_form(demo):
    unknown = await demo.get("/nowhere")
    wrong_method = await demo.get("/webhook/chatwoot")

    assert unknown.status_code == 404
    assert wrong_method.status_code == 405
    for answer in (unknown, wrong_method):
        assert answer.json()["error"].keys() == {"code", "message"}


async def test_inbox_that_nobody_serves_is_told_of_once(database_url, capsys):
    """Its contacts may be waiting for a bot that never answers."""
    only = SIGNED | {"CHATWOOT_INBOX_ID": "77"}
    async with serving(database_url, worker=False, **only) as client:
        answers = [await post_signed(client, delivery(id=n)) for n in (1, 2)]
        said = capsys.readouterr().out.count("unserved inbox ignored")

    assert [answer.json()["reason"] for answer in answers] == ["other_inbox"] * 2
    assert said == 1


@pytest.mark.parametrize("name", ["LLM_TIMEOUT_SECONDS", "LLM_FIRST_TOKEN_SECONDS"])
async def test_model_that_may_take_longer_than_contacts_wait_is_told(
    database_url, capsys, name
):
    async with serving(database_url, worker=False, **{name: "600"}):
        said = capsys.readouterr().out

    assert f"{name} is longer than ANSWER_DEADLINE_SECONDS" in said


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"PUBLIC_URL": "https://bot.example.com"}, True),
        ({"CORS_ORIGINS": "https://shop.example.com"}, True),
        ({"HOST": "0.0.0.0"}, True),
        ({"HOST": "0.0.0.0", "MAX_COST_PER_DAY": "5"}, False),
        ({"HOST": "0.0.0.0", "OPENAI_API_KEY": ""}, False),
        ({"HOST": "127.0.0.1"}, False),
        ({}, False),
    ],
)
async def test_open_purse_is_told_of(database_url, capsys, given, told):
    """Strangers may spend what they like on the operator's model."""
    settings = {"OPENAI_API_KEY": "sk-1"} | given
    async with serving(database_url, worker=False, **settings):
        said = capsys.readouterr().out

    assert ("MAX_COST_PER_DAY is not set" in said) is told


async def test_what_does_nothing_without_a_model_is_told(
    database_url, capsys, tmp_path
):
    given = {"KNOWLEDGE_DIR": str(tmp_path), "TOOLS": "resolve_conversation"}
    async with serving(database_url, worker=False, **given):
        without = capsys.readouterr().out
    async with serving(database_url, worker=False, OPENAI_API_KEY="sk-1", **given):
        with_one = capsys.readouterr().out

    assert "these settings need a model; set OPENAI_API_KEY" in without
    assert "['KNOWLEDGE_DIR', 'TOOLS']" in without
    assert "need a model" not in with_one


@pytest.mark.parametrize(
    ("more", "told"), [({}, True), ({"PUBLIC_URL": "https://bot.example"}, False)]
)
async def test_calendar_files_that_no_contact_gets_are_told(
    database_url, capsys, more, told
):
    hours = {"BOOKING_HOURS": "Mon-Fri 10:00-12:00"}
    async with serving(database_url, worker=False, **hours, **more):
        said = capsys.readouterr().out

    assert ("PUBLIC_URL is not set: contacts" in said) is told
