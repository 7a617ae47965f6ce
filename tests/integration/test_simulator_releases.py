"""What the releases of Chatwoot do differently, as the simulator plays it."""

import asyncio
import random
import statistics

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from test_simulator_sequences import Hook

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.deliveries import draw_gaps
from chatwoot_bot.simulator.ledger import MessageRefusedError
from chatwoot_bot.simulator.releases import RELEASES, release_of
from chatwoot_bot.simulator.server import RETRY_S
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

NEWER = tuple(name for name in RELEASES if name != "4.16")
OPENING = ["conversation_opened", "conversation_status_changed"]


class Played:
    """A simulator, what its bot is told, and its REST API."""

    def __init__(self, sim, hook, http):
        self.sim, self.hook, self.http = sim, hook, http

    async def call(self, path, token="bot-token", method="POST", **body):
        return await self.http.request(
            method,
            f"/api/v1/accounts/1/{path}",
            json=body or None,
            headers={"api_access_token": token},
        )

    async def told(self, act):
        """Return the bodies that *act* brings, in the order in which they were sent."""
        await self.sim.settled()
        before = len(self.hook.bot)
        await act
        await self.sim.settled()
        return self.hook.bot[before:]

    async def asked(self):
        cid = (await self.sim.contact_says("Hi")).conversation_id
        await self.sim.settled()
        return cid

    def conversation(self, cid):
        return self.sim.world.conversations[cid]

    async def listed(self, scope):
        answer = await self.call(
            f"conversations?assignee_type={scope}", "user-token", "GET"
        )
        return [each["id"] for each in answer.json()["data"]["payload"]]


@pytest.fixture
async def play():
    """Start a Chatwoot of one release; its bot takes every delivery."""
    hook, started = Hook(), []
    server = LocalServer(
        Starlette(routes=[Route("/bot", hook.take_bot, methods=["POST"])]),
        host="127.0.0.1",
        port=0,
    )
    await server.start()

    async def start(release, **options):
        # One at a time, so the order of arrival is the order of sending.
        sim = Simulator(
            webhook_url=f"http://127.0.0.1:{server.port}/bot",
            release=release,
            retry_s=0.01,
            **options,
        )
        sim._deliveries._slots = asyncio.Semaphore(1)
        await sim.__aenter__()
        http = httpx.AsyncClient(base_url=sim.base_url, timeout=5)
        started.append((sim, http))
        return Played(sim, hook, http)

    yield start
    for sim, http in started:
        await http.aclose()
        await sim.__aexit__()
    await server.stop()


def events(bodies):
    return [body["event"] for body in bodies]


def columns(body):
    return [next(iter(each)) for each in body["changed_attributes"]]


@pytest.mark.parametrize("release", RELEASES)
async def test_release_is_shown(play, release):
    here = await play(release)

    answer = (await here.http.get("/api")).json()

    assert answer["version"].startswith(f"{release}.")


def test_unknown_release_is_refused_by_name():
    with pytest.raises(ValueError, match=r"4\.16, 4\.17, 4\.18, 4\.19"):
        release_of("5.0")


# Who owns a conversation.


@pytest.mark.parametrize("release", RELEASES)
async def test_agent_opens_in_two_saves(play, release):
    """The first three events still show the bot as owner."""
    here = await play(release)
    cid = await here.asked()

    bodies = await here.told(here.sim.set_status(cid, "open"))

    assert events(bodies) == [*OPENING, *2 * ["conversation_updated"]]
    assert [body["meta"]["assignee_type"] for body in bodies] == [
        *3 * ["AgentBot"],
        "User",
    ]
    assert columns(bodies[2])[:2] == ["status", "updated_at"]
    assert columns(bodies[3])[:3] == [
        "assignee_id",
        "updated_at",
        "assignee_agent_bot_id",
    ]


@pytest.mark.parametrize("release", RELEASES)
async def test_administrator_opens_without_taking_the_conversation(play, release):
    here = await play(release)
    cid = await here.asked()

    await here.call(f"conversations/{cid}/toggle_status", "admin-token", status="open")

    conversation = here.conversation(cid)
    assert (conversation.assignee_id, conversation.assignee_agent_bot_id) == (
        None,
        None,
    )


@pytest.mark.parametrize("release", RELEASES)
async def test_open_conversation_is_released_by_opening_it_again(play, release):
    """The remedy for a conversation that something else opened."""
    here = await play(release)
    cid = await here.asked()
    await here.sim.automation_opens(cid)

    bodies = await here.told(
        here.call(f"conversations/{cid}/toggle_status", "admin-token", status="open")
    )

    assert events(bodies) == ["conversation_updated"]
    assert here.conversation(cid).assignee_agent_bot_id is None


@pytest.mark.parametrize(
    ("release", "unassigned", "assigned"),
    [("4.16", True, False), *((release, False, True) for release in NEWER)],
)
@pytest.mark.parametrize(
    "opens",
    [
        lambda sim, cid: sim.automation_opens(cid),
        lambda sim, cid: _snoozed(sim, cid),
        lambda sim, cid: _refused(sim, cid),
    ],
    ids=["automation", "end of a snooze", "failed delivery"],
)
async def test_conversation_that_something_else_opened_keeps_its_owner(
    play, release, unassigned, assigned, opens
):
    """Since 4.17 no list but "all" and "assigned" has it."""
    here = await play(release)
    cid = await here.asked()

    await opens(here.sim, cid)

    conversation = here.conversation(cid)
    assert (conversation.status, conversation.assignee_agent_bot_id) == ("open", 4)
    assert (cid in await here.listed("unassigned")) is unassigned
    assert (cid in await here.listed("assigned")) is assigned
    assert cid not in await here.listed("me")
    counts = (await here.call("conversations/meta", "user-token", "GET")).json()["meta"]
    assert (counts["unassigned_count"], counts["assigned_count"]) == (
        int(unassigned),
        int(assigned),
    )


async def _snoozed(sim, cid):
    await sim.set_status(cid, "snoozed")
    await sim.snooze_ends(cid)


async def _refused(sim, cid):
    sim.webhook_url = "http://127.0.0.1:9/"
    await sim.contact_says("More", conversation=cid)
    await sim.settled()


@pytest.mark.parametrize(
    ("release", "is_told"), [("4.16", True), *((name, False) for name in NEWER)]
)
async def test_owned_conversation_is_not_assigned_by_itself(play, release, is_told):
    """Legacy auto-assignment, and what it swallows, passes owned ones over."""
    here = await play(release)
    await here.sim.set_inbox(enable_auto_assignment=True)
    cid = await here.asked()

    await here.sim.automation_opens(cid)

    assert (here.conversation(cid).assignee_id == 12) is is_told


# Assignments.


async def test_assignment_leaves_the_status_up_to_4_16(play):
    here = await play("4.16")
    cid = await here.asked()

    bodies = await here.told(here.sim.assign(cid))
    await here.sim.assign_bot(cid)
    await here.sim.set_status(cid, "open")
    await here.sim.assign_bot(cid)

    assert events(bodies) == ["conversation_updated"]
    assert bodies[0]["status"] == "pending"
    assert here.conversation(cid).status == "open"


@pytest.mark.parametrize("release", NEWER)
async def test_assigned_agent_opens_what_the_bot_owned(play, release):
    here = await play(release)
    cid = await here.asked()

    bodies = await here.told(
        here.call(f"conversations/{cid}/assignments", "user-token", assignee_id=12)
    )

    assert events(bodies) == [*OPENING, "conversation_updated"]
    assert {body["status"] for body in bodies} == {"open"}
    assert {body["meta"]["assignee_type"] for body in bodies} == {"User"}
    assert columns(bodies[-1])[:5] == [
        "status",
        "assignee_id",
        "updated_at",
        "assignee_agent_bot_id",
        "status_changed_at",
    ]


@pytest.mark.parametrize("release", NEWER)
async def test_assigned_agent_makes_the_contact_wait(play, release):
    here = await play(release)
    cid = await here.asked()
    await here.call(f"conversations/{cid}/messages", content="Hello")
    assert here.conversation(cid).waiting_since is None

    await here.sim.assign(cid)

    assert here.conversation(cid).waiting_since is not None


@pytest.mark.parametrize("release", NEWER)
async def test_assigned_agent_does_not_open_what_no_bot_owned(play, release):
    """A conversation that came back after a resolve keeps its agent, and no owner."""
    here = await play(release)
    cid = await here.asked()
    await here.sim.set_status(cid, "resolved")
    await here.sim.assign(cid, None)
    await here.sim.contact_says("Again", conversation=cid)

    await here.sim.assign(cid)

    assert here.conversation(cid).status == "pending"


@pytest.mark.parametrize("release", NEWER)
async def test_assigned_bot_makes_it_pending(play, release):
    here = await play(release)
    cid = await here.asked()
    await here.sim.set_status(cid, "open")

    bodies = await here.told(here.sim.assign_bot(cid))

    assert events(bodies) == ["conversation_status_changed", "conversation_updated"]
    conversation = here.conversation(cid)
    assert (conversation.status, conversation.assignee_id) == ("pending", None)


@pytest.mark.parametrize("release", RELEASES)
async def test_owner_is_released_by_assigning_nobody(play, release):
    here = await play(release)
    cid = await here.asked()
    await here.sim.automation_opens(cid)

    answer = await here.call(f"conversations/{cid}/assignments", assignee_id=None)

    assert (answer.status_code, answer.json()) == (200, None)
    assert here.conversation(cid).assignee_agent_bot_id is None
    assert cid in await here.listed("unassigned")


@pytest.mark.parametrize(
    ("release", "status", "team"),
    [("4.16", 200, None), *((name, 404, 2) for name in NEWER)],
)
async def test_unknown_team(play, release, status, team):
    here = await play(release)
    cid = await here.asked()
    await here.sim.set_team(cid, 2)

    answer = await here.call(f"conversations/{cid}/assignments", team_id=999)

    assert answer.status_code == status
    assert here.conversation(cid).team_id == team


@pytest.mark.parametrize("release", RELEASES)
async def test_team_is_taken_away_with_null(play, release):
    here = await play(release)
    cid = await here.asked()
    await here.sim.set_team(cid, 2)

    answer = await here.call(f"conversations/{cid}/assignments", team_id=None)

    assert (answer.status_code, here.conversation(cid).team_id) == (200, None)


# Custom attributes.


@pytest.mark.parametrize(
    ("release", "kept"),
    [("4.16", {"b": 2}), *((name, {"a": 1, "b": 2}) for name in NEWER)],
)
async def test_attributes_are_merged_on_request(play, release, kept):
    here = await play(release)
    cid = await here.asked()
    path = f"conversations/{cid}/custom_attributes"
    await here.call(path, custom_attributes={"a": 1})

    answer = await here.call(path, custom_attributes={"b": 2}, merge=True)
    merged = answer.json()
    await here.call(path, custom_attributes={"c": 3})

    assert merged == {"custom_attributes": kept}
    assert here.conversation(cid).custom_attributes == {"c": 3}


@pytest.mark.parametrize(
    ("release", "status", "kept"),
    [("4.16", 404, {"a": 1, "b": 2}), *((name, 200, {"b": 2}) for name in NEWER)],
)
async def test_attributes_are_removed_by_humans_only(play, release, status, kept):
    here = await play(release)
    cid = await here.asked()
    await here.sim.set_custom_attributes(cid, {"a": 1, "b": 2})
    path = f"conversations/{cid}/destroy_custom_attributes"

    by_bot = await here.call(path, custom_attributes=["a"])
    by_user = await here.call(path, "user-token", custom_attributes=["a"])

    assert (by_bot.status_code, by_user.status_code) == (401, status)
    assert here.conversation(cid).custom_attributes == kept


# Columns that change with others.


@pytest.mark.parametrize(
    ("release", "extra"),
    [
        ("4.16", []),
        ("4.17", ["status_changed_at"]),
        ("4.18", ["status_changed_at", "ai_assignee_type"]),
    ],
)
async def test_handover_changes_these_columns(play, release, extra):
    here = await play(release)
    cid = await here.asked()

    bodies = await here.told(
        here.call(f"conversations/{cid}/toggle_status", status="open")
    )

    assert columns(bodies[-1]) == [
        "status",
        "updated_at",
        "assignee_agent_bot_id",
        *extra,
    ]
    if "ai_assignee_type" in extra:
        diff = bodies[-1]["changed_attributes"][-1]["ai_assignee_type"]
        assert diff == {"previous_value": "AgentBot", "current_value": None}


# Messages.


async def _failed(here, channel):
    inbox = here.sim.world.office.add_inbox("Other", channel, agent_bot_id=4)
    cid = (await here.sim.contact_says("Hi", inbox=inbox.id)).conversation_id
    answer = await here.call(
        f"conversations/{cid}/messages",
        content="Hello",
        content_attributes={"ours": 1},
        source_id="s-1",
    )
    return cid, answer.json()["id"]


@pytest.mark.parametrize(
    ("release", "channel", "updates", "source_id"),
    [
        ("4.16", "Channel::Whatsapp", 2, "s-1"),
        ("4.17", "Channel::Whatsapp", 1, None),
        ("4.17", "Channel::Api", 1, "s-1"),
        ("4.18", "Channel::Whatsapp", 1, None),
    ],
)
async def test_retry_of_a_failed_message_loses_its_attributes(
    play, release, channel, updates, source_id
):
    here = await play(release)
    cid, mid = await _failed(here, channel)
    await here.sim.channel_fails(mid)

    bodies = await here.told(
        here.call(f"conversations/{cid}/messages/{mid}/retry", "user-token")
    )

    assert events(bodies) == updates * ["message_updated"]
    message = here.sim.world.ledger.message(mid)
    assert (message.status, message.content_attributes) == ("sent", {})
    assert message.source_id == source_id


@pytest.mark.parametrize(
    ("release", "kept"), [("4.16", {}), *((name, {"ours": 1}) for name in NEWER)]
)
async def test_retry_of_a_message_that_went_out(play, release, kept):
    """Up to 4.16 it loses its attributes all the same."""
    here = await play(release)
    _, mid = await _failed(here, "Channel::Api")

    await here.sim.retry_message(mid)

    assert here.sim.world.ledger.message(mid).content_attributes == kept


@pytest.mark.parametrize(
    ("release", "content", "attributes"),
    [
        ("4.16", None, {}),
        (
            "4.17",
            "Form response received",
            {
                "whatsapp_flow_response": {
                    "name": "flow",
                    "body": "Sent",
                    "response_json": {"size": "M"},
                }
            },
        ),
    ],
)
async def test_answer_to_a_flow(play, release, content, attributes):
    here = await play(release, channel="Channel::Whatsapp")

    message = await here.sim.contact_answers_flow({"size": "M"})

    assert (message.content, message.content_attributes) == (content, attributes)


# Tokens and limits.


@pytest.mark.parametrize(
    ("release", "headers", "status"),
    [
        ("4.16", {"Authorization": "Bearer bot-token"}, 401),
        ("4.18", {"Authorization": "Bearer bot-token"}, 401),
        ("4.19", {"Authorization": "Bearer bot-token"}, 200),
        ("4.19", {"api-access-token": "bot-token"}, 200),
        (
            "4.19",
            {"Authorization": "Bearer wrong", "api-access-token": "bot-token"},
            401,
        ),
        (
            "4.18",
            {"Authorization": "Bearer wrong", "api-access-token": "bot-token"},
            200,
        ),
    ],
)
async def test_bearer_token(play, release, headers, status):
    here = await play(release)
    cid = await here.asked()

    answer = await here.http.get(
        f"/api/v1/accounts/1/conversations/{cid}", headers=headers
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("release", "conversations", "messages"), [("4.16", 6, None), ("4.17", 30, 60)]
)
async def test_widget_limits_are_those_of_the_release(
    play, release, conversations, messages
):
    here = await play(release)
    here.sim.webhook_url = ""
    here.sim.faults.widget_limits = True

    cid = 0
    for _ in range(conversations):
        cid = (await here.sim.contact_says("Hi")).conversation_id
    with pytest.raises(MessageRefusedError, match="Retry later"):
        await here.sim.contact_says("Hi")
    for _ in range(messages or 61):
        await here.sim.contact_says("More", conversation=cid)
    if messages:
        with pytest.raises(MessageRefusedError, match="Retry later"):
            await here.sim.contact_says("More", conversation=cid)
    here.sim.faults.clear()
    await here.sim.contact_says("More", conversation=cid)


# The same in every release.


@pytest.mark.parametrize("release", RELEASES)
async def test_inbox_shows_administrators_a_record_for_its_bots_token(play, release):
    here = await play(release)

    admin, agent = [
        (await here.call("inboxes/3/agent_bot", token, "GET")).json()["agent_bot"]
        for token in ("admin-token", "user-token")
    ]
    listed = (await here.call("agent_bots", "admin-token", "GET")).json()

    assert list(admin["access_token"]) == [
        "id",
        "owner_type",
        "owner_id",
        "token",
        "created_at",
        "updated_at",
    ]
    assert admin["access_token"]["token"] == listed[0]["access_token"] == "bot-token"
    assert agent.keys().isdisjoint({"access_token", "secret"})


@pytest.mark.parametrize("release", RELEASES)
async def test_merged_contacts_tell_of_each_incoming_message(play, release):
    here = await play(release)
    known = here.sim.world.contacts[
        here.sim.world.conversations[await here.asked()].contact.id
    ]
    cid = await here.asked()
    await here.call(f"conversations/{cid}/messages", content="Hello")
    await here.sim.contact_says("More", conversation=cid)
    guest = here.conversation(cid).contact
    source_id = guest.source_id

    bodies = await here.told(
        here.call(
            "actions/contact_merge",
            "user-token",
            base_contact_id=known.id,
            mergee_contact_id=guest.id,
        )
    )

    assert events(bodies) == 2 * ["message_updated"]
    assert [body["content"] for body in bodies] == ["Hi", "More"]
    assert {body["sender"]["id"] for body in bodies} == {known.id}
    shown = bodies[0]["conversation"]["contact_inbox"]
    assert (shown["contact_id"], shown["source_id"]) == (known.id, source_id)
    assert guest.id not in here.sim.world.contacts


async def test_known_address_merges_the_visitor(play):
    here = await play("4.16", email_collect=True)
    known = await here.asked()
    box = here.sim.messages(known)[-1]
    await here.sim.contact_gives_email(box.id, "vera@example.com")
    cid = await here.asked()
    box = here.sim.messages(cid)[-1]

    await here.sim.contact_gives_email(box.id, "vera@example.com")

    assert here.conversation(cid).contact is here.conversation(known).contact


async def test_new_widget_asks_for_an_address(play):
    """Two templates stand between the first message and the bot's answer."""
    here = await play("4.16", email_collect=True)

    bodies = await here.told(here.sim.contact_says("Hi"))

    assert [body["content"] for body in bodies] == [
        "Hi",
        "Give the team a way to reach you.",
        "Get notified by email",
    ]


async def test_inbox_that_is_set_up_by_rest_asks_for_addresses(play):
    here = await play("4.16")

    answer = await here.call(
        "inboxes", "admin-token", name="Shop", channel={"type": "web_widget"}
    )

    assert answer.json()["enable_email_collect"] is True


def test_gaps_between_attempts_vary():
    """Chatwoot's worker looks only now and then for what is due."""
    rng = random.Random(1)

    gaps = [gap for _ in range(500) for gap in draw_gaps(RETRY_S, rng)]

    assert len(gaps) == 1000
    assert 3.0 <= min(gaps) < 3.5
    assert 10 < max(gaps) <= 10.8
    assert 6 <= statistics.median(gaps) <= 7.5
