"""With a million messages stored, nothing on a message's path reads a whole table."""

import dataclasses
import re
from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, says, shows

from chatwoot_bot.core.conversation import Sender, Status
from chatwoot_bot.core.decision import Policy
from chatwoot_bot.core.events import Event, Kind, Said
from chatwoot_bot.core.slots import Span
from chatwoot_bot.store import (
    agenda,
    bookings,
    chat,
    dead,
    human,
    memory,
    replies,
    turns,
)
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.arrivals import Arrival
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.engine import Database
from chatwoot_bot.store.replies import ReplyKind
from chatwoot_bot.store.spending import Bill
from chatwoot_bot.store.strain import strain
from chatwoot_bot.store.turns import Ending, TurnRecord

pytestmark = pytest.mark.anyio

NOW = 1_010.0
# These partial indexes hold little, and all that they hold is asked for.
SMALL = "ix_(conversations_due|conversations_owed|replies_dead|deliveries_quarantined)"
WHOLE_TABLE = re.compile(
    rf"SCAN (?!due\b|locked\b|service\b|last\b|newest\b)(?!.*{SMALL}).*"
)


@pytest.fixture
async def db(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def plans(db):
    """Statement → how SQLite finds its rows, for all that run."""
    seen = {}

    def explain(_connection, cursor, statement, parameters, _context, many):
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            first = parameters[0] if many else parameters
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", first)
            seen[statement] = [row[3] for row in cursor.fetchall()]

    for engine in (db._writer, db._reader):
        sa.event.listen(engine, "before_cursor_execute", explain)
    return seen


def asks_on_the_page():
    said = Said(
        external_id=None, sender=Sender.CONTACT, content="Hello", client_id="page-1"
    )
    event = Event(name="message_created", kind=Kind.CONTACT_MESSAGE, message=said)
    return Arrival(
        event=event, channel="web", received_at=1_002.0, conversation_id="c_1"
    )


def changes(kind, message_id, **said):
    """A message_updated."""
    arrival = says(message_id=message_id, at=1_015.0)
    message = dataclasses.replace(arrival.event.message, **said)
    event = dataclasses.replace(arrival.event, kind=kind, message=message)
    return dataclasses.replace(arrival, event=event)


def updates():
    """All that may happen to a message which is there."""
    yield changes(Kind.EDITED, 7_001, content="New.")
    yield changes(Kind.DELETED, 7_001)
    yield changes(Kind.UNDELIVERED, 7_002, reply_key="t_1.0", error="x")
    yield changes(Kind.UNDELIVERED, 7_003, error="x")
    choice = {"external_id": None, "client_id": "submitted:7002:a"}
    yield changes(Kind.CONTACT_MESSAGE, 7_002, submitted_to=7_002, **choice)


async def answer(db, lease, turn_id):
    """Run one turn to its end, over every statement that a reply needs."""
    situation = await db.read(turns.load, lease, history=40)
    record = TurnRecord(
        id=turn_id,
        conversation_id=lease.conversation_id,
        decision="bot",
        reason="default",
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )
    drafts = [(ReplyKind.ANSWER, "It is on its way."), (ReplyKind.NOTE, "Look here.")]
    _, kept = await db.write(
        turns.keep,
        lease,
        record,
        seen=situation.conversation,
        answered=situation.owed,
        drafts=drafts,
        now=NOW,
    )
    first, note = kept
    await db.write(replies.not_delivered, first, in_doubt_until=NOW, error="503")
    await db.write(replies.begin_attempt, lease, first, now=NOW)
    await db.write(
        replies.delivered, situation.conversation, first, external_id=None, now=NOW
    )
    await db.write(
        replies.refused, lease, note, error="404", in_doubt=False, note="", now=NOW
    )
    await db.write(turns.status_set, lease, Status.OPEN, at=NOW)
    await db.write(turns.finish, lease, RULES, ending=Ending.DONE, now=NOW)


async def remember(db, conversation_id):
    """Go through all that limits and summaries ask for."""
    found = await db.write(find, {"id": conversation_id})
    this = dataclasses.replace(found[0], contact="ada", summary="x", summary_until=1)
    strict = Policy(contact_messages_per_hour=5, max_cost_per_day=1.0)
    await db.read(strain, this, strict, now=NOW)
    await db.read(memory.recall, this, earlier=True)
    past = await db.read(memory.past, this.id)
    await db.write(
        memory.remember,
        this.id,
        "x",
        of=past.messages,
        after=None,
        bill=Bill(tokens=1, cost=1.0),
        now=NOW,
    )
    await db.write(memory.forget, this.id)


async def test_no_statement_on_a_messages_path_reads_a_whole_table(db, plans):
    """Each would be fast in every test and slow at every customer."""
    take = partial(db.write_grouped, partial(accept, rules=RULES))
    await take(says(at=1_000.0))
    await take(says(content="And?", at=1_001.0))
    await take(asks_on_the_page())
    await db.read(turns.next_due)
    leases = await db.write(turns.claim, now=NOW, limit=64)
    await db.write(turns.heartbeat, leases=leases, now=NOW)
    for number, lease in enumerate(leases):
        await answer(db, lease, f"t_{number}")
    for update in updates():
        await take(update)
    await take(says(Kind.AGENT_REPLY, at=1_020.0))
    await take(says(content="Still there?", at=1_025.0, conversation=151))
    await take(says(content="Hi", at=1_026.0, conversation=152, status=Status.OPEN))
    await take(says(content="Thanks", at=1_027.0, conversation=151, first_reply_at=9.0))
    await take(shows(Status.RESOLVED, at=1_030.0, clock=200.0))
    await db.write(turns.reclaim, now=NOW)
    await db.write(turns.hurry, now=NOW, owed_before=NOW)
    await db.write(turns.hurry, now=NOW + 600.0, owed_before=NOW + 400.0)
    await remember(db, leases[0].conversation_id)
    await db.read(dead.count)
    await db.read(human.human_mode)
    await db.read(human.is_held, {"display_id": 150})

    whole = {s: p for s, p in plans.items() if any(map(WHOLE_TABLE.search, p))}

    assert len(plans) > 20
    assert not whole, "\n".join(f"{p}: {s}" for s, p in whole.items())


async def test_no_statement_of_a_booking_reads_a_whole_table(db, plans):
    """Those that write run in the event loop; the list of agents may take its time."""
    row = await db.write(chat.create, user_id="u", name=None, now=NOW, visitor="v")
    circle = await db.read(bookings.circle, row["id"])
    wanted = bookings.Wanted(
        key="k",
        circle=circle,
        calendar="own",
        slot=Span(NOW, NOW + 60),
        time_zone="UTC",
        name="Ann",
    )
    booking = await db.write(agenda.book, wanted, now=NOW)
    await db.write(agenda.move, booking, Span(NOW + 60, NOW + 120), now=NOW)
    await db.write(agenda.cancel, booking, now=NOW)
    elsewhere = dataclasses.replace(wanted, key="k2", calendar="calcom:7")
    begun, _ = await db.write(agenda.begin, elsewhere, now=NOW)
    kept = bookings.Kept(
        external_id="u", state=bookings.BookingState.BOOKED, slot=wanted.slot
    )
    await db.write(agenda.settle, begun, kept, now=NOW)
    await db.write(agenda.forget, begun)
    await db.read(bookings.circle, row["id"])
    await db.read(bookings.taken, "own", Span(NOW, NOW + 60))
    await db.read(bookings.upcoming, circle, now=NOW)
    await db.read(bookings.find, booking.id, circle, now=NOW)
    await db.read(bookings.with_token, booking.token)
    await db.read(bookings.list_bookings, bookings.Filter(since=NOW))

    whole = {s: p for s, p in plans.items() if any(map(WHOLE_TABLE.search, p))}

    assert len(plans) > 8
    assert not whole, "\n".join(f"{p}: {s}" for s, p in whole.items())
