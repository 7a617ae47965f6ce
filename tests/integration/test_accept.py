"""What an event does to its conversation, on SQLite and on PostgreSQL."""

import asyncio
from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, says, shows

from chatwoot_bot.core.conversation import State, Status
from chatwoot_bot.core.decision import Route
from chatwoot_bot.core.events import Kind
from chatwoot_bot.store import human, schema
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.deliveries import Outcome

pytestmark = pytest.mark.anyio


ACCEPT = partial(accept, rules=RULES)


async def take(db, arrival):
    return await db.write_grouped(ACCEPT, arrival)


async def conversation(db, display_id=150):
    found = await db.write(find, {"account_id": 1, "display_id": display_id})
    return found[0]


async def count(db, table, *where):
    query = sa.select(sa.func.count()).select_from(table).where(*where)
    return await db.read(lambda tx: tx.execute(query).scalar_one())


async def test_contacts_message_makes_its_conversation_due_after_the_quiet_time(db):
    accepted = await take(db, says(at=1_000.0))

    assert accepted.outcome is Outcome.ACCEPTED
    assert accepted.decision.route is Route.BOT
    assert accepted.due_at == 1_001.5


async def test_talker_is_answered_after_the_longest_wait(db):
    """Somebody who never pauses still gets an answer."""
    accepted = [await take(db, says(at=1_000.0 + second)) for second in range(12)]

    assert accepted[-1].due_at == 1_010.0


async def test_inline_message_does_not_wait_for_quiet(db):
    """A script that waits for the answer has nothing more to say."""
    accepted = await take(db, says(at=1_000.0, inline=True))

    assert accepted.due_at == 1_000.0


async def test_event_without_an_account_is_about_the_only_one_with_its_number(db):
    """Chatwoot names none in a status event before 4.14.2."""
    await take(db, says(account=1))

    opened = await take(db, shows(Status.OPEN, account=None, clock=200.0))

    assert opened.interrupts is not None
    assert await count(db, schema.conversations) == 1


async def test_event_without_an_account_chooses_between_no_two(db):
    await take(db, says(account=1))
    await take(db, says(account=2, message_id=999))

    opened = await take(db, shows(Status.OPEN, account=None, clock=200.0))

    assert opened.interrupts is None
    assert await count(db, schema.conversations) == 3


async def test_event_without_an_account_gives_nothing_to_another_account(db):
    """Both come in one group, and only the other account's is known."""
    await take(db, says(account=2, message_id=999))

    await asyncio.gather(
        take(db, says(account=1)),
        take(db, shows(Status.OPEN, account=None, clock=200.0)),
    )

    query = sa.select(schema.messages.c.external_id, schema.conversations.c.account_id)
    query = query.join(
        schema.conversations,
        schema.conversations.c.id == schema.messages.c.conversation_id,
    )
    rows = await db.read(lambda tx: dict(map(tuple, tx.execute(query))))
    assert (rows.pop(999), list(rows.values())) == (2, [1])


async def test_same_delivery_twice_is_one_message(db):
    """Chatwoot runs a job again when its worker is restarted."""
    first = await take(db, says(message_id=5, delivery_id="d1"))
    again = await take(db, says(message_id=5, delivery_id="d1"))

    assert [first.outcome, again.outcome] == [Outcome.ACCEPTED, Outcome.DUPLICATE]
    assert await count(db, schema.messages) == 1


async def test_same_message_by_two_routes_is_one_message(db):
    """One URL as agent bot and as account webhook gets everything twice."""
    await take(db, says(message_id=5, delivery_id="d1"))
    again = await take(db, says(message_id=5, delivery_id="d2"))

    assert again.outcome is Outcome.DUPLICATE
    assert await count(db, schema.messages) == 1


async def test_same_message_id_in_another_account_is_another_message(db):
    await take(db, says(message_id=5, account=1))
    other = await take(db, says(message_id=5, account=2))

    assert other.outcome is Outcome.ACCEPTED


async def test_many_at_once_are_each_stored_once(db):
    """Group commit shares a transaction and mixes nothing up."""
    arrivals = [
        says(
            conversation=number % 20 + 1,
            message_id=number + 1,
            delivery_id=f"d{number}",
        )
        for number in range(200)
    ]
    outcomes = await asyncio.gather(*(take(db, a) for a in arrivals + arrivals))

    assert [o.outcome for o in outcomes].count(Outcome.ACCEPTED) == 200
    assert await count(db, schema.messages) == 200
    assert await count(db, schema.conversations) == 20


async def test_one_bad_row_fails_alone(db):
    """What shares a transaction must not share a failure."""

    def fail(tx):
        raise ZeroDivisionError

    good, bad, also_good = await asyncio.gather(
        take(db, says(message_id=1)),
        db.write(fail),
        take(db, says(message_id=2)),
        return_exceptions=True,
    )

    assert good.outcome is also_good.outcome is Outcome.ACCEPTED
    assert isinstance(bad, ZeroDivisionError)
    assert await count(db, schema.messages) == 2


async def test_agents_reply_silences_the_bot_and_opens_the_conversation(db):
    """Chatwoot leaves it pending, where the team does not see it."""
    await take(db, says())
    accepted = await take(db, says(Kind.AGENT_REPLY, clock=101.0, at=1_000.5))

    now = await conversation(db)
    assert now.state is State.HUMAN
    assert now.wanted_status is Status.OPEN
    assert accepted.interrupts == "agent_joined"
    assert accepted.due_at == 1_000.5
    assert await count(db, schema.messages, schema.messages.c.owed) == 0


async def test_agents_reply_that_arrives_late_does_not_undo_the_release(db):
    """Chatwoot does not keep the order: the reply was before the release."""
    await take(db, says(clock=100.0))
    await take(db, shows(Status.OPEN, clock=110.0))
    await take(db, shows(Status.PENDING, clock=130.0))
    await take(db, says(Kind.AGENT_REPLY, clock=120.0))

    assert (await conversation(db)).state is State.AI


async def test_older_status_does_not_undo_a_newer_one(db):
    await take(db, says(clock=100.0))
    await take(db, shows(Status.OPEN, clock=130.0))
    await take(db, shows(Status.PENDING, clock=120.0))

    assert (await conversation(db)).state is State.HUMAN


async def test_payload_that_still_says_pending_does_not_undo_an_agents_reply(db):
    """Only a change gives a conversation back."""
    await take(db, says(clock=100.0))
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))
    accepted = await take(db, says(clock=102.0))

    assert accepted.decision.route is Route.HUMAN
    assert (await conversation(db)).state is State.HUMAN


async def test_returning_customer_is_the_bots_again(db):
    """Resolved, then pending again: the old assignee holds nothing."""
    await take(db, says(clock=100.0))
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))
    await take(db, shows(Status.OPEN, clock=102.0))
    await take(db, shows(Status.RESOLVED, clock=103.0))
    await take(db, shows(Status.PENDING, clock=104.0))
    accepted = await take(db, says(clock=105.0))

    assert accepted.decision.route is Route.BOT


async def test_resolve_forgets_what_was_owed(db):
    await take(db, says(clock=100.0))
    accepted = await take(db, shows(Status.RESOLVED, clock=101.0))

    assert accepted.interrupts == "resolved"
    assert await count(db, schema.messages, schema.messages.c.owed) == 0


@pytest.mark.parametrize(
    ("first_reply_at", "pending_before", "route"),
    [
        (0.0, False, Route.BOT),
        (90.0, False, Route.HUMAN),
        (0.0, True, Route.HUMAN),
    ],
)
async def test_open_at_first_sight(db, first_reply_at, pending_before, route):
    """Open is where a plain inbox begins, and where a bot's inbox ends."""
    if pending_before:
        await take(db, says(conversation=1, status=Status.PENDING))
    accepted = await take(
        db, says(conversation=2, status=Status.OPEN, first_reply_at=first_reply_at)
    )

    assert accepted.decision.route is route


async def test_plain_inbox_is_the_bots_until_an_agent_speaks(db):
    """Without an agent bot nothing is ever pending."""
    first = await take(db, says(status=Status.OPEN, clock=1.0))
    await take(db, says(Kind.AGENT_REPLY, status=Status.OPEN, clock=2.0))
    second = await take(db, says(status=Status.OPEN, clock=3.0))
    await take(db, shows(Status.RESOLVED, clock=4.0))
    await take(db, shows(Status.OPEN, clock=5.0))
    third = await take(db, says(status=Status.OPEN, clock=6.0))

    routes = [a.decision.route for a in (first, second, third)]
    assert routes == [Route.BOT, Route.HUMAN, Route.BOT]


async def test_global_human_mode_sits_above_everything(db):
    await db.write(human.set_human_mode, enabled=True)
    silent = await take(db, says())
    await db.write(human.set_human_mode, enabled=False)
    await db.write(human.end_human_mode, now=1_010.0, rules=RULES)
    answered = await take(db, says())

    assert silent.decision.reason == "human_mode"
    assert answered.decision.route is Route.BOT


async def test_switch_for_a_number_that_is_not_there_yet_is_remembered(db):
    """An operator may know the conversation before its first webhook."""
    await db.write(
        human.hold,
        conversation_id=None,
        display_id=150,
        enabled=True,
        now=900.0,
        rules=RULES,
    )
    accepted = await take(db, says())

    assert accepted.decision.route is Route.HUMAN
    assert await count(db, schema.conversations) == 1


async def test_private_notes_and_typing_change_nothing(db):
    await take(db, says(clock=100.0))
    before = await conversation(db)
    await take(db, says(Kind.BOT_MESSAGE, private=True, clock=101.0))

    after = await conversation(db)
    assert (after.state, after.status) == (before.state, before.status)
    assert await count(db, schema.messages) == 1


async def closes(db):
    query = sa.select(schema.messages.c.closes).order_by(schema.messages.c.id)
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


async def test_resolve_draws_a_line_under_what_was_said(db):
    """So that the model does not repeat a handover that was agreed before."""
    await take(db, says(content="A human!", clock=100.0))
    await take(db, says(Kind.AGENT_REPLY, content="Done.", clock=110.0))
    await take(db, shows(Status.RESOLVED, clock=120.0))
    await take(db, says(content="Me again", clock=130.0))

    assert await closes(db) == [False, True, False]


async def test_resolve_in_one_group_with_the_last_message_draws_its_line(db):
    """Both arrive before either is on disk."""
    last = says(Kind.AGENT_REPLY, content="Done.", clock=110.0)
    await asyncio.gather(take(db, last), take(db, shows(Status.RESOLVED, clock=120.0)))

    assert await closes(db) == [True]
