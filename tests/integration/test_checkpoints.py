"""What a graph remembers: which runs count, and which are as if they had never been."""

import pytest
import sqlalchemy as sa

from chatwoot_bot.store import checkpoints, schema
from chatwoot_bot.store.checkpoints import Stored, Written
from chatwoot_bot.store.turns import TurnRecord, insert_record

pytestmark = pytest.mark.anyio

CID = "c_1"


async def begin(db, run_id, *, seen, owed_from=None, now=0.0):
    return await db.write(
        checkpoints.begin,
        run_id=run_id,
        conversation_id=CID,
        seen=seen,
        owed_from=seen if owed_from is None else owed_from,
        now=now,
    )


async def store(db, run_id, checkpoint_id, content=b"c"):
    stored = Stored(
        run_id=run_id, id=checkpoint_id, parent_id=None, kind="x", content=content
    )
    await db.write(checkpoints.put, ns="", stored=stored)


async def ended(db, run_id, outcome, *, finished=True):
    """Let the run come to its end, and its turn to another one."""
    if finished:
        await db.write(checkpoints.finish, run_id)
    record = TurnRecord(
        id=run_id,
        conversation_id=CID,
        decision="bot",
        reason="default",
        outcome=outcome,
        started_at=0.0,
        latency_ms=1,
    )
    await db.write(insert_record, record)


async def newest(db, run):
    found = await db.read(checkpoints.load, run, ns="", checkpoint_id=None)
    return found and found.id


async def count(db, table):
    query = sa.select(sa.func.count()).select_from(table)
    return await db.read(lambda tx: tx.execute(query).scalar())


async def say(db, message_id, **values):
    row = {
        "id": message_id,
        "conversation_id": CID,
        "sender": "user",
        "created_at": 0.0,
        **values,
    }
    await db.write(lambda tx: tx.execute(sa.insert(schema.messages), row))


async def test_next_run_goes_on_where_the_kept_one_ended(db):
    first = await begin(db, "t_1", seen=1)
    await store(db, "t_1", "a")
    await ended(db, "t_1", "kept")
    await say(db, 2, sender="ai", turn_id="t_1")
    await say(db, 3, turn_id="t_1")
    second = await begin(db, "t_2", seen=3)

    assert (first.head, first.seen, first.said) == (None, 0, frozenset())
    assert (second.head, second.seen, second.said) == ("t_1", 1, {2})
    assert (second.resumes, await newest(db, second)) == (False, "a")
    await store(db, "t_2", "b")
    assert await newest(db, second) == "b"


@pytest.mark.parametrize(
    ("outcome", "finished"),
    [("superseded", True), ("silenced", True), ("kept", False)],
)
async def test_run_whose_answer_was_not_said_has_never_been(db, outcome, finished):
    """The last one: somebody else has answered in its place."""
    await begin(db, "t_1", seen=1)
    await store(db, "t_1", "a")
    await ended(db, "t_1", outcome, finished=finished)
    second = await begin(db, "t_2", seen=2)

    assert (second.head, second.resumes, await newest(db, second)) == (
        None,
        False,
        None,
    )
    assert await count(db, schema.graph_checkpoints) == 0
    assert await count(db, schema.graph_runs) == 1


async def test_run_of_a_dead_process_is_gone_on_with(db):
    await begin(db, "t_1", seen=1)
    await store(db, "t_1", "a")
    again = await begin(db, "t_2", seen=1)

    assert (again.resumes, await newest(db, again)) == (True, "a")
    assert await count(db, schema.graph_runs) == 1


async def test_unless_somebody_has_said_something_since(db):
    await begin(db, "t_1", seen=1)
    await store(db, "t_1", "a")
    again = await begin(db, "t_2", seen=2, owed_from=1)

    assert (again.resumes, await newest(db, again)) == (False, None)


async def test_another_answer_begins_before_the_first_one(db):
    """`/bot retry`: the message is owed again."""
    for number in (1, 2):
        await begin(db, f"t_{number}", seen=number * 2, now=number)
        await store(db, f"t_{number}", f"c{number}")
        await ended(db, f"t_{number}", "kept")
    again = await begin(db, "t_3", seen=5, owed_from=4, now=3.0)

    assert (again.head, again.seen, await newest(db, again)) == ("t_1", 2, "c1")


async def test_resolved_request_is_forgotten(db):
    await begin(db, "t_1", seen=1)
    await store(db, "t_1", "a")
    await ended(db, "t_1", "kept")
    await say(db, 1, closes=True)
    again = await begin(db, "t_2", seen=2)

    assert (again.thread_id, again.head) == (f"{CID}:1", None)
    assert await count(db, schema.graph_checkpoints) == 0


async def test_thread_does_not_grow_with_its_answers(db):
    for number in range(1, 9):
        await begin(db, f"t_{number}", seen=number, now=number)
        for step in "abc":
            await store(db, f"t_{number}", f"{number}{step}")
        await ended(db, f"t_{number}", "kept")

    assert await count(db, schema.graph_checkpoints) == checkpoints.KEPT + 1


async def test_writes_go_with_their_checkpoint(db):
    """Those of LangGraph's own are replaced; a task's are written once."""
    run = await begin(db, "t_1", seen=1)
    await store(db, "t_1", "a")

    async def write(position, content):
        written = Written(
            task_id="k",
            position=position,
            path="",
            channel="x",
            kind="y",
            content=content,
        )
        place = {"ns": "", "checkpoint_id": "a", "writes": [written]}
        await db.write(checkpoints.put_writes, "t_1", **place)

    for position, content in ((0, b"1"), (0, b"2"), (-1, b"3"), (-1, b"4")):
        await write(position, content)
    found = await db.read(checkpoints.load, run, ns="", checkpoint_id="a")
    await store(db, "t_1", "b")

    assert sorted(each.content for each in found.writes) == [b"1", b"4"]
    assert await count(db, schema.graph_writes) == 0
