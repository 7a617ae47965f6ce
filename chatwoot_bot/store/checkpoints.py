"""What an operator's graph remembers of a conversation.

A *run* is one turn's work of the graph. What it writes counts only once its answer has
been kept: it is *adopted* then, and the next run of the same request begins where it
ended. Any other run, superseded or silenced, is as if it had never been. One whose
process died is gone on with, if nobody has said anything since.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ..core.conversation import Sender
from .conversations import insert_new
from .schema import graph_checkpoints, graph_runs, graph_writes, messages, turns
from .statements import change

# Adopted runs that are kept: the last one, and the one before it for when an agent
# asks for another answer.
KEPT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One turn's work.

    Attributes:
        id: the turn's.
        thread_id: the same for all runs of a request, until it is resolved.
        head: the run that it goes on from, or None.
        seen: the newest message that the head was told of; 0 without one.
        said: the messages in which the contact was told what the head has written.
        resumes: it goes on with a run whose process died.
    """

    id: str
    thread_id: str
    head: str | None
    seen: int
    said: frozenset[int]
    resumes: bool

    @property
    def line(self) -> tuple[str, ...]:
        """Return the runs that hold what it remembers, the newest first."""
        return (self.id,) if self.head is None else (self.id, self.head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a task of the graph has written to a channel.

    Attributes:
        position: among those of its task; below zero for one of LangGraph's own,
            of which the last one counts.
        kind: in which form *content* is.
    """

    task_id: str
    position: int
    path: str
    channel: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A checkpoint as it is stored.

    Attributes:
        writes: of the tasks that follow it and have ended, in no order.
    """

    run_id: str
    id: str
    parent_id: str | None
    kind: str
    content: bytes
    writes: Sequence[Written] = ()


def begin(
    tx: sa.Connection,
    *,
    run_id: str,
    conversation_id: str,
    seen: int,
    owed_from: int,
    now: float,
) -> Run:
    """Begin a run, or go on with one; forget those that have come to nothing.

    Args:
        seen: the newest message that the graph will have been told of.
        owed_from: the first message that waits for its answer. A run that was told
            of it does not count: another answer is wanted.
    """
    mine = {"conversation": conversation_id}
    thread_id = f"{conversation_id}:{tx.execute(_RESOLVED_AT, mine).scalar() or 0}"
    rows = tx.execute(_RUNS, mine).all()
    here = [row for row in rows if row.thread_id == thread_id]
    adopted = [
        row
        for row in here
        if row.finished and row.outcome == "kept" and row.seen < owed_from
    ][-KEPT:]
    head = adopted[-1] if adopted else None
    broken = [row for row in here if row.outcome is None and row.seen == seen][-1:]
    current = {row.id for row in (*adopted, *broken)}
    _forget(tx, [row.id for row in rows if row.id not in current])
    if broken:
        _rename(tx, broken[0].id, run_id)
    else:
        tx.execute(
            sa.insert(graph_runs),
            {
                "id": run_id,
                "conversation_id": conversation_id,
                "thread_id": thread_id,
                "seen": seen,
                "created_at": now,
            },
        )
    said = tx.execute(_SAID, {**mine, "turn": head.id}).scalars() if head else ()
    return Run(
        id=run_id,
        thread_id=thread_id,
        head=head.id if head else None,
        seen=head.seen if head else 0,
        said=frozenset(said),
        resumes=bool(broken),
    )


_RESOLVED_AT = sa.select(sa.func.max(messages.c.id)).where(
    messages.c.conversation_id == sa.bindparam("conversation"), messages.c.closes
)
_RUNS = (
    sa.select(graph_runs, turns.c.outcome)
    .join_from(graph_runs, turns, turns.c.id == graph_runs.c.id, isouter=True)
    .where(graph_runs.c.conversation_id == sa.bindparam("conversation"))
    .order_by(graph_runs.c.created_at)
)
_SAID = sa.select(messages.c.id).where(
    messages.c.conversation_id == sa.bindparam("conversation"),
    messages.c.turn_id == sa.bindparam("turn"),
    messages.c.sender == Sender.BOT.value,
)


def _forget(tx: sa.Connection, run_ids: Sequence[str]) -> None:
    for table, column in _BELONGS if run_ids else ():
        tx.execute(sa.delete(table).where(column.in_(run_ids)))


def _rename(tx: sa.Connection, old: str, new: str) -> None:
    for table, column in _BELONGS:
        tx.execute(sa.update(table).where(column == old).values({column: new}))


_BELONGS = (
    (graph_runs, graph_runs.c.id),
    (graph_checkpoints, graph_checkpoints.c.run_id),
    (graph_writes, graph_writes.c.run_id),
)


def finish(tx: sa.Connection, run_id: str) -> None:
    """Note that the run has come to its end; once its answer is kept, it counts."""
    change(tx, graph_runs, {"id": run_id}, finished=True)


def load(
    tx: sa.Connection, run: Run, *, ns: str, checkpoint_id: str | None
) -> Stored | None:
    """Return a checkpoint with what has been written since, or None.

    Args:
        checkpoint_id: None for the newest of the run or, if it has none, of its head.
    """
    mine = graph_checkpoints.c.run_id.in_(run.line), graph_checkpoints.c.ns == ns
    query = sa.select(graph_checkpoints).where(*mine)
    if checkpoint_id is not None:
        query = query.where(graph_checkpoints.c.id == checkpoint_id)
    rows = {
        row.run_id: row for row in tx.execute(query.order_by(graph_checkpoints.c.id))
    }
    row = next((rows[each] for each in run.line if each in rows), None)
    if row is None:
        return None
    writes = tx.execute(_WRITES, {"run": row.run_id, "ns": ns, "checkpoint": row.id})
    return Stored(
        run_id=row.run_id,
        id=row.id,
        parent_id=row.parent_id,
        kind=row.kind,
        content=row.content,
        writes=[Written(**each) for each in writes.mappings()],
    )


_WRITES = sa.select(
    *(graph_writes.c[name] for name in Written.__dataclass_fields__)
).where(
    graph_writes.c.run_id == sa.bindparam("run"),
    graph_writes.c.ns == sa.bindparam("ns"),
    graph_writes.c.checkpoint_id == sa.bindparam("checkpoint"),
)


def put(tx: sa.Connection, *, ns: str, stored: Stored) -> None:
    """Store a checkpoint in place of the run's earlier ones: nobody goes back there."""
    place = {"run_id": stored.run_id, "ns": ns}
    earlier = graph_writes.c.checkpoint_id != stored.id
    tx.execute(sa.delete(graph_checkpoints).filter_by(**place))
    tx.execute(sa.delete(graph_writes).filter_by(**place).where(earlier))
    tx.execute(
        sa.insert(graph_checkpoints),
        {
            **place,
            "id": stored.id,
            "parent_id": stored.parent_id,
            "kind": stored.kind,
            "content": stored.content,
        },
    )


def put_writes(
    tx: sa.Connection,
    run_id: str,
    *,
    ns: str,
    checkpoint_id: str,
    writes: Sequence[Written],
) -> None:
    """Store what a task has written since the checkpoint."""
    place = {"run_id": run_id, "ns": ns, "checkpoint_id": checkpoint_id}
    for each in writes:
        if each.position < 0:
            tx.execute(
                sa.delete(graph_writes).filter_by(
                    **place, task_id=each.task_id, position=each.position
                )
            )
        row = {name: getattr(each, name) for name in Written.__dataclass_fields__}
        tx.execute(insert_new(graph_writes, tx.dialect.name), {**place, **row})
