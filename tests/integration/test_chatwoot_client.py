"""The client's calls as they go over the wire, and all the ways they go wrong."""

import asyncio
import json
import time
import traceback

import httpx
import pytest
import respx
from factories import conversation, example

from chatwoot_bot.breaker import FAILURES, LONGEST_PAUSE_S, Breaker
from chatwoot_bot.channels.base import Presence
from chatwoot_bot.channels.chatwoot import ChatwootChannel
from chatwoot_bot.chatwoot.client import ChatwootClient
from chatwoot_bot.core.conversation import Status
from chatwoot_bot.core.events import Kind
from chatwoot_bot.core.outgoing import Option
from chatwoot_bot.errors import ChatwootError

pytestmark = pytest.mark.anyio

BASE = "https://chat.example.com"
ONE = f"{BASE}/api/v1/accounts/1/conversations/150"
TOKEN = "hush-hush-token"
ERRORS = example("rest_errors")
CREATED = example("rest_create_message__response")
HANDED_OFF = example("rest_toggle_status__handoff_response")
SHOWN = example("rest_conversation_show__response")


@pytest.fixture
async def http():
    # Nothing is encrypted here, and reading certificates takes a while.
    async with httpx.AsyncClient(verify=False) as http:
        yield http


@pytest.fixture
def client(http):
    return ChatwootClient(http, base_url=BASE, token=TOKEN)


@pytest.fixture
def chatwoot():
    with respx.mock(assert_all_called=False) as router:
        yield router


def create(client, **changes):
    defaults = {"content": "Yes, we do.", "reply_key": "r_1"}
    return client.create_message(1, 150, **defaults | changes)


def hand_off(client):
    return client.toggle_status(1, 150, Status.OPEN)


def typing(client):
    return client.toggle_typing(1, 150, on=True)


def show(client):
    return client.get_conversation(1, 150, aside=True)


CALLS = [create, hand_off, typing, show]
calls = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)


async def failure(call, client):
    with pytest.raises(ChatwootError) as caught:
        await call(client)
    return caught.value


def sent(route):
    """The only request."""
    assert route.call_count == 1
    return route.calls.last.request


# What goes over the wire.


async def test_reply_is_posted_with_its_key(client, chatwoot):
    """The key comes back with the echo and proves that the reply was stored."""
    route = chatwoot.post(f"{ONE}/messages").respond(json=CREATED)

    message_id = await create(client)

    assert message_id == 811
    assert json.loads(sent(route).content) == {
        "content": "Yes, we do.",
        "message_type": "outgoing",
        "private": False,
        "content_attributes": {"chatwoot_bot": {"reply_key": "r_1"}},
    }


async def test_note_is_posted_in_private(client, chatwoot):
    """What is meant for agents must never reach the contact."""
    route = chatwoot.post(f"{ONE}/messages").respond(json=CREATED | {"private": True})

    await create(client, private=True)

    assert json.loads(sent(route).content)["private"] is True


async def test_quick_replies_are_an_input_select(client, chatwoot):
    """As in Chatwoot's documentation; the key travels beside them."""
    route = chatwoot.post(f"{ONE}/messages").respond(json=CREATED)
    items = example("rest_create_message__request_input_select")
    items = items["content_attributes"]["items"]

    await create(client, items=items)

    body = json.loads(sent(route).content)
    assert body["content_type"] == "input_select"
    assert body["content_attributes"] == {
        "chatwoot_bot": {"reply_key": "r_1"},
        "items": items,
    }


async def test_text_arrives_as_it_was_written(client, chatwoot):
    """Umlauts, emoji, line breaks and quotes."""
    text = 'Grüße 😀\n"ja" \\ {x} \u2028'
    route = chatwoot.post(f"{ONE}/messages").respond(json=CREATED)

    await create(client, content=text)

    assert json.loads(sent(route).content)["content"] == text


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (Status.OPEN, "rest_toggle_status__handoff_response"),  # success: null
        (Status.RESOLVED, "rest_toggle_status__resolve_response"),
    ],
)
async def test_status_is_set(client, chatwoot, status, answer):
    """`success` is null when Chatwoot hands the conversation off: no failure."""
    route = chatwoot.post(f"{ONE}/toggle_status").respond(json=example(answer))

    await client.toggle_status(1, 150, status)

    assert json.loads(sent(route).content) == {"status": status.value}


@pytest.mark.parametrize(("on", "word"), [(True, "on"), (False, "off")])
async def test_typing_is_switched(client, chatwoot, on, word):
    """Chatwoot answers with an empty body."""
    route = chatwoot.post(f"{ONE}/toggle_typing_status").respond(200)

    await client.toggle_typing(1, 150, on=on)

    assert json.loads(sent(route).content) == {"typing_status": word}


async def test_conversation_is_read(client, chatwoot):
    """The status before a reply, and the newest message after a time-out."""
    route = chatwoot.get(ONE).respond(json=SHOWN)

    shown = await show(client)

    assert sent(route).content == b""
    assert shown.status is Status.PENDING
    assert shown.updated_at == 1784538918.21
    assert shown.messages == {811: None}
    assert shown.last.message.external_id == 811


async def test_both_messages_that_chatwoot_shows_are_seen(client, chatwoot):
    """The newest may be an activity, with the reply just before it."""
    ours = {"chatwoot_bot": {"reply_key": "r_1"}}
    activity = SHOWN["messages"][0] | {"id": 812, "message_type": 2}
    reply = SHOWN["last_non_activity_message"] | {"content_attributes": ours}
    chatwoot.get(ONE).respond(
        json=SHOWN | {"messages": [activity], "last_non_activity_message": reply}
    )

    assert (await show(client)).messages == {812: None, 811: "r_1"}


@calls
async def test_every_call_shows_the_token_in_chatwoots_own_header(
    client, chatwoot, call
):
    """With hyphens, which no proxy drops; and without br, which 4.12.1 punishes."""
    route = chatwoot.route().respond(json=CREATED | HANDED_OFF)

    await call(client)

    headers = sent(route).headers
    assert headers["api-access-token"] == TOKEN
    assert "api_access_token" not in headers
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers
    if call is not show:
        assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("call", [show, typing])
async def test_what_goes_along_with_a_reply_never_stands_in_its_way(
    http, chatwoot, call
):
    """Its slowness opens no circuit, and the one trial is not for it."""
    now = 0.0
    breaker = Breaker(clock=lambda: now)
    client = ChatwootClient(http, base_url=BASE, token=TOKEN, breaker=breaker)
    chatwoot.route().mock(side_effect=httpx.ReadTimeout)
    for _ in range(FAILURES):
        with pytest.raises(ChatwootError):
            await call(client)
    assert breaker.is_closed

    for _ in range(FAILURES):
        breaker.failed()
    now = LONGEST_PAUSE_S
    chatwoot.reset()
    route = chatwoot.route().respond(json=CREATED)

    with pytest.raises(ChatwootError, match="circuit"):
        await call(client)
    assert not route.called
    assert await create(client) == CREATED["id"]


async def test_chatwoot_may_live_in_a_folder(http, chatwoot):
    """Behind a proxy, next to other things."""
    route = chatwoot.post(
        f"{BASE}/support/api/v1/accounts/7/conversations/9/messages"
    ).respond(json=CREATED)
    client = ChatwootClient(http, base_url=f"{BASE}/support", token=TOKEN)

    await client.create_message(7, 9, content="Hi", reply_key="r_1")

    assert route.called


@calls
async def test_every_call_has_a_time_limit(client, chatwoot, call):
    """Decoration may hold a reply up for three seconds, the reply itself for ten."""
    route = chatwoot.route().respond(json=CREATED | HANDED_OFF)

    await call(client)

    limit = sent(route).extensions["timeout"]
    short = call in (typing, show)
    assert limit["read"] == limit["write"] == limit["pool"] == (3 if short else 10)
    assert limit["connect"] == (3 if short else 5)


# Chatwoot's clock.


async def test_clock_is_chatwoots_own(client, chatwoot):
    """Two clocks differ; the end of the second is later than the event in it."""
    chatwoot.post(f"{ONE}/toggle_status").respond(
        json=HANDED_OFF, headers={"Date": "Mon, 20 Jul 2026 09:15:14 GMT"}
    )

    assert await hand_off(client) == 1784538914.0 + 1.0


@pytest.mark.parametrize("headers", [{}, {"Date": "soon"}, {"Date": ""}])
async def test_without_chatwoots_clock_it_is_ours(client, chatwoot, headers):
    """A proxy may have dropped the header."""
    chatwoot.post(f"{ONE}/toggle_status").respond(json=HANDED_OFF, headers=headers)
    before = time.time()

    clock = await hand_off(client)

    assert before <= clock <= time.time()


# Refusals.


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("call", [create, typing, show], ids=lambda call: call.__name__)
async def test_a_refusal_is_told_in_chatwoots_words(client, chatwoot, call, name):
    """The operator reads what Chatwoot said, and nothing was done."""
    status, body = int(name[:3]), ERRORS[name]
    answer = {"text": body} if isinstance(body, str) else {"json": body}
    route = chatwoot.route().respond(status, **answer)

    error = await failure(call, client)

    assert (error.status_code, error.in_doubt) == (status, False)
    # The flood guard's refusal passes within a minute.
    assert error.retryable is (status == 429 or "Too many messages" in str(body))
    if isinstance(body, dict):
        said = body.get("error") or body.get("message") or body["errors"][0]
        assert said in str(error)
    assert route.call_count == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway",
        "<html>Désolé".encode("latin-1"),
        b'{"error":',
        b'{"status":500,"error":"Internal Server Error"}',
        b"[]",
        b"null",
        b"[" * 100_000,
    ],
    ids=lambda body: ascii(body[:16]),
)
async def test_broken_chatwoot_may_have_stored_the_reply(
    client, chatwoot, status, body
):
    """A 5xx may come after the commit, from whatever stands in front."""
    route = chatwoot.post(f"{ONE}/messages").respond(status, content=body)

    error = await failure(create, client)

    assert (error.status_code, error.retryable, error.in_doubt) == (status, True, True)
    assert route.call_count == 1


async def test_long_words_are_cut(client, chatwoot):
    """An error page of Rails has a thousand lines."""
    chatwoot.route().respond(422, json={"error": "x" * 10_000})

    assert len(str(await failure(create, client))) < 400


@calls
async def test_redirect_is_not_followed(client, chatwoot, call):
    """The token would go to another host."""
    elsewhere = chatwoot.route(host="elsewhere.example").respond(json=CREATED)
    chatwoot.route(host="chat.example.com").respond(
        302, headers={"location": "https://elsewhere.example/"}
    )

    error = await failure(call, client)

    assert (error.status_code, error.retryable, error.in_doubt) == (302, True, False)
    assert not elsewhere.called


# No answer.


@pytest.mark.parametrize(
    ("trouble", "in_doubt"),
    [
        (httpx.ConnectError, False),
        (httpx.ConnectTimeout, False),
        (httpx.PoolTimeout, False),
        (httpx.ReadTimeout, True),
        (httpx.WriteTimeout, True),
        (httpx.ReadError, True),
        (httpx.WriteError, True),
        (httpx.CloseError, True),
        (httpx.RemoteProtocolError, True),
        (httpx.DecodingError, True),
    ],
)
@pytest.mark.parametrize("call", [create, typing, show], ids=lambda call: call.__name__)
async def test_without_an_answer_the_reply_may_be_there(
    client, chatwoot, call, trouble, in_doubt
):
    """Sent blindly again it would be said twice; given up it might never be said."""
    route = chatwoot.route().mock(side_effect=trouble("boom"))

    error = await failure(call, client)

    assert (error.status_code, error.retryable) == (None, True)
    assert error.in_doubt is in_doubt
    assert trouble.__name__ in str(error)
    assert route.call_count == 1


async def test_server_that_hangs_up_leaves_doubt(http):
    """The same, with a real socket: Chatwoot restarts while it works."""

    async def hang_up(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = ChatwootClient(http, base_url=f"http://127.0.0.1:{port}", token="t")

        error = await failure(create, client)

    assert (error.status_code, error.retryable, error.in_doubt) == (None, True, True)


async def test_server_that_is_not_there_leaves_none(http):
    """The same: nothing listens, so nothing was stored."""
    async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    client = ChatwootClient(http, base_url=f"http://127.0.0.1:{port}", token="t")

    error = await failure(create, client)

    assert (error.status_code, error.retryable, error.in_doubt) == (None, True, False)


# Answers that are none.

NONSENSE = [
    b"",
    b"<!doctype html><title>Sign in</title>",
    "<p>Prière de patienter".encode("latin-1"),
    b"[]",
    b"null",
    b'"ok"',
    b"{}",
    b'{"id":null}',
    b'{"id":"811","payload":"done"}',
    b"[" * 100_000,
]
nonsense = pytest.mark.parametrize("body", NONSENSE, ids=lambda body: ascii(body[:16]))


@nonsense
@pytest.mark.parametrize("call", [create, hand_off], ids=lambda call: call.__name__)
async def test_a_login_page_is_not_a_success(client, chatwoot, call, body):
    """A proxy's 200 must not make the bot believe that a contact was answered."""
    route = chatwoot.route().respond(200, content=body)

    error = await failure(call, client)

    assert (error.retryable, error.in_doubt) == (True, True)
    assert route.call_count == 1 or call is hand_off


@nonsense
async def test_a_login_page_shows_no_conversation(client, chatwoot, body):
    """It proves nothing about the conversation, and counts as an outage."""
    chatwoot.get(ONE).respond(200, content=body)

    for _ in range(FAILURES):
        assert (await failure(show, client)).retryable

    assert client.breaker.state == "open"


# What proxies and their kind answer in Chatwoot's place.
PAGES = {
    "traefik_404": (404, "text/plain", "404 page not found\n", {}),
    "nginx_404": (404, "text/html", "<html><h1>404 Not Found</h1></html>", {}),
    "kong_404": (404, "application/json", '{"message":"no Route matched"}', {}),
    "another_program_404": (404, "application/json", '{"error":"Not Found"}', {}),
    "firewall_403": (403, "text/html", "<html>Attention Required!</html>", {}),
    "sign_in_401": (401, "text/html", "<html>Sign in</html>", {}),
    "gateway_401": (401, "application/json", '{"message":"Unauthorized"}', {}),
    "bad_request_400": (400, "text/html", "<html>Bad Request</html>", {}),
    "timeout_408": (408, "text/plain", "", {}),
    "gone_410": (410, "text/html", "<html>", {}),
    "teapot_418": (418, "application/json", '{"error":"x"}', {}),
    "force_ssl_301": (301, "text/html", "<html>", {"location": "https://x.example/"}),
    "sign_in_302": (302, "text/html", "", {"location": "https://login.example/?a=b"}),
    "permanent_308": (308, "text/html", "", {"location": "https://x.example/"}),
    "captive_200": (200, "text/html", "<html>Welcome</html>", {}),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
@calls
async def test_answer_of_a_proxy_is_an_outage(client, chatwoot, call, page):
    """Chatwoot is restarting behind it, so nothing is refused and nothing is done."""
    status, content_type, text, headers = page
    chatwoot.route().respond(
        status, text=text, headers={"content-type": content_type, **headers}
    )

    error = await failure(call, client)
    while client.breaker.is_closed:
        await failure(call, client)

    assert error.retryable
    assert error.in_doubt is (status == 200)
    assert client.breaker.state == "open"
    assert "a=b" not in str(error)


@pytest.mark.parametrize("name", [n for n in ERRORS if n[:3] in ("401", "403", "404")])
async def test_refusal_of_chatwoots_own_is_final(client, chatwoot, name):
    """Chatwoot is at work, and would refuse again."""
    for _ in range(FAILURES):
        chatwoot.route().respond(int(name[:3]), json=ERRORS[name])
        error = await failure(create, client)
        assert not error.retryable

    assert error.is_gone is name.startswith("404")
    assert client.breaker.is_closed


async def test_request_too_large_for_a_proxy_is_given_up(client, chatwoot):
    """It would be too large again, and hold back what comes after it."""
    chatwoot.route().respond(413, html="<html>413 Request Entity Too Large</html>")

    assert not (await failure(create, client)).retryable


async def test_a_redirect_is_named_in_the_error(client, chatwoot):
    """The operator reads where CHATWOOT_BASE_URL should lead."""
    chatwoot.route().respond(301, headers={"location": "https://x.example/a?secret=1"})

    told = str(await failure(create, client))

    assert "redirect to x.example/a; CHATWOOT_BASE_URL" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "archived"},
        {"status": None},
        {"status": 1},
        {"status": []},
        {"status": {"code": 0}},
    ],
)
async def test_unknown_status_is_none(client, chatwoot, changes):
    """The next release may have a fifth one."""
    chatwoot.get(ONE).respond(json=SHOWN | changes)

    assert (await show(client)).status is None


@pytest.mark.parametrize("clock", ["1", None, True, [], -1, 1e300, 10**400])
async def test_a_clock_that_is_none_is_zero(client, chatwoot, clock):
    """Or it would be later than everything that happens after it."""
    chatwoot.get(ONE).respond(json=SHOWN | {"updated_at": clock})

    assert (await show(client)).updated_at in {0.0, 1.0 if clock is True else 0.0}


async def test_a_clock_that_is_not_a_number_is_zero(client, chatwoot):
    """NaN is neither later nor earlier than anything."""
    chatwoot.get(ONE).respond(content=b'{"id":150,"updated_at":NaN}')

    assert (await show(client)).updated_at == 0.0


@pytest.mark.parametrize(
    "messages", [None, {}, "x", [None], [1], [[]], [{}], [{"id": "811"}]]
)
async def test_messages_that_are_none_are_left_out(client, chatwoot, messages):
    """Nothing is known then, which is not the same as "not there"."""
    chatwoot.get(ONE).respond(
        json=SHOWN | {"messages": messages, "last_non_activity_message": messages}
    )

    assert (await show(client)).messages == {}


@pytest.mark.parametrize(
    "attributes", [None, "x", [], {}, {"chatwoot_bot": 1}, {"chatwoot_bot": {}}]
)
async def test_somebody_elses_message_has_no_key(client, chatwoot, attributes):
    """Whatever another integration keeps there."""
    message = {"id": 811, "content_attributes": attributes}
    chatwoot.get(ONE).respond(json={"id": 150, "messages": [message]})

    assert (await show(client)).messages == {811: None}


# What is repeated.


@pytest.mark.parametrize(
    "first",
    [
        httpx.Response(500),
        httpx.Response(429, text="Retry later\n"),
        httpx.ReadTimeout("boom"),
        httpx.ConnectError("boom"),
    ],
    ids=["500", "429", "ReadTimeout", "ConnectError"],
)
async def test_status_is_set_in_spite_of_a_blip(client, chatwoot, first):
    """Setting a status twice does no harm; not setting it leaves a contact alone."""
    done = httpx.Response(200, json=HANDED_OFF)
    route = chatwoot.post(f"{ONE}/toggle_status").mock(side_effect=[first, done])

    await hand_off(client)

    assert route.call_count == 2


async def test_status_is_tried_three_times(client, chatwoot):
    """What lasts longer is the worker's business."""
    route = chatwoot.post(f"{ONE}/toggle_status").respond(503)

    error = await failure(hand_off, client)

    assert (error.status_code, error.retryable) == (503, True)
    assert route.call_count == 3


@pytest.mark.parametrize("status", [401, 403, 404, 422])
async def test_refused_status_is_not_tried_again(client, chatwoot, status):
    """It would be refused again."""
    route = chatwoot.post(f"{ONE}/toggle_status").respond(
        status, json={"error": "Resource could not be found"}
    )

    error = await failure(hand_off, client)

    assert (error.status_code, error.in_doubt) == (status, False)
    assert route.call_count == 1


# Secrets.


@calls
@pytest.mark.parametrize(
    "trouble",
    [httpx.Response(401, json={"error": "Invalid Access Token"}), httpx.ReadError("x")],
    ids=["401", "ReadError"],
)
async def test_no_error_holds_the_token_or_the_contacts_words(
    client, chatwoot, call, trouble
):
    """Errors are logged, and logs are read by many."""
    answers = [trouble] * 3
    chatwoot.route().mock(side_effect=answers)

    error = await failure(call, client)

    told = "".join(traceback.format_exception(error)) + repr(error)
    assert TOKEN not in told
    assert "Yes, we do." not in told
    assert f"/conversations/150{'' if call is show else '/'}" in str(error)


# The channel on top.


class Kept:
    """A reply as the channel sees it."""

    key = "r_1"
    content = "Yes, we do."
    after_external_id = 810
    options = ()


@pytest.fixture
def channel(client):
    return ChatwootChannel(client, verify=True)


def shows(*messages):
    """The answer that shows *messages*, (id, key or None), the newest first."""
    forms = [
        {"id": i, "content_attributes": {"chatwoot_bot": {"reply_key": key}}}
        for i, key in messages
    ]
    return {
        "id": 150,
        "messages": forms[:1],
        "last_non_activity_message": forms[-1] if forms else None,
    }


@pytest.mark.parametrize(
    ("answer", "presence", "external_id"),
    [
        (shows((811, "r_1")), Presence.PRESENT, 811),
        (shows((812, None), (811, "r_1")), Presence.PRESENT, 811),
        (shows((810, None)), Presence.ABSENT, None),
        (shows((810, "r_0"), (809, None)), Presence.ABSENT, None),
        # Somebody else's newer message may hide ours.
        (shows((811, None)), Presence.UNKNOWABLE, None),
        (shows((812, "r_2"), (810, None)), Presence.UNKNOWABLE, None),
        (shows(), Presence.UNKNOWABLE, None),
        ({"id": 150}, Presence.UNKNOWABLE, None),
        ({}, Presence.UNREACHABLE, None),
    ],
)
async def test_reply_in_doubt_is_looked_for(
    channel, chatwoot, answer, presence, external_id
):
    """Only proof makes the bot say it again, or keep silent."""
    chatwoot.get(ONE).respond(json=answer)

    found = await channel.find(conversation(), Kept())

    assert (found.presence, found.external_id) == (presence, external_id)


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_who_may_not_look_cannot_know(channel, chatwoot, status):
    """Bots may read a conversation since 4.14.2 only."""
    words = {401: "Access to this endpoint is not authorized for bots"}
    said = words.get(status, "Resource could not be found")
    chatwoot.get(ONE).respond(status, json={"error": said})

    assert (await channel.find(conversation(), Kept())).presence is Presence.UNKNOWABLE
    assert await channel.look(conversation()) is None


async def test_status_is_looked_at_before_a_reply(channel, chatwoot):
    """An agent opened the conversation while the model was thinking."""
    chatwoot.get(ONE).respond(json=SHOWN | {"status": "open"})

    seen = await channel.look(conversation())

    sighting = seen.conversation
    assert (sighting.display_id, sighting.status) == (150, Status.OPEN)
    assert sighting.updated_at == SHOWN["updated_at"]


async def test_no_news_is_no_event(channel, chatwoot):
    """Or every answer would cost a write."""
    chatwoot.get(ONE).respond(json=SHOWN)

    assert await channel.look(conversation(status=Status.PENDING)) is None


async def test_agents_reply_that_nobody_told_us_of_is_news(channel, chatwoot):
    """It leaves the conversation pending; only the message shows it."""
    message = SHOWN["last_non_activity_message"]
    agents = message | {"id": 812, "sender": {"id": 12, "type": "user"}}
    chatwoot.get(ONE).respond(json=SHOWN | {"last_non_activity_message": agents})

    seen = await channel.look(conversation(status=Status.PENDING))

    assert seen.kind is Kind.AGENT_REPLY
    assert seen.message.external_id == 812


@pytest.mark.parametrize(
    ("shown", "known", "told"),
    [
        (False, True, False),
        (True, False, True),
        (True, True, None),
        (None, False, None),
        ("no", True, None),
    ],
)
async def test_window_that_has_closed_is_news(channel, chatwoot, shown, known, told):
    """Chatwoot would take the reply, and the channel would not."""
    chatwoot.get(ONE).respond(json=SHOWN | {"can_reply": shown})
    before = conversation(status=Status.PENDING, can_reply=known)

    seen = await channel.look(before)

    assert (seen and seen.conversation.can_reply) == told


async def test_choice_whose_webhook_was_lost_is_found(client, chatwoot):
    """The sweep reads the newest message, which is the one with the options."""
    values = {"submitted_values": [{"title": "Refund", "value": "refund"}]}
    message = SHOWN["last_non_activity_message"] | {"content_attributes": values}
    chatwoot.get(ONE).respond(json=SHOWN | {"last_non_activity_message": message})

    *_, newest = (await client.show(1, 150)).messages

    assert newest.event.kind is Kind.CONTACT_MESSAGE
    assert newest.event.message.content == "Refund"


OWNED = SHOWN["meta"] | {"assignee": {"id": 4}, "assignee_type": "AgentBot"}
ACTIVITY = {"type": "conversation_status_changed", "status": "open"}


@pytest.mark.parametrize(
    ("meta", "owner"),
    [
        (OWNED, 4),
        (OWNED | {"assignee_type": "User"}, 0),
        (OWNED | {"assignee_type": "Captain::Assistant"}, 0),
        ({"assignee_type": "AgentBot"}, 0),
        ({"assignee": {"id": "4"}, "assignee_type": "AgentBot"}, 0),
    ],
    ids=["ours", "agent", "Captain", "nobody", "nonsense"],
)
async def test_owner_is_an_agent_bot_and_no_other(client, chatwoot, meta, owner):
    chatwoot.get(ONE).respond(json=SHOWN | {"meta": meta})

    shown = await client.show(1, 150)

    assert shown.seen.event.conversation.bot_owner == owner


@pytest.mark.parametrize(
    ("attributes", "decided"),
    [({"activity": ACTIVITY}, True), ({"activity": None}, False), ({}, False)],
)
async def test_line_of_who_opened_a_conversation_is_seen(
    client, chatwoot, attributes, decided
):
    """Chatwoot's line about a failed delivery has no such attributes."""
    line = SHOWN["last_non_activity_message"] | {"id": 9_999, "message_type": 2}
    line |= {"content_attributes": attributes}
    chatwoot.get(ONE).respond(json=SHOWN | {"messages": [line]})

    assert (await client.show(1, 150)).opened_by_decision is decided


async def test_what_is_shown_counts_from_when_it_was_asked_for(client, chatwoot):
    """An older change must not look older than a status that we have set since."""
    headers = {"date": "Mon, 30 Nov 2026 12:00:00 GMT"}
    chatwoot.get(ONE).respond(json=SHOWN, headers=headers)

    seen = (await client.show(1, 150)).seen

    assert seen.event.conversation.updated_at == 1_796_040_000


async def test_unassigning_names_nobody(client, chatwoot):
    route = chatwoot.post(f"{ONE}/assignments").respond(json=None)

    await client.unassign(1, 150)

    assert json.loads(route.calls.last.request.content) == {"assignee_id": None}


async def test_agents_first_reply_is_news_although_others_have_written_since(
    channel, chatwoot
):
    """What Chatwoot shows of it is all that is left of a lost webhook."""
    chatwoot.get(ONE).respond(json=SHOWN | {"first_reply_created_at": 1_784_538_900})

    seen = await channel.look(conversation(status=Status.PENDING))
    known = await channel.look(conversation(status=Status.PENDING, agent_replied=True))

    assert seen.conversation.first_reply_at == 1_784_538_900
    assert known is None


async def test_agents_reply_that_was_fetched_counts_from_when_it_was_written(
    client, chatwoot
):
    """The bot may have been given the conversation since."""
    message = SHOWN["last_non_activity_message"]
    agents = message | {"id": 812, "sender": {"id": 12, "type": "user"}}
    written_at = int(SHOWN["updated_at"]) - 3_600
    agents |= {"created_at": written_at, "message_type": 1}
    chatwoot.get(ONE).respond(json=SHOWN | {"last_non_activity_message": agents})

    *_, newest = (await client.show(1, 150)).messages

    assert newest.event.kind is Kind.AGENT_REPLY
    assert newest.event.conversation.updated_at == written_at + 1


async def test_look_can_be_switched_off(client, chatwoot):
    """VERIFY_BEFORE_REPLY=false saves a call per answer."""
    channel = ChatwootChannel(client, verify=False)

    assert await channel.look(conversation()) is None
    assert not chatwoot.calls


async def test_typing_that_fails_is_nobodys_business(channel, chatwoot):
    """The reply matters."""
    route = chatwoot.post(f"{ONE}/toggle_typing_status").respond(401)

    await channel.typing(conversation(), on=True)

    assert route.called


async def test_channel_says_and_sets_where_the_conversation_is(channel, chatwoot):
    """The account and the number are the conversation's own."""
    said = chatwoot.post(f"{ONE}/messages").respond(json=CREATED)
    told = chatwoot.post(f"{ONE}/toggle_status").respond(json=HANDED_OFF)

    message_id = await channel.deliver(conversation(), Kept(), private=False)
    await channel.set_status(conversation(), Status.OPEN)

    assert message_id == 811
    assert said.called
    assert told.called


class Offered(Kept):
    content = "Is it about {{ money }}?"
    options = (Option("{{ Refund }}", "refund"), Option("Other", "other"))


@pytest.mark.parametrize("private", [False, True])
async def test_no_text_that_leaves_is_a_template(client, chatwoot, private):
    """Notes, answers to commands, titles and code all take this one way."""
    route = chatwoot.post(f"{ONE}/messages").respond(json=CREATED)
    breakout = "`{% endraw %}{{contact.email}}{% raw %}`"
    items = [{"title": breakout, "value": breakout}]

    await create(client, content=breakout, private=private, items=items)

    body = json.loads(sent(route).content)
    [item] = body["content_attributes"]["items"]
    for text in (body["content"], item["title"], item["value"]):
        assert "{{" not in text
        assert "{%" not in text
        assert text.replace("\u2060", "") == breakout


@pytest.mark.parametrize("private", [False, True])
async def test_private_note_mentions_nobody(channel, chatwoot, private):
    """Chatwoot would notify them; in public such a link is only text."""
    said = chatwoot.post(f"{ONE}/messages").respond(json=CREATED)

    class Note(Kept):
        content = "[@Boss](mention://user/1/Boss) ![t](https://evil.example/t.png)"

    await channel.deliver(conversation(), Note(), private=private)

    content = json.loads(sent(said).content)["content"]
    assert ("mention://" in content) is not private
    assert ("![" in content) is not private


async def test_what_chatwoot_says_of_an_error_is_shown_as_it_is(client, chatwoot):
    chatwoot.post(f"{ONE}/messages").respond(422, json={"error": "No\u202e\x1b[2J!"})

    with pytest.raises(ChatwootError, match=r"answered 422: No\[2J!$"):
        await create(client)


async def test_channel_escapes_liquid_in_text_and_titles(channel, chatwoot):
    """Whatever Chatwoot renders, it finds nothing."""
    said = chatwoot.post(f"{ONE}/messages").respond(json=CREATED)

    await channel.deliver(conversation(), Offered(), private=False)

    body = json.loads(sent(said).content)
    assert body["content"] == "Is it about {\u2060{ money }}?"
    assert body["content_attributes"]["items"] == [
        {"title": "{\u2060{ Refund }}", "value": "refund"},
        {"title": "Other", "value": "other"},
    ]


@pytest.mark.parametrize("lacking", ["account_id", "display_id"])
async def test_a_web_conversation_is_not_chatwoots(channel, chatwoot, lacking):
    """A bug of ours must not become a message to somebody else."""
    with pytest.raises(ValueError, match="c_1"):
        await channel.deliver(conversation(**{lacking: None}), Kept(), private=False)

    assert not chatwoot.calls
