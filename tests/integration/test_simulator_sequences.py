"""The sequences of docs/chatwoot/deliveries.md, and what brings them about."""

import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from test_simulator import assert_same_shape

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.routes import WEBHOOK_EVENTS
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

DELIVERIES = Path(__file__).parents[1] / "deliveries"
OPENING = [
    "conversation_opened",
    "conversation_status_changed",
    "conversation_updated",
]


def example(name):
    return json.loads((DELIVERIES / f"{name}.json").read_text())


class Hook:
    """Two webhooks, a bot's and an account's, that keep what they were sent."""

    def __init__(self):
        self.bot = []
        self.account = []

    async def take_bot(self, request):
        self.bot.append(json.loads(await request.body()))
        return Response()

    async def take_account(self, request):
        self.account.append(json.loads(await request.body()))
        return Response()

    def last(self, event, route="bot"):
        bodies = getattr(self, route)
        return next(body for body in bodies[::-1] if body["event"] == event)


@pytest.fixture
async def hook():
    hook = Hook()
    routes = [
        Route("/bot", hook.take_bot, methods=["POST"]),
        Route("/account", hook.take_account, methods=["POST"]),
    ]
    server = LocalServer(Starlette(routes=routes), host="127.0.0.1", port=0)
    await server.start()
    hook.url = f"http://127.0.0.1:{server.port}"
    yield hook
    await server.stop()


@pytest.fixture
async def sim(hook):
    async with Simulator(webhook_url=f"{hook.url}/bot", retry_s=0.01) as sim:
        sim.world.office.add_webhook(f"{hook.url}/account", WEBHOOK_EVENTS)
        yield sim


@pytest.fixture
async def call(sim):
    async with httpx.AsyncClient(
        base_url=f"{sim.base_url}/api/v1/accounts/1/conversations/", timeout=5
    ) as client:

        async def call(path, token="bot-token", **body):
            answer = await client.post(
                path, json=body, headers={"api_access_token": token}
            )
            assert answer.status_code == 200, answer.text
            return answer.json() if answer.content else None

        yield call


async def events_of(sim, hook, act):
    """Return what the bot is told because of *act*, in the order of sending."""
    await sim.settled()
    before = len(sim.delivery_log)
    await act
    await sim.settled()
    new = [each for each in sim.delivery_log[before:] if each.route == "agent_bot"]
    return sorted(each.event for each in new)


async def asked(sim):
    return (await sim.contact_says("Hi")).conversation_id


# Chatwoot's own words.


async def test_opened_widget_is_told_without_a_conversation(sim, hook):
    """Sequence 1; somebody who was there before brings theirs along."""
    await sim.contact_opens_widget()
    await sim.settled()
    first = hook.last("webwidget_triggered")
    cid = await asked(sim)
    await sim.contact_opens_widget(conversation=cid)
    await sim.settled()

    assert_same_shape(first, example("webwidget_triggered"))
    assert first["current_conversation"] is None
    second = hook.last("webwidget_triggered")
    assert second["current_conversation"]["id"] == cid
    assert hook.last("webwidget_triggered", "account")["source_id"]


async def test_greeting_and_email_box_come_between(sim, hook):
    """Sequence 2: templates are said although a bot is connected, once."""
    await sim.set_inbox(
        greeting_enabled=True, greeting_message="Welcome!", enable_email_collect=True
    )

    cid = await asked(sim)
    await sim.contact_says("More", conversation=cid)
    await sim.settled()

    texts = [(m.message_type, m.content) for m in sim.messages(cid)]
    assert texts == [
        ("incoming", "Hi"),
        ("template", "Welcome!"),
        ("template", "Give the team a way to reach you."),
        ("template", "Get notified by email"),
        ("incoming", "More"),
    ]
    box = next(b for b in hook.bot if b.get("content_type") == "input_email")
    assert_same_shape(box, example("message_created__template_input_email"))


async def test_out_of_office_is_said_once_a_day(sim):
    """And not while somebody is answering."""
    await sim.set_inbox(
        working_hours_enabled=True, is_closed=True, out_of_office_message="We sleep."
    )

    cid = await asked(sim)
    await sim.contact_says("More", conversation=cid)
    answered = (await sim.contact_says("Hi")).conversation_id

    assert [m.content for m in sim.messages(cid)] == ["Hi", "We sleep.", "More"]
    assert len(sim.messages(answered)) == 2


async def test_machine_mail_gets_no_template():
    """Two machines would greet each other for ever."""
    async with Simulator(webhook_url="", channel="Channel::Email") as sim:
        await sim.set_inbox(greeting_enabled=True, greeting_message="Welcome!")
        said = await sim.contact_says("I am away", auto_reply=True)

        assert len(sim.messages(said.conversation_id)) == 1


async def test_survey_after_resolve_and_its_answer(sim, hook):
    """Sequence 8; the rating is an object in message_updated."""
    await sim.set_inbox(csat_survey_enabled=True)
    cid = await asked(sim)
    await sim.assign(cid)
    await sim.set_status(cid, "resolved")
    await sim.settled()
    survey = sim.messages(cid)[-1]
    asked_for = hook.last("message_created")

    await sim.contact_rates(survey.id, 5, "Quick and clear")
    await sim.settled()

    assert_same_shape(asked_for, example("message_created__template_csat_webwidget"))
    wanted = example("message_updated__csat_response")
    got = hook.last("message_updated")
    assert got["content_attributes"] == wanted["content_attributes"]


async def test_survey_outside_of_the_widget_has_its_link_in_the_text(hook):
    """Top level only; the nested copy is without."""
    async with Simulator(
        webhook_url=f"{hook.url}/bot", channel="Channel::Whatsapp"
    ) as sim:
        await sim.set_inbox(csat_survey_enabled=True)
        cid = await asked(sim)
        await sim.assign(cid)
        await sim.set_status(cid, "resolved")
        await sim.settled()

    body = hook.last("message_created")
    assert_same_shape(body, example("message_created__template_csat_whatsapp"))
    assert "/survey/responses/" in body["content"]
    nested = body["conversation"]["messages"][0]["content"]
    assert nested == "Please rate the conversation"


# Answers that are no messages.


async def test_form_and_email_come_as_updates(sim, hook, call):
    """The e-mail also changes the contact."""
    cid = await asked(sim)
    form = example("rest_create_message__request_form")
    message = await call(f"{cid}/messages", **form)
    await sim.contact_submits(
        message["id"], {"order_number": "ABC-778", "topic": "refund"}
    )
    await sim.settled()
    wanted = example("message_updated__form_response")["content_attributes"]
    got = hook.last("message_updated")["content_attributes"]
    assert got["submitted_values"] == wanted["submitted_values"]

    await sim.set_inbox(enable_email_collect=True)
    await sim.contact_says("Bye", conversation=cid)
    box = sim.messages(cid)[-1]
    await sim.contact_gives_email(box.id, "lena@example.com")
    await sim.settled()

    got = hook.last("message_updated")
    assert got["content_attributes"] == {"submitted_email": "lena@example.com"}
    assert hook.last("contact_updated", "account")["email"] == "lena@example.com"


async def test_transcript_comes_later(sim, hook):
    """The enterprise build's second message_updated."""
    said = await sim.contact_sends("audio")
    await sim.transcribe(said.id, "Where is my order?")
    await sim.settled()

    attachment = hook.last("message_updated")["attachments"][0]
    assert attachment["transcribed_text"] == "Where is my order?"


async def test_reply_to_names_both_ids(sim, hook, call):
    """Also when the bot replies to one message."""
    cid = await asked(sim)
    message = await call(f"{cid}/messages", content="Yes.")
    said = await sim.contact_replies_to(message["id"], "and how long?")
    await sim.settled()

    body = next(b for b in hook.bot if b.get("content") == "and how long?")
    assert_same_shape(body, example("message_created__incoming_reply_to_webwidget"))
    assert body["content_attributes"] == {
        "in_reply_to": message["id"],
        "in_reply_to_external_id": None,
    }
    answer = await call(
        f"{cid}/messages", content="3 days", content_attributes={"in_reply_to": said.id}
    )
    assert answer["content_attributes"]["in_reply_to_external_id"] is None


# Typing.


async def test_typing_is_told_to_webhooks_and_never_to_bots(sim, hook, call):
    """Three kinds of typists, the bot's own among them."""
    cid = await asked(sim)
    await sim.contact_types(cid)
    await sim.settled()
    contact = hook.last("conversation_typing_on", "account")
    await sim.agent_types(cid, "off")
    await call(f"{cid}/toggle_typing_status", typing_status="on")
    await sim.settled()

    for body, name in (
        (contact, "conversation_typing_on__contact"),
        (
            hook.last("conversation_typing_off", "account"),
            "conversation_typing_off__agent",
        ),
    ):
        assert list(body) == list(example(name))
        assert_same_shape(body["user"], example(name)["user"])
    typist = hook.last("conversation_typing_on", "account")["user"]
    assert typist == {"id": 4, "name": "Ada", "type": "agent_bot"}
    assert not [body for body in hook.bot if "typing" in body["event"]]


# Owner, labels, priority, attributes, team.


@pytest.mark.parametrize(
    ("path", "body", "columns"),
    [
        ("assignments", {"assignee_id": 12}, {"assignee_id", "assignee_agent_bot_id"}),
        ("assignments", {"assignee_id": None}, {"assignee_agent_bot_id"}),
        ("assignments", {"team_id": 2}, {"team_id"}),
        ("assignments", {"team_id": 2, "assignee_id": 12}, {"assignee_id"}),
        ("labels", {"labels": ["vip"]}, {"label_list", "cached_label_list"}),
        ("custom_attributes", {"custom_attributes": {"a": 1}}, {"custom_attributes"}),
        ("toggle_priority", {"priority": "high"}, {"priority"}),
    ],
)
async def test_one_event_for_each_change(sim, hook, call, path, body, columns):
    """Sequences 6 and 12, with a diff of what changed and the time."""
    cid = await asked(sim)

    events = await events_of(sim, hook, call(f"{cid}/{path}", **body))

    assert events == ["conversation_updated"]
    diff = hook.last("conversation_updated")["changed_attributes"]
    changed = {next(iter(each)) for each in diff}
    assert changed - {"assignee_agent_bot_id"} == (columns | {"updated_at"}) - {
        "assignee_agent_bot_id"
    }
    assert (
        "team_id" not in changed or path != "assignments" or "assignee_id" not in body
    )


@pytest.mark.parametrize("body", [{}, {"assignee_id": 99, "assignee_type": "AgentBot"}])
async def test_assignment_of_nothing_changes_nothing(sim, hook, call, body):
    """No parameters, or a bot that is not there."""
    cid = await asked(sim)

    assert await call(f"{cid}/assignments", **body) is None
    assert await events_of(sim, hook, sim.settled()) == []
    assert sim.world.conversations[cid].assignee_agent_bot_id == 4


async def test_same_value_again_is_no_event(sim, hook, call):
    """A save without a change sends nothing."""
    cid = await asked(sim)
    await call(f"{cid}/labels", labels=["vip"])

    assert await events_of(sim, hook, call(f"{cid}/labels", labels=["vip"])) == []


async def test_seen_is_no_event(sim, hook):
    """The agent opens the conversation: that alone fires nothing."""
    cid = await asked(sim)

    assert await events_of(sim, hook, sim.agent_reads(cid)) == []
    assert sim.world.conversations[cid].agent_last_seen_at


async def test_administrator_opens_without_taking(sim, call):
    """Only an agent's "open" also assigns."""
    cid = await asked(sim)
    await call(f"{cid}/toggle_status", token="admin-token", status="open")

    conversation = sim.world.conversations[cid]
    assert (conversation.assignee_id, conversation.assignee_agent_bot_id) == (
        None,
        None,
    )


async def test_automation_leaves_the_bot_as_owner(sim):
    """Opening by anything but a handoff or a human."""
    cid = await asked(sim)
    await sim.automation_opens(cid)

    conversation = sim.world.conversations[cid]
    assert (conversation.status, conversation.assignee_agent_bot_id) == ("open", 4)


async def test_automation_writes_without_a_sender(sim, hook):
    """Outgoing, sender null, and not a human on a phone."""
    cid = await asked(sim)
    await sim.automation_says(cid, "We are busy")
    await sim.settled()

    body = hook.last("message_created")
    assert (body["message_type"], body["sender"]) == ("outgoing", None)
    assert body["content_attributes"] == {"automation_rule_id": 1}


# Status.


async def test_snooze_and_its_end(sim, hook):
    """A background job opens it, whoever owns it."""
    cid = await asked(sim)
    until = 2_000_000_000.0
    snoozed = await events_of(
        sim, hook, sim.set_status(cid, "snoozed", snoozed_until=until)
    )
    time = hook.last("conversation_updated")["snoozed_until"]
    woken = await events_of(sim, hook, sim.snooze_ends(cid))

    assert snoozed == ["conversation_status_changed", "conversation_updated"]
    assert time == "2033-05-18T03:33:20.000Z"
    assert woken == OPENING
    assert sim.status(cid) == "open"


async def test_contact_ends_the_conversation(sim, hook):
    """The widget's own button."""
    cid = await asked(sim)

    events = await events_of(sim, hook, sim.contact_resolves(cid))

    assert events == [
        "conversation_resolved",
        "conversation_status_changed",
        "conversation_updated",
    ]


async def test_muted_contact_does_not_come_back(sim):
    """No reopening (docs/chatwoot/conversations.md)."""
    cid = await asked(sim)
    await sim.mute(cid)
    await sim.contact_says("Hello?", conversation=cid)

    assert sim.status(cid) == "resolved"


async def test_auto_assignment_swallows_the_opening(sim, hook, call):
    """One conversation_updated is all that tells of it."""
    await sim.set_inbox(enable_auto_assignment=True)
    cid = await asked(sim)

    events = await events_of(sim, hook, call(f"{cid}/toggle_status", status="open"))

    assert events == ["conversation_updated"]
    body = hook.last("conversation_updated")
    columns = [next(iter(each)) for each in body["changed_attributes"]]
    assert columns == ["assignee_id", "updated_at"]
    assert (body["status"], body["meta"]["assignee"]["id"]) == ("open", 12)
    assert not [m for m in sim.messages(cid) if m.message_type == "activity"]


# Old releases and limits.


@pytest.mark.parametrize(
    ("switch", "missing"),
    [
        ("unsigned", "x-chatwoot-signature"),
        ("without_delivery_id", "x-chatwoot-delivery"),
    ],
)
async def test_older_releases_send_fewer_headers(switch, missing):
    """Each step of the version table can be had alone."""
    headers = []

    async def take(request):
        headers.append(request.headers)
        return Response()

    app = Starlette(routes=[Route("/hook", take, methods=["POST"])])
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    url = f"http://127.0.0.1:{server.port}/hook"
    async with Simulator(webhook_url=url, secret="s") as sim:
        setattr(sim.faults.deliveries, switch, True)
        await sim.contact_says("Hi")
        await sim.settled()
    await server.stop()

    wanted = {"x-chatwoot-signature", "x-chatwoot-delivery"} - {missing}
    assert missing not in headers[0]
    assert wanted <= set(headers[0].keys())


@pytest.mark.parametrize(
    ("switch", "has_account", "has_type"),
    [("without_account", False, True), ("without_assignee_type", True, False)],
)
async def test_older_releases_send_fewer_keys(sim, hook, switch, has_account, has_type):
    """`account` came with 4.14.2, `assignee_type` with 4.8."""
    setattr(sim.faults.deliveries, switch, True)
    await sim.contact_says("Hi")
    await sim.settled()

    conversation = hook.bot[0]["conversation"]
    assert ("account" in conversation) is has_account
    assert ("assignee_type" in conversation["meta"]) is has_type


async def test_rate_limit_counts_calls_per_minute(sim):
    """429, text/plain, before any token is read."""
    sim.faults.rate_limit = 2
    async with httpx.AsyncClient() as client:
        answers = [await client.get(f"{sim.base_url}/api") for _ in range(3)]

    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[-1].text == "Retry later\n"


async def test_proxy_drops_headers_with_underscores(sim):
    """What nginx does unless it is told otherwise."""
    sim.faults.drop_underscores = True
    url = f"{sim.base_url}/api/v1/profile"
    async with httpx.AsyncClient() as client:
        codes = [
            (await client.get(url, headers={name: "user-token"})).status_code
            for name in ("api_access_token", "api-access-token")
        ]

    assert codes == [401, 200]


# Automation rules and macros.


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("automation_sends", "automation_event.message_created"),
        ("macro_sends", "macro.executed"),
    ],
)
async def test_rules_and_macros_send_a_bare_conversation(rule, wanted):
    """Neither signed nor numbered, whatever the bot's secret is."""
    taken = []

    async def take(request):
        taken.append((request.headers, json.loads(await request.body())))
        return Response()

    app = Starlette(routes=[Route("/hook", take, methods=["POST"])])
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    async with Simulator(webhook_url="http://127.0.0.1:9", secret="s") as sim:
        cid = await asked(sim)
        await getattr(sim, rule)(cid, f"http://127.0.0.1:{server.port}/hook")
        await sim.settled()
    await server.stop()

    [(headers, body)] = taken
    assert list(body) == list(example(wanted))
    assert body["event"] == wanted
    assert not [name for name in headers if name.startswith("x-chatwoot")]


async def test_conversation_is_announced_once(sim, hook, call):
    """At its creation by REST, and not again with its first message."""
    contact = sim.world.conversations[await asked(sim)].contact
    async with httpx.AsyncClient(headers={"api_access_token": "user-token"}) as client:
        made = await client.post(
            f"{sim.base_url}/api/v1/accounts/1/conversations",
            json={"contact_id": contact.id, "inbox_id": 3},
        )
    await sim.settled()
    announced = hook.last("conversation_created", "account")
    await sim.contact_says("Hi", conversation=made.json()["id"])
    await sim.settled()

    assert announced["id"] == made.json()["id"]
    assert announced["messages"] == []
    created = [b for b in hook.account if b["event"] == "conversation_created"]
    assert len(created) == 2
