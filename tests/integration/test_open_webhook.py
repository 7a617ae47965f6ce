"""The webhook without a signature: who may use it, and how much."""

import json

import pytest
from test_webhook import SECRET, SMALLEST, post, rows, serving, sign

from chatwoot_bot.store import schema
from chatwoot_bot.web.schemas import MAX_VISITOR_CONTENT

pytestmark = pytest.mark.anyio

ADMIN = "the-operators-token"
AGENT = {"authorization": f"Bearer {ADMIN}"}
FAR_AWAY = "203.0.113.7"
UNSIGNED = {"CHATWOOT_ALLOW_UNSIGNED": "true"}
WEB_CHAT = {"CORS_ORIGINS": "https://shop.example", "ADMIN_TOKEN": ADMIN}
OLD_CHATWOOT = UNSIGNED | {
    "CHATWOOT_BASE_URL": "http://127.0.0.1:9",
    "CHATWOOT_API_TOKEN": "t",
    "RESPONDER": "mock",
}
HERE = "127.0.0.1"
# Or the answer would wait for one of the bot.
AT_ONCE = {"prefer": "wait=0"}
PROXIED = {"x-forwarded-for": FAR_AWAY}


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.mark.parametrize(
    ("settings", "client", "headers", "status"),
    [
        ({}, HERE, {}, 200),
        ({}, HERE, PROXIED, 403),
        ({}, FAR_AWAY, {}, 403),
        ({"ADMIN_TOKEN": ADMIN}, HERE, {}, 401),
        ({"ADMIN_TOKEN": ADMIN}, FAR_AWAY, {}, 401),
        ({"ADMIN_TOKEN": ADMIN}, FAR_AWAY, AGENT, 200),
        (WEB_CHAT, HERE, {}, 401),
        (WEB_CHAT, FAR_AWAY, {}, 401),
        (WEB_CHAT, FAR_AWAY, AGENT, 200),
        ({"PUBLIC_URL": "https://chat.example.com"}, HERE, {}, 401),
        (UNSIGNED, FAR_AWAY, {}, 200),
        (UNSIGNED, HERE, PROXIED, 200),
        (UNSIGNED, FAR_AWAY, {"origin": "https://evil.example"}, 403),
        (UNSIGNED, HERE, {"origin": "http://127.0.0.1:3000"}, 403),
        (OLD_CHATWOOT, FAR_AWAY, {}, 200),
        ({"CHATWOOT_WEBHOOK_SECRET": SECRET}, FAR_AWAY, {}, 401),
        ({"CHATWOOT_WEBHOOK_SECRET": SECRET}, HERE, {}, 401),
    ],
)
async def test_who_may_send_what_is_not_signed(url, settings, client, headers, status):
    """Each delivery costs money: without Chatwoot it is for curl on this machine."""
    async with serving(url, worker=False, client=client, **settings) as http:
        answer = await post(http, said(1), **AT_ONCE, **headers)
        stored = await rows(http, schema.messages)
        page = (await http.get("/metrics", headers=AGENT)).text

    assert answer.status_code == status, answer.text
    assert len(stored) == (status == 200)
    if status in (401, 403) and "ADMIN_TOKEN" in settings:
        assert 'outcome="refused"' in page


async def test_signed_delivery_needs_nobodys_leave(url):
    """A sender of the operator's own, without Chatwoot."""
    settings = {"CHATWOOT_WEBHOOK_SECRET": SECRET, "worker": False}
    async with serving(url, client=FAR_AWAY, **settings) as http:
        long = SMALLEST | {"content": "x" * 30_000}
        body = json.dumps(long).encode()
        answer = await post(http, body, **sign(body), **AT_ONCE)

    assert answer.status_code == 200


def said(number, content="Hi"):
    return SMALLEST | {
        "id": number,
        "content": content,
        "conversation": {"id": 1, "display_id": 1, "status": "pending"},
        "account": {"id": 1},
        "inbox": {"id": 1},
    }


async def test_unsigned_deliveries_are_paced_like_a_visitors_messages(url):
    async with serving(url, worker=False, client=FAR_AWAY, **OLD_CHATWOOT) as http:
        statuses = [(await post(http, said(n))).status_code for n in range(1, 80)]
        refused = await post(http, said(99))
        stored = await rows(http, schema.messages)

    assert statuses[:60] == [200] * 60
    assert 429 in statuses
    assert int(refused.headers["retry-after"]) >= 1
    assert len(stored) == statuses.count(200)


@pytest.mark.parametrize(
    ("length", "status"), [(MAX_VISITOR_CONTENT, 200), (MAX_VISITOR_CONTENT + 1, 422)]
)
async def test_unsigned_message_is_as_long_as_a_visitors_at_most(url, length, status):
    async with serving(url, worker=False, client=FAR_AWAY, **OLD_CHATWOOT) as http:
        answer = await post(http, said(1, "x" * length))
        stored = await rows(http, schema.messages)

    assert answer.status_code == status
    assert len(stored) == (status == 200)
    if status == 422:
        assert answer.json()["fields"].keys() == {"content"}


async def test_agents_are_held_to_no_such_limits(url):
    settings = {"ADMIN_TOKEN": ADMIN, "worker": False, "client": FAR_AWAY}
    async with serving(url, **settings) as http:
        long = said(1, "x" * 30_000)
        answers = [
            await post(http, long | {"id": n}, **AT_ONCE, **AGENT) for n in range(1, 80)
        ]

    assert {a.status_code for a in answers} == {200}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (UNSIGNED, False),
        (UNSIGNED | {"CHATWOOT_WEBHOOK_SECRET": SECRET}, True),
        ({"CHATWOOT_WEBHOOK_SECRET": SECRET}, False),
    ],
)
async def test_secret_that_protects_nothing_is_warned_of(url, settings, told, capsys):
    async with serving(url, worker=False, **settings):
        pass

    said = capsys.readouterr().out
    assert ("makes CHATWOOT_WEBHOOK_SECRET useless" in said) is told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, False),
        ({"PUBLIC_URL": "https://chat.example.com"}, True),
        (OLD_CHATWOOT, True),
        (OLD_CHATWOOT | {"ADMIN_TOKEN": ADMIN}, False),
    ],
)
async def test_missing_admin_token_is_warned_of(url, settings, told, capsys):
    async with serving(url, worker=False, **settings):
        pass

    assert ("ADMIN_TOKEN is not set" in capsys.readouterr().out) is told
