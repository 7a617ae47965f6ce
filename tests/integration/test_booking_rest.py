"""GET /bookings and the calendar files, over ASGI, on both databases."""

import time

import icalendar
import pytest
from callers import Caller, begun
from test_webhook import SIGNED, serving

from chatwoot_bot.core.slots import Span
from chatwoot_bot.settings import Settings
from chatwoot_bot.store import agenda, schema
from chatwoot_bot.store.bookings import OWN, BookingState, Kept, Wanted
from chatwoot_bot.toolkit import booking_tools

pytestmark = pytest.mark.anyio

NOW = 1_795_420_800.0  # Mon 2026-11-23 08:00 UTC
HOURS = {"BOOKING_HOURS": "Mon-Sun 00:00-24:00", "BOOKING_NOTICE_HOURS": "0"}


@pytest.fixture
async def quiet(database_url):
    async with serving(database_url, worker=False) as client:
        yield client


async def booked(client, hour, *, calendar=OWN, conversation=None, **facts):
    """Book a call that begins *hour* hours from `NOW`."""
    db = client.context.db
    row = conversation or await begun(db)
    wanted = Wanted(
        key=f"{row['id']} {hour}",
        circle=(row["id"],),
        calendar=calendar,
        slot=Span(NOW + hour * 3_600, NOW + hour * 3_600 + 1_800),
        time_zone="Europe/Berlin",
        **{"name": "Ann"} | facts,
    )
    if calendar == OWN:
        return await db.write(agenda.book, wanted, now=NOW)
    booking, _ = await db.write(agenda.begin, wanted, now=NOW)
    return booking


async def listed(client, **query):
    answer = await client.get("/bookings", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_booking_shows_all_that_agents_need(quiet):
    row = await begun(quiet.context.db)
    booking = await booked(
        quiet,
        2,
        conversation=row,
        email="a@example.com",
        phone="+49 30 1",
        topic="Roof",
    )

    assert await listed(quiet) == {
        "items": [
            {
                "id": booking.id,
                "conversation_id": row["id"],
                "state": "booked",
                "start": "2026-11-23T10:00:00.000Z",
                "end": "2026-11-23T10:30:00.000Z",
                "time_zone": "Europe/Berlin",
                "name": "Ann",
                "email": "a@example.com",
                "phone": "+49 30 1",
                "topic": "Roof",
                "calendar": "own",
                "calendar_file": f"/bookings/{booking.token}.ics",
                "external_id": None,
                "display_id": None,
                "url": None,
                "created_at": "2026-11-23T08:00:00.000Z",
                "updated_at": "2026-11-23T08:00:00.000Z",
            }
        ],
        "next": None,
    }


async def test_booking_leads_to_its_conversation_in_chatwoot(database_url):
    async with serving(database_url, worker=False, **SIGNED) as client:
        row = await begun(client.context.db)
        where = schema.conversations.c.id == row["id"]
        change = schema.conversations.update().where(where)
        numbers = change.values(account_id=1, display_id=150)
        await client.context.db.write(lambda tx: tx.execute(numbers))
        await booked(client, 2, conversation=row)
        [item] = (await listed(client))["items"]

    assert item["display_id"] == 150
    assert item["url"] == "http://127.0.0.1:9/app/accounts/1/conversations/150"


async def test_listed_calendar_file_is_where_contacts_get_it(database_url):
    """Cal.com's own calls have none here."""
    public = "https://bot.example"
    settings = {"agent": True, "PUBLIC_URL": public}
    async with serving(database_url, worker=False, **settings) as client:
        await booked(client, 2)
        await booked(client, 4, calendar="calcom:1")
        calcom, own = (await listed(client))["items"]
        file = await client.get(own["calendar_file"].removeprefix(public))

    assert own["calendar_file"].startswith(f"{public}/bookings/")
    assert file.status_code == 200
    assert calcom["calendar_file"] is None


async def test_bookings_are_listed_latest_first_and_page_by_page(quiet):
    for hour in (3, 1, 5, 2, 4):
        await booked(quiet, hour)
    pages, following = [], {}
    while following is not None:
        page = await listed(quiet, limit=2, **following)
        pages.append([item["start"][11:13] for item in page["items"]])
        following = {"before": page["next"]} if page["next"] else None

    assert pages == [["13", "12"], ["11", "10"], ["09"]]


async def test_bookings_of_a_span_a_state_or_a_conversation(quiet):
    first, second = await booked(quiet, 1), await booked(quiet, 2)
    third = await booked(quiet, 3, calendar="calcom:7", email="a@example.com")
    await quiet.context.db.write(agenda.cancel, second, now=NOW)

    async def found(**query):
        return [item["id"] for item in (await listed(quiet, **query))["items"]]

    assert await found(since="2026-11-23T10:00:00Z") == [third.id, second.id]
    assert await found(until="2026-11-23T10:00:00Z") == [first.id]
    assert await found(since=NOW + 7_200, until=NOW + 7_201) == [second.id]
    assert await found(state="booked") == [first.id]
    assert await found(state="cancelled") == [second.id]
    assert await found(state="unsure") == [third.id]
    assert await found(conversation_id=second.conversation_id) == [second.id]
    assert await found(conversation_id="c_0") == []


@pytest.mark.parametrize(
    "query", [{"state": "gone"}, {"since": "soon"}, {"limit": 0}, {"before": "x"}]
)
async def test_query_that_makes_no_sense_names_its_field(quiet, query):
    answer = await quiet.get("/bookings", params=query)

    assert answer.status_code == 422
    assert answer.json()["fields"].keys() == query.keys()


async def event(client, booking):
    """The event in the file of a call, read by the library."""
    answer = await client.get(f"/bookings/{booking.token}.ics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    calendar = icalendar.Calendar.from_ical(answer.content)
    [found] = calendar.walk("VEVENT")
    return str(calendar["method"]), found


async def test_file_of_a_call_replaces_itself_when_the_call_changes(quiet):
    """One UID, and a sequence that grows: phones then move and remove the event."""
    db = quiet.context.db
    booking = await booked(quiet, 2, topic="Roof; walls, and\ndoors — größer")
    seen = [await event(quiet, booking)]
    await db.write(agenda.move, booking, Span(NOW, NOW + 1_800), now=NOW + 60)
    seen.append(await event(quiet, booking))
    await db.write(agenda.cancel, booking, now=NOW + 120)
    seen.append(await event(quiet, booking))

    assert [method for method, _ in seen] == ["PUBLISH", "PUBLISH", "CANCEL"]
    events = [found for _, found in seen]
    assert {str(found["uid"]) for found in events} == {f"{booking.id}@chatwoot-bot"}
    assert [int(found["sequence"]) for found in events] == [0, 1, 2]
    assert [str(found["status"]) for found in events] == [
        *("CONFIRMED", "CONFIRMED", "CANCELLED")
    ]
    starts = [found.decoded("dtstart").timestamp() for found in events]
    assert starts == [NOW + 7_200, NOW, NOW]
    assert events[0].decoded("dtend").timestamp() == NOW + 9_000
    assert str(events[0]["summary"]) == "Call: Roof; walls, and\ndoors — größer"


@pytest.mark.parametrize("token", ["nobodys", "%00", "b_1", "x" * 5_000])
async def test_file_of_nobody_is_not_there(quiet, token):
    answer = await quiet.get(f"/bookings/{token}.ics")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_call_at_calcom_has_no_file_of_ours(quiet):
    """Cal.com has sent one with its own UID; a second would show the call twice."""
    booking = await booked(quiet, 2, calendar="calcom:7", email="a@example.com")
    kept = Kept(external_id="u", state=BookingState.BOOKED, slot=booking.slot)
    await quiet.context.db.write(agenda.settle, booking, kept, now=NOW)

    answer = await quiet.get(f"/bookings/{booking.token}.ics")

    assert answer.status_code == 404


async def test_link_that_the_contact_gets_leads_to_the_file(quiet):
    db = quiet.context.db
    environ = HOURS | {"PUBLIC_URL": "https://bot.example.com/"}
    tools = booking_tools(Settings.load(environ), db, http=None)
    model = Caller(tools, (await begun(db))["id"], now=time.time())
    free = await model.call("find_free_times")
    start = free.text.splitlines()[2].split(": ")[0]
    result = await model.call(
        "book_a_call", preferred_time=start, name="Ann", email_or_phone="a@b.example"
    )

    path = result.text.split("https://bot.example.com")[1]
    answer = await quiet.get(path)

    assert answer.status_code == 200
    assert b"BEGIN:VEVENT" in answer.content
