"""An agent is assigned, or the bot is: what that does to who holds a conversation."""

from dataclasses import replace

import pytest
from arrivals import RULES, says, shows

from chatwoot_bot.core.assignments import Assigned
from chatwoot_bot.core.conversation import State, Status
from chatwoot_bot.core.events import Kind
from chatwoot_bot.store import turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.replies import ReplyKind

pytestmark = pytest.mark.anyio

OPEN, PENDING, RESOLVED = Status.OPEN, Status.PENDING, Status.RESOLVED
AI, HUMAN, WAITING = State.AI, State.HUMAN, State.HANDOVER_PENDING
NOW = 1_010.0


async def take(db, *arrivals):
    return await db.write(accept, arrivals, RULES)


async def held(db):
    found = await db.write(find, {"account_id": 1, "display_id": 150})
    return found[0].state, found[0].status, found[0].wanted_status


def assigned(status, *, clock=200.0, **whom):
    """A conversation_updated of an assignment."""
    arrival = shows(status, clock=clock)
    seen = replace(arrival.event.conversation, assigned=Assigned(**whom))
    return replace(arrival, event=replace(arrival.event, conversation=seen))


def echo(reply_key, *, by_bot, clock):
    arrival = says(Kind.BOT_MESSAGE, reply_key=reply_key, clock=clock)
    said = replace(arrival.event.message, by_bot=by_bot)
    return replace(arrival, event=replace(arrival.event, message=said))


async def claimed(db):
    [lease] = await db.write(turns.claim, now=NOW, limit=1)
    return lease, await db.read(turns.load, lease, history=40)


async def answered(db, *, status=PENDING, by_bot=None):
    """Have the contact ask and the bot answer."""
    await take(db, says(status=status, clock=100.0))
    lease, situation = await claimed(db)
    record = turns.TurnRecord(
        id="t_1",
        conversation_id=lease.conversation_id,
        decision="bot",
        reason="default",
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )
    how = {"seen": situation.conversation, "answered": situation.owed, "now": NOW}
    drafts = [(ReplyKind.ANSWER, "On its way.")]
    await db.write(turns.keep, lease, record, drafts=drafts, **how)
    await db.write(turns.finish, lease, RULES, ending=turns.Ending.DONE, now=NOW)
    await take(db, echo("t_1.0", by_bot=by_bot, clock=101.0))


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (PENDING, OPEN),  # up to 4.16: the status stays, and hides it from the team
        (OPEN, None),  # since 4.17 Chatwoot opens it itself
    ],
)
async def test_agent_who_is_assigned_silences_the_bot(db, status, wanted):
    await answered(db)

    [result] = await take(db, assigned(status, agent=12))

    assert await held(db) == (HUMAN, status, wanted)
    assert result.interrupts == "agent_joined"


async def test_agent_who_is_assigned_while_the_model_thinks_aborts_the_call(db):
    await take(db, says(clock=100.0))
    _, situation = await claimed(db)

    [result] = await take(db, assigned(PENDING, agent=12))

    assert result.interrupts == "agent_joined"
    assert result.version > situation.conversation.version
    assert await held(db) == (HUMAN, PENDING, OPEN)


async def test_assignee_from_before_a_resolve_holds_nothing(db):
    """Chatwoot keeps them when the customer comes back, and tells of no change."""
    await answered(db)
    await take(db, assigned(OPEN, agent=12), shows(RESOLVED, clock=210.0))
    await take(db, shows(PENDING, clock=220.0))

    # It was assigned before, and is delivered a second time on the other route.
    await take(db, assigned(OPEN, agent=12, clock=200.0))

    assert (await held(db))[0] is AI


async def test_assignment_that_is_late_takes_nothing_back_from_the_bot(db):
    await answered(db)
    await take(db, says(Kind.AGENT_REPLY, clock=190.0))
    await take(db, shows(OPEN, clock=195.0), shows(PENDING, clock=300.0))

    await take(db, assigned(OPEN, agent=12, clock=200.0))

    assert (await held(db))[0] is AI


async def test_agent_whom_chatwoot_assigns_after_our_handover_changes_nothing(db):
    """The sentence that announces a human is still to be said."""
    await take(db, says(content="A human!", clock=100.0))
    lease, situation = await claimed(db)
    record = turns.TurnRecord(
        id="t_1",
        conversation_id=lease.conversation_id,
        decision="handover",
        reason="asked_for_human",
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )
    how = {"seen": situation.conversation, "answered": situation.owed, "now": NOW}
    drafts = [(ReplyKind.HANDOVER, "One comes.")]
    await db.write(turns.keep, lease, record, drafts=drafts, **how)

    await take(db, assigned(OPEN, agent=12))

    assert await held(db) == (WAITING, OPEN, None)


@pytest.mark.parametrize(
    ("has_answered", "whom", "state"),
    [
        (False, {"agent": 12}, AI),  # Chatwoot's own auto-assignment of the new one
        (True, {"agent": 12}, HUMAN),
        (False, {"agent": 12, "replaces": True}, HUMAN),
    ],
)
async def test_plain_inbox_is_the_bots_until_a_person_assigns_an_agent(
    db, has_answered, whom, state
):
    """Without an agent bot, open is where conversations begin."""
    if has_answered:
        await answered(db, status=OPEN)
    else:
        await take(db, says(status=OPEN, clock=100.0))

    await take(db, assigned(OPEN, **whom))

    assert (await held(db))[0] is state


async def test_other_bot_that_is_assigned_hands_nothing_to_ours(db):
    """An account may have several; ours is known by what it has posted."""
    await answered(db, by_bot=4)
    await take(db, says(Kind.AGENT_REPLY, clock=150.0))

    await take(db, assigned(OPEN, bot=5, clock=200.0))
    other = await held(db)
    await take(db, assigned(OPEN, bot=4, clock=210.0))

    assert other[0] is HUMAN
    assert await held(db) == (AI, OPEN, PENDING)


async def test_bot_is_known_by_an_echo_that_the_answer_to_our_request_overtook(db):
    await answered(db)
    first = echo("t_1.0", by_bot=None, clock=102.0)
    said = replace(first.event.message, by_bot=4)
    again = replace(first, event=replace(first.event, message=said))

    await take(db, first, again)
    await take(db, says(Kind.AGENT_REPLY, clock=150.0))
    await take(db, assigned(OPEN, bot=5, clock=200.0))

    assert (await held(db))[0] is HUMAN


async def test_bot_that_is_assigned_to_what_is_resolved_reopens_nothing(db):
    await answered(db)
    await take(db, shows(RESOLVED, clock=150.0))

    await take(db, assigned(RESOLVED, bot=4, clock=200.0))

    assert await held(db) == (AI, RESOLVED, None)


async def test_bot_that_chatwoot_assigns_to_a_new_conversation_changes_nothing(db):
    await take(db, says(clock=100.0))
    before = await held(db)

    [result] = await take(db, assigned(PENDING, bot=4, clock=101.0))

    assert (await held(db), result.interrupts) == (before, None)
