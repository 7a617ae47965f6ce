"""`chatwoot-bot doctor`: a sound set-up, and each way to break it by its name."""

import asyncio
import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from email.utils import formatdate

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from chatwoot_bot.app import build
from chatwoot_bot.cli import app as cli
from chatwoot_bot.doctor.examination import examine
from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.doctor.subject import Subject
from chatwoot_bot.http import make_client
from chatwoot_bot.settings import Settings
from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

SECRET = "the-secret-of-the-bot"
KEY = "sk-the-key-of-the-model"
NOT_FOR_BOTS = {"error": "Access to this endpoint is not authorized for bots"}


@dataclass
class Front:
    """A proxy before the simulator, which does to calls what proxies do.

    Attributes:
        drops: header names that do not get through.
        ahead_s: how far Chatwoot's clock is ahead.
        version: what Chatwoot says it is; None leaves it.
        platform_token: a token that only a platform app would have.
        hides_secrets: as releases do that do not sign.
    """

    target: str = ""
    drops: frozenset[str] = frozenset()
    ahead_s: float = 0.0
    version: str | None = None
    platform_token: str = ""
    hides_secrets: bool = False
    redirects: bool = False
    client: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    async def take(self, request):
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name not in self.drops | {"host", "content-length"}
        ]
        token = request.headers.get("api-access-token")
        if self.redirects:
            return Response(status_code=301, headers={"location": "https://x.example"})
        if self.platform_token and token == self.platform_token:
            if request.url.path.startswith("/platform/"):
                return JSONResponse([])
            if request.url.path != "/api":
                return JSONResponse(NOT_FOR_BOTS, 401)
        answer = await self.client.request(
            request.method,
            f"{self.target}{request.url.path}?{request.url.query}",
            headers=headers,
            content=await request.body(),
        )
        return Response(
            self.changed(request.url.path, answer),
            answer.status_code,
            {"date": formatdate(time.time() + self.ahead_s, usegmt=True)},
            answer.headers.get("content-type"),
        )

    def changed(self, path, answer):
        if "json" not in answer.headers.get("content-type", ""):
            return answer.content
        return json.dumps(self.changed_json(path, answer.json()))

    def changed_json(self, path, body):
        if path == "/api" and self.version:
            return body | {"version": self.version}
        if self.hides_secrets and path.endswith("/agent_bots"):
            return [{k: v for k, v in row.items() if k != "secret"} for row in body]
        return body


@dataclass
class World:
    """A sound set-up: Chatwoot behind a proxy, the service, a model, a database."""

    sim: Simulator
    front: Front
    model: ModelStandIn
    url: str
    environ: dict

    async def findings(self):
        """Return what the doctor finds: check → finding."""
        settings = Settings.load(self.environ)
        async with make_client() as http:
            subject = Subject(settings=settings, http=http, public_url=None)
            found = await examine(subject)
        return {finding.check: finding for finding in found}


@contextlib.asynccontextmanager
async def serving(app):
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


@pytest.fixture
async def world(tmp_path):
    front = Front()
    methods = ["GET", "POST", "PATCH"]
    proxy = Starlette(routes=[Route("/{path:path}", front.take, methods=methods)])
    async with (
        Simulator(webhook_url="http://127.0.0.1:9", secret=SECRET) as sim,
        ModelStandIn() as model,
        serving(proxy) as chatwoot,
        front.client,
    ):
        front.target = sim.base_url
        sim.world.frontend_url = chatwoot
        sim.world.office.labels.add(title="bot-off")
        sim.world.office.custom_attributes.add(
            attribute_key="bot", attribute_model="conversation_attribute"
        )
        environ = {
            "CHATWOOT_BASE_URL": chatwoot,
            "CHATWOOT_API_TOKEN": "bot-token",
            "CHATWOOT_USER_TOKEN": "admin-token",
            "CHATWOOT_ACCOUNT_ID": "1",
            "CHATWOOT_INBOX_ID": "3",
            "CHATWOOT_WEBHOOK_SECRET": SECRET,
            "DATABASE_URL": f"sqlite:///{tmp_path / 'bot.db'}",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_MODEL": "stand-in",
            # Chatwoot's links to files lead past the proxy.
            "MEDIA_HOSTS": httpx.URL(sim.base_url).netloc.decode(),
        }
        service = build(Settings.load(environ), with_worker=False)
        async with service.router.lifespan_context(service), serving(service) as url:
            environ["PUBLIC_URL"] = url
            sim.webhook_url = f"{url}/webhook/chatwoot"
            yield World(sim, front, model, url, environ)


async def test_nothing_is_wrong_with_a_sound_set_up(world):
    """Only the private address is left: these tests have no other."""
    found = await world.findings()

    levels = {name: finding.level for name, finding in found.items()}
    assert levels.pop("address") is Level.WARN
    assert set(levels) == {
        *("settings", "database", "knowledge", "model", "chatwoot", "clock", "token"),
        *("user token", "account", "rights", "inbox", "bot", "secret", "webhook"),
        *("labels", "attribute", "owner", "files"),
    }
    assert set(levels.values()) == {Level.OK}, found


async def test_proxy_that_drops_underscores_is_no_fault(world):
    """As nginx does unless it is told otherwise: the token's header has none."""
    world.sim.faults.drop_underscores = True

    found = await world.findings()

    assert {f.check for f in found.values() if f.level is not Level.OK} == {"address"}


async def test_nothing_is_changed_by_looking(world):
    """It may be run at any time, on a live system."""
    before = len(world.sim.world.conversations)

    await world.findings()

    calls = [(c.method, c.status) for c in world.sim.calls if c.method != "GET"]
    assert set(calls) == {("POST", 404)}
    assert len(world.sim.world.conversations) == before
    assert world.sim.world.office.inboxes[3].agent_bot_id == 4


def setting(**changes):
    """Return a way to break the set-up by its settings."""

    def apply(world):
        world.environ.update(
            {k: v.format(url=world.url) for k, v in changes.items() if v is not None}
        )
        for name in [k for k, v in changes.items() if v is None]:
            del world.environ[name]

    return apply


def front(**changes):
    """Return a way to break the set-up by what is between."""

    def apply(world):
        for name, value in changes.items():
            setattr(world.front, name, value)

    return apply


def bot(**changes):
    """Return a way to break the set-up by the bot in Chatwoot."""

    def apply(world):
        for name, value in changes.items():
            setattr(world.sim.world.office.bots[4], name, value)

    return apply


def inbox_of(bot_id):
    def apply(world):
        world.sim.world.office.add_bot("Otto", outgoing_url="https://otto.example")
        world.sim.world.office.inboxes[3].agent_bot_id = bot_id

    return apply


def no_inboxes(world):
    world.sim.world.office.inboxes.clear()


def model_says(status):
    def apply(world):
        world.environ["OPENAI_MODEL"] = "gpt-nonsense"
        world.model.fail(status, times=3)

    return apply


def both(*ways):
    def apply(world):
        for way in ways:
            way(world)

    return apply


BROKEN = {
    "wrong token": (
        setting(CHATWOOT_API_TOKEN="tkn-old"),
        ("token", "fail", "CHATWOOT_API_TOKEN", "does not know it"),
    ),
    "platform token": (
        both(
            setting(CHATWOOT_API_TOKEN="tkn-platform"),
            front(platform_token="tkn-platform"),
        ),
        ("token", "fail", "CHATWOOT_API_TOKEN", "a platform app's"),
    ),
    "a user's token": (
        setting(CHATWOOT_API_TOKEN="user-token"),
        ("token", "warn", "CHATWOOT_API_TOKEN", "a user's (Maria Gomez)"),
    ),
    "proxy that drops the token": (
        front(drops=frozenset({"api-access-token"})),
        ("token", "fail", "CHATWOOT_API_TOKEN", "drops the header api-access-token"),
    ),
    "user token that is a bot's": (
        setting(CHATWOOT_USER_TOKEN="bot-token"),
        ("user token", "fail", "CHATWOOT_USER_TOKEN", "a bot's, not a user's"),
    ),
    "unknown user token": (
        setting(CHATWOOT_USER_TOKEN="tkn-old"),
        ("user token", "fail", "CHATWOOT_USER_TOKEN", "unknown to Chatwoot"),
    ),
    "user who is elsewhere": (
        setting(CHATWOOT_ACCOUNT_ID="7"),
        ("user token", "fail", "CHATWOOT_USER_TOKEN", "is not in account 7"),
    ),
    "wrong account": (
        setting(CHATWOOT_ACCOUNT_ID="2"),
        ("account", "fail", "CHATWOOT_ACCOUNT_ID", "not valid in account 2"),
    ),
    "no account": (
        both(setting(CHATWOOT_ACCOUNT_ID=None, CHATWOOT_USER_TOKEN=None)),
        ("account", "warn", "CHATWOOT_ACCOUNT_ID", "not set"),
    ),
    "unknown inbox": (
        setting(CHATWOOT_INBOX_ID="9"),
        ("inbox", "fail", "CHATWOOT_INBOX_ID", "no inbox 9; there is 3 (Website)"),
    ),
    "inbox not connected": (
        inbox_of(None),
        ("inbox", "fail", "CHATWOOT_INBOX_ID", "connected to no bot"),
    ),
    "inbox of another bot": (
        inbox_of(5),
        ("inbox", "fail", "CHATWOOT_INBOX_ID", "connected to another bot, Otto"),
    ),
    "no inbox connected": (
        both(setting(CHATWOOT_INBOX_ID=None), inbox_of(None)),
        ("inbox", "fail", "CHATWOOT_INBOX_ID", "connected to no bot"),
    ),
    "no inbox at all": (
        both(setting(CHATWOOT_INBOX_ID=None), no_inboxes),
        ("inbox", "fail", "CHATWOOT_INBOX_ID", "account 1 has no inbox"),
    ),
    "wrong secret": (
        bot(secret="another-secret"),
        ("secret", "fail", "CHATWOOT_WEBHOOK_SECRET", "not the one of the bot Ada"),
    ),
    "release that does not sign": (
        front(hides_secrets=True, version="4.12.1"),
        ("secret", "fail", "CHATWOOT_ALLOW_UNSIGNED", "before 4.13 it does not sign"),
    ),
    "old release": (
        front(version="4.12.1"),
        ("chatwoot", "warn", "CHATWOOT_BASE_URL", "may not read conversations"),
    ),
    "service not restarted": (
        setting(CHATWOOT_WEBHOOK_SECRET="the-newer-secret"),
        ("webhook", "fail", "CHATWOOT_WEBHOOK_SECRET", "refuses what is signed"),
    ),
    "bot delivers elsewhere": (
        bot(outgoing_url="https://old.example/webhook/chatwoot"),
        ("bot", "fail", "PUBLIC_URL", "delivers to https://old.example"),
    ),
    "service not reachable": (
        setting(PUBLIC_URL="http://127.0.0.1:9"),
        ("webhook", "fail", "PUBLIC_URL", "cannot be reached"),
    ),
    "somebody else at the URL": (
        setting(PUBLIC_URL="{url}/elsewhere"),
        ("webhook", "fail", "PUBLIC_URL", "answers 404 at"),
    ),
    "private address": (
        setting(),
        (
            "address",
            "warn",
            "SAFE_FETCH_ALLOW_PRIVATE_NETWORK",
            "127.0.0.1 is a private address",
        ),
    ),
    "unsigned allowed": (
        setting(CHATWOOT_ALLOW_UNSIGNED="true"),
        ("webhook", "warn", "CHATWOOT_ALLOW_UNSIGNED", "that are not signed"),
    ),
    "clocks apart": (
        front(ahead_s=400),
        ("clock", "fail", None, "s ahead; beyond 5 minutes every signature"),
    ),
    "clocks a little apart": (
        front(ahead_s=-100),
        ("clock", "warn", None, "s behind"),
    ),
    "model unknown": (
        model_says(404),
        ("model", "fail", "OPENAI_MODEL", "does not know the model gpt-nonsense"),
    ),
    "key refused": (
        model_says(401),
        ("model", "fail", "OPENAI_API_KEY", "refuses the key (401)"),
    ),
    "quota used up": (
        model_says(429),
        ("model", "fail", "OPENAI_API_KEY", "quota of the key is used up"),
    ),
    "model not reachable": (
        setting(OPENAI_BASE_URL="http://127.0.0.1:9/v1"),
        ("model", "fail", "OPENAI_BASE_URL", "nothing answers at http://127.0.0.1:9"),
    ),
    "no model": (
        setting(OPENAI_BASE_URL=None, OPENAI_API_KEY=None, RESPONDER="mock"),
        ("model", "warn", "OPENAI_API_KEY", "the built-in mock answers"),
    ),
    "database not reachable": (
        setting(DATABASE_URL="postgresql://bot:pass-word@127.0.0.1:9/bot"),
        ("database", "fail", "DATABASE_URL", "PostgreSQL cannot be reached"),
    ),
    "database nowhere": (
        setting(DATABASE_URL="sqlite:////nowhere/bot.db"),
        ("database", "fail", "DATABASE_URL", "there is no folder /nowhere"),
    ),
    "Chatwoot not reachable": (
        setting(CHATWOOT_BASE_URL="http://127.0.0.1:9"),
        ("chatwoot", "fail", "CHATWOOT_BASE_URL", "does not answer"),
    ),
    "Chatwoot redirects": (
        front(redirects=True),
        ("chatwoot", "fail", "CHATWOOT_BASE_URL", "redirects (301)"),
    ),
    "not Chatwoot": (
        setting(CHATWOOT_BASE_URL="{url}"),
        ("chatwoot", "fail", "CHATWOOT_BASE_URL", "is not Chatwoot"),
    ),
}


# Failures that one cause brings along; everything else is fine or not looked at.
BESIDES = {
    "service not reachable": {"bot"},
    "somebody else at the URL": {"bot"},
    "service not restarted": {"secret"},
    "wrong account": {"user token"},
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_broken_is_named_and_nothing_else(world, name):
    """The check, how bad it is, the setting at fault, and a mend.

    Ten red lines for one cause would send the operator the wrong way.
    """
    break_it, (check, level, variable, words) = BROKEN[name]
    break_it(world)

    found = await world.findings()

    finding = found[check]
    failed = {n for n, each in found.items() if each.level is Level.FAIL}
    assert (finding.level, finding.setting) == (level, variable), finding
    assert words in finding.message
    assert finding.mend
    assert failed - {check} <= BESIDES.get(name, set())


async def test_no_secret_is_in_any_finding(world):
    """Reports are pasted into issues."""
    both(
        model_says(401),
        bot(secret="another-secret"),
        setting(DATABASE_URL="postgresql://bot:pass-word@127.0.0.1:9/bot"),
    )(world)

    text = repr(await world.findings())

    for secret in (SECRET, KEY, "bot-token", "admin-token", "another-secret"):
        assert secret not in text
    assert "pass-word" not in text


async def test_delivery_that_came_just_now_proves_the_secret(world):
    """Without an administrator's token that is the only proof."""
    del world.environ["CHATWOOT_USER_TOKEN"]
    assert (await world.findings())["secret"].level is Level.WARN

    await world.sim.contact_says("Hello?")
    await world.sim.settled()

    found = await world.findings()
    assert found["secret"].level is Level.OK
    assert "0 min ago" in found["secret"].message
    assert found["address"].level is Level.OK
    assert found["inbox"].level is Level.SKIP


async def test_what_only_an_administrator_sees_is_said_to_be_unseen(world):
    """A wrong URL or an unknown team cannot be told from a right one."""
    del world.environ["CHATWOOT_USER_TOKEN"]
    world.environ["HANDOFF_TEAM_ID"] = "999"

    found = await world.findings()

    for check in ("bot", "team"):
        assert found[check].level is Level.SKIP
        assert "CHATWOOT_USER_TOKEN" in found[check].message


async def test_delivery_that_came_just_now_proves_the_bots_address(world):
    del world.environ["CHATWOOT_USER_TOKEN"]
    await world.sim.contact_says("Hello?")
    await world.sim.settled()

    found = await world.findings()

    assert found["bot"].level is Level.OK
    assert "a delivery came 0 min ago" in found["bot"].message


async def test_delivery_proves_no_secret_that_the_running_service_refuses(world):
    """The service took it with the right secret; a restart would lose that one."""
    del world.environ["CHATWOOT_USER_TOKEN"]
    await world.sim.contact_says("Hello?")
    await world.sim.settled()
    world.environ["CHATWOOT_WEBHOOK_SECRET"] = "another-secret-of-somebody"

    found = await world.findings()

    assert found["secret"].level is Level.WARN
    assert (found["webhook"].level, found["webhook"].setting) == (
        Level.FAIL,
        "CHATWOOT_WEBHOOK_SECRET",
    )
    assert "copy the secret" in found["webhook"].mend


async def test_public_url_is_found_in_chatwoot(world):
    """An administrator's token shows where the bot delivers to."""
    del world.environ["PUBLIC_URL"]

    assert (await world.findings())["webhook"].level is Level.OK

    del world.environ["CHATWOOT_USER_TOKEN"]
    finding = (await world.findings())["webhook"]
    assert (finding.level, finding.setting) == (Level.WARN, "PUBLIC_URL")


async def test_plain_webhook_needs_no_bot(world):
    """An account webhook to our URL reaches us just as well."""
    office = world.sim.world.office
    inbox_of(None)(world)
    url = f"{world.url}/webhook/chatwoot"
    office.add_webhook(url, ("message_created",), secret=SECRET)

    found = await world.findings()

    assert found["inbox"].level is Level.OK
    assert "the account webhook 1" in found["secret"].message


OWN_CODE = [
    ({"RESPONDER": "nobody:Here"}, "model", "nobody cannot be imported"),
    ({"RESPONDER": "json:Nobody"}, "model", "json has no Nobody"),
    ({"RESPONDER": "langgraph:nobody:graph"}, "model", "nobody cannot be imported"),
    ({"TOOLS": "nobody"}, "tools", "nobody cannot be imported"),
    ({"TOOLS": "keyword"}, "tools", "keyword holds no tools"),
]


@pytest.mark.parametrize(("environ", "check", "words"), OWN_CODE)
async def test_own_code_that_stops_the_start_fails(tmp_path, environ, check, words):
    """Loaded as the service does, or doctor finds well what cannot start."""
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    settings = Settings.load({"DATABASE_URL": url, **environ})
    async with make_client() as http:
        subject = Subject(settings=settings, http=http, public_url=None)
        found = {finding.check: finding for finding in await examine(subject)}

    finding = found[check]
    assert (finding.level, finding.setting) == (Level.FAIL, *environ)
    assert words in finding.message
    assert list(tmp_path.iterdir()) == []


async def test_tools_that_can_be_used_are_named():
    settings = Settings.load({"TOOLS": "resolve_conversation"})
    async with make_client() as http:
        subject = Subject(settings=settings, http=http, public_url=None)
        found = {finding.check: finding for finding in await examine(subject)}

    assert found["tools"].level is Level.OK
    assert found["tools"].message == "resolve_conversation"


# The command.


def run(*arguments, **environ):
    return CliRunner().invoke(cli, ["doctor", *arguments], env=environ)


async def test_report_and_exit_codes(world, tmp_path, monkeypatch):
    """0 for a script that only wants to know whether to go on."""
    monkeypatch.chdir(tmp_path)
    fine = await asyncio.to_thread(run, **world.environ)
    broken = await asyncio.to_thread(
        run, "--json", **world.environ | {"CHATWOOT_API_TOKEN": "tkn-old"}
    )

    assert fine.exit_code == 0, fine.output
    assert "✓ token" in fine.output
    assert "0 to mend, 1 to look at." in fine.output
    # The service runs in this process too, and has logged its lines before.
    report = json.loads(broken.output[broken.output.index("{\n") :])
    [token] = [each for each in report["checks"] if each["check"] == "token"]
    assert (broken.exit_code, report["ok"]) == (1, False)
    assert token["level"] == "fail"
    assert token["setting"] == "CHATWOOT_API_TOKEN"
    assert "tkn-old" not in broken.output


def test_unusable_settings_are_another_exit_code(tmp_path, monkeypatch):
    """Nothing can be looked at."""
    monkeypatch.chdir(tmp_path)
    result = run(PORT="many", CHATWOOT_BASE_URL="http://127.0.0.1:9")
    as_json = run("--json", PORT="many")

    assert result.exit_code == as_json.exit_code == 2
    assert "✗ settings" in result.output
    assert "CHATWOOT_WEBHOOK_SECRET is required" in result.output
    assert "run chatwoot-bot setup" in result.output
    assert json.loads(as_json.output)["checks"][0]["setting"] == "PORT"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty one to start in; what the command puts into the environment goes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return tmp_path


def test_misspelt_names_in_the_file_are_warned_of(folder):
    """They are silently nothing, and the operator looks elsewhere for hours."""
    (folder / ".env").write_text("ADMIN_TOKN=hush\nBOT_NAME=Ada\n\nADMIN TOKEN=hush\n")

    result = run()

    assert result.exit_code == 0, result.output
    assert "! settings   ADMIN_TOKN is not a setting; did you mean ADMIN_TOKEN?" in (
        result.output
    )
    assert "! settings   .env:4 is not a NAME=value line" in result.output
    assert "0 to mend, 2 to look at." in result.output
    assert "hush" not in result.output


def test_misspelt_names_are_told_beside_what_they_leave_missing(folder):
    """A secret that is there by another name is the reason of the refusal."""
    (folder / ".env").write_text(
        "CHATWOOT_BASE_URL=http://127.0.0.1:9\nCHATWOOT_SECRET=s\n"
        "CHATWOOT_API_TOKEN=t\n"
    )

    result = run()

    assert result.exit_code == 2
    assert "did you mean CHATWOOT_WEBHOOK_SECRET?" in result.output


def test_names_that_the_bots_file_names_are_not_doubted(folder):
    (folder / ".env").write_text("BOTS_FILE=bots.toml\nCHATWOOT_BOB_TOKEN=t\n")
    (folder / "bots.toml").write_text(
        "[[bots]]\ninboxes = [3]\ntoken_env = 'CHATWOOT_BOB_TOKEN'\n"
    )

    assert "is not a setting" not in run().output


def test_file_that_was_named_and_is_not_there_fails(folder):
    """All would be well with the demo's settings."""
    result = run("--env-file", "nope.env")

    assert result.exit_code == 2
    assert "✗ settings   --env-file names nope.env, which is not there" in result.output


def test_database_url_that_is_none_is_another_exit_code(folder):
    """The rest of a password after an @ is no host to look up and to show."""
    result = run(DATABASE_URL="postgresql://bot:p@hush:word@db/bot")

    assert result.exit_code == 2
    assert "✗ settings   DATABASE_URL is no URL such as" in result.output
    assert "hush" not in result.output + repr(result.exception)


def test_file_that_is_not_utf8_fails(folder):
    (folder / ".env").write_text("PORT=9000\n", encoding="utf-16")

    result = run()

    assert result.exit_code == 2
    assert "✗ settings   .env is not UTF-8" in result.output


def test_the_demo_is_fine(tmp_path, monkeypatch):
    """Nothing is set, and nothing has to be."""
    monkeypatch.chdir(tmp_path)
    result = run()

    assert result.exit_code == 0, result.output
    assert "this is the demo" in result.output
    assert list(tmp_path.iterdir()) == []
