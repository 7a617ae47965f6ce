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
