"""Chatwoot is back: what has waited for it leaves at once, in order of age."""

import asyncio
import contextlib

import pytest
import sqlalchemy as sa
from arrivals import says
from test_turns import NOW, claim, finish, keep, load, take

from chatwoot_bot import recovery
from chatwoot_bot.breaker import FAILURES, FIRST_PAUSE_S, Breaker
from chatwoot_bot.recovery import Recovery
from chatwoot_bot.store import replies, schema, turns
from chatwoot_bot.store.turns import Ending

pytestmark = pytest.mark.anyio

LATER = NOW + 60
ERROR = "POST messages: no answer (ConnectError)"


async def wait_for_chatwoot(db, *numbers, channel="chatwoot"):
    """Leave conversations whose reply Chatwoot did not take, the first the oldest."""
    for age, number in enumerate(numbers):
        await take(db, says(conversation=number, channel=channel))
        [lease] = await claim(db)
        situation = await load(db, lease)
        _, [reply] = await keep(
            db, lease, situation, turn_id=f"t_{number}", now=NOW + age
        )
        await db.write(replies.not_delivered, reply, in_doubt_until=None, error=ERROR)
        await finish(db, lease, Ending.WAITING, retry_at=LATER)


async def due(db, now=NOW + 10):
    """Return the conversations that are due, by their numbers."""
    query = (
        sa.select(schema.conversations.c.display_id)
        .where(schema.conversations.c.due_at <= now)
        .order_by(schema.conversations.c.due_at, schema.conversations.c.display_id)
    )
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


class Watch:
    """A recovery under way, and what it has woken the worker for."""

    def __init__(self, db):
        self.db = db
        self.now = 0.0
        self.wall = NOW + 10
        self.breaker = Breaker(lambda: self.now)
        self._woke = asyncio.Event()
        self.recovery = Recovery(
            db, self.breaker, clock=lambda: self.wall, wake=self._wake
        )

    def _wake(self, due_at):
        self._woke.set()

    async def woken(self):
        """Wait until the worker is told of something due."""
        async with asyncio.timeout(20):
            await self._woke.wait()
        self._woke.clear()

    def break_(self):
        for _ in range(FAILURES):
            self.breaker.failed()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("LOOK_S", "PROBE_S", "BATCH_EVERY_S"):
        monkeypatch.setattr(recovery, name, 0.01)
    monkeypatch.setattr(recovery, "PASSES_AFTER_S", (0.0,))


@contextlib.asynccontextmanager
async def watching(db, *, broken):
    watch = Watch(db)
    if broken:
        watch.break_()
    task = asyncio.create_task(watch.recovery.run())
    yield watch
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_oldest_waiting_conversation_tries_and_the_others_follow(db):
    """One call finds out whether Chatwoot is back; then all leave."""
    await wait_for_chatwoot(db, 7, 3, 5)

    async with watching(db, broken=True) as watch:
        before = await due(db)
        watch.now += FIRST_PAUSE_S  # half open
        await watch.woken()
        on_trial = await due(db)
        assert watch.breaker.allows()
        watch.breaker.succeeded()
        await watch.woken()
        after = await due(db)

    assert (before, on_trial) == ([], [7])
    assert sorted(after) == [3, 5, 7]


async def test_rush_is_bounded_and_in_order_of_age(db, monkeypatch):
    """Chatwoot has just come back: a few at a time, whoever waits longest first."""
    monkeypatch.setattr(recovery, "BATCH", 2)
    monkeypatch.setattr(recovery, "BATCH_EVERY_S", 3_600)
    await wait_for_chatwoot(db, 9, 4, 6, 1)

    async with watching(db, broken=False) as watch:
        await watch.woken()
        first = await due(db)

    assert first == [4, 9]


async def test_what_an_earlier_process_left_waiting_leaves_at_the_start(db):
    await wait_for_chatwoot(db, 1, 2)

    async with watching(db, broken=False) as watch:
        await watch.woken()

    assert await due(db) == [1, 2]


async def test_status_that_was_not_set_leaves_too(db):
    """Agents do not see the conversation until then."""
    await take(db, says(conversation=8))
    [lease] = await claim(db)
    situation = await load(db, lease)
    await keep(db, lease, situation, (replies.ReplyKind.HANDOVER, "A colleague."))
    for reply in (await load(db, lease)).unsaid:
        await db.write(
            replies.delivered, situation.conversation, reply, external_id=1, now=NOW
        )
    await finish(db, lease, Ending.WAITING, retry_at=LATER)

    ids = await db.read(turns.waiting, now=NOW, before=NOW, limit=10)

    assert ids == [situation.conversation.id]


async def test_reply_that_was_tried_since_waits_out_its_back_off(db):
    """Or one that Chatwoot keeps failing at would be tried without a pause."""
    await wait_for_chatwoot(db, 1)

    assert await db.read(turns.waiting, now=NOW, before=NOW - 1, limit=10) == []


async def test_nothing_else_is_made_due(db):
    """Neither a conversation at work, nor one whose contact may still be writing."""
    await take(db, says(conversation=1, at=NOW + 100))
    await wait_for_chatwoot(db, 2)
    [lease] = await claim(db, now=LATER, limit=1)

    ids = await db.read(turns.waiting, now=NOW, before=NOW + 99, limit=10)
    made_due = await db.write(turns.make_due, ids=[lease.conversation_id], now=NOW)

    assert (ids, made_due) == ([], 0)
