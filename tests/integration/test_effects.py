"""What tools have changed, on record: fenced, kept over a crash, settled once told."""

from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, says

from chatwoot_bot.core.events import Kind
from chatwoot_bot.errors import LeaseLostError
from chatwoot_bot.store import effects, human, schema, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.leases import Lease
from chatwoot_bot.store.replies import Draft, ReplyKind
from chatwoot_bot.store.turns import Ending, TurnRecord

pytestmark = pytest.mark.anyio
NOW = 2_000.0


async def claim(db, now=NOW):
    [lease] = await db.write(turns.claim, now=now, limit=1)
    return lease


@pytest.fixture
async def lease(db):
    """A turn over a question."""
    await db.write_grouped(partial(accept, rules=RULES), says())
    return await claim(db)


async def begin(db, lease, name="order", arguments="{}"):
    return await db.write(
        effects.begin,
        lease,
        turn_id="t_1",
        name=name,
        arguments=arguments,
        now=NOW,
    )


async def done(db, lease, entry, *notes):
    entry = replace(entry, result='{"text": "Done."}')
    await db.write(effects.done, lease, entry, turn_id="t_1", notes=notes, now=NOW)
    return entry


async def unsettled(db, lease):
    return await db.read(effects.unsettled, lease)


async def keep(db, lease, *, decision="bot", settles=True):
    situation = await db.read(turns.load, lease, history=40)
    record = TurnRecord(
        id="t_1",
        conversation_id=lease.conversation_id,
        decision=decision,
        reason="",
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )
    return await db.write(
        turns.keep,
        lease,
        record,
        seen=situation.conversation,
        answered=situation.owed,
        drafts=[Draft(ReplyKind.ANSWER, "Ordered.")],
        settles=settles,
        now=NOW,
    )


async def test_effect_is_there_before_it_happens_and_after_a_crash(db, lease):
    entry = await begin(db, lease)
    await db.write(
        turns.finish, lease, RULES, ending=Ending.FAILED, now=NOW, retry_at=NOW
    )

    assert await unsettled(db, await claim(db)) == [entry]


async def test_result_is_recorded_once(db, lease):
    """A late one, of a tool that was given up, changes nothing."""
    entry = await begin(db, lease)
    first = await done(db, lease, entry, "Told you.")
    await done(db, lease, replace(entry), "Told you.")

    notes = sa.select(schema.replies.c.content)
    assert await unsettled(db, lease) == [first]
    assert await db.read(lambda tx: list(tx.execute(notes).scalars())) == ["Told you."]


async def test_what_could_not_be_done_is_forgotten(db, lease):
    entry = await begin(db, lease)
    await db.write(effects.undone, entry)

    assert await unsettled(db, lease) == []


async def test_effects_come_in_the_order_in_which_they_happened(db, lease):
    first = await begin(db, lease, "one")
    second = await begin(db, lease, "two")

    assert {e.key for e in await unsettled(db, lease)} == {first.key, second.key}


async def test_answer_settles_its_effects(db, lease):
    """The next request is another one: the same order again is a second order."""
    await done(db, lease, await begin(db, lease))
    verdict, _ = await keep(db, lease)

    assert verdict == "kept"
    assert await unsettled(db, lease) == []


async def test_paused_process_changes_nothing(db, lease):
    with pytest.raises(LeaseLostError):
        await begin(db, Lease(lease.conversation_id, "another"))
    assert await unsettled(db, lease) == []


@pytest.mark.parametrize("how", ["agent", "all"])
async def test_nothing_begins_once_a_human_holds_it(db, lease, how):
    if how == "agent":
        taking = partial(accept, rules=RULES)
        await db.write_grouped(taking, says(Kind.AGENT_REPLY, content="I am here."))
    else:
        await db.write(human.set_human_mode, enabled=True)

    assert await begin(db, lease) is None


async def test_what_is_left_to_a_human_is_settled(db, lease):
    """When the bot gets the conversation back, it begins anew."""
    await done(db, lease, await begin(db, lease))
    situation = await db.read(turns.load, lease, history=40)
    await db.write(human.set_human_mode, enabled=True)
    await db.write(turns.leave, lease, seen=situation.owed, now=NOW)

    assert await unsettled(db, lease) == []


@pytest.mark.parametrize("kind", [Kind.AGENT_REPLY, "handover"])
async def test_effects_do_not_outlive_their_request(db, lease, kind):
    """Weeks later the same words are another wish."""
    await done(db, lease, await begin(db, lease))
    if kind == "handover":
        await keep(db, lease, decision="handover", settles=False)
    else:
        await db.write_grouped(partial(accept, rules=RULES), says(kind))

    assert await unsettled(db, lease) == []


async def test_effects_of_another_conversation_are_not_seen(db, lease):
    await begin(db, lease)
    await db.write_grouped(partial(accept, rules=RULES), says(conversation=151))
    other = await claim(db)

    assert await unsettled(db, other) == []
