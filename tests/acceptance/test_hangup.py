"""A terminal that closes: SIGHUP ends the service as SIGTERM does."""

import asyncio
import signal

import pytest
from service import Service

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.server import Simulator

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def hangups():
    """Under `nohup` the tests, and so the service, would inherit that it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("separate_worker", [False, True])
async def test_turn_that_runs_at_a_hangup_is_answered_first(
    tmp_path, postgres_url, separate_worker
):
    async with (
        ModelStandIn(delay_s=1.0) as model,
        Simulator(webhook_url="http://127.0.0.1:9/") as chatwoot,
    ):
        settings = {
            "DATABASE_URL": postgres_url,
            "CHATWOOT_BASE_URL": chatwoot.base_url,
            "CHATWOOT_API_TOKEN": "bot-token",
            "CHATWOOT_ALLOW_UNSIGNED": "true",
            "CHATWOOT_ACCOUNT_ID": 1,
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": "k",
        }
        alone = ("--no-worker",) if separate_worker else ()
        web = Service(tmp_path, "serve", *alone, **settings)
        worker = Service(tmp_path, "worker", **settings) if separate_worker else web
        with web:
            if separate_worker:
                worker.start()
            try:
                chatwoot.webhook_url = f"{web.url}/webhook/chatwoot"
                said = await chatwoot.contact_says("Hello there")
                await model.until(lambda: model.started == 1)
                code = await asyncio.to_thread(worker.stop, signal.SIGHUP)
            finally:
                worker.kill()

    assert code == 0
    assert [m.content for m in chatwoot.replies(said.conversation_id)] == [
        "Answer to: Hello there"
    ]
