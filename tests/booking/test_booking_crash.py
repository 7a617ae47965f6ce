"""A process that is killed in the middle of a tool: what it did is done once."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from calcom_stand_in import EVENT_TYPE, KEY, NEVER_ANSWERS
from calcom_stand_in import calcom_stand_in as running
from callers import Caller, begun

from chatwoot_bot.http import make_client
from chatwoot_bot.settings import Settings
from chatwoot_bot.store import schema
from chatwoot_bot.store.engine import Database
from chatwoot_bot.toolkit import booking_tools

pytestmark = pytest.mark.anyio

NOW = 1_795_420_800.0  # Mon 2026-11-23 08:00 UTC
TEN = "2026-11-24T10:00Z"
ELEVEN = "2026-11-24T11:00Z"

# One call of a tool, as a worker makes it; killed before it ends.
WORKER = """
import asyncio, json, sys
from callers import Caller
from chatwoot_bot.toolkit import booking_tools
from chatwoot_bot.http import make_client
from chatwoot_bot.settings import Settings
from chatwoot_bot.store.engine import Database

environ, conversation, now, name, arguments = json.loads(sys.argv[1])

async def main():
    settings = Settings.load(environ)
    db = Database(environ["DATABASE_URL"])
    await db.open()
    async with make_client() as http:
        model = Caller(booking_tools(settings, db, http), conversation, now=now)
        await model.call(name, key="k", **arguments)

asyncio.run(main())
"""


class House:
    """One database, a stand-in for Cal.com, and processes that come and go."""

    def __init__(self, database_url, calcom):
        self.calcom = calcom
        self.environ = {
            "DATABASE_URL": database_url,
            "CALCOM_API_KEY": KEY,
            "CALCOM_EVENT_TYPE_ID": str(EVENT_TYPE),
            "CALCOM_BASE_URL": calcom.url,
        }
        self.conversation = None

    async def begin(self):
        db = Database(self.environ["DATABASE_URL"])
        await db.open()
        self.conversation = (await begun(db))["id"]
        await db.close()

    async def killed_during(self, name, /, **arguments):
        """Have a process call the tool, and die when Cal.com has done its part."""
        told = json.dumps([self.environ, self.conversation, NOW, name, arguments])
        tests = Path(__file__).parents[1]
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WORKER, told),
            env={"PYTHONPATH": f"{tests}:{tests.parent}"},
        )
        await asyncio.wait_for(self.calcom.asked.wait(), 30)
        worker.kill()
        await worker.wait()
        self.calcom.asked.clear()

    async def calls(self, name, /, **arguments):
        """Call the tool in a process that lives; return its words and the rows."""
        db = Database(self.environ["DATABASE_URL"])
        await db.open()
        async with make_client() as http:
            tools = booking_tools(Settings.load(self.environ), db, http)
            model = Caller(tools, self.conversation, now=NOW)
            result = await model.call(name, key="k", **arguments)
        query = sa.select(schema.bookings)
        rows = await db.read(lambda tx: tx.execute(query).mappings().all())
        await db.close()
        return result.text, rows


@pytest.fixture
async def house(database_url):
    async with running(TEN, ELEVEN) as calcom:
        one = House(database_url, calcom)
        await one.begin()
        yield one


BOOKING = {
    "preferred_time": TEN,
    "name": "Ann",
    "email_or_phone": "ann@example.com",
}


async def test_killed_while_calcom_books(house):
    house.calcom.fail("POST /v2/bookings", NEVER_ANSWERS)
    await house.killed_during("book_a_call", **BOOKING)

    text, [row] = await house.calls("book_a_call", **BOOKING)

    assert text.startswith("Booked: ")
    assert [kept["uid"] for kept in house.calcom.active()] == [row["external_id"]]
    assert house.calcom.calls.count("POST /v2/bookings") == 1


async def test_killed_while_calcom_moves(house):
    await house.calls("book_a_call", **BOOKING)
    house.calcom.fail("POST /v2/bookings/{uid}/reschedule", NEVER_ANSWERS)
    await house.killed_during("reschedule_call", preferred_time=ELEVEN)

    text, [row] = await house.calls("reschedule_call", preferred_time=ELEVEN)

    assert text.startswith("Moved: ")
    assert [kept["uid"] for kept in house.calcom.active()] == [row["external_id"]]
    assert house.calcom.calls.count("POST /v2/bookings/{uid}/reschedule") == 1


async def test_killed_while_calcom_cancels(house):
    await house.calls("book_a_call", **BOOKING)
    house.calcom.fail("POST /v2/bookings/{uid}/cancel", NEVER_ANSWERS)
    await house.killed_during("cancel_call")

    text, [row] = await house.calls("cancel_call")

    assert text.startswith("Cancelled: ")
    assert row["state"] == "cancelled"
    assert house.calcom.active() == []
