"""Leases, and what a turn may write under one: on SQLite and on PostgreSQL."""

import asyncio
from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, says, shows

from chatwoot_bot.core.conversation import State, Status
from chatwoot_bot.core.events import Kind
from chatwoot_bot.errors import LeaseLostError, StoreError
from chatwoot_bot.store import dead, human, replies, schema, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.engine import Database
from chatwoot_bot.store.replies import ReplyKind
from chatwoot_bot.store.turns import Ending, TurnRecord, Verdict

pytestmark = pytest.mark.anyio

ACCEPT = partial(accept, rules=RULES)
NOW = 1_010.0


async def take(db, arrival):
    return await db.write_grouped(ACCEPT, arrival)


async def claim(db, now=NOW, limit=10):
    return await db.write(turns.claim, now=now, limit=limit)


async def load(db, lease):
    return await db.read(turns.load, lease, history=40)


def record(situation, turn_id="t_1"):
    return TurnRecord(
        id=turn_id,
        conversation_id=situation.conversation.id,
        decision="bot",
        reason="default",
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )


async def keep(db, lease, situation, *drafts, turn_id="t_1", now=NOW):
    drafts = drafts or ((ReplyKind.ANSWER, "It is on its way."),)
    return await db.write(
        turns.keep,
        lease,
        record(situation, turn_id),
        seen=situation.conversation,
        answered=situation.owed,
        drafts=drafts,
        now=now,
    )


async def finish(db, lease, ending=Ending.DONE, **options):
    return await db.write(turns.finish, lease, RULES, ending=ending, now=NOW, **options)


async def conversation(db, display_id=150):
    found = await db.write(find, {"account_id": 1, "display_id": display_id})
    return found[0]


async def states(db):
    query = sa.select(schema.replies.c.state).order_by(schema.replies.c.key)
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


async def test_due_conversation_is_claimed_once(db):
    """One conversation is answered by one turn at a time."""
    await take(db, says(at=1_000.0))
    too_early = await claim(db, now=1_001.0)
    first = await claim(db)
    second = await claim(db)

    assert (len(too_early), len(first), len(second)) == (0, 1, 0)


async def test_many_workers_never_claim_the_same(db):
    for number in range(1, 41):
        await take(db, says(conversation=number, at=1_000.0))
    claims = await asyncio.gather(*(claim(db, limit=3) for _ in range(20)))
    leases = [lease for leases in claims for lease in leases]

    assert len(leases) == 40
    assert len({lease.conversation_id for lease in leases}) == 40


async def test_longest_waiting_are_claimed_first(db):
    """Fair between conversations: a busy one does not push in."""
    for number, at in ((1, 1_005.0), (2, 1_001.0), (3, 1_003.0)):
        await take(db, says(conversation=number, at=at))
    order = [(await claim(db, limit=1))[0] for _ in range(3)]
    numbers = [(await load(db, lease)).conversation.display_id for lease in order]

    assert numbers == [2, 3, 1]


async def test_dead_workers_conversation_is_claimed_when_its_lease_ends(db):
    await take(db, says(at=1_000.0))
    [dead_lease] = await claim(db)
    during = await claim(db, now=NOW + turns.LEASE_S - 1)
    [taken_over] = await claim(db, now=NOW + turns.LEASE_S + 1)

    assert during == []
    assert taken_over != dead_lease


async def test_heartbeat_keeps_a_lease(db):
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    held = await db.write(turns.heartbeat, leases=[lease], now=NOW + 20)

    assert held == {lease}
    assert await claim(db, now=NOW + turns.LEASE_S + 1) == []


async def test_heartbeat_tells_which_leases_are_lost(db):
    for number in (1, 2, 3):
        await take(db, says(conversation=number, at=1_000.0))
    leases = await claim(db)
    await finish(db, leases[0])
    held = await db.write(turns.heartbeat, leases=leases, now=NOW)

    assert held == set(leases[1:])


async def test_paused_process_cannot_write_over_its_successor(db):
    """Fencing: every write of a turn carries its lease."""
    await take(db, says(at=1_000.0))
    [paused] = await claim(db)
    seen = await load(db, paused)
    [successor] = await claim(db, now=NOW + turns.LEASE_S + 1)

    with pytest.raises(LeaseLostError):
        await keep(db, paused, seen)
    with pytest.raises(LeaseLostError):
        await finish(db, paused)
    with pytest.raises(LeaseLostError):
        await load(db, paused)
    with pytest.raises(LeaseLostError):
        await db.write(turns.leave, paused, seen=[], now=NOW)
    verdict, _ = await keep(db, successor, await load(db, successor))
    assert verdict is Verdict.KEPT


async def test_restart_takes_its_own_leases_back_at_once(db):
    await take(db, says(at=1_000.0))
    await claim(db)
    await db.write(turns.reclaim, now=NOW)

    assert len(await claim(db)) == 1


async def test_answer_settles_exactly_what_the_turn_has_seen(db):
    """A message that came while the bot was speaking stays owed."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    situation = await load(db, lease)
    verdict, [reply] = await keep(db, lease, situation)
    await take(db, says(at=1_010.5, clock=101.0))
    await db.write(
        replies.delivered,
        situation.conversation,
        reply,
        external_id=9_000_000,
        now=NOW,
    )
    due_at = await finish(db, lease)

    assert verdict is Verdict.KEPT
    assert due_at == 1_012.0


async def test_draft_is_superseded_by_a_newer_message(db):
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    situation = await load(db, lease)
    accepted = await take(db, says(at=1_010.5, clock=101.0))
    verdict, kept = await keep(db, lease, situation)
    due_at = await finish(db, lease, Ending.SUPERSEDED)

    assert accepted.interrupts == "superseded"
    assert (verdict, kept) == (Verdict.SUPERSEDED, [])
    assert due_at == 1_010.0  # the first message has waited its ten seconds


async def test_talker_is_answered_after_three_superseded_turns(db):
    now = NOW
    await take(db, says(at=1_000.0))
    for _ in range(3):
        [lease] = await claim(db, now=now)
        await take(db, says(at=now, clock=now))
        await finish(db, lease, Ending.SUPERSEDED)
        now += 20
    [lease] = await claim(db, now=now)
    situation = await load(db, lease)
    accepted = await take(db, says(at=now, clock=now))
    verdict, _ = await keep(db, lease, situation)

    assert accepted.interrupts is None
    assert verdict is Verdict.KEPT


@pytest.mark.parametrize(
    "arrival",
    [
        says(Kind.AGENT_REPLY, clock=101.0),
        shows(Status.OPEN, clock=101.0),
        shows(Status.SNOOZED, clock=101.0),
    ],
    ids=["agent replied", "opened", "snoozed"],
)
async def test_draft_is_dropped_when_a_human_has_taken_over(db, arrival):
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    situation = await load(db, lease)
    accepted = await take(db, arrival)
    verdict, _ = await keep(db, lease, situation)
    await finish(db, lease)

    assert accepted.interrupts == "agent_joined"
    assert verdict is Verdict.SILENCED
    assert await states(db) == []


async def test_draft_is_dropped_in_human_mode(db):
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    situation = await load(db, lease)
    await db.write(human.set_human_mode, enabled=True)
    verdict, _ = await keep(db, lease, situation)

    assert verdict is Verdict.SILENCED


async def test_second_part_is_not_said_after_an_agent_has_joined(db):
    """What was decided but not yet sent must still fit who holds it."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    situation = await load(db, lease)
    two = ((ReplyKind.ANSWER, "one"), (ReplyKind.ANSWER, "two"))
    _, kept = await keep(db, lease, situation, *two)
    await db.write(
        replies.delivered,
        situation.conversation,
        kept[0],
        external_id=9_000_000,
        now=NOW,
    )
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))
    begun = await db.write(replies.begin_attempt, lease, kept[1], now=NOW)

    assert begun is False
    assert await states(db) == ["delivered", "dropped"]


async def test_own_echo_settles_a_reply_in_doubt(db):
    """The post timed out, but the message came back: it is said."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    _, [reply] = await keep(db, lease, await load(db, lease))
    await finish(db, lease, Ending.WAITING, retry_at=NOW + 15)
    echo = says(
        Kind.BOT_MESSAGE, reply_key=reply.key, message_id=9_000_000, clock=102.0
    )
    accepted = await take(db, echo)
    [again] = await claim(db, now=accepted.due_at + 1)
    situation = await load(db, again)

    assert await states(db) == ["delivered"]
    assert situation.unsaid == []
    assert [m.external_id for m in situation.transcript][-1] == 9_000_000


async def test_echo_and_answer_of_one_reply_are_one_message(db):
    """Whichever comes first."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    situation = await load(db, lease)
    _, [reply] = await keep(db, lease, situation)
    deliver = partial(
        db.write,
        replies.delivered,
        situation.conversation,
        reply,
        external_id=9_000_000,
        now=NOW,
    )
    await deliver()
    await take(db, says(Kind.BOT_MESSAGE, reply_key=reply.key, message_id=9_000_000))
    await deliver()

    transcript = (await load(db, lease)).transcript
    assert [m.external_id for m in transcript].count(9_000_000) == 1


async def test_transcript_is_in_the_order_of_writing(db):
    """Chatwoot delivers in any order; its ids say who spoke first."""
    await take(db, says(message_id=5_002, content="second", at=1_000.0))
    await take(db, says(message_id=5_001, content="first", at=1_000.1, clock=99.0))
    [lease] = await claim(db)
    situation = await load(db, lease)

    assert [m.content for m in situation.owed] == ["first", "second"]


async def test_question_comes_after_the_answer_that_was_on_its_way(db):
    """A model that is shown its own words last has nothing left to answer."""
    await take(db, says(at=1_000.0, message_id=1, content="first"))
    [lease] = await claim(db)
    situation = await load(db, lease)
    _, [reply] = await keep(db, lease, situation, (ReplyKind.ANSWER, "answer"))
    await take(db, says(at=1_010.5, clock=101.0, message_id=2, content="second"))
    delivered = partial(replies.delivered, external_id=3, now=NOW)
    await db.write(delivered, situation.conversation, reply)
    transcript = (await load(db, lease)).transcript

    assert [m.content for m in transcript] == ["first", "answer", "second"]


async def test_handover_puts_the_conversation_into_the_humans_queue(db):
    await take(db, says(at=1_000.0, content="A human, please"))
    [lease] = await claim(db)
    both = ((ReplyKind.HANDOVER, "One moment."), (ReplyKind.NOTE, "Asked."))
    await keep(db, lease, await load(db, lease), *both)

    now = await conversation(db)
    assert now.state is State.HANDOVER_PENDING
    assert now.wanted_status is Status.OPEN


async def test_late_echo_does_not_undo_a_handover(db):
    """The echo of the bot's last words still shows the conversation as pending."""
    await take(db, says(at=1_000.0, clock=100.0))
    [lease] = await claim(db)
    await keep(db, lease, await load(db, lease), (ReplyKind.HANDOVER, "One moment."))
    await db.write(turns.status_set, lease, Status.OPEN, at=150.0)
    await take(db, says(Kind.BOT_MESSAGE, clock=120.0))

    now = await conversation(db)
    assert (now.state, now.status) == (State.HANDOVER_PENDING, Status.OPEN)


async def test_refused_reply_is_a_dead_letter_and_calls_a_human(db):
    """What fails for good is never silent."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    _, [reply] = await keep(db, lease, await load(db, lease))
    await db.write(
        replies.refused,
        lease,
        reply,
        error="answered 422",
        in_doubt=False,
        note="Refused.",
        now=NOW,
    )
    letters = await db.read(dead.list_replies)
    left = (await load(db, lease)).unsaid

    now = await conversation(db)
    assert (now.state, now.wanted_status) == (State.HANDOVER_PENDING, Status.OPEN)
    assert [(row["key"], row["error"]) for row in letters] == [
        (reply.key, "answered 422")
    ]
    assert [(r.kind, r.content) for r in left] == [(ReplyKind.NOTE, "Refused.")]


async def test_replayed_letter_may_be_said_whoever_holds_the_conversation(db):
    """An operator said so."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    _, [reply] = await keep(db, lease, await load(db, lease))
    await db.write(
        replies.refused,
        lease,
        reply,
        error="answered 401",
        in_doubt=False,
        note="x",
        now=NOW,
    )
    await finish(db, lease)
    revived = await db.write(dead.revive, reply.key, now=NOW)
    unknown = await db.write(dead.revive, "t_0.0", now=NOW)
    [again] = await claim(db, now=NOW + 1)
    unsaid = (await load(db, again)).unsaid
    begun = [
        await db.write(replies.begin_attempt, again, one, now=NOW) for one in unsaid
    ]

    assert (revived, unknown) == (True, False)
    assert reply.key in [one.key for one in unsaid]
    assert all(begun)


async def test_failed_turns_are_counted_and_a_good_one_forgives_them(db):
    await take(db, says(at=1_000.0))
    for _ in range(2):
        [lease] = await claim(db)
        await finish(db, lease, Ending.FAILED, retry_at=NOW)
    [lease] = await claim(db)
    failures = (await load(db, lease)).conversation.failures
    await finish(db, lease)

    assert failures == 2
    assert (await conversation(db)).failures == 0


async def test_waiting_for_chatwoot_is_not_a_failure(db):
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    await finish(db, lease, Ending.WAITING, retry_at=NOW)

    now = await conversation(db)
    assert (now.failures, now.attempts) == (0, 0)


async def test_watchdog_finds_who_waits_too_long(db):
    """For whatever reason: even a conversation that nothing would make due."""
    await take(db, says(at=1_000.0))
    await db.write(
        lambda tx: tx.execute(sa.update(schema.conversations).values(due_at=None))
    )
    early = await db.write(turns.hurry, now=1_100.0, owed_before=980.0)
    late = await db.write(turns.hurry, now=1_130.0, owed_before=1_010.0)

    assert (early, late) == (0, 1)
    assert len(await claim(db, now=1_130.0)) == 1


async def test_shutdown_gives_the_conversation_back_at_once(db):
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    await finish(db, lease, Ending.GIVEN_BACK)

    assert len(await claim(db)) == 1


async def test_kept_answer_is_dropped_when_an_agent_takes_over(db):
    """Yesterday's answer must not be said tomorrow."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    await keep(db, lease, await load(db, lease))
    await finish(db, lease, Ending.WAITING, retry_at=NOW + 60)
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))
    await take(db, shows(Status.OPEN, clock=102.0))
    await take(db, shows(Status.RESOLVED, clock=103.0))
    await take(db, shows(Status.PENDING, clock=104.0))
    await take(db, says(at=2_000.0, clock=105.0))
    [again] = await claim(db, now=2_010.0)

    assert await states(db) == ["dropped"]
    assert (await load(db, again)).unsaid == []


async def test_draft_for_what_is_no_longer_owed_is_dropped(db):
    """Taken over and given back while the model was thinking, for the fourth time."""
    await take(db, says(at=1_000.0))
    await db.write(
        lambda tx: tx.execute(sa.update(schema.conversations).values(restarts=3))
    )
    [lease] = await claim(db)
    situation = await load(db, lease)
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))
    await take(db, shows(Status.OPEN, clock=102.0))
    await take(db, shows(Status.PENDING, clock=103.0))
    verdict, _ = await keep(db, lease, situation)

    assert verdict is Verdict.SILENCED


async def test_leaving_forgets_only_what_was_seen(db):
    """Human mode went off again, and the next message was promised an answer."""
    await db.write(human.set_human_mode, enabled=False)
    await take(db, says(at=1_000.0))
    await db.write(human.set_human_mode, enabled=True)
    [lease] = await claim(db)
    situation = await load(db, lease)
    await db.write(human.set_human_mode, enabled=False)
    await take(db, says(at=1_011.0, clock=101.0))
    await db.write(human.set_human_mode, enabled=True)
    await db.write(turns.leave, lease, seen=situation.owed, now=NOW)

    assert [m.id for m in (await load(db, lease)).owed] != []
    assert len((await load(db, lease)).owed) == 1


async def hold(db, enabled):
    await db.write(
        human.hold,
        conversation_id=None,
        display_id=150,
        enabled=enabled,
        now=NOW,
        rules=RULES,
    )


@pytest.mark.parametrize(
    ("switches", "state", "wanted"),
    [
        ([True], State.HUMAN, Status.OPEN),
        ([True, False], State.AI, None),
        ([True, False, True], State.HUMAN, Status.OPEN),
    ],
    ids=str,
)
async def test_quick_switching_leaves_chatwoot_and_us_in_agreement(
    db, switches, state, wanted
):
    await take(db, says(at=1_000.0))
    for enabled in switches:
        await hold(db, enabled)

    now = await conversation(db)
    assert (now.state, now.wanted_status) == (state, wanted)


async def test_agent_who_speaks_before_a_release_is_told_wins(db):
    await take(db, says(at=1_000.0, clock=100.0))
    await take(db, shows(Status.OPEN, clock=101.0))
    await hold(db, False)
    await take(db, says(Kind.AGENT_REPLY, status=Status.OPEN, clock=102.0))

    now = await conversation(db)
    assert (now.state, now.wanted_status) == (State.HUMAN, None)


async def test_conversation_held_before_it_appeared_is_opened(db):
    """Or the bot would be silent and no agent would see it."""
    await hold(db, True)
    await take(db, says(at=1_000.0))

    now = await conversation(db)
    assert (now.state, now.wanted_status) == (State.HUMAN, Status.OPEN)


async def test_conversation_of_the_demo_moves_to_chatwoot(db):
    """The operator tried it first, and then set CHATWOOT_BASE_URL."""
    await take(db, says(at=1_000.0, channel="web"))
    await take(db, says(at=1_001.0, clock=101.0))

    assert (await conversation(db)).channel == "chatwoot"


async def test_own_echo_and_templates_do_not_supersede_a_draft(db):
    """A greeting that arrives while the model thinks costs no second call."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    situation = await load(db, lease)
    await take(db, says(Kind.BOT_MESSAGE, clock=101.0))
    verdict, _ = await keep(db, lease, situation)

    assert verdict is Verdict.KEPT


async def test_two_processes_do_not_block_each_other(postgres_url):
    """Accepts, claims and heartbeats of both take locks in one order."""
    one, two = Database(postgres_url), Database(postgres_url)
    await one.open()
    await two.open()

    async def work(db, seed):
        for step in range(40):
            number = (seed * 7 + step * 13) % 12 + 1
            await take(db, says(conversation=number, at=1_000.0, clock=float(step)))
            leases = await claim(db, limit=3)
            await db.write(turns.heartbeat, leases=leases, now=NOW)
            for lease in leases:
                await finish(db, lease)

    await asyncio.gather(*(work(db, n) for n in range(6) for db in (one, two)))
    query = sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = :name")
    deadlocks = await one.read(
        lambda tx: tx.execute(query, {"name": one.url.database}).scalar_one()
    )
    await one.close()
    await two.close()

    assert deadlocks == 0


async def test_closed_database_refuses_instead_of_waiting(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'closed.db'}")
    await database.open()
    await database.close()

    with pytest.raises(StoreError, match="closed"):
        await database.write(turns.claim, now=NOW, limit=1)
