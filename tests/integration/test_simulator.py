"""The simulator's webhooks: what it sends, how it signs, what follows a failure.

The examples in tests/deliveries are reconstructed from Chatwoot's source, so they
and the simulator may be wrong together, but not apart.
"""

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.deliveries import sign
from chatwoot_bot.simulator.ledger import MessageRefusedError
from chatwoot_bot.simulator.serving import LocalServer
from chatwoot_bot.simulator.wire import dump

pytestmark = pytest.mark.anyio

DELIVERIES = Path(__file__).parents[1] / "deliveries"
SECRET = "exampleBotSecret00000000"


@dataclass
class Webhook:
    """A service that takes deliveries and answers what it is told."""

    answers: list[int] = field(default_factory=list)
    requests: list[tuple[dict, bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, request):
        self.requests.append((dict(request.headers), await request.body()))
        return Response("taken", self.answers.pop(0) if self.answers else 200)

    @property
    def bodies(self):
        return [json.loads(body) for _, body in self.requests]

    def body(self, event):
        return next(body for body in self.bodies if body["event"] == event)


@pytest.fixture
async def webhook():
    webhook = Webhook()
    app = Starlette(routes=[Route("/hook", webhook.take, methods=["POST"])])
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    webhook.url = f"http://127.0.0.1:{server.port}/hook"
    yield webhook
    await server.stop()


@pytest.fixture
async def sim(webhook):
    async with Simulator(webhook_url=webhook.url, secret=SECRET, retry_s=0.01) as sim:
        yield sim


@pytest.fixture
async def account_sim(webhook):
    async with Simulator(
        webhook_url=webhook.url,
        secret=SECRET,
        agent_bot=False,
        subscriptions={
            "contact_created",
            "contact_updated",
            "conversation_created",
            "conversation_status_changed",
            "conversation_typing_on",
            "conversation_updated",
            "message_created",
        },
    ) as sim:
        yield sim


def bot(sim):
    return httpx.AsyncClient(
        base_url=f"{sim.base_url}/api/v1/accounts/1/conversations/",
        headers={"api_access_token": "bot-token"},
        timeout=5,
    )


async def bot_posts(sim, path, **body):
    async with bot(sim) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer


def example(name):
    return json.loads((DELIVERIES / f"{name}.json").read_text())


def assert_same_shape(actual, expected, path="$"):
    """Same keys in the same order, same types; None fits everything."""
    if path.endswith("_attributes"):
        return  # free keys
    if actual is None or expected is None:
        return
    assert type(actual) is type(expected), path
    if isinstance(expected, dict):
        assert list(actual) == list(expected), path
        for key in expected:
            assert_same_shape(actual[key], expected[key], f"{path}.{key}")
    elif isinstance(expected, list) and actual and expected:
        assert_same_shape(actual[0], expected[0], f"{path}[0]")


async def story(sim, until="bot"):
    """Play a conversation up to a point; return its display id."""
    cid = (await sim.contact_says("Hi! Do you ship to Norway?")).conversation_id
    if until != "asked":
        await bot_posts(sim, f"{cid}/messages", content="Yes.")
    await sim.settled()
    return cid


async def events_of(sim, act):
    """Return the names of the events that *act* leads to, in order of sending."""
    await sim.settled()
    before = len(sim.delivery_log)
    emitted = []
    original = sim._deliveries.enqueue

    def spy(event, recipient, build):
        emitted.append(event.name)
        original(event, recipient, build)

    sim._deliveries.enqueue = spy
    try:
        await act
    finally:
        sim._deliveries.enqueue = original
    await sim.settled()
    assert len(sim.delivery_log) - before == len(emitted)
    return emitted


# The bytes.


def test_signature_matches_the_test_vector():
    """A service that agrees with this vector agrees with Chatwoot."""
    body = dump(
        {
            "account": {"id": 1, "name": "Acme & Sons"},
            "content": "héllo <3",
            "event": "message_created",
        }
    )

    headers = sign(body, secret=SECRET, timestamp=1784538914)

    assert len(body) == 99
    assert headers == {
        "X-Chatwoot-Timestamp": "1784538914",
        "X-Chatwoot-Signature": "sha256="
        "3d7b0299b09a3152d8db703de1b066169c87d7f58901f0160897d229b9b4a7d8",
    }


async def test_delivery_is_signed_over_the_bytes_as_sent(sim, webhook):
    """Escapes included: parsing and writing again would break the signature."""
    await sim.contact_says("A < B & C > D \u2028 é")
    await sim.settled()

    headers, body = webhook.requests[0]
    signed = f"{headers['x-chatwoot-timestamp']}.".encode() + body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["x-chatwoot-signature"] == f"sha256={digest}"
    assert "A \\u003c B \\u0026 C \\u003e D \\u2028 é".encode() in body
    assert headers["user-agent"] == "Ruby"
    assert headers["content-type"] == headers["accept"] == "application/json"


# The shapes.


async def test_incoming_and_echo_have_the_example_shapes(sim, webhook):
    """What every adapter reads first."""
    await story(sim)

    incoming, echo = (
        body for body in webhook.bodies if body["event"] == "message_created"
    )
    assert_same_shape(incoming, example("message_created__incoming_text_webwidget"))
    assert_same_shape(echo, example("message_created__outgoing_agent_bot"))
    assert incoming["conversation"]["status"] == "pending"
    assert echo["sender"] == {"id": 4, "name": "Ada", "type": "agent_bot"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("outgoing_human_agent", lambda sim, cid: sim.agent_says(cid, "Maria here")),
        ("private_note", lambda sim, cid: sim.agent_says(cid, "VIP", private=True)),
        ("outgoing_external_echo_whatsapp", lambda sim, cid: sim.phone_echo(cid, "Me")),
        ("template_greeting", lambda sim, cid: sim.template_says(cid, "Welcome")),
    ],
)
async def test_other_messages_have_the_example_shapes(sim, webhook, name, says):
    """Each of them is a trap of its own for the rule 'is it a human?'."""
    cid = await story(sim)
    if name != "template_greeting":
        await sim.agent_says(cid, "One moment")
        await sim.assign(cid)
    await sim.settled()
    webhook.requests.clear()

    await says(sim, cid)
    await sim.settled()

    body = webhook.body("message_created")
    assert_same_shape(body, example(f"message_created__{name}"))
    assert (body["private"], body["message_type"]) == (
        name == "private_note",
        "template" if name == "template_greeting" else "outgoing",
    )


async def test_status_events_have_the_example_shapes(sim, webhook):
    """Handover, resolve, and a contact who comes back."""
    cid = await story(sim)

    await bot_posts(sim, f"{cid}/toggle_status", status="open")
    await sim.assign(cid)
    await sim.agent_says(cid, "Glad I could help!")
    await sim.set_status(cid, "resolved")
    await sim.settled()

    for event, name in {
        "conversation_opened": "conversation_opened",
        "conversation_status_changed": "conversation_status_changed__pending_to_open",
        "conversation_resolved": "conversation_resolved",
    }.items():
        assert_same_shape(webhook.body(event), example(name))
    assert webhook.body("conversation_status_changed")["changed_attributes"] is None


async def test_diff_of_a_handover_is_that_of_the_example(sim, webhook):
    """The diff names the status, the bot's ownership and the time."""
    cid = await story(sim, until="asked")

    await bot_posts(sim, f"{cid}/toggle_status", status="open")
    await sim.settled()

    diff = webhook.body("conversation_updated")["changed_attributes"]
    wanted = example("conversation_updated__status_handoff")["changed_attributes"]
    assert [list(each) for each in diff] == [list(each) for each in wanted]
    assert diff[0] == wanted[0]
    assert_same_shape(diff[1], wanted[1])


async def test_labels_come_with_their_cached_twin(sim, webhook):
    """The label gem writes its change twice."""
    cid = await story(sim, until="asked")

    await bot_posts(sim, f"{cid}/labels", labels=["billing", "vip"])
    await sim.settled()

    diff = webhook.body("conversation_updated")["changed_attributes"]
    assert [next(iter(each)) for each in diff] == [
        "updated_at",
        "cached_label_list",
        "label_list",
    ]


async def test_account_webhook_has_the_example_shapes(account_sim, webhook):
    """conversation_created first, and the contact around it."""
    cid = await story(account_sim)
    await bot_posts(account_sim, f"{cid}/toggle_typing_status", typing_status="on")
    await account_sim.settled()

    created = webhook.body("conversation_created")
    assert_same_shape(created, example("conversation_created"))
    assert_same_shape(webhook.body("contact_created"), example("contact_created"))
    assert_same_shape(webhook.body("contact_updated"), example("contact_updated"))
    assert list(webhook.body("conversation_typing_on")) == list(
        example("conversation_typing_on__contact")
    )
    assert created["status"] == "open"
    assert {each["event"] for each in webhook.bodies}.isdisjoint(
        {"conversation_opened", "conversation_resolved"}
    )


async def test_deleted_message_keeps_nothing_but_the_mark(sim, webhook):
    """Own keys are gone too, so a service cannot find its reply again."""
    cid = await story(sim, until="asked")
    answer = await bot_posts(
        sim, f"{cid}/messages", content="x", content_attributes={"key": "k"}
    )

    await sim.agent_deletes(answer.json()["id"])
    await sim.settled()

    body = webhook.body("message_updated")
    assert_same_shape(body, example("message_updated__deleted"))
    assert body["content_attributes"] == {"deleted": True}


async def test_read_receipts_and_picks_are_message_updates(sim, webhook):
    """Noise, and the one answer that comes as no message at all."""
    cid = await story(sim)
    select = {"items": [{"title": "Refund", "value": "refund"}]}
    answer = await bot_posts(
        sim,
        f"{cid}/messages",
        content="What?",
        content_type="input_select",
        content_attributes=select,
    )

    read = await events_of(sim, sim.contact_reads(cid))
    again = await events_of(sim, sim.contact_reads(cid))
    webhook.requests.clear()
    await sim.contact_picks(answer.json()["id"], "Refund", "refund")
    await sim.settled()

    assert (read, again) == (["message_updated"] * 2, [])
    body = webhook.body("message_updated")
    wanted = example("message_updated__input_select_response")
    assert_same_shape(body, wanted)
    assert body["content_attributes"]["submitted_values"] == [
        {"title": "Refund", "value": "refund"}
    ]


async def test_attachment_has_the_example_shape(sim, webhook):
    """A file without text: content is null, and the key is there only now."""
    file = {"file_type": "file", "data_url": "http://x/y.pdf", "extension": "pdf"}

    await sim.contact_says(None, attachments=[file])
    await sim.settled()

    body = webhook.body("message_created")
    wanted = example("message_created__incoming_file_webwidget")
    assert_same_shape(body["attachments"], wanted["attachments"])
    assert body["content"] is None


# Sequences (docs/chatwoot/deliveries.md#sequences).


async def test_first_message_is_one_event_on_the_agent_bot_route(sim):
    """waiting_since is set at creation, so nothing else changes."""
    assert await events_of(sim, sim.contact_says("Hi")) == ["message_created"]


async def test_bot_reply_ends_the_waiting_and_the_next_message_starts_it(sim):
    """Sequences 3 and 4; the incoming payload still says 0."""
    cid = await story(sim, until="asked")

    reply = await events_of(sim, bot_posts(sim, f"{cid}/messages", content="Yes."))
    more = await events_of(sim, sim.contact_says("Thanks", conversation=cid))

    assert reply == more == ["message_created", "conversation_updated"]


@pytest.mark.parametrize(
    ("steps", "status", "expected"),
    [
        ([], "pending", ["message_created", "conversation_updated"]),
        (
            ["resolved"],
            "pending",
            [
                "conversation_status_changed",
                "conversation_updated",
                "message_created",
                "conversation_updated",
            ],
        ),
        (
            ["snoozed"],
            "open",
            [
                "conversation_opened",
                "conversation_status_changed",
                "conversation_updated",
                "message_created",
                "conversation_updated",
            ],
        ),
    ],
)
async def test_contact_comes_back(sim, steps, status, expected):
    """Sequences 4, 9 and 10: a snoozed conversation opens even with a bot."""
    cid = await story(sim)
    for step in steps:
        await sim.set_status(cid, step)

    events = await events_of(sim, sim.contact_says("Hello?", conversation=cid))

    assert events == expected
    assert sim.status(cid) == status


async def test_returning_contact_finds_the_old_assignee(sim, webhook):
    """Pending with a human assignee is normal, and not a takeover."""
    cid = await story(sim)
    await sim.assign(cid)
    await sim.set_status(cid, "resolved")
    await sim.settled()
    webhook.requests.clear()

    await sim.contact_says("One more question", conversation=cid)
    await sim.settled()

    body = webhook.body("message_created")
    assert_same_shape(body, example("message_created__incoming_after_reopen"))
    assert body["conversation"]["status"] == "pending"
    assert body["conversation"]["meta"]["assignee_type"] == "User"


async def test_handover_sequence(sim):
    """Sequence 5; with nobody waiting Chatwoot first notes that somebody is."""
    waiting = await story(sim, until="asked")
    answered = await story(sim)
    opening = [
        "conversation_opened",
        "conversation_status_changed",
        "conversation_updated",
    ]

    first = await events_of(
        sim, bot_posts(sim, f"{waiting}/toggle_status", status="open")
    )
    second = await events_of(
        sim, bot_posts(sim, f"{answered}/toggle_status", status="open")
    )

    assert first == opening
    assert second == ["conversation_updated", *opening]
    assert sim.messages(waiting)[-1].content == "Conversation was reopened by Ada"


async def test_agent_reply_leaves_the_conversation_pending(sim):
    """Sequence 7: in agent-bot inboxes the adapter itself must open it."""
    cid = await story(sim, until="asked")

    events = await events_of(sim, sim.agent_says(cid, "Maria here"))

    assert events == ["message_created", "conversation_updated"]
    assert sim.status(cid) == "pending"


async def test_plain_inbox_starts_open_and_reopens_to_open(account_sim):
    """Without a bot nothing is ever pending."""
    cid = await story(account_sim)
    assert account_sim.status(cid) == "open"
    await account_sim.set_status(cid, "resolved")

    await account_sim.contact_says("Hello?", conversation=cid)

    assert account_sim.status(cid) == "open"


# Retries and failure.


@pytest.mark.parametrize("status", [429, 500])
async def test_429_and_500_are_repeated_with_the_same_delivery_id(sim, webhook, status):
    """Three attempts; the signature is new each time, the id is not."""
    webhook.answers = [status, status, 200]

    cid = (await sim.contact_says("Hi")).conversation_id
    await sim.settled()

    ids = [headers["x-chatwoot-delivery"] for headers, _ in webhook.requests]
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert [attempt.status for attempt in sim.delivery_log] == [status, status, 200]
    assert sim.status(cid) == "pending"


@pytest.mark.parametrize("answers", [[500, 500, 500], [503], [404]])
async def test_final_failure_gives_the_conversation_to_humans(sim, webhook, answers):
    """503 is worse than 500: there is no second try."""
    webhook.answers = [*answers]

    cid = (await sim.contact_says("Hi")).conversation_id
    await sim.settled()

    failures = [each for each in sim.delivery_log if each.event == "message_created"]
    assert [attempt.status for attempt in failures] == answers
    assert sim.status(cid) == "open"
    assert sim.messages(cid)[-1].content == (
        "Conversation was marked open by system due to an error with the agent bot."
    )
    # The bot stays its owner: nothing but bot_handoff! clears it.
    assert sim.world.conversations[cid].assignee_agent_bot_id == 4


async def test_refused_connection_is_not_repeated(webhook):
    """The service is down: Chatwoot gives up at once."""
    async with Simulator(webhook_url="http://127.0.0.1:9/hook") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        await sim.settled()

        first = sim.delivery_log[0]
        assert (first.status, first.number) == (None, 1)
        assert "ConnectError" in first.error
        assert sim.status(cid) == "open"


async def test_slow_answer_is_a_failure(webhook):
    """The read timeout; Chatwoot's is five seconds."""
    release = asyncio.Event()

    async def hang(request):
        await release.wait()
        return Response()

    webhook.take = hang
    app = Starlette(routes=[Route("/hook", hang, methods=["POST"])])
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    url = f"http://127.0.0.1:{server.port}/hook"
    async with Simulator(webhook_url=url, timeout_s=0.05) as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        await sim.until(lambda: sim.status(cid) == "open")
    release.set()
    await server.stop()

    assert "ReadTimeout" in sim.delivery_log[0].error


async def test_account_webhook_tries_once_and_changes_nothing(account_sim, webhook):
    """Errors are logged and swallowed."""
    webhook.answers = [500] * 20

    cid = (await account_sim.contact_says("Hi")).conversation_id
    await account_sim.settled()

    assert {attempt.number for attempt in account_sim.delivery_log} == {1}
    assert account_sim.status(cid) == "open"


async def test_redirect_is_posted_again(sim, webhook):
    """httpx would turn the POST into a GET."""
    target = webhook.url

    async def redirect(request):
        return Response(status_code=302, headers={"Location": target})

    app = Starlette(routes=[Route("/old", redirect, methods=["POST"])])
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    sim.webhook_url = f"http://127.0.0.1:{server.port}/old"
    await sim.contact_says("Hi")
    await sim.settled()
    await server.stop()

    assert webhook.body("message_created")["content"] == "Hi"


async def test_webhook_may_move_while_the_simulator_runs(sim, webhook):
    """A restarted service listens on another port."""
    sim.webhook_url = "http://127.0.0.1:9/hook"
    cid = (await sim.contact_says("Hi")).conversation_id
    await sim.settled()
    sim.webhook_url = webhook.url

    await sim.contact_says("Hello?", conversation=cid)
    await sim.settled()

    assert webhook.body("message_created")["content"] == "Hello?"


# Unruly deliveries.


async def test_duplicate_has_the_same_delivery_id(sim, webhook):
    """A job that ran again after a worker restart."""
    sim.faults.deliveries.duplicate = 1.0

    await sim.contact_says("Hi")
    await sim.settled()

    ids = [headers["x-chatwoot-delivery"] for headers, _ in webhook.requests]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_dropped_delivery_is_logged_and_not_sent(sim, webhook):
    """Chatwoot itself never notices a lost job."""
    sim.faults.deliveries.drop = 1.0

    cid = (await sim.contact_says("Hi")).conversation_id
    await sim.settled()

    assert webhook.requests == []
    assert sim.delivery_log[0].error == "dropped on request"
    assert sim.status(cid) == "pending"


async def test_reordering_shuffles_and_loses_nothing(sim, webhook):
    """The seed decides the order."""
    sim.faults.deliveries.reorder_s = 0.2

    for number in range(20):
        await sim.contact_says(str(number))
    await sim.settled()

    order = [int(body["content"]) for body in webhook.bodies]
    assert sorted(order) == list(range(20))
    assert order != list(range(20))


async def test_unsigned_and_old_deliveries(sim, webhook):
    """What a Chatwoot before 4.8 sends."""
    sim.faults.deliveries.unsigned = True
    sim.faults.deliveries.old_shapes = True

    await sim.contact_says("Hi")
    await sim.settled()

    headers, _ = webhook.requests[0]
    conversation = webhook.bodies[0]["conversation"]
    assert "x-chatwoot-signature" not in headers
    assert "account" not in conversation
    assert "assignee_type" not in conversation["meta"]


async def test_creation_noise_is_what_a_capture_shows(sim, webhook):
    """A null status change and the creation as a diff, to be tolerated."""
    sim.faults.deliveries.creation_noise = True

    await sim.contact_says("Hi")
    await sim.settled()

    assert sorted(body["event"] for body in webhook.bodies) == [
        "conversation_status_changed",
        "conversation_updated",
        "message_created",
    ]


# The Python API.


async def test_waiting_in_vain_says_what_was_seen(sim):
    """A failing test should tell its reason."""
    cid = await story(sim, until="asked")

    with pytest.raises(TimeoutError, match="0 of 1 replies, status pending"):
        await sim.wait_for_replies(cid, 1, timeout=0.01)


async def test_notes_and_replies_are_the_bots_own(sim):
    """An agent's words are neither."""
    cid = await story(sim)
    await bot_posts(sim, f"{cid}/messages", content="Summary", private=True)
    await sim.agent_says(cid, "Maria here")

    assert [message.content for message in sim.replies(cid)] == ["Yes."]
    assert [message.content for message in sim.notes(cid)] == ["Summary"]


async def test_flood_guard_also_stops_the_contact(sim):
    """200 messages in one minute, whoever wrote them."""
    sim.faults.deliveries.drop = 1.0
    cid = (await sim.contact_says("0")).conversation_id
    for number in range(1, 200):
        await sim.contact_says(str(number), conversation=cid)

    with pytest.raises(MessageRefusedError, match="Too many messages"):
        await sim.contact_says("200", conversation=cid)


async def test_ids_may_start_where_an_earlier_run_ended():
    """A service that kept its database would take the old ids for repeats."""
    async with Simulator(
        webhook_url="http://127.0.0.1:9", first_conversation=70, first_message=900
    ) as sim:
        first = await sim.contact_says("Hi")
        second = await sim.contact_says("Hi", conversation=70)
        third = await sim.contact_says("Hi")

    assert (first.id, second.id > first.id, third.id > second.id) == (900, True, True)
    assert (first.conversation_id, third.conversation_id) == (70, 71)


async def test_same_seed_still_makes_new_delivery_ids():
    """A service would drop the whole second run as repeats of the first."""
    ids = []
    for _ in range(2):
        async with Simulator(webhook_url="http://127.0.0.1:9", seed=7) as sim:
            await sim.contact_says("Hi")
            await sim.settled()
            ids.append(sim.delivery_log[0].delivery_id)

    assert ids[0] != ids[1]


async def test_same_seed_same_world():
    """A chaos run that failed can be looked at again."""

    async def names(seed):
        async with Simulator(webhook_url="http://127.0.0.1:9", seed=seed) as sim:
            sim.faults.deliveries.drop = 0.5
            for _ in range(20):
                await sim.contact_says("Hi")
            dropped = [each.conversation_id for each in sim.delivery_log]
            contacts = [each.contact for each in sim.world.conversations.values()]
        return dropped, [contact.source_id for contact in contacts]

    assert await names(7) == await names(7)
    assert await names(7) != await names(8)
