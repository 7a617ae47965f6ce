"""Open, and the bot is still its owner: which conversations are marked, and whose."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from arrivals import RULES, says, shows

from chatwoot_bot.core.assignments import Assigned
from chatwoot_bot.core.conversation import State, Status
from chatwoot_bot.core.events import Kind
from chatwoot_bot.store import human, schema, sweeping, taking_back
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.stranded import TAKEN_BACK
from chatwoot_bot.store.taking_back import RELEASE

pytestmark = pytest.mark.anyio

OURS, NONE = 4, 0
OPENED = 2_000.0  # our clock
NOW = 2_010.0


def owned(arrival, owner):
    """The arrival, in a conversation of that agent bot's."""
    seen = replace(arrival.event.conversation, bot_owner=owner)
    return replace(arrival, event=replace(arrival.event, conversation=seen))


def opened(owner=OURS, clock=300.0, at=OPENED):
    return owned(shows(Status.OPEN, clock=clock, at=at), owner)


async def take(db, *arrivals, rules=RULES):
    for arrival in arrivals:
        await db.write(accept, [arrival], rules)


async def row(db):
    found = await db.write(find, {"account_id": 1, "display_id": 150})
    return found[0]


async def marked(db, before=NOW):
    found = await db.read(taking_back.marked, before=before, limit=10)
    return [(each.account_id, each.display_id, each.inbox_id) for each in found]


async def releases(db):
    """Return the bots whose ownership the outbox has still to end."""
    query = sa.select(schema.replies.c.content).where(
        schema.replies.c.kind == "release", schema.replies.c.state == "open"
    )
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


async def settle(db, *, by_decision=False, rules=RULES):
    it = await row(db)
    how = {"conversation_id": it.id, "by_decision": by_decision, "bot_owner": OURS}
    settled = await db.write(taking_back.settle, rules=rules, now=NOW, **how)
    return settled.reason


async def owed(db):
    m = schema.messages.c
    query = sa.select(m.content, m.owed_at).where(m.owed).order_by(m.id)
    return [tuple(each) for each in await db.read(lambda tx: list(tx.execute(query)))]


LATER = {
    "nothing": ([], True),
    "the second save of an agent": ([opened(NONE, clock=300.2)], False),
    "an older delivery without an owner": ([opened(NONE, clock=250.0)], True),
    "a delivery that shows no owner": ([shows(Status.OPEN, clock=301.0)], True),
    "pending again": ([owned(shows(Status.PENDING, clock=302.0), OURS)], False),
    "resolved": ([owned(shows(Status.RESOLVED, clock=302.0), OURS)], False),
}


@pytest.mark.parametrize("later", LATER)
async def test_mark_lasts_while_the_bot_owns_what_is_open(db, later):
    arrivals, is_marked = LATER[later]

    await take(db, says(), opened(), *arrivals)

    assert await marked(db) == ([(1, 150, 3)] if is_marked else [])


@pytest.mark.parametrize("owner", [None, NONE])
async def test_what_an_agent_opened_is_not_marked(db, owner):
    await take(db, says(), opened(owner))

    assert await marked(db) == []


async def test_what_another_bot_owns_is_not_marked(db):
    """Ours is known by an answer of its own."""
    ours = says(Kind.BOT_MESSAGE, reply_key="t_1.0")
    said = replace(ours.event.message, by_bot=OURS)
    echo = replace(ours, event=replace(ours.event, message=said))
    await take(db, says(), echo, opened(owner=9))
    others = await marked(db)
    await take(db, opened(OURS, clock=310.0))

    assert others == []
    assert await marked(db) == [(1, 150, 3)]


async def test_bot_that_has_never_spoken_in_its_inbox_may_be_ours(db):
    """A second bot of ours must not lose the contacts of its first downtime."""
    ours = says(Kind.BOT_MESSAGE, reply_key="t_1.0")
    said = replace(ours.event.message, by_bot=OURS)
    echo = replace(ours, event=replace(ours.event, message=said))
    new = owned(says(conversation=151, inbox=5, status=Status.OPEN), owner=9)
    await take(db, says(), echo, new)

    assert await marked(db) == [(1, 151, 5)]


async def test_first_sight_of_an_open_conversation_that_the_bot_owns_is_marked(db):
    """And its inbox has a bot, however many of its conversations begin like this."""
    await take(db, owned(says(status=Status.OPEN), OURS))

    assert (await row(db)).state is State.HUMAN
    assert await marked(db) == [(1, 150, 3)]
    assert await db.read(sweeping.inboxes) == {3: True}


async def test_mark_counts_only_after_a_moment(db):
    await take(db, says(), opened())

    assert await marked(db, before=OPENED - 0.1) == []


async def test_what_is_taken_back_is_owed_an_answer_and_pending_again(db):
    """What came a moment ago is new; what came before was known to the team."""
    await take(
        db,
        says(content="Long ago?", at=OPENED - 600),
        opened(),
        says(content="Hello?", status=Status.OPEN, clock=301.0, at=OPENED),
    )

    reason = await settle(db)

    it = await row(db)
    assert reason == TAKEN_BACK
    assert (it.state, it.wanted_status) == (State.AI, Status.PENDING)
    assert (it.stranded_at, it.touched, it.released) == (None, False, False)
    assert await owed(db) == [("Long ago?", NOW), ("Hello?", None)]


async def test_agent_who_is_assigned_before_chatwoot_has_heard_of_it_keeps_it(db):
    """It is open until Chatwoot is told, which may take as long as an outage."""
    await take(db, says(), opened())
    await settle(db)
    taken = opened(NONE, clock=303.0)
    seen = replace(taken.event.conversation, assigned=Assigned(agent=12))
    await take(db, replace(taken, event=replace(taken.event, conversation=seen)))

    it = await row(db)
    assert (it.state, it.wanted_status) == (State.HUMAN, None)
    assert await owed(db) == []


async def touched_by_reply(db):
    await take(db, says(Kind.AGENT_REPLY, status=Status.OPEN, clock=301.0))


async def touched_by_command(db):
    off = says(Kind.AGENT_NOTE, content="/bot off", private=True)
    await take(db, owned(replace_clock(off), OURS))


def replace_clock(arrival):
    seen = replace(arrival.event.conversation, status=Status.OPEN, updated_at=301.0)
    return replace(arrival, event=replace(arrival.event, conversation=seen))


async def touched_by_label(db):
    labelled = opened(clock=301.0)
    seen = replace(labelled.event.conversation, labels=("bot-off",), attributes={})
    await take(db, replace(labelled, event=replace(labelled.event, conversation=seen)))


async def touched_by_operator(db):
    held = {"conversation_id": None, "display_id": 150, "enabled": True}
    await db.write(human.hold, now=NOW, rules=RULES, **held)


async def human_mode(db):
    await db.write(human.set_human_mode, enabled=True)


@pytest.mark.parametrize(
    "touch",
    [
        touched_by_reply,
        touched_by_command,
        touched_by_label,
        touched_by_operator,
        human_mode,
    ],
)
async def test_what_an_agent_has_is_only_released(db, touch):
    await take(db, says(), opened())
    await touch(db)

    assert await settle(db) == RELEASE
    assert (await row(db)).state is State.HUMAN
    assert await owed(db) == []


async def test_called_human_keeps_the_conversation(db):
    """The bot has promised one, and Chatwoot opened it before the bot could."""
    waiting = says(content="A human, please")
    await take(db, waiting)
    it = await row(db)
    asked = {"message": "A colleague will answer.", "reason": None}
    await db.write(human.escalate, conversation_id=it.id, now=NOW, rules=RULES, **asked)
    await take(db, opened())

    assert await settle(db) == RELEASE
    assert (await row(db)).state is State.HUMAN
    assert await owed(db) == []


@pytest.mark.parametrize(
    ("by_decision", "recovers"), [(True, True), (False, False)], ids=["rule", "RECOVER"]
)
async def test_rule_and_operator_give_it_to_the_team(db, by_decision, recovers):
    rules = replace(RULES, recovers=recovers)
    await take(db, says(), opened())

    assert await settle(db, by_decision=by_decision, rules=rules) == RELEASE
    assert await marked(db) == []
    assert await releases(db) == [str(OURS)]


async def test_team_keeps_what_a_rule_has_given_it(db):
    """The contact who writes meanwhile hides the line that tells of the rule."""
    await take(db, says(), opened())
    decided = await settle(db, by_decision=True)
    await take(db, owned(says(status=Status.OPEN, clock=301.0), OURS))

    assert decided == RELEASE
    assert await settle(db) == RELEASE
    assert (await row(db)).state is State.HUMAN
    assert await releases(db) == [str(OURS)]


async def test_mark_ends_where_nothing_is_open_any_more(db):
    """A payload without an owner does not end it, and nobody need look for ever."""
    await take(db, says(), opened(), shows(Status.SNOOZED, clock=301.0))

    assert await settle(db) == ""
    assert await marked(db) == []


@pytest.mark.parametrize("way", ["handed back", "resolved"])
async def test_release_is_dropped_with_what_it_was_for(db, way):
    """Left over, it would take a later conversation from an agent at once."""
    await take(db, says(), opened())
    await settle(db, by_decision=True)
    if way == "handed back":
        it = await row(db)
        on = {"conversation_id": it.id, "display_id": None, "enabled": False}
        await db.write(human.hold, now=NOW, rules=RULES, **on)
    else:
        await take(db, shows(Status.RESOLVED, clock=302.0))

    assert await releases(db) == []


async def test_mark_that_is_gone_settles_nothing(db):
    await take(db, says(), opened(), opened(NONE, clock=301.0))

    assert await settle(db) == ""
    assert (await row(db)).state is State.HUMAN


async def test_mark_is_postponed_and_ended(db):
    await take(db, says(), opened())
    it = await row(db)
    await db.write(taking_back.postpone, conversation_id=it.id, at=NOW + 60)
    postponed = await marked(db), await marked(db, before=NOW + 60)
    await db.write(taking_back.end_mark, conversation_id=it.id)
    await db.write(taking_back.postpone, conversation_id=it.id, at=NOW)

    assert postponed == ([], [(1, 150, 3)])
    assert await marked(db) == []


async def test_returning_customer_is_no_longer_touched(db):
    """An agent had the earlier request; the new one is the bot's."""
    await take(
        db,
        says(),
        says(Kind.AGENT_REPLY, clock=110.0),
        shows(Status.RESOLVED, clock=120.0),
    )

    assert (await row(db)).touched is False


# What the sweep asks for.


async def test_last_numbers_are_those_that_chatwoot_has_shown(db):
    held = {"conversation_id": None, "display_id": 900, "enabled": True}
    await take(db, says(conversation=150), says(conversation=149))
    await take(db, says(conversation=7, account=2))
    rules = replace(RULES, account_id=1)
    await db.write(human.hold, now=NOW, rules=rules, **held)

    assert await db.read(sweeping.last_numbers) == [(1, 150), (2, 7)]


async def test_snoozed_conversation_may_have_woken(db):
    await take(db, says(), shows(Status.SNOOZED))

    asked_for = await db.read(sweeping.waiting_for_contact, active_since=0, limit=9)

    assert asked_for == [(1, 150, 3)]


async def test_deleted_conversation_is_asked_for_once(db):
    await take(db, says(), shows(Status.SNOOZED))

    await db.write(sweeping.forget, 1, 150)

    how = {"active_since": 0, "limit": 9}
    assert await db.read(sweeping.waiting_for_contact, **how) == []
