"""Effects in the database: what tools have changed in the world, and so not twice.

A row is there before the tool runs, and gets its result afterwards. One without a
result is *in doubt*: its process died, or the tool took too long. Effects are
*settled* by the answer that tells of them; until then each new attempt at an answer
finds them here, and does not repeat them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ..core.conversation import State
from .leases import Lease, held
from .replies import ReplyKind
from .schema import effects, replies


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One effect.

    Attributes:
        arguments: JSON, in the one form that equal arguments have.
        result: JSON, as it was recorded; None while it is in doubt.
    """

    key: str
    name: str
    arguments: str
    result: str | None = None


def unsettled(tx: sa.Connection, lease: Lease) -> list[Entry]:
    """Return the effects that no answer has told of yet, oldest first."""
    rows = tx.execute(_UNSETTLED, {"conversation": lease.conversation_id})
    return [
        Entry(key=row.key, name=row.name, arguments=row.arguments, result=row.result)
        for row in rows
    ]


_MINE = effects.c.conversation_id == sa.bindparam("conversation")
# As the partial index has it.
_IS_UNSETTLED = sa.not_(effects.c.settled)
_UNSETTLED = (
    sa.select(effects).where(_MINE, _IS_UNSETTLED).order_by(effects.c.created_at)
)


def begin(
    tx: sa.Connection,
    lease: Lease,
    *,
    turn_id: str,
    name: str,
    arguments: str,
    now: float,
) -> Entry | None:
    """Put an effect on record that is brought about at once; None if it may not be.

    It may not when a human has come to hold the conversation.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, human_mode = held(tx, lease)
    if human_mode or conversation.state is not State.AI:
        return None
    entry = Entry(key=f"e_{secrets.token_hex(8)}", name=name, arguments=arguments)
    tx.execute(
        sa.insert(effects),
        {
            "key": entry.key,
            "conversation_id": lease.conversation_id,
            "turn_id": turn_id,
            "name": name,
            "arguments": arguments,
            "created_at": now,
        },
    )
    return entry


def done(
    tx: sa.Connection,
    lease: Lease,
    entry: Entry,
    *,
    turn_id: str,
    notes: Sequence[str],
    now: float,
) -> None:
    """Note what came of an effect. A fact, so no lease is asked for.

    Args:
        entry: with its result.
        notes: tell the agents, whatever becomes of the answer.
    """
    if not tx.execute(_DONE, {"effect": entry.key, "outcome": entry.result}).rowcount:
        return
    for position, note in enumerate(notes):
        row = {
            "key": f"{entry.key}.{position}",
            "conversation_id": lease.conversation_id,
            "turn_id": turn_id,
            "position": position,
            "kind": ReplyKind.NOTE,
            "content": note,
            "state": "open",
            "created_at": now,
        }
        tx.execute(sa.insert(replies), row)


_DONE = (
    sa.update(effects)
    .where(effects.c.key == sa.bindparam("effect"), effects.c.result.is_(None))
    .values(result=sa.bindparam("outcome", type_=sa.Text))
)


def undone(tx: sa.Connection, entry: Entry) -> None:
    """Forget an effect that has certainly not come about."""
    tx.execute(sa.delete(effects).where(effects.c.key == entry.key))


def settle(tx: sa.Connection, conversation_id: str) -> None:
    """Let the effects be: an answer tells of them, or nobody will write one."""
    tx.execute(_SETTLE, {"conversation": conversation_id})


_SETTLE = sa.update(effects).where(_MINE, _IS_UNSETTLED).values(settled=sa.true())
