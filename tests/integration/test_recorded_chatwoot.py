"""`setup` and `doctor` against what running Chatwoot servers have answered."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import dotenv
import pytest
from recorded_chatwoot import (
    ACCOUNT_ID,
    ADMINISTRATOR,
    AGENT,
    BOT,
    RELEASES,
    SECRET,
    WEB_INBOX,
    RecordedChatwoot,
    recorded,
)
from starlette.applications import Starlette
from starlette.routing import Route
from typer.testing import CliRunner

from chatwoot_bot.app import build
from chatwoot_bot.chatwoot.shown import AgentBot
from chatwoot_bot.cli import app
from chatwoot_bot.doctor.examination import examine
from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.doctor.subject import Subject
from chatwoot_bot.http import make_client
from chatwoot_bot.settings import Settings
from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio


@dataclass
class World:
    """A recorded Chatwoot, and the service that its bot delivers to."""

    chatwoot: RecordedChatwoot
    url: str
    environ: dict

    def options(self):
        return [
            *("--chatwoot-url", self.chatwoot.url, "--admin-token", ADMINISTRATOR),
            *("--account-id", ACCOUNT_ID, "--inbox-id", WEB_INBOX),
            *("--public-url", self.url, "--yes"),
        ]

    async def setup(self):
        return await run("setup", *self.options())

    async def doctor(self, **environ):
        """Return what doctor finds with the settings that setup has written."""
        settings = Settings.load(dotenv.dotenv_values(".env") | self.environ | environ)
        async with make_client() as http:
            subject = Subject(settings=settings, http=http, public_url=None)
            return await examine(subject)


@contextlib.asynccontextmanager
async def serving(app):
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


@pytest.fixture(params=RELEASES)
async def world(request, tmp_path, monkeypatch):
    """Each recorded release, on a port of this machine."""
    monkeypatch.chdir(tmp_path)
    chatwoot = RecordedChatwoot(request.param)
    methods = ["GET", "POST", "PATCH"]
    routes = [Route("/{path:path}", chatwoot.take, methods=methods)]
    async with (
        serving(Starlette(routes=routes)) as chatwoot_url,
        ModelStandIn() as model,
    ):
        environ = {
            "CHATWOOT_USER_TOKEN": ADMINISTRATOR,
            "DATABASE_URL": f"sqlite:///{tmp_path / 'bot.db'}",
            "OPENAI_API_KEY": "sk-example",
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_MODEL": "stand-in",
        }
        connected = {
            "CHATWOOT_BASE_URL": chatwoot_url,
            "CHATWOOT_ACCOUNT_ID": str(ACCOUNT_ID),
            "CHATWOOT_API_TOKEN": BOT,
            "CHATWOOT_WEBHOOK_SECRET": SECRET,
        }
        service = build(Settings.load(environ | connected), with_worker=False)
        async with service.router.lifespan_context(service), serving(service) as url:
            chatwoot.move(url=chatwoot_url, service_url=url)
            yield World(chatwoot, url, environ)


def env_file():
    return Path(".env").read_bytes()


async def run(*arguments, **environ):
    """Run a command elsewhere, because it has an event loop of its own."""
    command = [str(each) for each in arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, command, env=environ)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("name", "token", "secret"),
    [
        ("rest_inbox_agent_bot__response_admin", BOT, SECRET),
        ("rest_inbox_agent_bot__response_agent", None, None),
    ],
)
def test_bot_of_an_inbox_is_read_as_recorded(release, name, token, secret):
    """An administrator sees the token's whole record, an agent sees none."""
    bot = AgentBot.model_validate(recorded(release, name)["agent_bot"])

    assert (bot.id, bot.access_token, bot.secret) == (1, token, secret)


@pytest.mark.parametrize("release", RELEASES)
def test_bots_of_an_account_are_read_as_recorded(release):
    """The list shows the token as text, in the same release."""
    rows = recorded(release, "rest_agent_bots__response_admin")

    assert [AgentBot.model_validate(row).access_token for row in rows] == [BOT, BOT]


@pytest.mark.parametrize("shown", [{"id": 4}, {"token": None}, {"token": ""}, "", None])
def test_token_that_is_not_shown_is_none(shown):
    """Whatever the form, an absent token is not taken for one."""
    assert (
        AgentBot.model_validate({"id": 1, "access_token": shown}).access_token is None
    )


async def test_second_setup_changes_nothing_and_doctor_is_content(world):
    """It may stand in a script that runs at every deployment."""
    first = await world.setup()
    file, writes = env_file(), list(world.chatwoot.writes)

    second = await world.setup()
    found = await world.doctor()

    assert first.exit_code == 0, first.output
    assert dotenv.dotenv_values(".env")["CHATWOOT_API_TOKEN"] == BOT
    assert second.exit_code == 0, second.output
    assert "Everything is already as it should be" in second.output
    assert env_file() == file
    assert world.chatwoot.writes == writes
    wrong = [each for each in found if each.level in (Level.WARN, Level.FAIL)]
    assert [each.check for each in wrong] == ["address"], wrong  # it is loopback


def set_to(**changes):
    def apply(world):
        world.environ |= changes

    return apply


def inbox(**changes):
    def apply(world):
        [shown] = [i for i in world.chatwoot.inboxes if i["id"] == WEB_INBOX]
        shown |= changes

    return apply


def without(name):
    return lambda world: getattr(world.chatwoot, name).clear()


def frontend(url):
    return lambda world: world.chatwoot.move_frontend(url)


def left_open(world):
    """As after a failed delivery: open, and still the bot's."""
    owner = {"assignee": {"id": 1, "name": "Assistant"}, "assignee_type": "AgentBot"}
    world.chatwoot.opened.append({"id": 345, "status": "open", "meta": owner})


def bot(**changes):
    def apply(world):
        world.chatwoot.bots[0] |= changes

    return apply


def connected_to(shown):
    def apply(world):
        world.chatwoot.connected[WEB_INBOX].update(admin=shown)
        world.chatwoot.webhooks["webhooks"].clear()  # they would reach us just as well

    return apply


OTHER_BOT = {"agent_bot": {"id": 9, "name": "Other", "account_id": ACCOUNT_ID}}
# Mistake → how to make it, the check and its level, what names it, what mends it.
MISTAKES = {
    "unknown team": (
        set_to(HANDOFF_TEAM_ID="999"),
        ("team", "fail", "no team 999", "HANDOFF_TEAM_ID"),
    ),
    "unknown assignee": (
        set_to(HANDOFF_ASSIGNEE_ID="998"),
        ("assignee", "fail", "no assignee 998", "HANDOFF_ASSIGNEE_ID"),
    ),
    "label deleted": (
        without("labels"),
        ("labels", "warn", "no label bot-off", "chatwoot-bot setup"),
    ),
    "handover label unknown": (
        set_to(HANDOFF_LABELS="urgent"),
        ("labels", "warn", "no label urgent", "HANDOFF_LABELS"),
    ),
    "attribute deleted": (
        without("attributes"),
        ("attribute", "warn", "no conversation attribute bot", "chatwoot-bot setup"),
    ),
    "files elsewhere": (
        frontend("http://127.0.0.1:3001"),
        ("files", "warn", "FRONTEND_URL is http://127.0.0.1:3001", "127.0.0.1:3001"),
    ),
    "agents elsewhere": (
        frontend("http://127.0.0.1:3001"),
        ("panel", "warn", "its FRONTEND_URL", "set it to http://127.0.0.1:3001"),
    ),
    "left open": (
        left_open,
        ("owner", "warn", "1 open conversation still belongs", "to an agent"),
    ),
    "greeting": (
        inbox(greeting_enabled=True),
        ("greeting", "ok", "sends its greeting and asks for an e-mail", ""),
    ),
    "wrong secret": (
        set_to(CHATWOOT_WEBHOOK_SECRET="another-secret-of-somebody"),
        ("secret", "fail", "not the one of the bot Assistant", "copy the secret"),
    ),
    "wrong secret, without an administrator": (
        set_to(
            CHATWOOT_WEBHOOK_SECRET="another-secret-of-somebody",
            CHATWOOT_USER_TOKEN="",
        ),
        ("webhook", "fail", "runs with another secret", "copy the secret"),
    ),
    "wrong token": (
        set_to(CHATWOOT_API_TOKEN="nobodys"),
        ("token", "fail", "does not know it", "chatwoot-bot setup"),
    ),
    "token of a user": (
        set_to(CHATWOOT_API_TOKEN=AGENT),
        ("token", "warn", "a user's (Ada)", "chatwoot-bot setup"),
    ),
    "user token unknown": (
        set_to(CHATWOOT_USER_TOKEN="nobodys"),
        ("user token", "fail", "unknown to Chatwoot", "Profile settings"),
    ),
    "user token of a bot": (
        set_to(CHATWOOT_USER_TOKEN=BOT),
        ("user token", "fail", "a bot's, not a user's", "Profile settings"),
    ),
    "unknown inbox": (
        set_to(CHATWOOT_INBOX_ID="77"),
        ("inbox", "fail", "no inbox 77", "chatwoot-bot setup"),
    ),
    "inbox without the bot": (
        connected_to({}),
        ("inbox", "fail", "connected to no bot", "chatwoot-bot setup --inbox-id 1"),
    ),
    "inbox with another bot": (
        connected_to(OTHER_BOT),
        ("inbox", "fail", "to another bot, Other", "chatwoot-bot setup --inbox-id 1"),
    ),
    "inbox not served": (
        set_to(CHATWOOT_INBOX_ID="3"),
        ("inbox", "fail", "but not served here", "add 1 there"),
    ),
    "bot delivers elsewhere": (
        bot(outgoing_url="https://old.example.com/webhook/chatwoot"),
        ("bot", "fail", "https://old.example.com", "chatwoot-bot setup"),
    ),
    "Chatwoot elsewhere": (
        set_to(CHATWOOT_BASE_URL="http://127.0.0.1:9"),
        ("chatwoot", "fail", "does not answer", "CHATWOOT_BASE_URL"),
    ),
    "service not there": (
        set_to(PUBLIC_URL="http://127.0.0.1:9"),
        ("webhook", "fail", "cannot be reached", "chatwoot-bot serve"),
    ),
    "model not there": (
        set_to(OPENAI_BASE_URL="http://127.0.0.1:9/v1"),
        ("model", "fail", "nothing answers", "OPENAI_BASE_URL"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("world", ["4.16.2"], indirect=True)
async def test_each_mistake_is_named_with_its_remedy(world, mistake):
    """The operator reads what is wrong and what to do, not a symptom."""
    make_it, (check, level, words, remedy) = MISTAKES[mistake]
    done = await world.setup()
    assert done.exit_code == 0, done.output
    make_it(world)

    found = await world.doctor()

    assert any(
        (each.check, each.level) == (check, level)
        and words in each.message
        and remedy in f"{each.setting}: {each.mend}"
        for each in found
    ), [each for each in found if each.level in (Level.WARN, Level.FAIL)]
