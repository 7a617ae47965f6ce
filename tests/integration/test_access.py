"""Who may do what: every call and every socket, by every kind of caller, as a table."""

import itertools
import json
import time

import itsdangerous
import pytest
import sqlalchemy as sa
from sockets import Closed, opened
from test_chat import begin
from test_webhook import SMALLEST, rows, serving

from chatwoot_bot.store import schema
from chatwoot_bot.web import sockets as sockets_module
from chatwoot_bot.web.auth import TOKEN_AGE_S
from chatwoot_bot.web.openapi import Who
from chatwoot_bot.web.routes import OPERATIONS

pytestmark = pytest.mark.anyio

ADMIN = "the-operators-token"
SECRET_KEY = "a-key-for-these-tests"
FAR_AWAY = "203.0.113.7"
COOKIE = "chatwoot_bot_session"
OWN = {"origin": "http://127.0.0.1"}
SHOP = {"origin": "https://shop.example"}
EVIL = {"origin": "https://evil.example"}
CROSS_SITE = {"sec-fetch-site": "cross-site"}

# A caller of a service with ADMIN_TOKEN on another machine: whose token comes in the
# header, whose session in the cookie, and what else a browser says.
CALLERS = {
    "nobody": (None, None, {}),
    "stranger": ("stranger", None, {}),
    "expired": ("expired", None, {}),
    "visitor": ("visitor", None, {}),
    "visitor of a named site": ("visitor", None, SHOP | CROSS_SITE),
    "wrong": ("wrong", None, {}),
    "short": ("short", None, {}),
    "agent": ("agent", None, {}),
    "agent forwarded": ("agent", None, {"x-forwarded-for": "198.51.100.1"}),
    "signed in": (None, "session", OWN),
    "signed in by fetch": (None, "session", {"sec-fetch-site": "same-origin"}),
    "signed in by curl": (None, "session", {}),
    "signed out": (None, "ended", OWN),
    "forged cookie": (None, "forged", OWN),
    "framed": (None, "session", EVIL | CROSS_SITE),
    "linked to": (None, "session", CROSS_SITE),
    "next port": (None, "session", {"origin": "http://127.0.0.1:3000"}),
    "named site with cookie": (None, "session", SHOP),
    "foreign page": (None, None, EVIL | CROSS_SITE),
    "foreign page of old browser": (None, None, EVIL),
    "foreign form": (None, None, {"origin": "null"}),
}
YES = True
# What each gets: let in, or the status. A call for anybody, one for the conversation's
# visitor, one for agents; where reading and writing differ, each on its own.
TABLE = {
    #                              anybody      visitor      agents
    #                              read write   read write   read write
    "nobody": (YES, YES, 401, 401, 401, 401),
    "stranger": (YES, YES, 401, 401, 401, 401),
    "expired": (YES, YES, 401, 401, 401, 401),
    "visitor": (YES, YES, YES, YES, 401, 401),
    "visitor of a named site": (YES, YES, YES, YES, 401, 401),
    "wrong": (YES, YES, 401, 401, 401, 401),
    "short": (YES, YES, 401, 401, 401, 401),
    "agent": (YES, YES, YES, YES, YES, YES),
    "agent forwarded": (YES, YES, YES, YES, YES, YES),
    "signed in": (YES, YES, YES, YES, YES, YES),
    "signed in by fetch": (YES, YES, YES, YES, YES, YES),
    "signed in by curl": (YES, YES, YES, 401, YES, 403),
    "signed out": (YES, YES, 401, 401, 401, 401),
    "forged cookie": (YES, YES, 401, 401, 401, 401),
    "framed": (YES, 403, 401, 403, 403, 403),
    "linked to": (YES, 403, 401, 403, 403, 403),
    "next port": (YES, 403, 401, 403, 403, 403),
    "named site with cookie": (YES, YES, 401, 401, 403, 403),
    "foreign page": (YES, 403, 401, 403, 401, 403),
    "foreign page of old browser": (YES, 403, 401, 403, 401, 403),
    "foreign form": (YES, 403, 401, 403, 401, 403),
}
# The same for callers of this machine, of a service without any settings.
HERE = {
    "here": {},
    "page here": {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"},
    "next port here": {"origin": "http://127.0.0.1:3000"},
    "next port here by name": {"origin": "http://localhost"},
    "same site here": {"sec-fetch-site": "same-site"},
    "foreign page here": EVIL,
    "foreign page here without Origin": CROSS_SITE,
    "rebound": {"host": "rebound.example", "origin": "http://rebound.example"},
    "proxied under its name": {"host": "chat.example.com"},
    "Forwarded": {"forwarded": "for=198.51.100.1"},
    "X-Forwarded-For": {"x-forwarded-for": "198.51.100.1"},
    "X-Forwarded-For us": {"x-forwarded-for": "127.0.0.1"},
    "X-Forwarded-Host": {"x-forwarded-host": "chat.example.com"},
    "X-Forwarded-Proto": {"x-forwarded-proto": "https"},
    "X-Forwarded-Server": {"x-forwarded-server": "proxy"},
    "X-Real-IP": {"x-real-ip": "198.51.100.1"},
    "Via": {"via": "1.1 proxy"},
    "CF-Connecting-IP": {"cf-connecting-ip": "198.51.100.1"},
    "True-Client-IP": {"true-client-ip": "198.51.100.1"},
    "Fastly-Client-IP": {"fastly-client-ip": "198.51.100.1"},
    "X-Client-IP": {"x-client-ip": "198.51.100.1"},
    "CDN-Loop": {"cdn-loop": "cloudflare"},
}
LET_IN = (YES, YES, YES, YES, YES, YES)
FORWARDED = (YES, YES, 401, 401, 403, 403)
FOREIGN = (YES, 403, 401, 403, 403, 403)
TABLE_HERE = dict.fromkeys(HERE, FORWARDED) | {
    "here": LET_IN,
    "page here": LET_IN,
    "next port here": FOREIGN,
    "next port here by name": FOREIGN,
    "same site here": FOREIGN,
    "foreign page here": FOREIGN,
    "foreign page here without Origin": FOREIGN,
}
COLUMNS = list(itertools.product((Who.ANYBODY, Who.VISITOR, Who.AGENT), (True, False)))

# Signing in is for anybody who has the token; the rest of the body decides.
BODIES = {
    ("POST", "/toggle-human"): {"enabled": False},
    ("POST", "/conversations/{conversation_id}/messages"): {"content": "x"},
    ("PUT", "/conversations/{conversation_id}/messages/{message_id:int}"): {
        "content": "y"
    },
    ("POST", "/session"): {"token": ADMIN},
}
# The webhook has its signature.
CALLS = [each for each in OPERATIONS if each.who is not Who.CHATWOOT]


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
            "short": ADMIN[:3],
            "agent": ADMIN,
        },
    )


async def session(client, kind):
    """The cookie of a session of that kind."""
    signed = await sign_in(client)
    value = signed.cookies[COOKIE]
    client.cookies.clear()
    cookie = {"cookie": f"{COOKIE}={value}"}
    if kind == "ended":
        await client.delete("/session", headers=cookie | OWN)
    if kind == "forged":
        cookie = {"cookie": f"{COOKIE}={value[:-2]}xx"}
    return cookie


async def headers_of(client, caller, given):
    token, cookie, headers = CALLERS[caller]
    if token:
        headers = headers | {"authorization": f"Bearer {given[token]}"}
    if cookie:
        headers = headers | await session(client, cookie)
    return headers


async def outcomes(client, headers):
    """What each call says to a caller: let in, or the status.

    Args:
        headers: an async function that returns those of the caller, anew for each
            call: one of the calls signs out.
    """
    conversation, message_id, given = await tokens(client)
    found = {}
    for number, operation in enumerate(CALLS):
        named = await headers(given)
        # Each from another address, or the eleventh wrong token would be one too many.
        host, port = client.transport.client
        if host == FAR_AWAY:
            client.transport.client = (f"203.0.113.{number}", port)
        path = operation.path.replace(":int", "").format(
            conversation_id=conversation["id"],
            message_id=message_id,
            user_id="u-1",
            dead_letter_id="t_0.0",
            token="nobodys",
        )
        body = BODIES.get((operation.method, operation.path))
        answer = await client.request(operation.method, path, json=body, headers=named)
        client.transport.client = (host, port)
        client.cookies.clear()
        status = answer.status_code
        fine = status in (operation.status, 404, 409, 503)
        if not fine:
            assert answer.json().keys() == {"error"}
            assert "mine" not in answer.text
        found[operation.method, operation.path] = YES if fine else status
    return found


def expected(row):
    return {
        (each.method, each.path): outcome(
            row, each.path, each.who, reads=each.method == "GET"
        )
        for each in CALLS
    }


def outcome(row, path, who, *, reads):
    columns = dict(zip(COLUMNS, row, strict=True))
    found = columns[who, reads]
    if found is not YES and "/users/" in path:
        # A user's name is no secret, so it is told whether signing in would help.
        return columns[Who.AGENT, reads]
    return found


@pytest.mark.parametrize("caller", CALLERS)
async def test_every_call_by_every_caller(house, caller):
    async def headers(given):
        return await headers_of(house, caller, given)

    assert await outcomes(house, headers) == expected(TABLE[caller])


@pytest.mark.parametrize("caller", HERE)
async def test_every_call_by_every_caller_of_this_machine(tmp_path, caller):
    """Whoever comes through a proxy, or from another page, is not the operator."""

    async def headers(given):
        return HERE[caller]

    async with serving(f"sqlite:///{tmp_path / 'store.db'}", worker=False) as client:
        found = await outcomes(client, headers)

    row = expected(TABLE_HERE[caller])
    if TABLE_HERE[caller] is not LET_IN:
        # Without ADMIN_TOKEN there is nothing to sign in with.
        row["POST", "/session"] = 403
    assert found == row


@pytest.mark.parametrize(
    "settings",
    [
        {"PUBLIC_URL": "https://chat.example.com"},
        {"CORS_ORIGINS": "https://shop.example"},
        {
            "CHATWOOT_BASE_URL": "http://127.0.0.1:9",
            "CHATWOOT_API_TOKEN": "t",
            "CHATWOOT_ALLOW_UNSIGNED": "true",
            "RESPONDER": "mock",
        },
    ],
    ids=lambda settings: min(settings),
)
async def test_public_service_trusts_nobody_on_its_own_machine(tmp_path, settings):
    """nginx, as it comes, passes on requests as if they were this machine's own."""

    async def headers(given):
        return {}

    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, **settings) as client:
        found = await outcomes(client, headers)
        shown = await client.get("/session")

    row = expected(TABLE["nobody"])
    row["POST", "/session"] = 401  # ADMIN_TOKEN is not set
    assert found == row
    assert shown.json() == {"agent": False, "sign_in": True}


SOCKETS = {
    "/ws/conversations/{id}": Who.VISITOR,
    "/ws/users/u-1": Who.VISITOR,
    "/ws/agents": Who.AGENT,
}
# A page that is refused for where it comes from, whatever else it has.
FOREIGN_PAGES = {
    "framed",
    "linked to",
    "next port",
    "foreign page",
    "foreign page of old browser",
    "foreign form",
}


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("caller", CALLERS)
async def test_every_socket_by_every_caller(house, path, caller):
    conversation, _, given = await tokens(house)
    headers = await headers_of(house, caller, given)
    full = path.format(id=conversation["id"])
    # What is said on a socket is a write.
    due = outcome(TABLE[caller], path, SOCKETS[path], reads=False)
    due = 403 if caller in FOREIGN_PAGES else due
    async with opened(house, full, address=FAR_AWAY, **headers) as wire:
        if due is YES:
            await wire.send(after=0, conversation_id=conversation["id"])
            assert (await wire.next("NEW_MESSAGE"))["content"] == "mine"
        else:
            with pytest.raises(Closed) as closed:
                await wire.any()
            assert closed.value.code == {401: 4401, 403: 4403}[due]
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


TLS = f"__Host-{COOKIE}"


@pytest.mark.parametrize(
    ("url", "headers", "name"),
    [
        ("https://127.0.0.1", {}, TLS),
        # A proxy that does not say so; the page does.
        ("http://127.0.0.1", {"origin": "https://127.0.0.1"}, TLS),
        ("http://127.0.0.1", {"origin": "http://127.0.0.1"}, COOKIE),
        ("http://127.0.0.1", {}, COOKIE),
        # uvicorn has not believed it, so neither do we.
        ("http://127.0.0.1", {"x-forwarded-proto": "https"}, COOKIE),
    ],
)
async def test_cookie_is_bound_to_the_host_over_tls(house, url, headers, name):
    signed = await house.post(f"{url}/session", json={"token": ADMIN}, headers=headers)
    cookie = signed.headers["set-cookie"]
    parts = set(cookie.split("; "))

    assert cookie.startswith(f"{name}=")
    assert ("Secure" in parts) is (name == TLS)
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= parts
    assert "Domain" not in cookie


async def test_only_the_cookie_of_the_host_counts_over_tls(house):
    """Another program of the domain, or a line without TLS, can set the other one."""
    value = (await sign_in(house)).cookies[COOKIE]
    house.cookies.clear()
    agent = {}
    for name, scheme in [(n, s) for n in (COOKIE, TLS) for s in ("http", "https")]:
        answer = await house.get(
            f"{scheme}://127.0.0.1/session", headers={"cookie": f"{name}={value}"}
        )
        agent[name, scheme] = answer.json()["agent"]

    assert agent == {
        (COOKIE, "http"): True,
        (COOKIE, "https"): False,
        (TLS, "http"): True,
        (TLS, "https"): True,
    }


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_signing_out_takes_both_cookies_from_the_browser(house, scheme):
    await house.post(f"{scheme}://127.0.0.1/session", json={"token": ADMIN})
    own = {"origin": f"{scheme}://127.0.0.1"}
    out = await house.delete(f"{scheme}://127.0.0.1/session", headers=own)
    cookies = out.headers.get_list("set-cookie")

    assert [c.partition("=")[0] for c in cookies] == [COOKIE, TLS]
    assert all("Max-Age=0" in c for c in cookies)
    assert "Secure" in cookies[1]


async def test_copied_cookie_is_worth_nothing_after_the_sign_out(database_url):
    """In this process, in the others, and after a restart; other sessions go on."""
    settings = {
        "client": FAR_AWAY,
        "worker": False,
        "ADMIN_TOKEN": ADMIN,
        "SECRET_KEY": SECRET_KEY,
    }
    async with serving(database_url, **settings) as client:
        copied = await session(client, "session")
        other = await session(client, "session")
        before = await client.get("/conversations", headers=copied)
        await client.delete("/session", headers=copied | OWN)
        read = await client.get("/conversations", headers=copied)
        written = await client.post(
            "/toggle-human", json={"enabled": True}, headers=copied | OWN
        )
    async with serving(database_url, **settings) as client:
        later = await client.get("/conversations", headers=copied)
        fine = await client.get("/conversations", headers=other)

    assert before.status_code == fine.status_code == 200
    assert [a.status_code for a in (read, written, later)] == [401] * 3


async def test_sign_out_is_seen_by_the_other_web_processes(postgres_url):
    settings = {"client": FAR_AWAY, "worker": False, "ADMIN_TOKEN": ADMIN}
    async with (
        serving(postgres_url, **settings) as here,
        serving(postgres_url, **settings) as there,
    ):
        cookie = await session(here, "session")
        before = await there.get("/session", headers=cookie)
        await here.delete("/session", headers=cookie | OWN)
        after = await there.get("/session", headers=cookie)

    assert (before.json()["agent"], after.json()["agent"]) == (True, False)


async def test_ended_sessions_are_forgotten_with_their_cookies(house):
    for _ in range(2):
        await session(house, "ended")
    found = len(await rows(house, schema.ended_sessions))
    await house.context.db.write(
        lambda tx: tx.execute(schema.ended_sessions.update().values(expires_at=1.0))
    )
    await session(house, "ended")

    assert (found, len(await rows(house, schema.ended_sessions))) == (2, 1)


async def test_session_does_not_count_while_nobody_can_tell_whether_it_has_ended(house):
    """And an outage of the database is called that, not a wrong token."""
    cookie = await session(house, "session")
    await house.context.db.write(
        lambda tx: tx.execute(sa.text("DROP TABLE ended_sessions"))
    )
    answer = await house.get("/conversations", headers=cookie)
    page = await house.get("/console", headers=cookie)
    bearer = {"authorization": f"Bearer {ADMIN}"}
    agent = await house.get("/conversations", headers=cookie | bearer)

    assert (answer.status_code, answer.json()["error"]["code"]) == (
        500,
        "storage_failed",
    )
    assert page.status_code == agent.status_code == 200
    async with opened(house, "/ws/agents", address=FAR_AWAY, **cookie, **OWN) as wire:
        with pytest.raises(Closed) as closed:
            await wire.any()
    assert closed.value.code == 1011


async def test_agents_socket_comes_in_again_because_its_session_may_have_ended(
    house, monkeypatch
):
    monkeypatch.setattr(sockets_module, "RECHECK_S", 0.05)
    cookie = await session(house, "session")
    codes = []
    for headers in (cookie, {"authorization": f"Bearer {ADMIN}"}):
        named = headers | OWN
        async with opened(house, "/ws/agents", address=FAR_AWAY, **named) as wire:
            await wire.send(after=0)
            if headers is cookie:
                with pytest.raises(Closed) as closed:
                    await wire.next("never")
                codes.append(closed.value.code)
            else:
                await wire.next("REPLAYED")

    assert codes == [4408]


PUBLIC = {"PUBLIC_URL": "https://chat.example.com"}


async def test_sign_in_link_works_once(tmp_path):
    """Without ADMIN_TOKEN only whoever reads the terminal can be the operator."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, **PUBLIC) as client:
        code = client.context.gate.link_code.value
        wrong = await sign_in(client, "a-code-that-is-not-it")
        first = await sign_in(client, code)
        during = await client.get("/session")
        listed = await client.get("/conversations")
        written = await client.post(
            "/toggle-human", json={"enabled": True}, headers=OWN
        )
        client.cookies.clear()
        again = await sign_in(client, code)
        header = {"authorization": f"Bearer {code}"}
        as_token = await client.get("/conversations", headers=header)

    assert len(code) >= 32
    assert first.json() == during.json() == {"agent": True, "sign_in": True}
    assert listed.status_code == written.status_code == 200
    assert [a.status_code for a in (wrong, again, as_token)] == [401] * 3
    assert "Restart the service" in again.json()["error"]["message"]
    assert "sign-in link" in as_token.json()["error"]["message"]


async def test_session_of_the_link_outlives_a_restart_and_ends_with_a_token(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, **PUBLIC) as client:
        await sign_in(client, client.context.gate.link_code.value)
        cookie = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    agent = []
    for settings in (PUBLIC, PUBLIC | {"ADMIN_TOKEN": ADMIN}):
        async with serving(url, worker=False, **settings) as client:
            answer = await client.get("/session", headers=cookie)
            agent.append(answer.json()["agent"])

    assert agent == [True, False]


@pytest.mark.parametrize(
    ("settings", "has_link"),
    [
        ({}, False),
        (PUBLIC, True),
        ({"CORS_ORIGINS": "https://shop.example"}, True),
        ({"HOST": "0.0.0.0"}, True),
        ({"HOST": "localhost"}, False),
        (PUBLIC | {"ADMIN_TOKEN": ADMIN}, False),
    ],
)
async def test_link_is_there_where_nobody_could_sign_in_otherwise(
    tmp_path, settings, has_link
):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, **settings) as client:
        assert (client.context.gate.link_code is not None) is has_link


async def test_guesses_at_the_link_are_limited(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, client=INTERNET, **PUBLIC) as client:
        statuses = [
            (await sign_in(client, f"guess {n}")).status_code for n in range(12)
        ]
        code = client.context.gate.link_code.value
        right = await sign_in(client, code)
        kept = client.context.gate.link_code.value

    assert statuses == [401] * 10 + [429] * 2
    assert (right.status_code, kept) == (429, code)


# Nobody shares it, as far as addresses go.
INTERNET = "1.2.3.4"


async def test_who_has_guessed_too_often_is_not_even_compared(tmp_path):
    """Or the limit would only slow down those who guess wrong."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False, client=INTERNET, ADMIN_TOKEN=ADMIN) as client:
        cookie = await session(client, "session")
        for n in range(10):
            await sign_in(client, f"guess {n}")
        right = await sign_in(client)
        signed_in = await client.get("/conversations", headers=cookie)
        client.transport.client = ("1.2.3.5", 1234)
        elsewhere = await sign_in(client)

    assert right.status_code == 429
    assert signed_in.status_code == elsewhere.status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
@pytest.mark.parametrize("path", ["/conversations", "/webhook/chatwoot"])
@pytest.mark.parametrize("headers", [EVIL, CROSS_SITE, {"origin": "null"}])
async def test_foreign_page_makes_no_rows(tmp_path, path, content_type, headers):
    """A form needs no permission, and its answer need not be readable."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, worker=False) as client:
        answer = await client.post(
            path,
            content=json.dumps(SMALLEST if "webhook" in path else {}),
            headers=headers | {"content-type": content_type},
        )
        made = await rows(client, schema.conversations)

    assert (answer.status_code, made) == (403, [])


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
    one, two = "the-first-operators-token", "the-second-operators-token"
    async with serving(url, ADMIN_TOKEN=one, **settings) as client:
        cookie = (await sign_in(client, one)).cookies[COOKIE]
    async with serving(url, ADMIN_TOKEN=two, **settings) as client:
        client.cookies.set(COOKIE, cookie)
        session = await client.get("/session")

    assert session.json()["agent"] is False


async def test_keys_are_rotated_without_signing_anyone_out(tmp_path):
    """Old, then old beside new, then new: who came back meanwhile stays."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    settings = {"client": FAR_AWAY, "worker": False}
    old = {
        "ADMIN_TOKEN": "the-first-operators-token",
        "SECRET_KEY": "the-first-key-of-all",
    }
    new = {
        "ADMIN_TOKEN": "the-second-operators-token",
        "SECRET_KEY": "the-second-key-of-all",
    }
    both = {name: f"{new[name]}, {old[name]}" for name in old}

    async with serving(url, **old, **settings) as client:
        first = await _arrivals(client, old["ADMIN_TOKEN"])
    async with serving(url, **both, **settings) as client:
        assert await _let_in(client, *first) == [True, True, True]
        second = await _arrivals(client, new["ADMIN_TOKEN"])
        assert await _let_in(client, *second) == [True, True, True]
    async with serving(url, **new, **settings) as client:
        assert await _let_in(client, *first) == [False, False, False]
        assert await _let_in(client, *second) == [True, True, True]


async def _arrivals(client, admin_token):
    """Return an agent's token and cookie, and a visitor's conversation."""
    cookie = (await sign_in(client, admin_token)).cookies[COOKIE]
    client.cookies.clear()
    return admin_token, cookie, (await client.post("/conversations", json={})).json()


async def _let_in(client, admin_token, cookie, conversation):
    """Return whether each of them is still known."""
    path = f"/conversations/{conversation['id']}/messages"
    agent = {"authorization": f"Bearer {admin_token}"}
    visitor = {"authorization": f"Bearer {conversation['token']}"}
    return [
        (await client.get("/session", headers=headers)).json()["agent"]
        for headers in (agent, {"cookie": f"{COOKIE}={cookie}"})
    ] + [(await client.get(path, headers=visitor)).is_success]


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


# What is written, and the name that it makes.
HOSTILE = [
    ("<script>alert(1)</script>",) * 2,
    ('"><img src=x onerror=alert(1)>',) * 2,
    ("</script><svg/onload=alert(1)>",) * 2,
    ("\u2028{{7*7}}\u202e", "{{7*7}}"),
]


@pytest.mark.parametrize(("text", "name"), HOSTILE)
async def test_markup_in_names_and_messages_stays_text(house, text, name):
    """It travels as JSON, which no browser runs, and comes out as it went in.

    But for names, in which nothing may hide.
    """
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
    assert item["user_id"] == item["detail"] == text
    assert item["name"] == name
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
    assert len(CALLS) == len(OPERATIONS) - 1  # the webhook has its signature
    assert TABLE.keys() == CALLERS.keys()
    assert TABLE_HERE.keys() == HERE.keys()
