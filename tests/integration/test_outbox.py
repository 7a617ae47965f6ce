"""What is kept is said, or it becomes a dead letter; it never blocks the way."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
import structlog
from arrivals import RULES, says
from test_turns import NOW, claim, keep, load, take

from chatwoot_bot.core.decision import MAX_FAILURES
from chatwoot_bot.errors import StoreError
from chatwoot_bot.metrics import Metrics
from chatwoot_bot.outbox import Outbox
from chatwoot_bot.store import dead, schema

pytestmark = pytest.mark.anyio


class Broken:
    """A channel with a bug."""

    error = ValueError("a bug")

    async def find(self, conversation, reply):
        raise self.error


@pytest.fixture(autouse=True)
def broken(monkeypatch):
    monkeypatch.setattr(Broken, "error", ValueError("a bug"))


async def kept(db):
    """Return what a turn finds that comes after a crash: a reply in doubt."""
    await take(db, says())
    [lease] = await claim(db)
    await keep(db, lease, await load(db, lease))
    engine = SimpleNamespace(
        channels={"chatwoot": Broken()},
        clock=lambda: NOW,
        db=db,
        deliver_for_s=3_600.0,
        metrics=Metrics(),
        rules=RULES,
    )
    outbox = Outbox(engine, lease, structlog.get_logger())
    return outbox, await load(db, lease)


async def test_reply_that_fails_again_and_again_is_a_dead_letter(db):
    outbox, situation = await kept(db)
    tired = replace(situation.conversation, failures=MAX_FAILURES)

    await outbox.say_kept(tired, situation.unsaid)

    [row] = await db.read(dead.list_replies)
    assert row["key"] == situation.unsaid[0].key
    assert row["error"] == "it cannot be said (ValueError)"
    # An attempt may have been under way; who tries it again looks first.
    doubt = sa.select(schema.replies.c.in_doubt_until).where(
        schema.replies.c.key == row["key"]
    )
    assert await db.read(lambda tx: tx.execute(doubt).scalar_one()) is not None


async def test_database_that_is_away_makes_no_dead_letter(db):
    outbox, situation = await kept(db)
    tired = replace(situation.conversation, failures=MAX_FAILURES)
    Broken.error = StoreError("away")

    with pytest.raises(StoreError):
        await outbox.say_kept(tired, situation.unsaid)

    assert await db.read(dead.list_replies) == []


async def test_reply_that_fails_for_the_first_time_is_tried_again(db):
    outbox, situation = await kept(db)

    with pytest.raises(ValueError, match="a bug"):
        await outbox.say_kept(situation.conversation, situation.unsaid)

    assert await db.read(dead.list_replies) == []
