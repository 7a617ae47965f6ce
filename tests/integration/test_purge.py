"""`chatwoot-bot purge`: old conversations go as a whole, and nothing else does."""

import asyncio

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from chatwoot_bot.cli import app
from chatwoot_bot.commands.purge import _count, _delete
from chatwoot_bot.store import purging, schema
from chatwoot_bot.store.conversations import NO_ACCOUNT
from chatwoot_bot.store.engine import Database

OLD, BEFORE, NEW = 100.0, 1_000.0, 2_000.0
TABLES = [
    *(table for table, _ in purging.BELONGINGS),
    schema.graph_checkpoints,
    schema.graph_writes,
]


def rows_of(name, **changes):
    """Return one row for each table, all of one conversation."""
    mine = {"conversation_id": name}
    at = {"created_at": OLD}
    run = {"run_id": f"{name}-run", "ns": "", "kind": "json", "content": b"{}"}
    return {
        schema.conversations: {
            "id": name,
            "channel": "web",
            "state": "ai",
            "active_at": OLD,
            **at,
            **changes,
        },
        schema.messages: {**mine, **at, "sender": "user", "content": "Hello"},
        schema.turns: {
            **mine,
            **at,
            "id": f"{name}-turn",
            "decision": "bot",
            "reason": "r",
            "outcome": "kept",
            "latency_ms": 1,
        },
        schema.replies: {
            **mine,
            **at,
            "key": f"{name}-reply",
            "turn_id": f"{name}-turn",
            "position": 0,
            "kind": "answer",
            "content": "Hi",
            "state": "delivered",
        },
        schema.state_changes: {**mine, **at, "state": "ai", "reason": "r"},
        schema.effects: {
            **mine,
            **at,
            "key": f"{name}-effect",
            "turn_id": f"{name}-turn",
            "name": "n",
            "arguments": "{}",
        },
        schema.bookings: {
            **mine,
            **at,
            "id": f"{name}-booking",
            "key": f"{name}-booking",
            "token": f"{name}-token",
            "calendar": name,
            "state": "booked",
            "starts_at": OLD,
            "ends_at": OLD + 60,
            "time_zone": "UTC",
            "name": "Ada",
            "updated_at": OLD,
        },
        schema.graph_runs: {
            **mine,
            **at,
            "id": f"{name}-run",
            "thread_id": name,
            "seen": 1,
        },
        schema.graph_checkpoints: {**run, "id": "c"},
        schema.graph_writes: {
            **run,
            "checkpoint_id": "c",
            "task_id": "t",
            "position": 0,
            "path": "",
            "channel": "x",
        },
    }


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A migrated database of each kind."""
    found = f"sqlite:///{tmp_path / 'chatwoot_bot.db'}"
    if request.param == "postgresql":
        found = request.getfixturevalue("postgres_url")
    asyncio.run(_visit(found, lambda tx: None))
    return found


async def _opened(url, visit):
    db = Database(url)
    await db.open(alone=False)
    try:
        return await visit(db)
    finally:
        await db.close()


async def _visit(url, job):
    return await _opened(url, lambda db: db.write(job))


def put(url, *rows_by_table):
    def job(tx):
        for rows in rows_by_table:
            for table, row in rows.items():
                tx.execute(sa.insert(table), row)

    asyncio.run(_visit(url, job))


def counts(url):
    def job(tx):
        tables = [schema.conversations, *TABLES]
        query = sa.select(sa.func.count())
        return {t.name: tx.execute(query.select_from(t)).scalar_one() for t in tables}

    return asyncio.run(_visit(url, job))


def purge(url, *, count_only=False):
    step = _count if count_only else _delete
    return asyncio.run(_opened(url, lambda db: step(db, BEFORE)))


def test_old_conversation_goes_with_all_that_belongs_to_it(url, monkeypatch):
    monkeypatch.setattr(purging, "STEP", 2)
    put(url, *(rows_of(f"old-{n}") for n in range(5)), rows_of("new", active_at=NEW))

    said = purge(url)

    assert said == "Deleted 5 conversations and 0 deliveries."
    assert set(counts(url).values()) == {1}


@pytest.mark.parametrize(
    "waits",
    [
        {"owed_since": OLD},
        {"due_at": OLD},
        {"lease": "x"},
        {"wanted_status": "open"},
        {"account_id": NO_ACCOUNT, "display_id": 7},
    ],
    ids=lambda waits: next(iter(waits)),
)
def test_conversation_in_which_somebody_waits_stays(url, waits):
    put(url, rows_of("old", **waits))

    purge(url)

    assert set(counts(url).values()) == {1}


def test_conversation_with_something_to_say_stays(url):
    rows = rows_of("old")
    rows[schema.replies]["state"] = "open"
    put(url, rows)

    purge(url)

    assert set(counts(url).values()) == {1}


def test_conversation_that_waits_for_a_human_stays(url):
    put(url, rows_of("old", state="handover_pending"))

    purge(url)

    assert set(counts(url).values()) == {1}


def test_conversation_that_was_taken_over_lately_stays(url):
    rows = rows_of("old", state="human")
    rows[schema.state_changes]["created_at"] = NEW
    put(url, rows)

    purge(url)

    assert set(counts(url).values()) == {1}


def test_conversation_with_a_call_to_come_stays(url):
    rows = rows_of("old")
    rows[schema.bookings]["ends_at"] = NEW
    put(url, rows)

    purge(url)

    assert set(counts(url).values()) == {1}


def test_purge_that_was_stopped_is_completed_by_the_next(url):
    put(url, rows_of("old"))
    asyncio.run(_visit(url, lambda tx: purging.purge_conversations(tx, BEFORE)))

    said = purge(url)

    assert said == "Deleted 0 conversations and 0 deliveries."
    assert set(counts(url).values()) == {0}


def test_old_deliveries_and_questions_go_and_newer_ones_stay(url, monkeypatch):
    monkeypatch.setattr(purging, "STEP", 2)
    came = {"outcome": "accepted", "reason": "r", "body": b"{}"}
    asked = {"collection": "", "conversation_id": "c", "count": 1}

    def job(tx):
        for at in (OLD, OLD, OLD, NEW):
            tx.execute(sa.insert(schema.deliveries), {**came, "received_at": at})
        for at in (OLD, NEW):
            row = {**asked, "folded": str(at), "question": "Why?", "asked_at": at}
            tx.execute(sa.insert(schema.unanswered_questions), row)

    asyncio.run(_visit(url, job))

    assert purge(url, count_only=True) == (
        "Would delete 0 conversations and 3 deliveries."
    )
    assert purge(url) == "Deleted 0 conversations and 3 deliveries."

    def left(tx):
        kept = tx.execute(sa.select(schema.deliveries.c.received_at)).scalars().all()
        query = sa.select(schema.unanswered_questions.c.asked_at)
        return kept, tx.execute(query).scalars().all()

    assert asyncio.run(_visit(url, left)) == ([NEW], [NEW])


def test_counting_deletes_nothing(url):
    put(url, rows_of("old"))

    said = purge(url, count_only=True)

    assert said == "Would delete 1 conversation and 0 deliveries."
    assert set(counts(url).values()) == {1}


@pytest.mark.parametrize("span", ["90", "d", "0d", "-3d", "90 days", "3h", ""])
def test_span_that_is_none_is_refused_by_name(span):
    result = CliRunner().invoke(app, ["purge", f"--older-than={span}"])

    assert result.exit_code == 2
    assert "is not a valid duration" in result.output


def test_command_purges_beside_a_running_service(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def story():
        db = Database("sqlite:///chatwoot_bot.db")
        await db.open()  # as the service has it
        try:
            await db.write(
                lambda tx: [
                    tx.execute(sa.insert(table), row)
                    for table, row in rows_of("old").items()
                ]
            )
            result = await asyncio.to_thread(
                CliRunner().invoke, app, ["purge", "--older-than", "12w"]
            )
            query = sa.select(sa.func.count()).select_from(schema.messages)
            return result, await db.read(lambda tx: tx.execute(query).scalar_one())
        finally:
            await db.close()

    result, messages = asyncio.run(story())

    assert (result.exit_code, messages) == (0, 0)
    assert "Deleted 1 conversation and" in result.output
