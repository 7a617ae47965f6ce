"""The simulator's administration API: what `setup` and `doctor` commands call."""

import hashlib
import hmac
import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

DELIVERIES = Path(__file__).parents[1] / "deliveries"
ERRORS = json.loads((DELIVERIES / "rest_errors.json").read_text())
ACCOUNT = "/api/v1/accounts/1"
BOT_URL = "https://bot.example.com/hooks/chatwoot"


def example(name):
    return json.loads((DELIVERIES / f"{name}.json").read_text())


class Hook:
    """A webhook that keeps what it was sent."""

    def __init__(self):
        self.requests = []

    async def take(self, request):
        self.requests.append((request.headers, await request.body()))
        return Response()

    @property
    def events(self):
        return [json.loads(body)["event"] for _, body in self.requests]

    def is_signed_with(self, secret):
        headers, body = self.requests[-1]
        signed = f"{headers['x-chatwoot-timestamp']}.".encode() + body
        digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return headers["x-chatwoot-signature"] == f"sha256={digest}"


@pytest.fixture
async def hook():
    hook = Hook()
    app = Starlette(routes=[Route("/hook", hook.take, methods=["POST"])])
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    hook.url = f"http://127.0.0.1:{server.port}/hook"
    yield hook
    await server.stop()


@pytest.fixture
async def sim():
    """A Chatwoot to which nobody is connected yet."""
    async with Simulator(webhook_url="") as sim:
        yield sim


def client_of(sim, token):
    return httpx.AsyncClient(
        base_url=f"{sim.base_url}{ACCOUNT}",
        headers={"api_access_token": token},
        timeout=5,
    )


@pytest.fixture
async def admin(sim):
    async with client_of(sim, "admin-token") as client:
        yield client


@pytest.fixture
async def agent(sim):
    async with client_of(sim, "user-token") as client:
        yield client


async def new_bot(admin, url=BOT_URL):
    answer = await admin.post("/agent_bots", json={"name": "Ada", "outgoing_url": url})
    assert answer.status_code == 200, answer.text
    return answer.json()


# Rights.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/agent_bots"),
        ("PATCH", "/agent_bots/4"),
        ("DELETE", "/agent_bots/4"),
        ("POST", "/agent_bots/4/reset_access_token"),
        ("POST", "/agent_bots/4/reset_secret"),
        ("POST", "/inboxes"),
        ("PATCH", "/inboxes/3"),
        ("POST", "/inboxes/3/set_agent_bot"),
        ("POST", "/inboxes/3/reset_secret"),
        ("GET", "/webhooks"),
        ("POST", "/webhooks"),
        ("POST", "/labels"),
    ],
)
async def test_administration_is_for_administrators(sim, agent, method, path):
    """An agent lacks the right, a bot the endpoint, a stranger the token."""
    statuses = {}
    for token in ("user-token", "bot-token", "wrong", ""):
        headers = {"api_access_token": token}
        answer = await agent.request(method, path, json={"name": "x"}, headers=headers)
        assert answer.status_code == 401
        statuses[token] = answer.json()

    assert statuses == {
        "user-token": ERRORS["401_policy"],
        "bot-token": ERRORS["401_bot_endpoint_not_allowed"],
        "wrong": ERRORS["401_bad_token"],
        "": ERRORS["401_no_token"],
    }


async def test_agents_see_bots_without_token_and_secret(admin, agent):
    """Chatwoot shows them to administrators only."""
    await new_bot(admin)

    seen = (await agent.get("/agent_bots")).json()
    shown = (await admin.get("/agent_bots")).json()

    assert [each["name"] for each in seen] == ["Ada", "Ada"]
    assert not {"access_token", "secret"} & seen[1].keys()
    assert {"access_token", "secret"} < shown[1].keys()


# Bots.


async def test_created_bot_has_the_example_shape(admin):
    """Token and secret are 24 characters each."""
    answer = await admin.post(
        "/agent_bots",
        json={"name": "Bo", "description": "LLM bot", "outgoing_url": BOT_URL},
    )

    bot, wanted = answer.json(), example("rest_agent_bot_create__response")
    assert list(bot) == list(wanted)
    assert (bot["id"], bot["name"], bot["system_bot"]) == (5, "Bo", False)
    assert (len(bot["access_token"]), len(bot["secret"])) == (24, 24)
    assert (await admin.get("/agent_bots/5")).json() == bot


async def test_bot_without_a_name_is_invalid(admin):
    """The other kind of 422."""
    answer = await admin.post("/agent_bots", json={"outgoing_url": BOT_URL})

    assert answer.status_code == 422
    assert answer.json() == ERRORS["422_record_invalid_other_endpoints"]


async def test_bot_is_changed_and_deleted(sim, admin):
    """Its inbox has no bot then, and its token opens nothing."""
    bot = await new_bot(admin)
    await admin.post("/inboxes/3/set_agent_bot", json={"agent_bot": bot["id"]})
    cid = (await sim.contact_says("Hi")).conversation_id

    changed = await admin.patch(f"/agent_bots/{bot['id']}", json={"name": "Eva"})
    gone = await admin.delete(f"/agent_bots/{bot['id']}")

    assert changed.json()["name"] == "Eva"
    assert changed.json()["outgoing_url"] == BOT_URL
    assert (gone.status_code, gone.content) == (200, b"")
    assert (await admin.get(f"/agent_bots/{bot['id']}")).status_code == 404
    assert (await admin.get("/inboxes/3/agent_bot")).json() == {}
    assert sim.status(cid) == "pending"
    async with client_of(sim, bot["access_token"]) as client:
        answer = await client.get(f"/conversations/{cid}")
    assert (answer.status_code, answer.json()) == (401, ERRORS["401_bad_token"])


async def test_new_token_replaces_the_old_one(sim, admin):
    """The old one is dead at once."""
    bot = await new_bot(admin)
    cid = (await sim.contact_says("Hi")).conversation_id

    reset = await admin.post(f"/agent_bots/{bot['id']}/reset_access_token")

    assert list(reset.json()) == list(bot)
    codes = []
    for token in (bot["access_token"], reset.json()["access_token"]):
        async with client_of(sim, token) as client:
            codes.append((await client.get(f"/conversations/{cid}")).status_code)
    assert codes == [401, 200]


async def test_connected_bot_gets_signed_events_and_answers(sim, admin, hook):
    """The whole of a setup: create, connect, receive, reply."""
    bot = await new_bot(admin, hook.url)

    answer = await admin.post("/inboxes/3/set_agent_bot", json={"agent_bot": bot["id"]})
    shown = (await admin.get("/inboxes/3/agent_bot")).json()
    said = await sim.contact_says("Hi")
    async with client_of(sim, bot["access_token"]) as client:
        await client.post(
            f"/conversations/{said.conversation_id}/messages", json={"content": "Yes"}
        )
    await sim.settled()

    assert (answer.status_code, answer.content) == (200, b"")
    assert shown["agent_bot"]["id"] == bot["id"]
    assert hook.events == ["message_created", "message_created", "conversation_updated"]
    assert hook.is_signed_with(bot["secret"])
    assert json.loads(hook.requests[1][1])["sender"]["id"] == bot["id"]
    assert sim.status(said.conversation_id) == "pending"


async def test_new_secret_signs_the_next_event(sim, admin, hook):
    """What `doctor` finds out when somebody rotated it."""
    bot = await new_bot(admin, hook.url)
    await admin.post("/inboxes/3/set_agent_bot", json={"agent_bot": bot["id"]})

    reset = (await admin.post(f"/agent_bots/{bot['id']}/reset_secret")).json()
    await sim.contact_says("Hi")
    await sim.settled()

    assert reset["secret"] != bot["secret"]
    assert hook.is_signed_with(reset["secret"])


async def test_disconnected_bot_hears_no_more(sim, admin, hook):
    """New conversations are open then."""
    bot = await new_bot(admin, hook.url)
    await admin.post("/inboxes/3/set_agent_bot", json={"agent_bot": bot["id"]})
    await admin.post("/inboxes/3/set_agent_bot", json={"agent_bot": None})

    cid = (await sim.contact_says("Hi")).conversation_id
    await sim.settled()

    assert (hook.requests, sim.status(cid)) == ([], "open")


async def test_bot_assigned_by_hand_hears_that_conversation(sim, admin, hook):
    """Without any connection to the inbox."""
    bot = await new_bot(admin, hook.url)
    cid = (await sim.contact_says("Hi")).conversation_id
    await admin.post(
        f"/conversations/{cid}/assignments",
        json={"assignee_id": bot["id"], "assignee_type": "AgentBot"},
    )

    await sim.contact_says("More", conversation=cid)
    await sim.contact_says("Another conversation")
    await sim.settled()

    assert hook.events == ["conversation_updated", "message_created"]


# Inboxes.


async def test_api_inbox_shows_its_secrets_to_administrators(admin, agent):
    """An agent sees the callback and no secret."""
    answer = await admin.post(
        "/inboxes",
        json={"name": "App", "channel": {"type": "api", "webhook_url": BOT_URL}},
    )

    inbox = answer.json()
    seen = (await agent.get(f"/inboxes/{inbox['id']}")).json()
    assert (inbox["channel_type"], inbox["webhook_url"]) == ("Channel::Api", BOT_URL)
    assert {"secret", "hmac_token", "inbox_identifier"} < inbox.keys()
    assert not {"secret", "hmac_token"} & seen.keys()
    listed = (await agent.get("/inboxes")).json()["payload"]
    assert [each["name"] for each in listed] == ["App", "Website"]
    reset = await admin.post(f"/inboxes/{inbox['id']}/reset_secret")
    assert reset.json()["secret"] != inbox["secret"]


async def test_inbox_settings_are_changed(admin):
    """A doctor may look for a greeting that talks beside the bot."""
    answer = await admin.patch(
        "/inboxes/3", json={"greeting_enabled": True, "greeting_message": "Welcome"}
    )

    assert answer.json()["greeting_message"] == "Welcome"
    assert (await admin.get("/inboxes/3")).json()["greeting_enabled"] is True


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/inboxes/99"),
        ("POST", "/inboxes/99/set_agent_bot"),
        ("GET", "/agent_bots/99"),
        ("DELETE", "/webhooks/99"),
        ("PATCH", "/dashboard_apps/99"),
    ],
)
async def test_unknown_records_are_404(admin, method, path):
    """With the one body that Chatwoot has for it."""
    answer = await admin.request(method, path, json={"title": "x"})

    assert (answer.status_code, answer.json()) == (404, ERRORS["404"])


# Account webhooks.


async def test_created_webhook_has_the_example_shape(sim, admin, hook):
    """And is told what it subscribed to, signed with its own secret."""
    wanted = example("rest_webhook_create__response")["payload"]["webhook"]
    body = {"url": hook.url, "name": "mirror", "subscriptions": ["message_created"]}

    answer = await admin.post("/webhooks", json={"webhook": body})
    await sim.contact_says("Hi")
    await sim.settled()

    webhook = answer.json()["payload"]["webhook"]
    assert list(webhook) == list(wanted)
    assert hook.events == ["message_created"]
    assert hook.is_signed_with(webhook["secret"])
    listed = (await admin.get("/webhooks")).json()
    assert listed == {"payload": {"webhooks": [webhook]}}


async def test_webhook_without_subscriptions_gets_eight(admin):
    """The database's default; a bare body is wrapped by Rails."""
    answer = await admin.post("/webhooks", json={"url": BOT_URL})

    assert len(answer.json()["payload"]["webhook"]["subscriptions"]) == 8


@pytest.mark.parametrize(
    ("body", "attribute"),
    [
        ({"url": BOT_URL}, "url"),
        ({"url": "ftp://x.example.com"}, "url"),
        ({"url": f"{BOT_URL}/2", "subscriptions": ["poems"]}, "subscriptions"),
        ({"url": f"{BOT_URL}/2", "subscriptions": []}, "subscriptions"),
    ],
)
async def test_bad_webhook_is_invalid(admin, body, attribute):
    """One URL once per account."""
    await admin.post("/webhooks", json={"webhook": {"url": BOT_URL}})

    answer = await admin.post("/webhooks", json={"webhook": body})

    assert (answer.status_code, answer.json()["attributes"]) == (422, [attribute])


async def test_webhook_is_changed_and_deleted(sim, admin, hook):
    """Keeping its own URL is no clash with itself."""
    webhook = (await admin.post("/webhooks", json={"url": BOT_URL})).json()
    path = f"/webhooks/{webhook['payload']['webhook']['id']}"

    changed = await admin.patch(path, json={"webhook": {"url": hook.url}})
    same = await admin.patch(path, json={"webhook": {"url": hook.url}})
    gone = await admin.delete(path)
    await sim.contact_says("Hi")
    await sim.settled()

    assert changed.json()["payload"]["webhook"]["url"] == hook.url
    assert (same.status_code, gone.status_code, hook.requests) == (200, 200, [])


# The small lists.


async def test_who_am_i(sim, admin, agent):
    """A bot has no profile."""
    roles = [
        (await each.get(f"{sim.base_url}/api/v1/profile")).json()
        for each in (admin, agent)
    ]
    async with client_of(sim, "bot-token") as client:
        bot = await client.get(f"{sim.base_url}/api/v1/profile")

    assert [each["role"] for each in roles] == ["administrator", "agent"]
    assert roles[0]["accounts"][0]["id"] == 1
    assert roles[1]["access_token"] == "user-token"
    assert bot.json() == ERRORS["401_bot_endpoint_not_allowed"]


async def test_version_is_told_to_anybody(sim):
    """The API info endpoint needs no token."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{sim.base_url}/api")

    assert answer.json()["version"] == "4.16.2"
    assert list(answer.json()) == [
        "version",
        "timestamp",
        "queue_services",
        "data_services",
    ]


async def test_agents_teams_and_labels(agent):
    """Two bare arrays and one payload."""
    agents = (await agent.get("/agents")).json()
    teams = (await agent.get("/teams")).json()
    labels = (await agent.get("/labels")).json()

    assert [each["role"] for each in agents] == ["administrator", "agent"]
    assert list(agents[0]) == list(example("rest_assignment__agent_response"))
    assert teams[0]["name"] == "billing"
    assert [each["title"] for each in labels["payload"]] == ["billing", "vip"]


async def test_dashboard_apps(admin):
    """Kept, listed as a bare array, changed and deleted."""
    frame = [{"type": "frame", "url": "https://bot.example.com/panel"}]

    made = await admin.post("/dashboard_apps", json={"title": "Bot", "content": frame})
    path = f"/dashboard_apps/{made.json()['id']}"
    bad = await admin.patch(path, json={"content": [{"type": "poem"}]})
    changed = await admin.patch(path, json={"dashboard_app": {"title": "Ada"}})
    listed = await admin.get("/dashboard_apps")
    gone = await admin.delete(path)

    assert list(made.json()) == ["id", "title", "content", "created_at"]
    assert (bad.status_code, bad.json()["attributes"]) == (422, ["content"])
    assert listed.json() == [changed.json()]
    assert changed.json() == made.json() | {"title": "Ada"}
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await admin.get("/dashboard_apps")).json() == []


async def test_canned_responses_are_searched(admin, agent):
    """By code and by text."""
    for code, text in (("hours", "We open at nine"), ("ship", "We ship to Norway")):
        await admin.post(
            "/canned_responses", json={"short_code": code, "content": text}
        )

    found = (await agent.get("/canned_responses", params={"search": "norway"})).json()

    assert [each["short_code"] for each in found] == ["ship"]
    assert found[0]["account_id"] == 1


async def test_custom_attributes_are_unique_per_model(admin):
    """0 is the conversation's, 1 the contact's."""
    body = {
        "attribute_display_name": "Bot state",
        "attribute_key": "bot_state",
        "attribute_model": 0,
    }
    path = "/custom_attribute_definitions"

    made = await admin.post(path, json=body)
    again = await admin.post(path, json=body)
    other = await admin.post(path, json=body | {"attribute_model": 1})

    assert made.json()["attribute_model"] == "conversation_attribute"
    assert (again.status_code, other.status_code) == (422, 200)
    listed = (await admin.get(path, params={"attribute_model": 0})).json()
    assert [each["id"] for each in listed] == [made.json()["id"]]
