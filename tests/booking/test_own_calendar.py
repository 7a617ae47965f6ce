"""Calls in our own calendar, through the tools, on both databases."""

import asyncio
import itertools
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from callers import Caller, begun

from chatwoot_bot.errors import Problem, StoreError
from chatwoot_bot.settings import Settings
from chatwoot_bot.store import agenda, bookings, schema
from chatwoot_bot.store.bookings import Wanted
from chatwoot_bot.store.engine import Database, make_engine
from chatwoot_bot.toolkit import booking_tools
from chatwoot_bot.tools.base import Effect

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")
# A Monday morning.
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=BERLIN).timestamp()
ANN = {"name": "Ann", "email_or_phone": "ann@example.com"}
BOB = {"name": "Bob", "email_or_phone": "+49 30 654321"}
TEN = "2026-11-24T10:00+01:00"
HALF_PAST = "2026-11-24T10:30+01:00"
HOURS = {"BOOKING_HOURS": "Mon-Fri 10:00-12:00", "TIMEZONE": "Europe/Berlin"}


def tools(db, **settings):
    return booking_tools(Settings.load(HOURS | settings), db, http=None)


async def caller(db, *, user_id=None, visitor=None, now=NOW, **settings):
    """A model that serves a new conversation."""
    row = await begun(db, user_id=user_id, visitor=visitor, now=NOW)
    return Caller(tools(db, **settings), row["id"], now=now)


async def rows(db):
    query = sa.select(schema.bookings).order_by(schema.bookings.c.starts_at)
    return await db.read(lambda tx: tx.execute(query).mappings().all())


def id_in(result):
    return result.text.split(": ")[1].split(",")[0]


def test_without_a_calendar_there_are_no_tools():
    assert (
        booking_tools(
            Settings.load({"RESPONDER": "openai", "OPENAI_API_KEY": "k"}),
            None,
            http=None,
        )
        == ()
    )


async def test_link_is_handed_to_the_contact(db):
    link = await caller(db, BOOKING_URL="https://cal.com/ada/call")

    result = await link.call("book_a_call")

    assert list(link.tools) == ["book_a_call"]
    assert result.text.endswith(" https://cal.com/ada/call")


async def test_tools_say_that_they_know_what_they_have_done(db):
    effects = {tool.name: tool.effect for tool in tools(db)}

    assert effects == {
        "find_free_times": Effect.NONE,
        "book_a_call": Effect.KEYED,
        "reschedule_call": Effect.KEYED,
        "cancel_call": Effect.KEYED,
    }
    for tool in tools(db):
        assert json.dumps(tool.arguments.model_json_schema())


async def test_free_times_are_told_in_the_contacts_zone(db):
    model = await caller(db)

    result = await model.call(
        "find_free_times", first_day="2026-11-24", time_zone="America/New_York"
    )

    lines = result.text.splitlines()
    assert lines[0] == "It is Mon 23 Nov 2026, 02:00 (America/New_York) now."
    assert lines[2] == (
        "2026-11-24T04:00-05:00: Tue 24 Nov 2026, 04:00-04:30 (America/New_York)"
    )
    assert len(lines) == 10


async def test_wish_that_nothing_fits_shows_what_else_there_is(db):
    model = await caller(db)

    result = await model.call("find_free_times", after="15:00")

    assert "Nothing is free then." in result.text
    assert "2026-11-23T10:00+01:00" in result.text


async def test_note_on_a_call_is_in_the_agents_language(db):
    model = await caller(db, AGENTS_LANGUAGE="de")

    booked = await model.call(
        "book_a_call", preferred_time=TEN, name="Ann", email_or_phone="+49 30 123456"
    )

    assert booked.text.startswith("Booked: ")
    assert booked.notes == (
        "**Anruf: gebucht.** 2026-11-24, 10:00-10:30 (Europe/Berlin)\n\n"
        "Ann, +49 30 123456",
    )


async def test_call_is_booked_with_a_note_for_the_agents(db):
    model = await caller(db, PUBLIC_URL="https://bot.example.com")

    result = await model.call(
        "book_a_call",
        preferred_time=TEN,
        name="Ann\n Smith",
        email_or_phone="+49 30 123456",
        topic="A new roof",
        time_zone="Europe/London",
    )
    [row] = await rows(db)

    assert result.text == (
        f"Booked: {row['id']}, Tue 24 Nov 2026, 09:00-09:30 (Europe/London). Calendar "
        f"file for the contact: https://bot.example.com/bookings/{row['token']}.ics"
    )
    assert result.notes == (
        "**Call: booked.** Tue 24 Nov 2026, 10:00-10:30 (Europe/Berlin)\n\n"
        "Ann Smith, +49 30 123456\n\nA new roof",
    )
    assert (row["state"], row["conversation_id"]) == ("booked", model.conversation_id)


async def test_booked_time_is_not_offered_any_more(db):
    model = await caller(db)
    await model.call("book_a_call", preferred_time=TEN, **ANN)

    result = await model.call("find_free_times", last_day="2026-11-24")

    assert f"{TEN}: " not in result.text
    assert f"{HALF_PAST}: " in result.text
    assert "The contact's calls:\nb_" in result.text


async def test_same_call_of_the_tool_books_once(db):
    """After a crash the model makes it again, and gets what it would have got."""
    model = await caller(db)

    first = await model.call("book_a_call", key="k", preferred_time=TEN, **ANN)
    again = await model.call("book_a_call", key="k", preferred_time=TEN, **ANN)

    assert first == again
    assert len(await rows(db)) == 1


async def test_repeat_is_answered_when_its_time_is_not_offered_any_more(db):
    """The restart took longer than the notice that a call needs."""
    model = await caller(db)
    first = await model.call("book_a_call", key="k", preferred_time=TEN, **ANN)
    model.now = datetime(2026, 11, 24, 9, 59, tzinfo=BERLIN).timestamp()

    again = await model.call("book_a_call", key="k", preferred_time=TEN, **ANN)

    assert first == again


async def test_contact_who_says_yes_twice_has_one_call(db):
    model = await caller(db)
    first = await model.call("book_a_call", preferred_time=TEN, **ANN)
    again = await model.call("book_a_call", preferred_time=TEN, **ANN)

    assert first == again


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("2026-11-24T10:15+01:00", id="between two slots"),
        pytest.param("2026-11-24T12:00+01:00", id="closed"),
        pytest.param("2026-11-28T10:00+01:00", id="a Saturday"),
        pytest.param("2026-11-20T10:00+01:00", id="gone"),
        pytest.param("2027-11-24T10:00+01:00", id="too far ahead"),
        pytest.param("2026-11-23T09:00+01:00", id="too soon"),
    ],
)
async def test_time_that_is_not_offered_is_not_booked(db, start):
    model = await caller(db)

    told = await model.refused("book_a_call", preferred_time=start, **ANN)

    assert told.startswith("That time is not free.\nFree are, among others:\n2026-")
    assert await rows(db) == []


async def test_taken_time_shows_the_nearest_free_ones(db):
    ann, bob = await caller(db), await caller(db)
    await ann.call("book_a_call", preferred_time=TEN, **ANN)

    told = await bob.refused("book_a_call", preferred_time=TEN, **BOB)

    assert [line[:22] for line in told.splitlines()[2:]] == [
        "2026-11-23T11:30+01:00",
        HALF_PAST,
        "2026-11-24T11:00+01:00",
        "2026-11-24T11:30+01:00",
    ]
    assert "Ann" not in told


@pytest.mark.parametrize("named", [{}, {"preferred_time": "tomorrow at ten"}])
async def test_call_without_a_time_is_answered_with_free_ones(db, named):
    model = await caller(db)

    told = await model.refused("book_a_call", **ANN, **named)

    assert told.startswith("Nothing is done: preferred_time must be a time as")
    assert "\n2026-11-23T10:00+01:00: " in told
    assert await rows(db) == []


@pytest.mark.parametrize("given", ["ann@example.com", "+49 30 123456", " 030/123456 "])
async def test_contact_can_be_reached_by_mail_or_by_phone(db, given):
    model = await caller(db)
    await model.call(
        "book_a_call", preferred_time=TEN, name="Ann", email_or_phone=given
    )
    [row] = await rows(db)

    assert [row["email"], row["phone"]] == [
        given if "@" in given else None,
        None if "@" in given else given.strip(),
    ]


@pytest.mark.parametrize(
    "given", ["", "Ann", "ann@", "12", "-----", "2026-11-24", "none"]
)
async def test_call_nobody_could_be_reached_for_is_not_booked(db, given):
    model = await caller(db)

    with pytest.raises(ValueError, match="email address or a phone number"):
        await model.call("book_a_call", name="Ann", email_or_phone=given)


async def test_contact_cannot_fill_the_calendar(db):
    model = await caller(db)
    for clock in ("10:00", "10:30", "11:00"):
        await model.call(
            "book_a_call", preferred_time=f"2026-11-24T{clock}+01:00", **ANN
        )

    told = await model.refused(
        "book_a_call", preferred_time="2026-11-24T11:30+01:00", **ANN
    )

    assert told.startswith("The contact has as many calls as one may have.")
    assert told.count("\nb_") == 3


async def test_call_is_moved_and_its_old_time_is_free_again(db):
    model = await caller(db)
    await model.call("book_a_call", preferred_time=TEN, **ANN)

    result = await model.call("reschedule_call", preferred_time=HALF_PAST)
    again = await model.call("reschedule_call", preferred_time=HALF_PAST)
    [row] = await rows(db)
    free = await model.call("find_free_times", last_day="2026-11-24")

    assert result == again
    assert result.text.startswith(f"Moved: {row['id']}, Tue 24 Nov 2026, 10:30-11:00")
    assert result.notes[0].startswith("**Call: moved.**")
    assert row["sequence"] == 1
    assert f"{TEN}: " in free.text
    assert f"{HALF_PAST}: " not in free.text


async def test_call_is_not_moved_onto_another(db):
    ann, bob = await caller(db), await caller(db)
    await ann.call("book_a_call", preferred_time=TEN, **ANN)
    await bob.call("book_a_call", preferred_time=HALF_PAST, **BOB)

    told = await bob.refused("reschedule_call", preferred_time=TEN)

    assert told.startswith("That time is not free.")
    assert [row["name"] for row in await rows(db)] == ["Ann", "Bob"]


async def test_call_is_moved_by_less_than_its_length(db):
    """It may overlap itself."""
    model = await caller(db)
    await model.call("book_a_call", preferred_time=TEN, **ANN)
    longer = Caller(tools(db, BOOKING_MINUTES="60"), model.conversation_id, now=NOW)

    result = await longer.call("reschedule_call", preferred_time=TEN)

    assert "10:00-11:00" in result.text


async def test_call_is_cancelled_and_its_time_is_free_again(db):
    ann, bob = await caller(db), await caller(db)
    booked = id_in(await ann.call("book_a_call", preferred_time=TEN, **ANN))

    result = await ann.call("cancel_call", booking=booked)
    again = await ann.call("cancel_call", booking=booked)
    await bob.call("book_a_call", preferred_time=TEN, **BOB)

    assert result == again
    assert result.text.startswith(f"Cancelled: {booked}, ")
    assert {row["name"]: row["state"] for row in await rows(db)} == {
        "Ann": "cancelled",
        "Bob": "booked",
    }


async def test_cancellation_that_a_crash_interrupted_is_told_again(db):
    """The model named no call, because there was one; now there is none."""
    model = await caller(db)
    await model.call("book_a_call", preferred_time=TEN, **ANN)

    first = await model.call("cancel_call", key="k")
    again = await model.call("cancel_call", key="k")

    assert first == again
    assert (await model.refused("reschedule_call", preferred_time=TEN)).startswith(
        "There is no such booking."
    )


async def test_cancelled_call_is_not_moved(db):
    model = await caller(db)
    booked = id_in(await model.call("book_a_call", preferred_time=TEN, **ANN))
    await model.call("cancel_call")

    assert await model.refused(
        "reschedule_call", booking=booked, preferred_time=HALF_PAST
    ) == ("There is no such booking.")


async def test_with_several_calls_the_model_must_say_which(db):
    model = await caller(db)
    first = id_in(await model.call("book_a_call", preferred_time=TEN, **ANN))
    second = id_in(await model.call("book_a_call", preferred_time=HALF_PAST, **ANN))

    told = await model.refused("cancel_call")
    result = await model.call("cancel_call", booking=second)

    assert told.startswith("It is not clear which booking.\nThe contact's calls:\n")
    assert first in told
    assert second in told
    assert id_in(result) == second


async def test_nobody_reaches_the_call_of_another_contact(db):
    """Also not by its id, which an agent may have told or a model may be told."""
    ann, eve = await caller(db, user_id="ann"), await caller(db, user_id="ann")
    booked = id_in(await ann.call("book_a_call", preferred_time=TEN, **ANN))

    told = [
        await eve.refused("cancel_call", booking=booked),
        await eve.refused("cancel_call"),
        await eve.refused("reschedule_call", booking=booked, preferred_time=HALF_PAST),
    ]
    seen = await eve.call("find_free_times")
    [row] = await rows(db)

    assert told == ["There is no such booking."] * 3
    assert booked not in seen.text
    assert (row["state"], row["sequence"]) == ("booked", 0)


@pytest.mark.parametrize(
    ("user_id", "visitor", "reaches"),
    [
        pytest.param("ann", "browser-1", True, id="the same visitor"),
        pytest.param("ann", "browser-2", False, id="only the same name"),
        pytest.param("bob", "browser-1", False, id="only the same browser"),
    ],
)
async def test_visitor_who_comes_back_has_their_calls(db, user_id, visitor, reaches):
    ann = await caller(db, user_id="ann", visitor="browser-1")
    back = await caller(db, user_id=user_id, visitor=visitor)
    booked = id_in(await ann.call("book_a_call", preferred_time=TEN, **ANN))

    if reaches:
        assert id_in(await back.call("cancel_call", booking=booked)) == booked
    else:
        assert await back.refused("cancel_call", booking=booked)


async def test_call_that_is_over_is_not_moved(db):
    model = await caller(db)
    booked = id_in(await model.call("book_a_call", preferred_time=TEN, **ANN))
    model.now += 3 * 86_400

    told = await model.refused(
        "reschedule_call", booking=booked, preferred_time="2026-11-27T10:00+01:00"
    )

    assert told == "There is no such booking."


async def test_longer_slots_do_not_overlap_what_was_booked_before(db):
    """Somebody changed BOOKING_MINUTES; no start is the same, and yet they overlap."""
    ann = await caller(db, BOOKING_MINUTES="40")
    await ann.call("book_a_call", preferred_time="2026-11-24T10:40+01:00", **ANN)
    bob = await caller(db, BOOKING_MINUTES="60")

    told = [
        await bob.refused(
            "book_a_call", preferred_time=f"2026-11-24T{clock}+01:00", **BOB
        )
        for clock in ("10:00", "11:00")
    ]

    assert all(each.startswith("That time is not free.") for each in told)


def wanted(number, *, starts_at=NOW + 3_600, minutes=30, circle=None):
    return Wanted(
        key=f"race_{number}",
        circle=(circle or f"c_{number}",),
        calendar="own",
        slot=bookings.Span(starts_at, starts_at + minutes * 60),
        time_zone="UTC",
        name=f"contact {number}",
    )


async def test_of_many_who_want_the_same_time_one_gets_it(db):
    got = await asyncio.gather(
        *(db.write(agenda.book, wanted(number), now=NOW) for number in range(60))
    )

    assert sum(each is not Problem.TAKEN for each in got) == 1
    assert len(await rows(db)) == 1


async def test_of_many_who_want_overlapping_times_nobody_overlaps(db):
    got = await asyncio.gather(
        *(
            db.write(
                agenda.book,
                wanted(number, starts_at=NOW + 60 * (number * 7 % 50), minutes=25),
                now=NOW,
            )
            for number in range(60)
        )
    )
    kept = [(row["starts_at"], row["ends_at"]) for row in await rows(db)]

    assert any(each is Problem.TAKEN for each in got)
    assert all(ends <= begins for (_, ends), (begins, _) in itertools.pairwise(kept))


async def test_database_itself_gives_no_time_away_twice(db):
    """Behind the lock, should somebody forget it."""
    first = await db.write(agenda.book, wanted(1), now=NOW)
    copy = {name: getattr(first, name) for name in first.__dataclass_fields__}
    copy |= {"id": "b_2", "key": "k_2", "token": "t_2"}

    with pytest.raises(StoreError):
        await db.write(lambda tx: tx.execute(sa.insert(schema.bookings), copy))


async def test_who_wants_an_overlapping_time_waits_for_who_was_first(postgres_url):
    """Neither would see the other, and no index forbids both."""
    database = Database(postgres_url)
    await database.open()
    await database.close()
    engine = make_engine(database.url, writes=True)
    later = wanted(2, starts_at=NOW + 3_600 + 900)
    with engine.begin() as one:
        agenda.book(one, wanted(1), now=NOW)
        with engine.connect() as two:
            two.execute(sa.text("SET lock_timeout = '50ms'"))
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                agenda.book(two, later, now=NOW)
    with engine.begin() as two:
        told = agenda.book(two, later, now=NOW)
    engine.dispose()

    assert told is Problem.TAKEN


RACER = """
import asyncio, json, sys
from chatwoot_bot.store import agenda, bookings
from chatwoot_bot.store.engine import Database

url, me, now = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])

def wanted(number):
    # An hour for each number; every second process wants it a quarter later.
    starts_at = now + 3600 * number + 900 * (me % 2)
    return bookings.Wanted(
        key=f"{me}.{number}", circle=(f"c_{me}_{number}",), calendar="own",
        slot=bookings.Span(starts_at, starts_at + 1800), time_zone="UTC", name="x",
    )

async def main():
    db = Database(url)
    await db.open()
    print("ready", flush=True)
    sys.stdin.readline()
    got = await asyncio.gather(
        *(db.write(agenda.book, wanted(n), now=now) for n in range(300))
    )
    await db.close()
    print(sum(not isinstance(each, agenda.Problem) for each in got))

asyncio.run(main())
"""


def test_processes_that_race_for_the_same_times_give_none_away_twice(postgres_url):
    """Four of them go through 300 times; two and two want not quite the same."""
    command = [sys.executable, "-c", RACER, postgres_url]
    racers = [
        subprocess.Popen(
            [*command, str(number), str(NOW)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    got = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    engine = sa.create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:")
    )
    with engine.connect() as tx:
        query = sa.select(schema.bookings.c.starts_at, schema.bookings.c.ends_at)
        kept = sorted(tuple(row) for row in tx.execute(query))
    engine.dispose()

    assert sum(got) == len(kept) == 300
    assert all(ends <= begins for (_, ends), (begins, _) in itertools.pairwise(kept))
