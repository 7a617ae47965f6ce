"""What the sweep asks of the database."""

import sqlalchemy as sa

from ..core.conversation import Sender, State, Status
from .conversations import inbox_has_bot, insert_new
from .human import value
from .schema import conversations, messages, service
from .statements import change

# As many as one sweep can count on past.
NUMBERS = 1_000


def first_start(tx: sa.Connection, *, now: float) -> float:
    """Return when the service first ran on this database, Unix seconds."""
    row = {"name": "first_start", "value": repr(now)}
    tx.execute(insert_new(service, tx.dialect.name), row)
    return float(value(tx, "first_start") or now)


def waiting_for_contact(
    tx: sa.Connection, *, active_since: float, limit: int
) -> list[tuple[int, int, int | None]]:
    """Return (account, number, inbox) of conversations that may have been missed.

    Those are the bot's, whether Chatwoot shows them as pending or as open, and owe
    nothing as far as we know; and snoozed ones, whose snooze may have ended. The most
    recently active come first.
    """
    c = conversations.c
    query = (
        sa.select(c.account_id, c.display_id, c.inbox_id)
        .where(
            c.channel == "chatwoot",
            sa.and_(c.state == State.AI, c.status.in_((Status.PENDING, Status.OPEN)))
            | (c.status == Status.SNOOZED),
            c.owed_since.is_(None),
            c.active_at >= active_since,
        )
        .order_by(c.active_at.desc())
        .limit(limit)
    )
    rows = tx.execute(query)
    return [(row.account_id, row.display_id, row.inbox_id) for row in rows]


def forget(tx: sa.Connection, account_id: int, display_id: int) -> None:
    """Ask no more about a conversation that was deleted in Chatwoot."""
    where = {"account_id": account_id, "display_id": display_id}
    change(tx, conversations, where, status=Status.RESOLVED, stranded_at=None)


def last_numbers(tx: sa.Connection) -> list[tuple[int, int]]:
    """Return each account with the last number of its conversations that is known."""
    found: list[tuple[int, int]] = []
    account: int | None = 0
    while account is not None and len(found) < ACCOUNTS:
        account = tx.execute(_NEXT_ACCOUNT, {"account": account}).scalar()
        if account is not None:
            last = tx.execute(_LAST_NUMBER, {"account": account}).scalar()
            found += [] if last is None else [(account, last)]
    return found


def numbers_after(tx: sa.Connection, account_id: int, number: int) -> set[int]:
    """Return the numbers of conversations that Chatwoot has shown since that one."""
    after = {"account": account_id, "number": number}
    return set(tx.execute(_NUMBERS_AFTER, after).scalars())


_NUMBERS_AFTER = (
    sa.select(conversations.c.display_id)
    .where(
        conversations.c.account_id == sa.bindparam("account"),
        conversations.c.display_id > sa.bindparam("number"),
        conversations.c.status.is_not(None),
    )
    .order_by(conversations.c.display_id)
    .limit(NUMBERS)
)


# An index has both, account by account.
ACCOUNTS = 20
_NEXT_ACCOUNT = sa.select(sa.func.min(conversations.c.account_id)).where(
    conversations.c.account_id > sa.bindparam("account")
)
_LAST_NUMBER = (
    sa.select(conversations.c.display_id)
    .where(
        conversations.c.account_id == sa.bindparam("account"),
        # An operator may name one that Chatwoot has not shown yet.
        conversations.c.status.is_not(None),
    )
    .order_by(conversations.c.display_id.desc())
    .limit(1)
)


def inboxes(tx: sa.Connection) -> dict[int, bool]:
    """Return the inboxes that we hear of, and whether an agent bot serves each."""
    ids = tx.execute(_INBOXES).scalars().all()
    return {inbox_id: inbox_has_bot(tx, inbox_id) for inbox_id in ids}


_INBOXES = (
    sa.select(conversations.c.inbox_id)
    .where(conversations.c.inbox_id.is_not(None))
    .distinct()
)


def newest_known(tx: sa.Connection, account_id: int, display_id: int) -> int:
    """Return Chatwoot's id of the newest message that is stored; 0 for none.

    A template does not count, nor another bot's message: it may have been delivered
    where the contact's message before it was not. Nor does one that came empty.
    """
    found: int | None = tx.execute(
        _NEWEST_KNOWN, {"account": account_id, "number": display_id}
    ).scalar()
    return found or 0


_NEWEST_KNOWN = (
    sa.select(sa.func.max(messages.c.external_id))
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .where(
        conversations.c.account_id == sa.bindparam("account"),
        conversations.c.display_id == sa.bindparam("number"),
        messages.c.sender.not_in((Sender.BOT, Sender.SYSTEM))
        | messages.c.turn_id.is_not(None),
        (messages.c.content != "") | messages.c.content.is_(None),
    )
)
