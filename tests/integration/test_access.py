"""Who may do what: every call and every socket, by every kind of caller, as a table."""

import time

import itsdangerous
import pytest
from sockets import Closed, opened
from test_chat import begin
from test_webhook import rows, serving

from chatwoot_bot.store import schema
from chatwoot_bot.web.auth import COOKIE, TOKEN_AGE_S
from chatwoot_bot.web.openapi import Who
from chatwoot_bot.web.routes import OPERATIONS

pytestmark = pytest.mark.anyio

ADMIN = "the-operators-token"
SECRET_KEY = "a-key-for-tests"
FAR_AWAY = "203.0.113.7"
CALLERS = ("nobody", "stranger", "expired", "visitor", "wrong", "agent")

# What a caller gets: let in (True), or the status.
ANYBODY = dict.fromkeys(CALLERS, True)
ITS_VISITOR = {
    "nobody": 401,
    "stranger": 401,
    "expired": 401,
    "visitor": True,
    "wrong": 401,
    "agent": True,
}
AGENTS = ITS_VISITOR | {"visitor": 401}
TABLE = {Who.ANYBODY: ANYBODY, Who.VISITOR: ITS_VISITOR, Who.AGENT: AGENTS}
# Signing in is for anybody who has the token; the rest of the body decides.
BODIES = {
    ("POST", "/toggle-human"): {"enabled": False},
    ("POST", "/conversations/{conversation_id}/messages"): {"content": "x"},
    ("PUT", "/conversations/{conversation_id}/messages/{message_id:int}"): {
        "content": "y"
    },
    ("POST", "/session"): {"token": ADMIN},
}
CALLS = [
    (operation, caller)
    for operation in OPERATIONS
    if operation.who is not Who.CHATWOOT
    for caller in CALLERS
]


class LongAgo(itsdangerous.TimestampSigner):
    """Signs as if it were a month and a day ago."""

    def get_timestamp(self):
        return int(time.time() - TOKEN_AGE_S - 86_400)


def expired(conversation_id):
    signer = itsdangerous.URLSafeTimedSerializer(
        SECRET_KEY, salt="visitor", signer=LongAgo
    )
    return signer.dumps(conversation_id)


@pytest.fixture
async def house(tmp_path):
    """A service with an operator's token, seen from another machine."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(
        url,
        worker=False,
        client=FAR_AWAY,
        ADMIN_TOKEN=ADMIN,
        SECRET_KEY=SECRET_KEY,
        CORS_ORIGINS="https://shop.example",
    ) as client:
        yield client


async def tokens(client):
    """A visitor's conversation with one message, and everybody's tokens."""
    conversation, visitor = await begin(client, user_id="u-1")
    stranger, _ = await begin(client, user_id="u-2")
    said = await client.post(
        f"/conversations/{conversation['id']}/messages",
        json={"content": "mine"},
        headers=visitor,
    )
    return (
        conversation,
        said.json()["id"],
        {
            "nobody": None,
            "stranger": stranger["token"],
            "expired": expired(conversation["id"]),
            "visitor": conversation["token"],
            "wrong": "not-the-operators-token",
            "agent": ADMIN,
        },
    )


@pytest.mark.parametrize(
    ("operation", "caller"),
    CALLS,
    ids=[f"{o.method} {o.path} {c}" for o, c in CALLS],
)
async def test_every_call_by_every_caller(house, operation, caller):
    conversation, message_id, given = await tokens(house)
    path = operation.path.replace(":int", "").format(
        conversation_id=conversation["id"],
        message_id=message_id,
        user_id="u-1",
        dead_letter_id="t_0.0",
        token="nobodys",
    )
    token = given[caller]
    answer = await house.request(
        operation.method,
        path,
        json=BODIES.get((operation.method, operation.path)),
        headers={"authorization": f"Bearer {token}"} if token else {},
    )
    expected = TABLE[operation.who][caller]

    if expected is True:
        assert answer.status_code in (operation.status, 404, 503), answer.text
    else:
        assert answer.status_code == expected, answer.text
        assert answer.json().keys() == {"error"}
        assert "mine" not in answer.text


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/ws/conversations/{id}", ITS_VISITOR),
        ("/ws/users/u-1", ITS_VISITOR),
        ("/ws/agents", AGENTS),
    ],
)
@pytest.mark.parametrize("caller", CALLERS)
async def test_every_socket_by_every_caller(house, path, who, caller):
    conversation, _, given = await tokens(house)
    token = given[caller]
    full = path.format(id=conversation["id"]) + (f"?token={token}" if token else "")
    async with opened(house, full, address=FAR_AWAY) as wire:
        if who[caller] is True:
            await wire.send(after=0, conversation_id=conversation["id"])
            assert (await wire.next("NEW_MESSAGE"))["content"] == "mine"
        else:
            with pytest.raises(Closed) as closed:
                await wire.any()
            assert closed.value.code == 4401
            assert closed.value.reason


@pytest.mark.parametrize("path", ["/ws/conversations/{id}", "/ws/users/u-1"])
async def test_tokens_of_the_same_name_open_nothing(house, path):
    """u-1 is what anybody may call themselves."""
    conversation, _, _ = await tokens(house)
    thief, _ = await begin(house, user_id="u-1")
    full = path.format(id=conversation["id"]) + f"?token={thief['token']}"
    async with opened(house, full, address=FAR_AWAY) as wire:
        try:
            await wire.send(after=0)
            await wire.next("REPLAYED")
        except Closed as closed:
            assert closed.code == 4401

    assert not [e for e in wire.events if e["event"] == "NEW_MESSAGE"]


async def test_visitor_cannot_change_what_others_said(house):
    conversation, _, given = await tokens(house)
    path = f"/conversations/{conversation['id']}/messages"
    agent = {"authorization": f"Bearer {ADMIN}"}
    visitor = {"authorization": f"Bearer {given['visitor']}"}
    said = await house.post(
        path, json={"content": "Maria", "sender": "agent"}, headers=agent
    )
    one = f"{path}/{said.json()['id']}"
    edited = await house.put(one, json={"content": "x"}, headers=visitor)
    deleted = await house.delete(one, headers=visitor)

    assert (edited.status_code, deleted.status_code) == (403, 403)


@pytest.mark.parametrize("sender", ["agent", "ai"])
async def test_visitor_cannot_speak_as_somebody_else_on_a_socket(house, sender):
    conversation, _, given = await tokens(house)
    full = f"/ws/conversations/{conversation['id']}?token={given['visitor']}"
    async with opened(house, full, address=FAR_AWAY) as wire:
        for frame in ({"message": "I am Maria"}, {"typing": True}):
            await wire.send(**frame, sender=sender)
            assert (await wire.next("ERROR"))["code"] == "unauthorized"

    assert len(await rows(house, schema.messages)) == 1


async def sign_in(client, token=ADMIN, **headers):
    return await client.post("/session", json={"token": token}, headers=headers)


async def test_console_signs_in_and_out(house):
    before = await house.get("/session")
    signed = await sign_in(house)
    cookie = signed.headers["set-cookie"]
    during = await house.get("/session")
    listed = await house.get("/conversations")
    out = await house.delete("/session", headers={"origin": "http://127.0.0.1"})
    after = await house.get("/session")

    assert before.json() == {"agent": False, "sign_in": True}
    assert during.json() == {"agent": True, "sign_in": True}
    assert listed.status_code == 200
    assert out.json() == after.json() == {"agent": False, "sign_in": True}
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert ADMIN not in cookie


async def test_cookie_is_secure_behind_tls(house):
    signed = await sign_in(house, **{"x-forwarded-proto": "https"})

    assert "Secure" in signed.headers["set-cookie"]


async def test_wrong_token_signs_nobody_in(house, capsys):
    """And whoever watches the log learns of it, but not what was tried."""
    signed = await sign_in(house, "guess-5512")
    logged = capsys.readouterr().out

    assert signed.status_code == 401
    assert "set-cookie" not in signed.headers
    assert logged.count("sign-in refused") == 1
    assert "guess-5512" not in logged
    assert ADMIN not in logged


@pytest.mark.parametrize(
    ("proxies", "right"), [("", 429), (FAR_AWAY, 200)], ids=["alone", "proxy"]
)
async def test_guesses_are_refused_before_they_are_compared(
    tmp_path, monkeypatch, proxies, right
):
    """Both doors count: the sign-in and the header. Behind a proxy all are one."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", proxies)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, client=FAR_AWAY, ADMIN_TOKEN=ADMIN) as house:
        await guess(house, right)


async def guess(house, right):
    """Guess 12 times; then the right token is answered with *right*."""
    conversation, _, given = await tokens(house)
    guesses = [await sign_in(house, f"guess {n}") for n in range(5)]
    guesses += [
        await house.get("/bookings", headers={"authorization": f"Bearer {n}"})
        for n in range(7)
    ]
    rightly = await sign_in(house)
    header = {"authorization": f"Bearer {ADMIN}"}
    agent = await house.get("/bookings", headers=header)
    visitor = {"authorization": f"Bearer {given['visitor']}"}
    read = await house.get(f"/conversations/{conversation['id']}", headers=visitor)

    assert [g.status_code for g in guesses] == [401] * 10 + [429] * 2
    assert (rightly.status_code, agent.status_code) == (right, right)
    assert read.status_code == 200


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://["])
async def test_cookie_alone_writes_nothing_from_another_site(house, origin):
    """What a browser sends along by itself is no proof that our page wanted it."""
    await sign_in(house)
    headers = {"origin": origin} if origin else {}
    written = await house.post("/toggle-human", json={"enabled": True}, headers=headers)
    own = await house.post(
        "/toggle-human", json={"enabled": True}, headers={"origin": "http://127.0.0.1"}
    )

    assert written.status_code == 403
    assert own.status_code == 200


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("https://evil.example", 4403),
        ("null", 4403),
        ("http://[", 4403),
        ("https://shop.example", None),
        ("http://127.0.0.1", None),
        (None, None),
    ],
)
async def test_socket_of_another_sites_page_is_refused(house, origin, code):
    conversation, _, given = await tokens(house)
    full = f"/ws/conversations/{conversation['id']}?token={given['visitor']}"
    headers = {"origin": origin} if origin else {}
    async with opened(house, full, address=FAR_AWAY, **headers) as wire:
        await wire.send(after=0)
        if code is None:
            await wire.next("REPLAYED")
        else:
            with pytest.raises(Closed) as closed:
                await wire.any()
            assert closed.value.code == code


@pytest.mark.parametrize(
    ("origin", "code"),
    [("http://127.0.0.1", None), ("https://shop.example", 4403), (None, 4403)],
)
async def test_agents_socket_by_cookie_is_for_our_own_page_only(house, origin, code):
    signed = await sign_in(house)
    headers = {"cookie": signed.headers["set-cookie"].partition(";")[0]}
    headers |= {"origin": origin} if origin else {}
    async with opened(house, "/ws/agents", address=FAR_AWAY, **headers) as wire:
        await wire.send(after=0)
        if code is None:
            await wire.next("REPLAYED")
        else:
            with pytest.raises(Closed) as closed:
                await wire.any()
            assert closed.value.code == code


async def test_another_admin_token_ends_every_session(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    settings = {"client": FAR_AWAY, "worker": False, "SECRET_KEY": SECRET_KEY}
    async with serving(url, ADMIN_TOKEN="one", **settings) as client:
        cookie = (await sign_in(client, "one")).cookies[COOKIE]
    async with serving(url, ADMIN_TOKEN="two", **settings) as client:
        client.cookies.set(COOKIE, cookie)
        session = await client.get("/session")

    assert session.json()["agent"] is False


async def test_without_admin_token_sockets_are_for_the_machine_itself(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False) as client:
        for address, headers, code in (
            ("127.0.0.1", {}, None),
            (FAR_AWAY, {}, 4403),
            ("127.0.0.1", {"x-forwarded-for": FAR_AWAY}, 4403),
            ("127.0.0.1", {"host": "rebound.example"}, 4403),
        ):
            async with opened(client, "/ws/agents", address=address, **headers) as wire:
                await wire.send(after=0)
                if code is None:
                    await wire.next("REPLAYED")
                else:
                    with pytest.raises(Closed) as closed:
                        await wire.any()
                    assert closed.value.code == code


async def test_unknown_conversations_socket_is_4404_to_an_agent(house):
    path = f"/ws/conversations/c_0?token={ADMIN}"
    async with opened(house, path, address=FAR_AWAY) as wire:
        with pytest.raises(Closed) as closed:
            await wire.any()

    assert closed.value.code == 4404


async def test_only_named_sites_may_read_answers(house):
    friend = await house.options(
        "/conversations",
        headers={
            "origin": "https://shop.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        },
    )
    foe = await house.get("/session", headers={"origin": "https://evil.example"})

    assert friend.status_code == 200
    allowed = "access-control-allow-origin"
    assert friend.headers[allowed] == "https://shop.example"
    assert "access-control-allow-credentials" not in friend.headers
    assert allowed not in foe.headers


@pytest.mark.parametrize(
    ("path", "ancestors"),
    [
        ("/", "'none'"),
        ("/?embed=1", "'self' https://shop.example"),
        ("/?embed=2", "'none'"),
        ("/?embed=0&embed=1", "'none'"),
        ("/?embed=1&embed=0", "'self' https://shop.example"),
        ("/session?embed=1", "'none'"),
    ],
)
async def test_only_the_embedded_chat_may_be_framed(house, path, ancestors):
    policy = (await house.get(path)).headers["content-security-policy"]

    assert f"frame-ancestors {ancestors};" in policy
    assert "unsafe" not in policy


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><svg/onload=alert(1)>",
    "\u2028{{7*7}}\u202e",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_markup_in_names_and_messages_stays_text(house, text):
    """It travels as JSON, which no browser runs, and comes out as it went in."""
    conversation, visitor = await begin(house, user_id=text, name=text)
    agent = {"authorization": f"Bearer {ADMIN}"}
    said = await house.post(
        f"/conversations/{conversation['id']}/messages",
        json={"content": text, "client_id": text},
        headers=visitor,
    )
    await house.post(
        f"/conversations/{conversation['id']}/escalate",
        json={"reason": text},
        headers=visitor,
    )
    listed = await house.get("/conversations", headers=agent)
    item = listed.json()["items"][0]

    assert said.json()["content"] == said.json()["client_id"] == text
    assert item["name"] == item["user_id"] == item["detail"] == text
    for answer in (said, listed):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    async with opened(
        house,
        f"/ws/conversations/{conversation['id']}?token={conversation['token']}",
        address=FAR_AWAY,
    ) as wire:
        await wire.send(after=0)
        assert (await wire.next("NEW_MESSAGE"))["content"] == text


def test_the_table_has_every_call():
    """A new call is in the tests above from its first day."""
    calls = {(operation.method, operation.path) for operation, _ in CALLS}

    assert len(calls) == len(OPERATIONS) - 1  # the webhook has its signature
    assert len(CALLS) == len(calls) * len(CALLERS)
