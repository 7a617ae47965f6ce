"""Conversations in the database: find and lock, make, hold, and forget what is owed.

Every function takes the open transaction and runs inside it.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ..core.conversation import Conversation, State, Status, first_state
from ..core.events import Sighting
from .schema import IS_OPEN, conversations, messages, replies, service
from .statements import change

# Stands for "the account is not known yet" in a conversation named by an operator.
NO_ACCOUNT = 0

# Ours (``c_…``), or Chatwoot's (account, number).
Identity = str | tuple[int, int]

FIELDS = frozenset(Conversation.__dataclass_fields__)


def open_all(
    tx: sa.Connection, wanted: Mapping[Identity, Callable[[], dict[str, Any]]]
) -> tuple[dict[Identity, Conversation], bool]:
    """Lock conversations, making those that are new.

    Args:
        wanted: identity → function that returns the columns of a new row, without
            those of the identity.

    Returns:
        The conversations by identity, and the human mode for all.
    """
    found, human_mode = _find_all(tx, list(wanted))
    missing = [identity for identity in wanted if identity not in found]
    if missing:
        missing.sort(key=str)
        rows = [_new_row(identity, wanted[identity]()) for identity in missing]
        # Another process may have been faster; then its row is found.
        tx.execute(insert_new(conversations, tx.dialect.name), rows)
        made, human_mode = _find_all(tx, missing)
        found |= made
    return found, human_mode


def _new_row(identity: Identity, first: dict[str, Any]) -> dict[str, Any]:
    if isinstance(identity, str):
        return {**first, "id": identity, "account_id": None, "display_id": None}
    account_id, display_id = identity
    return {
        **first,
        "id": new_id(),
        "account_id": account_id,
        "display_id": display_id,
    }


def _find_all(
    tx: sa.Connection, wanted: Sequence[Identity]
) -> tuple[dict[Identity, Conversation], bool]:
    ours = [identity for identity in wanted if isinstance(identity, str)]
    theirs = [identity for identity in wanted if not isinstance(identity, str)]
    rows: list[sa.RowMapping] = []
    if ours:
        rows += tx.execute(_by_id(), {"ids": ours}).mappings()
    if theirs:
        # A few rows too many when several accounts share a number; harmless.
        accounts, numbers = zip(*theirs, strict=True)
        where = {
            "accounts": list({NO_ACCOUNT, *accounts}),
            "numbers": list(set(numbers)),
        }
        anywhere = NO_ACCOUNT in accounts
        rows += tx.execute(_by_number(anywhere=anywhere), where).mappings()
    found = _by_identity(tx, rows, theirs)
    human_mode = bool(rows) and rows[0]["human_mode"] == "1"
    return {identity: found[identity] for identity in wanted if identity in found}, (
        human_mode
    )


def _by_identity(
    tx: sa.Connection,
    rows: Sequence[sa.RowMapping],
    theirs: Sequence[tuple[int, int]],
) -> dict[Identity, Conversation]:
    found: dict[Identity, Conversation] = {}
    for row in rows:
        conversation = conversation_of(row)
        found[conversation.id] = conversation
        if conversation.account_id is not None and conversation.display_id is not None:
            found[conversation.account_id, conversation.display_id] = conversation
    for account_id, display_id in theirs:
        unclaimed = found.get((NO_ACCOUNT, display_id))
        if unclaimed is not None and (account_id, display_id) not in found:
            _adopt(tx, unclaimed.id, account_id)
            adopted = replace(unclaimed, account_id=account_id)
            found[account_id, display_id] = adopted
    return found | _meant(found, theirs)


def _meant(
    found: Mapping[Identity, Conversation], theirs: Sequence[tuple[int, int]]
) -> dict[Identity, Conversation]:
    """Return the conversations that are meant by a number alone.

    Older releases name no account in some events. If only one account has this
    number, in the database and among the others of the group, that is meant.
    """
    bare = [number for account, number in theirs if account == NO_ACCOUNT]
    meant: dict[Identity, Conversation] = {}
    for number in bare:
        named: set[Identity] = {each for each in theirs if each[1] == number}
        named |= {each for each in found if each[1] == number}
        named.discard((NO_ACCOUNT, number))
        if len(named) == 1 and (NO_ACCOUNT, number) not in found:
            [only] = named
            if only in found:
                meant[NO_ACCOUNT, number] = found[only]
    return meant


def _adopt(tx: sa.Connection, conversation_id: str, account_id: int) -> None:
    """Give the account to a conversation that an operator named before it appeared."""
    change(tx, conversations, {"id": conversation_id}, account_id=account_id)


@lru_cache
def _by_id() -> sa.Select[Any]:
    ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
    return _locked().where(conversations.c.id.in_(ids))


@lru_cache
def _by_number(*, anywhere: bool) -> sa.Select[Any]:
    """Return the query for numbers, in some accounts or in all."""
    accounts: sa.BindParameter[Any] = sa.bindparam("accounts", expanding=True)
    numbers: sa.BindParameter[Any] = sa.bindparam("numbers", expanding=True)
    query = _locked().where(conversations.c.display_id.in_(numbers))
    return query if anywhere else query.where(conversations.c.account_id.in_(accounts))


def _locked() -> sa.Select[Any]:
    # In one order everywhere, so that two processes never wait for each other.
    return (
        sa.select(conversations, human_mode_column())
        .order_by(conversations.c.id)
        .with_for_update(of=conversations)
    )


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
        # Asked only where it matters.
        inbox_has_bot=seen.status is Status.OPEN
        and (bool(seen.bot_owner) or inbox_has_bot(tx, inbox_id)),
    )


def inbox_has_bot(tx: sa.Connection, inbox_id: int | None) -> bool:
    """Return whether an agent bot serves the inbox, by how conversations begin there.

    The newest decide, half of them at least: a bot may be connected at any time, and
    without one an agent may give back a conversation that was not known before.
    """
    if inbox_id is None:
        return False
    newest = tx.execute(_BEGINNINGS, {"inbox": inbox_id}).scalars().all()
    return bool(newest) and 2 * sum(newest) >= len(newest)


# Of an inbox, to tell whether it has a bot.
LOOKED_AT = 10
_BEGINNINGS = (
    sa.select(conversations.c.began_pending)
    .where(
        conversations.c.inbox_id == sa.bindparam("inbox"),
        # One that an operator named has not begun before Chatwoot shows it.
        conversations.c.status.is_not(None),
    )
    .order_by(conversations.c.created_at.desc())
    .limit(LOOKED_AT)
)


def conversation_of(row: sa.RowMapping) -> Conversation:
    """Return the row as the engine's own type."""
    status, wanted, told = row["status"], row["wanted_status"], row["told_status"]
    return Conversation(
        id=row["id"],
        channel=row["channel"],
        state=State(row["state"]),
        account_id=row["account_id"],
        inbox_id=row["inbox_id"],
        display_id=row["display_id"],
        chatwoot_channel=row["chatwoot_channel"],
        can_reply=row["can_reply"],
        status=Status(status) if status else None,
        status_at=row["status_at"],
        held_at=row["held_at"],
        closed_at=row["closed_at"],
        began_pending=row["began_pending"],
        ever_pending=row["ever_pending"],
        agent_replied=row["agent_replied"],
        wanted_status=Status(wanted) if wanted else None,
        told_status=Status(told) if told else None,
        version=row["version"],
        restarts=row["restarts"],
        attempts=row["attempts"],
        failures=row["failures"],
        bot_turns=row["bot_turns"],
        switch=row["switch"],
        switch_at=row["switch_at"],
        hushed=row["hushed"],
        marks=row["marks"],
        contact=row["contact"],
        contact_name=row["contact_name"],
        attributes=row["attributes"],
        summary=row["summary"],
        summary_until=row["summary_until"],
        spent=row["spent"],
        released=row["released"],
        touched=row["touched"],
        stranded_at=row["stranded_at"],
        owed_since=row["owed_since"],
        due_at=row["due_at"],
        leased=row["lease"] is not None,
    )


def forget_owed(tx: sa.Connection, conversation_id: str) -> None:
    """Owe no answer any more: somebody else answers, or nobody need."""
    tx.execute(_FORGET_OWED, {"conversation": conversation_id})


_FORGET_OWED = (
    sa.update(messages)
    .where(messages.c.conversation_id == sa.bindparam("conversation"), messages.c.owed)
    .values(owed=sa.false())
)


def drop_unsent(tx: sa.Connection, conversation_id: str) -> None:
    """Withdraw what the bot was going to say; notes are for agents.

    One that is being sent at this moment is recorded when it comes back.
    """
    tx.execute(_DROP_UNSENT, {"conversation": conversation_id})


_DROP_UNSENT = (
    sa.update(replies)
    .where(
        replies.c.conversation_id == sa.bindparam("conversation"),
        IS_OPEN,
        replies.c.kind.in_(("answer", "handover", "resolve")),
    )
    .values(state="dropped")
)


def has_unsaid(tx: sa.Connection, conversation_id: str) -> bool:
    """Return whether something is still to be said, or to be done."""
    mine = {"conversation": conversation_id}
    return tx.execute(_HAS_UNSAID, mine).first() is not None


def has_pressing(tx: sa.Connection, conversation_id: str) -> bool:
    """Return whether something is to be said that is not meant to wait."""
    mine = {"conversation": conversation_id}
    return tx.execute(HAS_PRESSING, mine).first() is not None


_HAS_UNSAID: sa.Select[Any] = (
    sa.select(sa.literal_column("1"))
    .where(replies.c.conversation_id == sa.bindparam("conversation"), IS_OPEN)
    .limit(1)
)
# Not with `not_in`, which is written anew for each execution.
HAS_PRESSING = _HAS_UNSAID.where(
    replies.c.kind != "resolve", replies.c.kind != "release"
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


def save_all(
    tx: sa.Connection, changed: Sequence[tuple[Conversation, float | None]]
) -> None:
    """Write what events may change of conversations that are locked.

    Args:
        changed: each with when somebody last spoke, or None when nobody did.
    """
    rows = [
        {
            "row": conversation.id,
            "new_active_at": active_at,
            **{f"new_{name}": getattr(conversation, name) for name in SAVED},
        }
        for conversation, active_at in changed
    ]
    if rows:
        tx.execute(_save(), rows)


# A lease, and what only its holder writes, are not among them.
SAVED = (
    "channel",
    "inbox_id",
    "chatwoot_channel",
    "can_reply",
    "state",
    "status",
    "status_at",
    "held_at",
    "closed_at",
    "began_pending",
    "ever_pending",
    "agent_replied",
    "wanted_status",
    "told_status",
    "version",
    "bot_turns",
    "switch",
    "switch_at",
    "hushed",
    "marks",
    "contact",
    "contact_name",
    "attributes",
    "spent",
    "released",
    "touched",
    "stranded_at",
    "owed_since",
    "due_at",
)


@lru_cache
def _save() -> sa.Update:
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in SAVED}
    spoken_at = sa.bindparam("new_active_at", type_=sa.Double)
    values["active_at"] = sa.func.coalesce(spoken_at, conversations.c.active_at)
    where = conversations.c.id == sa.bindparam("row")
    return sa.update(conversations).where(where).values(values)


def new_id() -> str:
    """Return an id for a conversation: ``c_`` and 16 hex digits."""
    return f"c_{secrets.token_hex(8)}"
