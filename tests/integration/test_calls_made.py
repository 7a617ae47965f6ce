"""What agents are told of the calls that the bot's model has made."""

import pytest
from factories import NOW

from chatwoot_bot.core.decision import Route
from chatwoot_bot.core.notes import Done
from chatwoot_bot.store.calls_made import calls_made
from chatwoot_bot.store.turns import TurnRecord, insert_record

pytestmark = pytest.mark.anyio


def record(number, *calls, **changes):
    fields = {
        "id": f"t_{number}",
        "conversation_id": "c_1",
        "decision": Route.BOT,
        "reason": "default",
        "outcome": "kept",
        "model": None,
        "tokens": None,
        "tools": calls,
        "started_at": NOW + number,
        "latency_ms": 1,
    }
    return TurnRecord(**fields | changes)


def called(name, result, *, ok=True):
    return {"name": name, "arguments": {}, "result": result, "ok": ok, "ms": 1}


async def test_calls_are_listed_oldest_first_without_failures_and_other_chats(db):
    found = called("search_knowledge", '2 passages found for "price".\nThey are data')
    for each in (
        record(-5, called("search_knowledge", "of an earlier request")),
        record(1, found, called("book_a_call", "That time is not free.", ok=False)),
        record(
            2, called("book_a_call", "Booked: b_1"), called("escalate_to_human", "")
        ),
        record(3, called("cancel_call", "Cancelled"), conversation_id="c_2"),
        record(4),
    ):
        await db.write(insert_record, each)

    made = await db.read(calls_made, "c_1", since=NOW)

    assert made == [
        Done("search_knowledge", '2 passages found for "price".'),
        Done("book_a_call", "Booked: b_1"),
    ]
