"""Calls at Cal.com, through the tools, against a stand-in on a local port."""

import pytest
import sqlalchemy as sa
import structlog
from calcom_stand_in import EVENT_TYPE, KEY, LOST_ANSWER, LOST_REQUEST, Fault
from calcom_stand_in import calcom_stand_in as running
from callers import Caller, begun

from chatwoot_bot.booking import calcom as client
from chatwoot_bot.core.conversation import Message, Sender
from chatwoot_bot.http import make_client
from chatwoot_bot.settings import Settings
from chatwoot_bot.store import schema
from chatwoot_bot.toolkit import booking_tools

pytestmark = pytest.mark.anyio

NOW = 1_795_420_800.0  # Mon 2026-11-23 08:00 UTC
TEN = "2026-11-24T10:00Z"
ELEVEN = "2026-11-24T11:00Z"
TWELVE = "2026-11-24T12:00Z"
CREATE = "POST /v2/bookings"
LOOK = "GET /v2/bookings"
SHOW = "GET /v2/bookings/{uid}"
MOVE = "POST /v2/bookings/{uid}/reschedule"
CANCEL = "POST /v2/bookings/{uid}/cancel"
ANN = {"name": "Ann", "email_or_phone": "ann@example.com"}
UNSURE = "The calendar has not answered"
UNREACHABLE = "The calendar cannot be reached now."


@pytest.fixture
async def calcom():
    async with running(TEN, ELEVEN, TWELVE) as stand_in:
        yield stand_in


@pytest.fixture
async def http(monkeypatch):
    # Blips are tried again at once, and there is no other waiting here.
    monkeypatch.setattr(client.tenacity, "wait_exponential", lambda **_: NO_WAIT)
    monkeypatch.setattr(client.tenacity, "wait_random", lambda *_: NO_WAIT)
    async with make_client() as shared:
        yield shared


NO_WAIT = client.tenacity.wait_none()


def tools(db, http, calcom, **changes):
    environ = {
        "CALCOM_API_KEY": KEY,
        "CALCOM_EVENT_TYPE_ID": str(EVENT_TYPE),
        "CALCOM_BASE_URL": calcom.url,
    }
    return booking_tools(Settings.load(environ | changes), db, http)


@pytest.fixture
async def model(db, http, calcom):
    row = await begun(db)
    return Caller(tools(db, http, calcom), row["id"], now=NOW)


async def rows(db):
    query = sa.select(schema.bookings).order_by(schema.bookings.c.created_at)
    return await db.read(lambda tx: tx.execute(query).mappings().all())


async def after_a_crash(model, calcom):
    """Have it as if our process had died while Cal.com booked: nothing is noted."""
    calcom.fail(CREATE, LOST_ANSWER)
    calcom.fail(LOOK, *[Fault(503)] * 3)
    await model.refused("book_a_call", key="k", preferred_time=TEN, **ANN)
    calcom.calls.clear()


async def test_free_times_are_those_that_calcom_has(model):
    result = await model.call("find_free_times")

    assert result.text.splitlines()[1:] == [
        "Free are, among others:",
        "2026-11-24T10:00+00:00: Tue 24 Nov 2026, 10:00-10:30 (UTC)",
        "2026-11-24T11:00+00:00: Tue 24 Nov 2026, 11:00-11:30 (UTC)",
        "2026-11-24T12:00+00:00: Tue 24 Nov 2026, 12:00-12:30 (UTC)",
    ]


async def test_nothing_free_is_told(model, calcom):
    calcom.free = []

    result = await model.call("find_free_times")

    assert "No time is free at all. Offer a human." in result.text


async def test_slots_outside_of_what_was_asked_are_left_out(model, calcom):
    """As Cal.com has shown some, which it then refused (calcom/cal.com issue 24260)."""
    calcom.free = [start.replace(month=10) for start in calcom.free]

    result = await model.call("find_free_times")

    assert "No time is free at all." in result.text


async def test_call_is_booked_with_all_that_calcom_wants_to_know(db, model, calcom):
    question = "Ich möchte mit Ihnen über das Dach sprechen"
    model.transcript = [
        Message(id=1, sender=Sender.CONTACT, content=question, created_at=NOW)
    ]
    result = await model.call(
        "book_a_call",
        key="k",
        preferred_time=TEN,
        phone="+4930123456",
        topic="A new roof",
        time_zone="Europe/Berlin",
        **ANN,
    )
    [kept] = calcom.active()
    [row] = await rows(db)

    assert kept["attendees"] == [
        {
            "name": "Ann",
            "email": "ann@example.com",
            "phoneNumber": "+4930123456",
            "timeZone": "Europe/Berlin",
            "language": "de",
        }
    ]
    assert kept["metadata"] == {"chatwoot_bot_key": "k"}
    assert kept["bookingFieldsResponses"] == {"notes": "A new roof"}
    assert (row["state"], row["external_id"]) == ("booked", kept["uid"])
    assert row["calendar"] == "calcom:7"
    assert result.text == (
        f"Booked: {row['id']}, Tue 24 Nov 2026, 11:00-11:30 (Europe/Berlin)."
    )
    assert result.notes[0].startswith("**Call: booked.** Tue 24 Nov 2026, 10:00-10:30")
    assert calcom.calls == [CREATE]


async def test_address_is_needed(model):
    with pytest.raises(ValueError, match="email_or_phone"):
        await model.call(
            "book_a_call", preferred_time=TEN, name="Ann", email_or_phone="030 123456"
        )


async def test_host_who_has_to_confirm_is_told(db, model, calcom):
    calcom.confirms_itself = False

    result = await model.call("book_a_call", preferred_time=TEN, **ANN)
    [row] = await rows(db)

    assert result.text.startswith("Requested, the colleague has still to confirm it: ")
    assert row["state"] == "requested"


async def test_taken_time_shows_others_and_leaves_nothing_behind(db, model, calcom):
    calcom.free.remove(calcom.free[0])

    told = await model.refused("book_a_call", preferred_time=TEN, **ANN)

    assert told.startswith("That time is not free.\nFree are, among others:\n2026-")
    assert await rows(db) == []


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (400, "Invalid email format", "does not accept the email address"),
        (400, "Missing attendee phone number - it is", "or the phone number"),
        (400, "because the maximum number of active bookings", "as many calls as one"),
        (400, "Attempting to book a meeting in the past.", "That time is not free."),
        (409, "", "That time is not free."),
        (400, "Missing required booking field response: size", UNREACHABLE),
        (401, "Invalid API Key", UNREACHABLE),
        (403, "Forbidden", UNREACHABLE),
        (404, "Event type with id 7 not found.", UNREACHABLE),
        (418, "", UNREACHABLE),
    ],
)
async def test_refusals_in_words_for_the_model(db, model, calcom, status, said, words):
    calcom.fail(CREATE, Fault(status, text=said))

    told = await model.refused("book_a_call", preferred_time=TEN, **ANN)

    assert words in told
    assert calcom.calls.count(CREATE) == 1
    assert await rows(db) == []


async def test_too_many_requests_are_tried_again(db, model, calcom):
    calcom.fail(CREATE, Fault(429), Fault(429))

    result = await model.call("book_a_call", preferred_time=TEN, **ANN)

    assert result.text.startswith("Booked: ")
    assert len(calcom.active()) == 1


async def test_too_many_requests_for_long_are_told(db, model, calcom):
    calcom.fail(CREATE, *[Fault(429)] * 3)

    assert (await model.refused("book_a_call", preferred_time=TEN, **ANN)).startswith(
        UNREACHABLE
    )
    assert await rows(db) == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(LOST_ANSWER, id="booked, the answer is lost"),
        pytest.param(LOST_REQUEST, id="not booked, the request is lost"),
        pytest.param(Fault(500, done=True), id="booked, 500"),
        pytest.param(Fault(500), id="not booked, 500"),
        pytest.param(Fault(502, done=True, text="<html>"), id="booked, a proxy's page"),
        pytest.param(Fault(200, done=True, text="<html>"), id="booked, no JSON"),
        pytest.param(Fault(200, done=True, text="[]"), id="booked, wrong JSON"),
        pytest.param(
            Fault(200, done=True, text='{"data": {"uid": "x"}}'), id="booked, no start"
        ),
    ],
)
async def test_answer_in_doubt_books_once(db, model, calcom, fault):
    calcom.fail(CREATE, fault)

    result = await model.call("book_a_call", preferred_time=TEN, **ANN)
    [kept] = calcom.active()
    [row] = await rows(db)

    assert result.text.startswith("Booked: ")
    assert (row["state"], row["external_id"]) == ("booked", kept["uid"])


async def test_calcom_that_falls_silent_leaves_an_unsure_call(db, model, calcom):
    """The agents see it in the list, and the model does not say that it is booked."""
    calcom.fail(CREATE, LOST_ANSWER)
    calcom.fail(LOOK, *[Fault(503)] * 3)

    told = await model.refused("book_a_call", preferred_time=TEN, **ANN)
    [row] = await rows(db)

    assert told.startswith(UNSURE)
    assert "escalate_to_human" in told
    assert row["state"] == "unsure"
    assert len(calcom.active()) == 1


async def test_call_that_a_crash_interrupted_is_looked_for_first(db, model, calcom):
    await after_a_crash(model, calcom)

    result = await model.call("book_a_call", key="k", preferred_time=TEN, **ANN)
    [row] = await rows(db)

    assert result.text.startswith("Booked: ")
    assert calcom.calls == [LOOK]
    assert len(calcom.active()) == 1
    assert row["state"] == "booked"


async def test_call_that_was_not_booked_before_the_crash_is_booked_now(
    db, model, calcom
):
    calcom.fail(CREATE, *[LOST_REQUEST] * 2)
    assert (
        await model.refused("book_a_call", key="k", preferred_time=TEN, **ANN)
    ).startswith(UNSURE)

    result = await model.call("book_a_call", key="k", preferred_time=TEN, **ANN)

    assert result.text.startswith("Booked: ")
    assert len(calcom.active()) == len(await rows(db)) == 1


async def test_refusal_of_the_second_try_does_not_forget_the_first(db, model, calcom):
    """Cal.com may still be at work on it; agents see it in the list."""
    calcom.fail(CREATE, LOST_REQUEST, Fault(401))

    refusal = await model.refused("book_a_call", key="k", preferred_time=TEN, **ANN)
    [row] = await rows(db)

    assert refusal.startswith(UNSURE)
    assert row["state"] == "unsure"


async def test_another_call_for_the_same_time_finds_the_one_in_doubt(db, model, calcom):
    """The model asks again in its next turn, and does not know of the first."""
    await after_a_crash(model, calcom)

    result = await model.call("book_a_call", preferred_time=TEN, **ANN)

    assert result.text.startswith("Booked: ")
    assert len(calcom.active()) == len(await rows(db)) == 1


async def test_time_taken_by_somebody_else_while_in_doubt(db, model, calcom):
    calcom.fail(CREATE, *[LOST_REQUEST] * 2)
    await model.refused("book_a_call", key="k", preferred_time=TEN, **ANN)
    calcom.free.remove(calcom.free[0])

    told = await model.refused("book_a_call", key="k", preferred_time=TEN, **ANN)

    assert told.startswith("That time is not free.")
    assert await rows(db) == []


async def test_silent_calcom_is_told_with_the_link(db, http, calcom):
    link = "https://cal.com/ada/call"
    row = await begun(db)
    model = Caller(tools(db, http, calcom, BOOKING_URL=link), row["id"], now=NOW)
    await calcom.stop()

    told = [
        await model.refused("find_free_times"),
        await model.refused("book_a_call", preferred_time=TEN, **ANN),
    ]

    assert all(each.startswith(UNREACHABLE) and link in each for each in told)
    assert await rows(db) == []


@pytest.mark.parametrize("text", ["<html>", '{"data": 5}', '{"data": {"a": [1]}}'])
async def test_slots_that_are_not_understood(model, calcom, text):
    calcom.fail("GET /v2/slots", Fault(200, text=text))

    assert (await model.refused("find_free_times")).startswith(UNREACHABLE)


async def test_blip_of_reading_is_tried_again(model, calcom):
    calcom.fail("GET /v2/slots", LOST_REQUEST, Fault(503))

    assert "Free are" in (await model.call("find_free_times")).text


async def test_call_is_moved(db, model, calcom):
    await model.call("book_a_call", preferred_time=TEN, **ANN)

    result = await model.call("reschedule_call", preferred_time=ELEVEN)
    [kept] = calcom.active()
    [row] = await rows(db)

    assert result.text.startswith(f"Moved: {row['id']}, Tue 24 Nov 2026, 11:00-11:30")
    assert (row["external_id"], row["sequence"]) == (kept["uid"], 1)
    assert kept["start"] == "2026-11-24T11:00:00.000Z"


@pytest.mark.parametrize("fault", [LOST_ANSWER, Fault(500, done=True)])
async def test_move_in_doubt_moves_once(db, model, calcom, fault):
    await model.call("book_a_call", preferred_time=TEN, **ANN)
    calcom.fail(MOVE, fault)

    result = await model.call("reschedule_call", preferred_time=ELEVEN)
    [kept] = calcom.active()
    [row] = await rows(db)

    assert result.text.startswith("Moved: ")
    assert row["external_id"] == kept["uid"]
    assert calcom.calls.count(MOVE) == 1


async def test_move_that_a_crash_interrupted_is_found(db, model, calcom):
    """Cal.com has made another booking of it, of which we know nothing."""
    await model.call("book_a_call", preferred_time=TEN, **ANN)
    calcom.reschedule(calcom.active()[0]["uid"], ELEVEN)

    result = await model.call("reschedule_call", preferred_time=ELEVEN)
    onwards = await model.call("reschedule_call", preferred_time=TWELVE)
    [row] = await rows(db)

    assert result.text.startswith("Moved: ")
    assert MOVE in calcom.calls[-1]
    assert "12:00-12:30" in onwards.text
    assert [kept["uid"] for kept in calcom.active()] == [row["external_id"]]


async def test_move_that_did_not_happen_is_in_doubt(model, calcom):
    await model.call("book_a_call", preferred_time=TEN, **ANN)
    calcom.fail(MOVE, LOST_REQUEST)

    assert (await model.refused("reschedule_call", preferred_time=ELEVEN)).startswith(
        UNSURE
    )
    assert (await model.call("reschedule_call", preferred_time=ELEVEN)).text.startswith(
        "Moved"
    )


async def test_move_to_a_time_that_is_not_free(model, calcom):
    await model.call("book_a_call", preferred_time=TEN, **ANN)

    told = await model.refused("reschedule_call", preferred_time="2026-11-24T15:00Z")

    assert told.startswith("That time is not free.")


async def test_call_is_cancelled(db, model, calcom):
    booked = await model.call("book_a_call", preferred_time=TEN, **ANN)
    booking = booked.text.split(": ")[1].split(",")[0]

    result = await model.call("cancel_call", booking=booking)
    again = await model.call("cancel_call", booking=booking)
    [row] = await rows(db)

    assert result == again
    assert row["state"] == "cancelled"
    assert calcom.active() == []
    assert calcom.calls.count(CANCEL) == 1


@pytest.mark.parametrize("fault", [LOST_ANSWER, Fault(500, done=True)])
async def test_cancellation_in_doubt_is_looked_at(db, model, calcom, fault):
    await model.call("book_a_call", preferred_time=TEN, **ANN)
    calcom.fail(CANCEL, fault)

    result = await model.call("cancel_call")
    [row] = await rows(db)

    assert result.text.startswith("Cancelled: ")
    assert row["state"] == "cancelled"


async def test_call_that_the_host_has_cancelled_is_not_moved(db, model, calcom):
    await model.call("book_a_call", preferred_time=TEN, **ANN)
    calcom.cancel(calcom.active()[0]["uid"])

    told = await model.refused("reschedule_call", preferred_time=ELEVEN)
    [row] = await rows(db)

    assert told == "There is no such booking."
    assert row["state"] == "cancelled"


async def test_call_that_calcom_has_deleted_is_cancelled(db, model, calcom):
    await model.call("book_a_call", preferred_time=TEN, **ANN)
    calcom.bookings.clear()

    result = await model.call("cancel_call")

    assert result.text.startswith("Cancelled: ")


async def test_call_that_the_host_has_moved_is_followed(db, model, calcom):
    await model.call("book_a_call", preferred_time=TEN, **ANN)
    calcom.reschedule(calcom.active()[0]["uid"], ELEVEN)

    await model.call("cancel_call")

    assert calcom.active() == []


async def test_nothing_of_a_contact_and_no_key_is_logged(db, model, calcom):
    calcom.fail(CREATE, Fault(400, text="Missing required booking field of ann@e.com"))
    with structlog.testing.capture_logs() as logged:
        await model.refused(
            "book_a_call", preferred_time=TEN, topic="A new roof", **ANN
        )
        calcom.fail(CREATE, LOST_ANSWER)
        await model.call("book_a_call", preferred_time=TEN, topic="A new roof", **ANN)

    assert [line["event"] for line in logged] == ["Cal.com request refused"]
    for secret in ("ann", "roof", KEY):
        assert secret not in str(logged).lower()
