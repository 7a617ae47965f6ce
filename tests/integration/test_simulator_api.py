"""The simulator's REST API: rights, shapes, refusals, and calls that go wrong."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.liquid import render

pytestmark = pytest.mark.anyio

DELIVERIES = Path(__file__).parents[1] / "deliveries"
ERRORS = json.loads((DELIVERIES / "rest_errors.json").read_text())
ACCOUNT = "/api/v1/accounts/1"


@pytest.fixture
async def sim():
    # Nothing listens there, and nothing follows from that.
    async with Simulator(
        webhook_url="http://127.0.0.1:9", keep_pending_on_bot_failure=True
    ) as sim:
        yield sim


@pytest.fixture
async def client(sim):
    async with httpx.AsyncClient(base_url=sim.base_url, timeout=5) as client:
        client.headers["api_access_token"] = "bot-token"
        yield client


@pytest.fixture
async def user(sim):
    async with httpx.AsyncClient(base_url=sim.base_url, timeout=5) as client:
        client.headers["api_access_token"] = "user-token"
        yield client


@pytest.fixture
async def cid(sim):
    return (await sim.contact_says("Hi")).conversation_id


def one(cid, rest=""):
    return f"{ACCOUNT}/conversations/{cid}{rest}"


def example(name):
    return json.loads((DELIVERIES / f"{name}.json").read_text())


def keys(value):
    """Keys, nested and in order; the rest does not matter here."""
    if isinstance(value, dict):
        return {key: keys(each) for key, each in value.items()}
    return None


# Who may call what.


@pytest.mark.parametrize(
    ("token", "path", "status", "error"),
    [
        ("", "/conversations/1", 401, "401_no_token"),
        ("wrong", "/conversations/1", 401, "401_bad_token"),
        ("gürtel", "/conversations/1", 401, "401_bad_token"),
        ("bot-token", "/conversations", 401, "401_bot_endpoint_not_allowed"),
        ("bot-token", "/conversations/1/messages", 401, "401_bot_endpoint_not_allowed"),
        ("bot-token", "/contacts/1", 401, "401_bot_endpoint_not_allowed"),
        ("bot-token", "/agents", 401, "401_bot_endpoint_not_allowed"),
        ("bot-token", "/conversations/99", 404, "404"),
        ("user-token", "/conversations/99", 404, "404"),
    ],
)
async def test_refusals_use_chatwoots_words(cid, client, token, path, status, error):
    """An adapter reads them to tell a wrong token from a missing right."""
    del client.headers["api_access_token"]

    answer = await client.get(
        ACCOUNT + path, headers=[(b"api_access_token", token.encode())]
    )

    assert (answer.status_code, answer.json()) == (status, ERRORS[error])


@pytest.mark.parametrize(
    ("token", "account", "status", "error"),
    [
        ("bot-token", 2, 401, "401_bot_other_account"),
        ("user-token", 2, 401, "401_user_not_in_account"),
        ("bot-token", 5, 404, "404"),
    ],
)
async def test_other_accounts_are_closed(cid, client, token, account, status, error):
    """Account 2 exists and is somebody else's."""
    client.headers["api_access_token"] = token

    answer = await client.get(f"/api/v1/accounts/{account}/conversations/{cid}")

    assert (answer.status_code, answer.json()) == (status, ERRORS[error])


async def test_header_may_have_dashes(cid, client):
    """Some proxies drop headers with underscores."""
    token = {"Api-Access-Token": client.headers.pop("api_access_token")}

    answer = await client.get(one(cid), headers=token)

    assert answer.status_code == 200


# Messages.


async def test_created_message_has_the_example_shape(sim, cid, client):
    """echo_id comes back here and nowhere else."""
    body = {"content": "Yes.", "content_attributes": {"key": "k"}, "echo_id": "e"}

    answer = await client.post(one(cid, "/messages"), json=body)

    message = answer.json()
    wanted = keys(example("rest_create_message__response"))
    assert keys(message) == wanted | {"content_attributes": {"key": None}}
    assert list(message) == list(wanted)
    assert (message["message_type"], message["echo_id"]) == (1, "e")
    assert type(message["created_at"]) is int
    assert sim.replies(cid)[0].content_attributes == {"key": "k"}


async def test_user_token_posts_as_human_unless_told_otherwise(sim, cid, user):
    """sender_type lets a user speak in a bot's name."""
    await user.post(one(cid, "/messages"), json={"content": "I am Maria"})
    await user.post(
        one(cid, "/messages"), json={"content": "I am Ada", "sender_type": "AgentBot"}
    )

    senders = [message.sender_type for message in sim.messages(cid)]
    assert senders == ["contact", "user", "agent_bot"]


async def test_empty_message_is_stored(sim, cid, client):
    """Recorded: 200, and nothing for the contact to read."""
    answer = await client.post(one(cid, "/messages"), json={"content": ""})

    assert (answer.status_code, answer.json()["content"]) == (200, None)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"content": "x" * 150_001}, "maximum is 150000 characters"),
        ({"content": "x", "message_type": "incoming"}, "only allowed in Api inboxes"),
        ({"content": "x", "content_type": "poem"}, "not a valid content_type"),
        ({"content": "x", "content_type": "input_select"}, "At least one item"),
        (
            {
                "content": "x",
                "content_type": "input_select",
                "content_attributes": {"items": [{"title": "A", "colour": "red"}]},
            },
            "invalid keys for items",
        ),
        (
            {
                "content": "x",
                "content_type": "cards",
                "content_attributes": {"items": [{"title": "A"}]},
            },
            "missing actions",
        ),
    ],
)
async def test_bad_message_is_refused_and_not_stored(sim, cid, client, body, error):
    """422 is final: the adapter must not try again."""
    answer = await client.post(one(cid, "/messages"), json=body)

    assert answer.status_code == 422
    assert error in answer.json()["error"]
    assert len(sim.messages(cid)) == 1


@pytest.mark.parametrize("name", ["article", "cards", "form", "input_select"])
async def test_example_messages_are_accepted(sim, cid, client, name):
    """All four kinds of rich message."""
    body = example(f"rest_create_message__request_{name}")

    answer = await client.post(one(cid, "/messages"), json=body)

    assert answer.status_code == 200
    assert answer.json()["content_type"] == name
    assert sim.replies(cid)[0].content_attributes == body["content_attributes"]


async def test_flood_guard_is_a_422(sim, cid, client):
    """The contact's messages count too."""
    sim.faults.deliveries.drop = 1.0
    for number in range(199):
        await sim.contact_says(str(number), conversation=cid)

    answer = await client.post(one(cid, "/messages"), json={"content": "x"})

    assert (answer.status_code, answer.json()) == (422, ERRORS["422_message_create"])


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Hello {{ contact.name }}!", "Hello Nora Berg!"),
        ("Hello {{ contact.shoe_size }}!", "Hello !"),
        ("a {% assign x = 1 %} b", "a  b"),
        ("a {% if x %}gone{% endif %} b", "a  b"),
        ("Use `{{ user }}` and `{% if %}`", "Use `{{ user }}` and `{% if %}`"),
        ("```\n{{ a }}\n```", "```\n{{ a }}\n```"),
        ("broken {{ contact.name", "broken {{ contact.name"),
        ("broken {{ contact.name }", "broken {{ contact.name }"),
        ("{{ contact.name }} {% if x %}", "{{ contact.name }} {% if x %}"),
        ("stray {% endif %}", "stray {% endif %}"),
        ("{% raw %}{{ a }}{% endraw %}", "{{ a }}"),
        ("{{ '{{' }} a }}", "{{ a }}"),
        ("100 % {sure}", "100 % {sure}"),
        # Chatwoot's own raw closes ours: what follows is a syntax error.
        ("{% raw %}a `b` c{% endraw %}", "{% raw %}a `b` c{% endraw %}"),
    ],
)
def test_liquid(text, rendered):
    """Model output with braces loses text unless the adapter breaks them up."""
    assert render(text, {"contact.name": "Nora Berg"}) == rendered


async def test_outgoing_text_is_rendered_and_incoming_is_not(sim, client):
    """What the contact writes stays as written."""
    said = await sim.contact_says("{{ contact.name }}", name="nora berg")
    cid = said.conversation_id

    answer = await client.post(
        one(cid, "/messages"), json={"content": "Hi {{ contact.first_name }}"}
    )

    assert answer.json()["content"] == "Hi Nora"
    assert sim.messages(cid)[0].content == "{{ contact.name }}"


# Conversations.


async def test_shown_conversation_has_the_example_shape(cid, client):
    """REST differs from webhooks: more keys, absent ones instead of null."""
    await client.post(one(cid, "/messages"), json={"content": "Yes."})

    answer = await client.get(one(cid))

    wanted = example("rest_conversation_show__response")
    assert list(answer.json()) == list(wanted)
    assert list(answer.json()["meta"]) == list(wanted["meta"])
    assert keys(answer.json()["meta"]) == keys(wanted["meta"])
    assert list(answer.json()["messages"][0]) == list(wanted["messages"][0])
    assert answer.json()["first_reply_created_at"] == 0


async def test_shown_conversation_ends_with_activity_and_notes(cid, client):
    """messages[0] may be an activity line; the key of a reply is beside it."""
    await client.post(one(cid, "/messages"), json={"content": "n", "private": True})
    await client.post(one(cid, "/toggle_status"), json={"status": "open"})

    body = (await client.get(one(cid))).json()

    assert body["messages"][0]["message_type"] == 2
    assert body["last_non_activity_message"]["content"] == "n"
    assert body["last_non_activity_message"]["private"] is True


async def test_bot_cannot_show_a_conversation_with_a_team(cid, client, user):
    """A bare 500 in Chatwoot, and the adapter must live with it."""
    await client.post(one(cid, "/assignments"), json={"team_id": 2})

    assert (await client.get(one(cid))).status_code == 500
    assert (await user.get(one(cid))).json()["meta"]["team"]["name"] == "billing"


async def test_handover_answers_success_null(sim, cid, client):
    """Only for a bot that opens a pending conversation."""
    handed = await client.post(one(cid, "/toggle_status"), json={"status": "open"})
    closed = await client.post(one(cid, "/toggle_status"), json={"status": "resolved"})

    handed_example = example("rest_toggle_status__handoff_response")["payload"]
    closed_example = example("rest_toggle_status__resolve_response")["payload"]
    assert handed.json()["payload"] == handed_example | {"conversation_id": cid}
    assert closed.json()["payload"] == closed_example | {"conversation_id": cid}
    assert sim.status(cid) == "resolved"


async def test_invalid_status_is_a_500(cid, client):
    """An enum error in Rails."""
    answer = await client.post(one(cid, "/toggle_status"), json={"status": "closed"})

    assert answer.status_code == 500


async def test_opening_with_a_user_token_takes_the_conversation(sim, cid, user):
    """The bot's ownership ends and the agent is assigned."""
    await user.post(one(cid, "/toggle_status"), json={"status": "open"})

    conversation = sim.world.conversations[cid]
    assert (conversation.assignee_id, conversation.assignee_agent_bot_id) == (12, None)


async def test_typing_answers_nothing(sim, cid, client):
    """The stand-in keeps what was received, in order."""
    for state in ("on", "off"):
        answer = await client.post(
            one(cid, "/toggle_typing_status"), json={"typing_status": state}
        )

    assert (answer.status_code, answer.content) == (200, b"")
    assert sim.typing(cid) == ["on", "off"]


async def test_labels_and_attributes_are_replaced(cid, client):
    """Read, merge, write is the adapter's work."""
    await client.post(one(cid, "/labels"), json={"labels": ["billing"]})
    labels = await client.post(one(cid, "/labels"), json={"labels": ["vip"]})
    for attributes in ({"a": 1}, {"b": 2}):
        answer = await client.post(
            one(cid, "/custom_attributes"), json={"custom_attributes": attributes}
        )

    assert labels.json() == (await client.get(one(cid, "/labels"))).json()
    assert labels.json() == {"payload": ["vip"]}
    assert answer.json() == {"custom_attributes": {"b": 2}}


async def test_assignments(sim, cid, client):
    """An unknown user id unassigns; an unknown bot id changes nothing."""
    path = one(cid, "/assignments")

    agent = await client.post(path, json={"assignee_id": 12})
    bot = await client.post(path, json={"assignee_id": 4, "assignee_type": "AgentBot"})
    unknown = {"assignee_id": 9, "assignee_type": "AgentBot"}
    nobody = await client.post(path, json=unknown)
    owner = sim.world.conversations[cid].assignee_agent_bot_id
    gone = await client.post(path, json={"assignee_id": None})

    assert keys(agent.json()) == keys(example("rest_assignment__agent_response"))
    assert keys(bot.json()) == keys(example("rest_assignment__bot_response"))
    assert (nobody.json(), owner) == (None, 4)
    assert gone.json() is None
    assert sim.world.conversations[cid].assignee_agent_bot_id is None


async def test_form_bodies_work_too(sim, cid, client):
    """Rails takes both."""
    await client.post(one(cid, "/messages"), data={"content": "x", "private": "true"})

    assert [note.content for note in sim.notes(cid)] == ["x"]


async def test_patch_changes_the_priority(sim, cid, client):
    """The one thing that call can change."""
    answer = await client.patch(one(cid), json={"priority": "low"})

    assert answer.json()["priority"] == "low"


async def test_api_inbox_takes_incoming_messages(client):
    """Only there may a caller speak as the contact."""
    async with Simulator(
        webhook_url="http://127.0.0.1:9",
        channel="Channel::Api",
        keep_pending_on_bot_failure=True,
    ) as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        await client.post(
            sim.base_url + one(cid, "/messages"),
            json={"content": "{{ more }}", "message_type": "incoming"},
        )

        last = sim.messages(cid)[-1]
        assert (last.sender_type, last.content) == ("contact", "{{ more }}")


async def test_priority(sim, cid, client):
    """One of four words, or none."""
    good = await client.post(one(cid, "/toggle_priority"), json={"priority": "high"})
    bad = await client.post(one(cid, "/toggle_priority"), json={"priority": "asap"})

    assert (good.status_code, good.content, bad.status_code) == (200, b"", 500)
    assert sim.world.conversations[cid].priority == "high"


# Lists.


async def test_message_pages(sim, cid, user):
    """20 latest or older, 100 newer, and a range."""
    sim.faults.deliveries.drop = 1.0
    for number in range(149):
        await sim.contact_says(str(number), conversation=cid)

    async def ids(**query):
        answer = await user.get(one(cid, "/messages"), params=query)
        return [message["id"] for message in answer.json()["payload"]]

    assert await ids() == list(range(131, 151))
    assert await ids(before=131) == list(range(111, 131))
    assert await ids(after=10) == list(range(11, 111))
    assert await ids(after=10, before=150) == list(range(10, 150))


async def test_message_list_has_the_example_shape(sim, cid, user):
    """Activity lines are here and nowhere else."""
    await sim.set_status(cid, "open")

    body = (await user.get(one(cid, "/messages"))).json()

    wanted = example("rest_list_messages__with_activity")
    assert list(body["meta"]) == list(wanted["meta"])
    assert keys(body["payload"][0]) == keys(wanted["payload"][0])
    assert keys(body["payload"][-1]) == keys(wanted["payload"][2])
    filtered = await user.get(
        one(cid, "/messages"), params={"filter_internal_messages": "true"}
    )
    assert [each["message_type"] for each in filtered.json()["payload"]] == [0]


async def test_conversation_list(sim, user):
    """25 a page, newest activity first, open ones unless asked otherwise."""
    sim.faults.deliveries.drop = 1.0
    for number in range(30):
        await sim.contact_says(str(number))

    async def listed(**query):
        return (await user.get(f"{ACCOUNT}/conversations", params=query)).json()["data"]

    first = await listed(status="pending")
    second = await listed(status="pending", page=2)
    assert [each["id"] for each in first["payload"]] == list(range(30, 5, -1))
    assert [each["id"] for each in second["payload"]] == [5, 4, 3, 2, 1]
    assert keys(first["meta"]) == keys(
        example("rest_list_conversations__response")["data"]["meta"]
    )
    assert (await listed())["payload"] == []
    assert (await listed(status="all"))["meta"]["all_count"] == 30


# Faults.


async def test_failing_calls_are_counted_and_scoped(sim, cid, client):
    """Two failures for one conversation, none for the other."""
    other = (await sim.contact_says("Hi")).conversation_id
    sim.faults.api("status", status=503, times=2, conversation=cid)

    async def post(conversation):
        path = one(conversation, "/messages")
        return (await client.post(path, json={"content": "x"})).status_code

    assert [await post(other), await post(cid), await post(cid)] == [200, 503, 503]
    assert await post(cid) == 200
    assert len(sim.replies(cid)) == 1


async def test_failing_call_may_say_anything(sim, cid, client):
    """One status has several causes, and only its words tell which."""
    suspended = {"error": "Account is suspended"}
    sim.faults.api("status", status=401, body=suspended)

    answer = await client.post(one(cid, "/messages"), json={"content": "x"})

    assert (answer.status_code, answer.json()) == (401, suspended)


async def test_rate_limit_is_plain_text_without_retry_after(sim, cid, client):
    """rack-attack, not Rails."""
    sim.faults.api("status", status=429)

    answer = await client.post(one(cid, "/messages"), json={"content": "x"})

    assert answer.text == ERRORS["429_body_text_plain"]
    assert answer.headers["content-type"].startswith("text/plain")
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    ("kind", "stored"), [("drop", 0), ("store_then_drop", 1), ("store_then_500", 1)]
)
async def test_call_without_a_true_answer(sim, cid, client, kind, stored):
    """The caller cannot tell from the answer whether the message is there."""
    sim.faults.api(kind)

    try:
        status = (
            await client.post(one(cid, "/messages"), json={"content": "x"})
        ).status_code
    except httpx.RemoteProtocolError:
        status = None

    assert status == (500 if kind == "store_then_500" else None)
    assert len(sim.replies(cid)) == stored
    assert sim.calls[-1].status == status


async def test_stored_but_never_answered(sim, cid, client):
    """The worst case for 'say it once'; it ends when the client gives up."""
    sim.faults.api("store_then_hang")

    with pytest.raises(httpx.ReadTimeout):
        await client.post(one(cid, "/messages"), json={"content": "x"}, timeout=0.05)

    assert len(sim.replies(cid)) == 1


async def test_simulator_ends_while_a_call_hangs():
    """A failing test must not hang on its way out."""
    async with Simulator(webhook_url="http://127.0.0.1:9") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        sim.faults.api("hang", call="*")
        async with httpx.AsyncClient(base_url=sim.base_url) as client:
            call = asyncio.create_task(client.get(one(cid)))
            await sim.until(lambda: sim.calls)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    assert sim.calls[0].status is None


async def test_delayed_call_is_done_late_but_well(sim, cid, client):
    """Slower than usual, and nothing else."""
    sim.faults.api("delay", delay_s=0.05)

    answer = await client.post(one(cid, "/messages"), json={"content": "x"})

    assert (answer.status_code, len(sim.replies(cid))) == (200, 1)
    assert answer.elapsed.total_seconds() >= 0.05


async def test_outage_refuses_connections_and_ends(sim, cid, client):
    """The same port before and after."""
    async with sim.outage():
        with pytest.raises(httpx.ConnectError):
            await client.get(one(cid))

    assert (await client.get(one(cid))).status_code == 200


async def test_chance_is_drawn_from_the_seed(sim, cid, client):
    """About the share that was asked for, until it is cleared."""
    sim.faults.api("status", status=500, probability=0.5, times=None, call="show")

    statuses = [(await client.get(one(cid))).status_code for _ in range(60)]
    sim.faults.clear()

    assert 15 < statuses.count(500) < 45
    assert (await client.get(one(cid))).status_code == 200


def test_unknown_fault_is_an_error():
    """A typing error must not look like a passed chaos test."""
    sim = Simulator(webhook_url="http://127.0.0.1:9")

    with pytest.raises(ValueError, match="no fault 'explode'"):
        sim.faults.api("explode")


async def test_calls_are_kept(sim, cid, client):
    """Tests ask who called what."""
    await client.post(one(cid, "/messages"), json={"content": "x"})

    call = sim.calls[-1]
    assert (call.method, call.path) == ("POST", one(cid, "/messages"))
    assert (call.token_kind, call.body, call.status) == ("bot", {"content": "x"}, 200)
