"""`chatwoot-bot replay`: a stored delivery is taken as if it came now, or why not."""

import asyncio
import json

import pytest
from factories import delivery
from typer.testing import CliRunner

from chatwoot_bot.cli import app
from chatwoot_bot.store import schema
from chatwoot_bot.store.deliveries import Delivery, Outcome, quarantine
from chatwoot_bot.store.engine import Database

pytestmark = pytest.mark.anyio

NOW = 1_784_538_914.0


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """The settings of a service that serves inbox 3 of account 1."""
    monkeypatch.chdir(tmp_path)
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'bot.db'}",
        "CHATWOOT_BASE_URL": "http://127.0.0.1:9",
        "CHATWOOT_API_TOKEN": "t",
        "RESPONDER": "mock",
        "CHATWOOT_ALLOW_UNSIGNED": "true",
        "CHATWOOT_ACCOUNT_ID": "1",
        "CHATWOOT_INBOX_ID": "3",
    }


async def replayed(environ, *bodies):
    """Keep *bodies* aside and try all again; return the result, and what is stored."""
    db = Database(environ["DATABASE_URL"])
    await db.open()
    for number, body in enumerate(bodies):
        await db.write(
            quarantine,
            Delivery(
                delivery_id=f"d_{number}",
                outcome=Outcome.QUARANTINED,
                reason="content: Input should be a valid string",
                body=json.dumps(body).encode(),
                received_at=NOW,
            ),
        )
    await db.close()
    runner = CliRunner()
    result = await asyncio.to_thread(
        runner.invoke, app, ["replay", "--all"], env=environ
    )
    await db.open()
    stored = await db.read(
        lambda tx: tx.execute(schema.conversations.select()).mappings().all()
    )
    await db.close()
    return result, stored


async def test_delivery_that_is_understood_now_is_handed_on(environ):
    result, [conversation] = await replayed(environ, delivery())

    assert result.output == "delivery:1: queued for the service\n"
    assert conversation["owed_since"] is not None


async def test_same_message_kept_aside_twice_is_told_as_a_duplicate(environ):
    result, _ = await replayed(environ, delivery(), delivery())

    assert result.output.splitlines()[1] == (
        "delivery:2: nothing to do, its message is already stored"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"account": {"id": 2}}, "other_account"),
        ({"inbox": {"id": 99}}, "other_inbox"),
        ({"conversation": None}, "no_conversation"),
        ({"private": True}, "private"),
    ],
)
async def test_what_the_webhook_would_ignore_is_ignored_again(environ, changes, reason):
    """A message that nobody could answer would keep the worker busy for ever."""
    result, stored = await replayed(environ, {**delivery(), **changes})

    assert result.exit_code == 0
    assert result.output == f"delivery:1: ignored ({reason})\n"
    assert [row["owed_since"] for row in stored] in ([], [None])


async def test_what_is_still_not_understood_stays(environ):
    result, stored = await replayed(environ, delivery(id="x"))

    assert result.exit_code == 1
    assert "cannot be parsed: id" in result.output
    assert stored == []


async def test_error_that_looks_like_a_style_is_shown(environ):
    """Another server's words stand in it."""
    db = Database(environ["DATABASE_URL"])
    await db.open()
    await db.write(
        quarantine,
        Delivery(
            delivery_id="d_1",
            outcome=Outcome.QUARANTINED,
            reason="answered 422: \x1b[2J[/red]",
            body=b"{}",
            received_at=NOW,
        ),
    )
    await db.close()
    result = await asyncio.to_thread(CliRunner().invoke, app, ["replay"], env=environ)

    assert result.exit_code == 0
    assert r"\x1b[2J[/red]" in result.output
