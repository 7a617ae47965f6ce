"""The recorded story of a running Chatwoot, played again by the simulator.

For each step the same events must come, with the same changes, to the same routes,
and the bodies must have the same keys in the same order and the same types. What
differs is in `EVENTS`, `ORDER` and `SHAPES`, each with its reason; a difference that
is gone must be taken out of the table.
"""

import asyncio
import json
from collections import Counter, defaultdict

import httpx
import pytest
import recorded
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.routes import WEBHOOK_EVENTS
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

SERVERS = tuple(recorded.RELEASES)
ROUTES = ("bot", "account", "apiinbox")
AGENT, ADMIN, BOT = "user-token", "admin-token", "bot-token"


class Player:
    """Plays the steps of the recorded story in one simulator."""

    def __init__(self, sim, http, hook, server):
        self.sim, self.http, self.hook, self.server = sim, http, hook, server
        self.cid = self.api = 0
        self.said = {}

    async def call(self, path, token=BOT, **body):
        answer = await self.http.post(
            f"/api/v1/accounts/1/conversations/{path}",
            json=body,
            headers={"api_access_token": token},
        )
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    async def post(self, content, token=BOT, cid=None, **body):
        path = f"{cid or self.cid}/messages"
        return (await self.call(path, token, content=content, **body))["id"]

    async def status(self, status, token=AGENT, **body):
        await self.call(f"{self.cid}/toggle_status", token, status=status, **body)

    async def says(self, content):
        await self.sim.contact_says(content, conversation=self.cid)

    async def opens_the_widget(self):
        await self.sim.contact_opens_widget()

    async def first_message(self):
        [contact] = self.sim.world.contacts
        said = await self.sim.contact_says("Hi & <b>hello</b> héllo", contact=contact)
        self.cid = said.conversation_id

    async def replies(self):
        self.said["reply"] = await self.post(
            "Hello **you**", content_attributes={"k": "v"}
        )

    async def replies_with_liquid(self):
        await self.post("Dear {{contact.name}}, {{nothing}} and `{{x}}`")

    async def offers_a_choice(self):
        items = [{"title": title, "value": title} for title in ("Blue", "Red")]
        self.said["choice"] = await self.post(
            "Choose", content_type="input_select", content_attributes={"items": items}
        )

    async def chooses(self):
        await self.sim.contact_picks(self.said["choice"], "Blue", "Blue")

    async def reads(self):
        await self.sim.contact_reads(self.cid)

    async def types(self):
        await self.sim.contact_types(self.cid)

    async def bot_types(self):
        await self.call(f"{self.cid}/toggle_typing_status", typing_status="on")

    async def notes(self):
        await self.post("note", private=True)

    async def sets_labels(self):
        await self.call(f"{self.cid}/labels", labels=["billing", "vip"])

    async def sets_attributes(self, name):
        attributes = {name: 1}
        await self.call(f"{self.cid}/custom_attributes", custom_attributes=attributes)

    async def sets_priority(self):
        await self.call(f"{self.cid}/toggle_priority", priority="high")

    async def assigns_a_team(self):
        await self.call(f"{self.cid}/assignments", team_id=2)

    async def assigns_an_agent(self):
        await self.call(f"{self.cid}/assignments", ADMIN, assignee_id=12)

    async def assigns_the_bot(self):
        bot = {"assignee_id": 4, "assignee_type": "AgentBot"}
        await self.call(f"{self.cid}/assignments", ADMIN, **bot)

    async def fails(self, status, content):
        self.hook.status["bot"] = status
        await self.says(content)
        await self.sim.settled()
        self.hook.status.clear()

    async def fails_with_500(self):
        await self.fails(500, "fail me")
        await self.status("pending")

    async def deletes(self):
        await self.sim.agent_deletes(self.said["reply"])

    async def api_conversation(self):
        base = f"/public/api/v1/inboxes/{self.hook.inbox.identifier}/contacts"
        contact = (
            await self.http.post(base, json={"name": "Ann", "identifier": "ann-1"})
        ).json()
        path = f"{base}/{contact['source_id']}/conversations"
        self.api = (
            await self.http.post(path, json={"custom_attributes": {"x": 1}})
        ).json()["id"]
        self.hook.path = f"{path}/{self.api}/messages"

    async def api_says(self, content):
        await self.http.post(self.hook.path, json={"content": content})

    async def callback_fails(self):
        self.hook.status["apiinbox"] = 500
        await self.api_says("callback fails")
        await self.sim.settled()
        self.hook.status.clear()

    async def says_nothing(self):
        await self.post("")

    def steps(self):
        """Return what each step of the story does here."""
        return {
            "visitor opens the widget": self.opens_the_widget(),
            "first message": self.first_message(),
            "bot replies": self.replies(),
            "bot replies with liquid": self.replies_with_liquid(),
            "bot input_select": self.offers_a_choice(),
            "visitor chooses": self.chooses(),
            "next message": self.says("second"),
            "visitor reads (update_last_seen)": self.reads(),
            "visitor types": self.types(),
            "bot types": self.bot_types(),
            "private note by bot": self.notes(),
            "bot sets labels": self.sets_labels(),
            "bot sets custom attributes a": self.sets_attributes("a"),
            "bot sets custom attributes b": self.sets_attributes("b"),
            "bot sets priority": self.sets_priority(),
            "bot assigns team": self.assigns_a_team(),
            "bot hands off (open)": self.status("open", BOT),
            "human assigned": self.assigns_an_agent(),
            "human replies": self.post_as_agent("Ben here"),
            "human resolves": self.status("resolved"),
            "customer writes after resolve": self.says("again"),
            "assign the bot": self.assigns_the_bot(),
            "human snoozes": self.status("snoozed", snoozed_until=1_900_000_000),
            "customer writes while snoozed": self.says("hey"),
            "human sets pending": self.status("pending"),
            "assign human while pending": self.assigns_an_agent(),
            "human replies while pending": self.post_as_agent("me again"),
            "back to pending": self.status("pending"),
            "bot answers 500": self.fails_with_500(),
            "bot answers 503": self.fails(503, "fail me too"),
            "delete a message": self.deletes(),
            "api: conversation": self.api_conversation(),
            "api: incoming": self.api_says("from the api"),
            "api: bot replies": self.post_to_api("ok"),
            "api: callback fails": self.callback_fails(),
            "api: source_id on create": self.post_to_api("with source", source_id="s"),
            "GET agent_bots (agent)": self.says_nothing(),
        }

    async def post_as_agent(self, content):
        await self.post(content, AGENT)

    async def post_to_api(self, content, **body):
        await self.post(content, cid=self.api, **body)


class Hook:
    """All three routes; answers 200 unless told otherwise."""

    def __init__(self):
        self.status = {}
        self.bodies = []

    def take(self, route):
        async def take(request):
            self.bodies.append((route, json.loads(await request.body())))
            return Response(status_code=self.status.get(route, 200))

        return Route(f"/{route}", take, methods=["POST"])


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def played():
    """The story as each release of the simulator plays it: step to deliveries."""
    return {server: await play(server) for server in SERVERS}


async def play(server):
    hook = Hook()
    front = LocalServer(
        Starlette(routes=[hook.take(route) for route in ROUTES]),
        host="127.0.0.1",
        port=0,
    )
    await front.start()
    url = f"http://127.0.0.1:{front.port}"
    told = {}
    async with Simulator(
        webhook_url=f"{url}/bot",
        release=recorded.RELEASES[server],
        retry_s=0.01,
        email_collect=True,
    ) as sim:
        # One worker: the order of arrival is the order of sending.
        sim._deliveries._slots = asyncio.Semaphore(1)
        office = sim.world.office
        office.add_webhook(f"{url}/account", WEBHOOK_EVENTS)
        hook.inbox = office.add_inbox(
            "App", "Channel::Api", webhook_url=f"{url}/apiinbox", agent_bot_id=4
        )
        async with httpx.AsyncClient(base_url=sim.base_url, timeout=5) as http:
            steps = Player(sim, http, hook, server).steps()
            taken = {each.step for each in recorded.story(server)}
            for step, act in steps.items():
                if step not in taken:
                    act.close()
                    continue
                await act
                await sim.settled()
                told[step], hook.bodies = hook.bodies, []
    await front.stop()
    return told


def real(server):
    """Return the recorded story in the same form."""
    told = defaultdict(list)
    for each in recorded.story(server):
        told[each.step].append((each.route, each.body))
    return told


def once(deliveries):
    """Return the deliveries without the repeats of those that were refused."""
    seen, kept = set(), []
    for route, body in deliveries:
        key = (route, json.dumps(body, sort_keys=True))
        if key not in seen:
            seen.add(key)
            kept.append((route, body))
    return kept


def name(body):
    """Return the event, and what changed."""
    changes = body.get("changed_attributes")
    if not changes:
        return body["event"]
    return f"{body['event']}({', '.join(next(iter(each)) for each in changes)})"


def kind(value):
    return "null" if value is None else type(value).__name__


def differences(ours, theirs, path=""):
    """Yield `path: ours / theirs` for each difference of keys, their order, or type."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        yield from _of_objects(ours, theirs, path)
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{path}: {len(ours)} items / {len(theirs)}"
        for mine, other in zip(ours, theirs, strict=False):
            yield from differences(mine, other, f"{path}[]")
    elif kind(ours) != kind(theirs):
        yield f"{path}: {kind(ours)} / {kind(theirs)}"


def _of_objects(ours, theirs, path):
    shared = [key for key in ours if key in theirs]
    if shared != [key for key in theirs if key in ours]:
        yield f"{path or '.'}: another order"
    yield from (f"{path}.{key}: here only" for key in ours if key not in theirs)
    yield from (f"{path}.{key}: there only" for key in theirs if key not in ours)
    for key in shared:
        yield from differences(ours[key], theirs[key], f"{path}.{key}")


def shapes(ours, theirs):
    """Compare the bodies of one step and route, each with its like."""
    mine, other = grouped(ours), grouped(theirs)
    for event in mine.keys() & other.keys():
        for one, another in zip(mine[event], other[event], strict=True):
            for difference in differences(one, another):
                # The conversation is the body itself, or in it.
                yield difference.removeprefix(".conversation")


def grouped(bodies):
    groups = defaultdict(list)
    for body in sorted(bodies, key=lambda body: body.get("id") or 0):
        groups[without_library(name(body))].append(body)
    return groups


def without_library(event):
    return event.replace(", cached_label_list)", ")")


# What the simulator leaves out or adds, by step and route; None is every server.
BUILD = 'cached_label_list null to "" in the first save: of these builds\' libraries'
EVENTS = {
    **{
        (step, route): (["waiting_since"], ["waiting_since, cached_label_list"], BUILD)
        for step, routes in {
            "bot replies": ("bot", "account"),
            "api: bot replies": tuple(ROUTES),
        }.items()
        for route in routes
    },
    ("first message", "account"): (
        [],
        ["contact_updated(name, updated_at)"],
        "the recorder's visitor filled in a form before the chat began",
    ),
}
WORKERS = "each delivery is a job of its own, and ten workers take them"
# Where the servers' order of arrival was another; the simulator's is that of sending.
ORDER = {
    "4.16.2": {
        ("next message", "account"),
        ("bot hands off (open)", "bot"),
        ("human resolves", "bot"),
        ("customer writes after resolve", "account"),
        ("customer writes while snoozed", "account"),
        ("bot answers 500", "account"),
        ("bot answers 503", "account"),
        ("api: incoming", "account"),
        ("api: callback fails", "account"),
        ("GET agent_bots (agent)", "account"),
    },
    "2026-08-develop": {
        ("next message", "account"),
        ("customer writes after resolve", "account"),
        ("human snoozes", "account"),
        ("customer writes while snoozed", "account"),
        ("back to pending", "account"),
        ("bot answers 500", "account"),
        ("bot answers 503", "account"),
        ("api: incoming", "account"),
        ("api: callback fails", "account"),
        ("GET agent_bots (agent)", "account"),
    },
}
LATE = "built when the worker takes the job, so it shows what came meanwhile"
BROWSER = "the recorder's browser named no language and no time"
AWAY = "the recorded agent had never signed in"
# The difference, and why it is left: ours / theirs.
SHAPES = {
    ".additional_attributes.browser_language: str / null": BROWSER,
    ".event_info.browser_language: str / null": BROWSER,
    ".event_info.initiated_at: here only": BROWSER,
    ".event_info.widget_language: str / null": BROWSER,
    ".changed_attributes: 2 items / 3": BUILD,
    ".content_attributes.external_error: here only": LATE,
    ".messages[].content_attributes.external_error: here only": LATE,
    ".messages[].content_attributes.in_reply_to: there only": LATE,
    ".messages[].sender: there only": LATE,
    ".messages[].sender_id: null / int": LATE,
    ".messages[].sender_type: null / str": LATE,
    ".messages[].sender.availability_status: str / null": AWAY,
    ".meta.assignee.availability_status: str / null": AWAY,
}


@pytest.mark.parametrize("server", SERVERS)
async def test_story_brings_the_same_events(played, server):
    left = {}
    for step, route, ours, theirs in steps_of(played, server):
        mine, other = Counter(map(name, ours)), Counter(map(name, theirs))
        if mine != other:
            left[step, route] = (mine - other, other - mine)

    assert left == {
        where: (Counter(map(full, here)), Counter(map(full, there)))
        for where, (here, there, _) in EVENTS.items()
    }


@pytest.mark.parametrize("server", SERVERS)
async def test_story_brings_the_events_in_the_same_order(played, server):
    left = set()
    for step, route, ours, theirs in steps_of(played, server):
        mine = [without_library(name(body)) for body in ours]
        other = [without_library(name(body)) for body in theirs]
        if Counter(mine) == Counter(other) and mine != other:
            left.add((step, route))

    assert left == ORDER[server], WORKERS


@pytest.mark.parametrize("server", SERVERS)
async def test_saves_come_in_the_same_order(played, server):
    """What the bot is told of a conversation's changes, save by save."""
    for step, route, ours, theirs in steps_of(played, server):
        if route == "bot":
            mine, other = (
                [
                    without_library(name(body))
                    for body in bodies
                    if body["event"] == "conversation_updated"
                ]
                for bodies in (ours, theirs)
            )
            assert mine == other, step


@pytest.mark.parametrize("server", SERVERS)
async def test_story_brings_bodies_of_the_same_shape(played, server):
    left = {
        difference
        for _, _, ours, theirs in steps_of(played, server)
        for difference in shapes(ours, theirs)
    }

    assert left == set(SHAPES)


def full(columns):
    if columns.startswith("contact"):
        return columns
    return f"conversation_updated(updated_at, {columns})"


def steps_of(played, server):
    """Yield step, route, our bodies and the recorded ones."""
    theirs = real(server)
    assert played[server].keys() == theirs.keys()
    for step, deliveries in played[server].items():
        for route in ROUTES:
            yield (
                step,
                route,
                [body for to, body in once(deliveries) if to == route],
                [body for to, body in once(theirs[step]) if to == route],
            )
