"""Conversations in the database: find and lock, make, hold, and forget what is owed.

Every function takes the open transaction and runs inside it.
"""

import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ..core.conversation import Conversation, State, Status, first_state
from ..core.events import Sighting
from .schema import conversations, messages, replies, service

# Stands for "the account is not known yet" in a conversation named by an operator.
NO_ACCOUNT = 0

FIELDS = frozenset(Conversation.__dataclass_fields__)


def open_conversation(
    tx: sa.Connection, where: dict[str, Any], first: Callable[[], dict[str, Any]]
) -> tuple[Conversation, bool]:
    """Lock the conversation, making it with the values of *first* if new.

    Args:
        where: ``{"id": …}``, or ``{"account_id": …, "display_id": …}``.
        first: returns the columns of a new row, without those of *where*.

    Returns:
        The conversation as it is, and the human mode for all.
    """
    found = find(tx, where)
    if found is None:
        if "id" in where or not _adopt(tx, where):
            tx.execute(
                insert_new(conversations, tx.dialect.name),
                {"id": new_id(), **first(), **where},
            )
        found = find(tx, where)
    if found is None:
        raise LookupError("a conversation vanished between two statements")
    return found


def find(tx: sa.Connection, where: dict[str, Any]) -> tuple[Conversation, bool] | None:
    """Lock and return a conversation and the human mode for all, or None.

    Args:
        where: column → value; one of the identities above, or more.
    """
    row = tx.execute(_query(tuple(where)), where).mappings().first()
    if row is None:
        return None
    return conversation_of(row), row["human_mode"] == "1"


@lru_cache
def _query(names: tuple[str, ...]) -> sa.Select[Any]:
    return (
        sa.select(conversations, human_mode_column())
        .with_for_update(of=conversations)
        .where(*(conversations.c[name] == sa.bindparam(name) for name in names))
    )


def human_mode_column() -> sa.Label[Any]:
    """Return the switch above all conversations as a column, "1" when on."""
    query = sa.select(service.c.value).where(service.c.name == "human_mode")
    return query.scalar_subquery().label("human_mode")


def state_at_first_sight(
    tx: sa.Connection, seen: Sighting, inbox_id: int | None
) -> State:
    """Return who holds a conversation that Chatwoot shows us for the first time."""
    return first_state(
        seen.status,
        agent_replied=seen.agent_replied,
        inbox_has_bot=_inbox_has_bot(tx, inbox_id),
    )


def _adopt(tx: sa.Connection, where: dict[str, Any]) -> bool:
    """Give the account to a conversation that an operator named before it appeared."""
    adopted = tx.execute(
        sa.update(conversations)
        .where(
            conversations.c.account_id == NO_ACCOUNT,
            conversations.c.display_id == where["display_id"],
        )
        .values(account_id=where["account_id"])
    )
    return adopted.rowcount == 1


def _inbox_has_bot(tx: sa.Connection, inbox_id: int | None) -> bool:
    """Return whether a conversation of the inbox has ever been pending."""
    if inbox_id is None:
        return False
    query = sa.select(sa.literal(1)).where(
        conversations.c.inbox_id == inbox_id, conversations.c.ever_pending
    )
    return tx.execute(query.limit(1)).first() is not None


def conversation_of(row: sa.RowMapping) -> Conversation:
    """Return the row as the engine's own type."""
    values = {name: row[name] for name in FIELDS if name != "leased"}
    values["state"] = State(row["state"])
    values["status"] = Status(row["status"]) if row["status"] else None
    wanted = row["wanted_status"]
    values["wanted_status"] = Status(wanted) if wanted else None
    return Conversation(**values, leased=row["lease"] is not None)


def forget_owed(tx: sa.Connection, conversation_id: str) -> None:
    """Owe no answer any more: somebody else answers, or nobody need."""
    tx.execute(
        sa.update(messages)
        .where(messages.c.conversation_id == conversation_id, messages.c.owed)
        .values(owed=False)
    )


def drop_unsent(tx: sa.Connection, conversation_id: str) -> None:
    """Withdraw what was decided but certainly not sent; notes are for agents."""
    tx.execute(
        sa.update(replies)
        .where(
            replies.c.conversation_id == conversation_id,
            replies.c.state == "open",
            replies.c.attempts == 0,
            replies.c.kind != "note",
        )
        .values(state="dropped")
    )


@lru_cache
def insert_new(
    table: sa.Table, dialect: str, *, returning: str | None = None
) -> sa.Executable:
    """Return an INSERT that does nothing when a unique value is there already.

    Built once: making a statement costs more than running it.

    Args:
        returning: the column to return; no row comes back when nothing was done.
    """
    insert: sqlite.Insert | postgresql.Insert = sqlite.insert(table)
    if dialect == "postgresql":
        insert = postgresql.insert(table)
    insert = insert.on_conflict_do_nothing()
    return insert.returning(table.c[returning]) if returning else insert


def update_conversation(
    tx: sa.Connection, conversation_id: str, values: Mapping[str, Any]
) -> None:
    """Write *values* (column → value) to a conversation."""
    new = {f"new_{name}": value for name, value in values.items()}
    tx.execute(_update(tuple(values)), {"row": conversation_id, **new})


@lru_cache(maxsize=256)
def _update(names: tuple[str, ...]) -> sa.Update:
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names}
    where = conversations.c.id == sa.bindparam("row")
    return sa.update(conversations).where(where).values(values)


def new_id() -> str:
    """Return an id for a conversation: ``c_`` and 16 hex digits."""
    return f"c_{secrets.token_hex(8)}"
