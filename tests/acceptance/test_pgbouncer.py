"""A PgBouncer before the database: contacts, and the log, see nothing of it.

It may be any release; before 1.21 it knows nothing of prepared statements.
"""

import asyncio
import json

import httpx
import pytest
from pgbouncer import pooled
from scene import free_port
from service import Service

from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.doctor.notifications import check_notifications
from chatwoot_bot.settings import Settings
from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.server import Simulator

pytestmark = pytest.mark.anyio

CONVERSATIONS = 300
AT_ONCE = 16
SECRET = "a-secret-of-24-characters"
WAIT_S = 60
# Fewer than the connections of the two processes, so that clients take turns.
FEW = 4
ENOUGH = 40


@pytest.fixture
def bouncer(tmp_path, postgres):
    """Start a PgBouncer before the tests' PostgreSQL."""

    def start(mode):
        sessions = FEW if mode == "transaction" else ENOUGH
        return pooled(tmp_path, postgres, mode=mode, sessions=sessions)

    return start


def database_of(uri):
    return uri.partition("?")[0].rpartition("/")[2]


def events(service):
    lines = [line for line in service.lines if line.startswith("{")]
    return [json.loads(line) for line in lines]


async def ask(chatwoot, count):
    """Have contacts write, some at a time; return their conversations."""
    few = asyncio.Semaphore(AT_ONCE)

    async def one(number):
        async with few:
            said = await chatwoot.contact_says(f"Question {number}")
            await chatwoot.wait_for_replies(said.conversation_id, 1, timeout=WAIT_S)
            return said.conversation_id

    return await asyncio.gather(*(one(number) for number in range(count)))


@pytest.mark.parametrize(
    ("mode", "direct", "complaints"),
    [("transaction", False, 1), ("transaction", True, 0), ("session", False, 0)],
)
async def test_contacts_are_answered_once_behind_pgbouncer(
    tmp_path, bouncer, postgres_url, mode, direct, complaints
):
    """From an empty database on: two processes migrate it through the pooler."""
    with bouncer(mode) as pooler:
        settings = {
            "DATABASE_URL": f"{pooler}/{database_of(postgres_url)}",
            "CHATWOOT_API_TOKEN": "bot-token",
            "CHATWOOT_WEBHOOK_SECRET": SECRET,
            "CHATWOOT_ACCOUNT_ID": 1,
            "OPENAI_API_KEY": "k",
        }
        if direct:
            settings["DATABASE_LISTEN_URL"] = postgres_url
        async with (
            ModelStandIn() as model,
            Simulator(webhook_url="http://127.0.0.1:9/", secret=SECRET) as chatwoot,
        ):
            settings |= {
                "CHATWOOT_BASE_URL": chatwoot.base_url,
                "OPENAI_BASE_URL": model.base_url,
            }
            web = Service(tmp_path, "serve", "--no-worker", **settings)
            worker = Service(tmp_path, "worker", **settings)
            with web, worker:
                chatwoot.webhook_url = f"{web.url}/webhook/chatwoot"
                asked = await ask(chatwoot, CONVERSATIONS)
                await chatwoot.settled(timeout=WAIT_S)
                codes = web.stop(), worker.stop()

    assert codes == (0, 0)
    assert [len(chatwoot.replies(cid)) for cid in asked] == [1] * CONVERSATIONS
    assert {chatwoot.status(cid) for cid in asked} == {"pending"}
    for service in (web, worker):
        levels = [event["level"] for event in events(service)]
        assert not {"error", "critical"} & set(levels), service.output
        told = [
            e for e in events(service) if e["event"] == "database listener unavailable"
        ]
        assert len(told) == complaints
        assert "database listener disconnected" not in service.output


async def test_agents_takeover_aborts_the_turn_of_another_process(
    tmp_path, bouncer, postgres_url
):
    """It has to be heard: with the pooler alone, only the next poll would tell."""
    with bouncer("transaction") as pooler:
        async with ModelStandIn(delay_s=60) as model:
            settings = {
                "DATABASE_URL": f"{pooler}/{database_of(postgres_url)}",
                "DATABASE_LISTEN_URL": postgres_url,
                "QUIET_SECONDS": "0",
                "OPENAI_BASE_URL": model.base_url,
                "OPENAI_MODEL": "stand-in",
            }
            with (
                Service(tmp_path, "serve", "--no-worker", **settings) as web,
                Service(tmp_path, "worker", **settings),
            ):
                async with httpx.AsyncClient(base_url=web.url) as http:
                    begun = (await http.post("/conversations", json={})).json()
                    await http.post(
                        f"/conversations/{begun['id']}/messages",
                        json={"content": "Hello"},
                        headers={"authorization": f"Bearer {begun['token']}"},
                    )
                    await model.until(lambda: model.started == 1)
                    await http.post("/toggle-human", json={"enabled": True})
                    await model.until(lambda: model.aborted == 1)

    assert model.finished == 0


@pytest.mark.parametrize(
    ("mode", "listen", "level", "said"),
    [
        (None, None, Level.OK, "over DATABASE_URL, without a pooler"),
        ("session", None, Level.OK, "behind a pooler in session mode"),
        ("transaction", None, Level.WARN, "behind a pooler in transaction mode, so"),
        ("transaction", "server", Level.OK, "over DATABASE_LISTEN_URL; behind a"),
        ("transaction", "pooler", Level.FAIL, "leads to a pooler in transaction mode"),
        ("transaction", "other", Level.FAIL, "does not hear DATABASE_URL"),
        ("transaction", "nothing", Level.FAIL, "cannot be reached"),
    ],
)
async def test_doctor_sees_the_pooler_and_what_listens(
    bouncer, postgres, postgres_url, mode, listen, level, said
):
    with bouncer(mode or "session") as pooler:
        behind = f"{pooler}/{database_of(postgres_url)}"
        ways = {
            "server": postgres_url,
            "pooler": behind,
            "other": postgres.get_uri(),
            "nothing": f"postgresql://bot:hush@127.0.0.1:{free_port()}/bot",
        }
        environ = {"DATABASE_URL": behind if mode else postgres_url}
        if listen:
            environ["DATABASE_LISTEN_URL"] = ways[listen]
        [finding] = await check_notifications(Settings.load(environ))

    assert finding.level == level
    assert said in finding.message
    assert "hush" not in finding.message
