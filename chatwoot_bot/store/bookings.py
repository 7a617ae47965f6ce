"""Calls that the bot has booked, and whose they are; `agenda` changes them.

A call is that of the conversation it was booked in, and in the web chat that of the
same visitor under the same name. Whoever else names its id has no such call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from ..core.slots import MAX_MINUTES, MINUTE_S, Span
from .console import Cursor, before_cursor
from .schema import IS_OURS, bookings, conversations

OWN = "own"


class BookingState(StrEnum):
    """What became of a call."""

    BOOKED = "booked"
    REQUESTED = "requested"  # Cal.com's host has still to confirm it
    UNSURE = "unsure"  # Cal.com was asked, and nobody knows what it did
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One call.

    Attributes:
        key: of the call of the tool that booked it.
        token: opens its calendar file.
        calendar: `OWN`, or ``calcom:`` and the event type.
        external_id: Cal.com's; None in our own calendar, and while nobody knows.
        time_zone: the contact's, such as ``Europe/Berlin``.
        sequence: how often it has changed.
    """

    id: str
    key: str
    token: str
    conversation_id: str
    calendar: str
    external_id: str | None
    state: BookingState
    starts_at: float
    ends_at: float
    time_zone: str
    name: str
    email: str | None
    phone: str | None
    topic: str | None
    sequence: int
    created_at: float
    updated_at: float

    @property
    def slot(self) -> Span:
        """When it takes place."""
        return Span(self.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A call that somebody wants to book.

    Attributes:
        key: the same one books once.
        circle: see `circle`; the first is the conversation that it belongs to.
        language: the contact's (ISO 639-1), for what Cal.com writes to them; not kept.
    """

    key: str
    circle: tuple[str, ...]
    calendar: str
    slot: Span
    time_zone: str
    name: str
    email: str | None = None
    phone: str | None = None
    topic: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What Cal.com says of a call."""

    external_id: str
    state: BookingState
    slot: Span


def circle(tx: sa.Connection, conversation_id: str) -> tuple[str, ...]:
    """Return the conversation, and others of the same contact that have calls."""
    others = tx.execute(_CIRCLE, {"conversation": conversation_id}).scalars()
    return conversation_id, *sorted(set(others) - {conversation_id})


_MINE, _OTHERS = conversations.alias("mine"), conversations.alias("others")
_CIRCLE = (
    sa.select(bookings.c.conversation_id)
    .join(_OTHERS, _OTHERS.c.id == bookings.c.conversation_id)
    .join(
        _MINE,
        # Both: a visitor's browser may be shared, and a name alone proves nothing.
        (_MINE.c.user_id == _OTHERS.c.user_id) & (_MINE.c.visitor == _OTHERS.c.visitor),
    )
    .where(_MINE.c.id == sa.bindparam("conversation"))
)


def upcoming(tx: sa.Connection, circle: Sequence[str], *, now: float) -> list[Booking]:
    """Return the calls of a contact that are not over, the next one first."""
    rows = tx.execute(_UPCOMING, {"circle": list(circle), "now": now})
    return [booking_of(row) for row in rows.mappings()]


_THEIRS = bookings.c.conversation_id.in_(sa.bindparam("circle", expanding=True))
_UPCOMING = (
    sa.select(bookings)
    .where(
        _THEIRS,
        bookings.c.state != BookingState.CANCELLED,
        bookings.c.ends_at > sa.bindparam("now"),
    )
    .order_by(bookings.c.starts_at, bookings.c.id)
)


def last_cancelled(
    tx: sa.Connection, circle: Sequence[str], *, now: float
) -> Booking | None:
    """Return the call of a contact that was cancelled last and would not be over."""
    query = (
        sa.select(bookings)
        .where(
            bookings.c.conversation_id.in_(circle),
            bookings.c.state == BookingState.CANCELLED,
            bookings.c.ends_at > now,
        )
        .order_by(bookings.c.updated_at.desc())
    )
    row = tx.execute(query.limit(1)).mappings().first()
    return booking_of(row) if row else None


def taken(tx: sa.Connection, calendar: str, span: Span) -> list[Span]:
    """Return what is booked in our own *calendar* and overlaps *span*."""
    rows = tx.execute(TAKEN, overlap(calendar, span))
    return [Span(row.starts_at, row.ends_at) for row in rows]


_OVERLAPS = (
    IS_OURS
    & (bookings.c.calendar == sa.bindparam("calendar"))
    # The first bound follows from the third, and the index can begin there.
    & (bookings.c.starts_at > sa.bindparam("since"))
    & (bookings.c.starts_at < sa.bindparam("until"))
    & (bookings.c.ends_at > sa.bindparam("begin"))
)
# What is booked in our own calendar and overlaps a span.
TAKEN = sa.select(bookings.c.id, bookings.c.starts_at, bookings.c.ends_at).where(
    _OVERLAPS
)


def overlap(calendar: str, span: Span) -> dict[str, Any]:
    """Return the parameters of `TAKEN`."""
    return {
        "calendar": calendar,
        "since": span.starts_at - MAX_MINUTES * MINUTE_S,
        "until": span.ends_at,
        "begin": span.starts_at,
    }


def find(
    tx: sa.Connection, booking_id: str, circle: Sequence[str], *, now: float
) -> Booking | None:
    """Return a call of the contact that is not over, cancelled ones too, or None."""
    query = sa.select(bookings).where(
        bookings.c.id == booking_id,
        bookings.c.conversation_id.in_(circle),
        bookings.c.ends_at > now,
    )
    row = tx.execute(query).mappings().first()
    return booking_of(row) if row else None


def with_key(tx: sa.Connection, key: str) -> Booking | None:
    """Return what was booked with *key*, or None."""
    return _only(tx, _BY_KEY, key)


def with_token(tx: sa.Connection, token: str) -> Booking | None:
    """Return the call whose calendar file *token* opens, or None."""
    return _only(tx, _BY_TOKEN, token)


def _only(tx: sa.Connection, query: sa.Select[Any], value: str) -> Booking | None:
    row = tx.execute(query, {"value": value}).mappings().first()
    return booking_of(row) if row else None


_BY_KEY = sa.select(bookings).where(bookings.c.key == sa.bindparam("value"))
_BY_TOKEN = sa.select(bookings).where(bookings.c.token == sa.bindparam("value"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which calls to list: those that begin in [since, until), Unix seconds."""

    since: float | None = None
    until: float | None = None
    state: BookingState | None = None
    conversation_id: str | None = None
    before: Cursor | None = None
    limit: int = 50


def list_bookings(tx: sa.Connection, wanted: Filter) -> Sequence[sa.RowMapping]:
    """Return calls with their conversation's numbers, the latest beginning first."""
    b, c = bookings.c, conversations.c
    query = sa.select(bookings, c.account_id, c.display_id, c.inbox_id).join(
        conversations, c.id == b.conversation_id, isouter=True
    )
    for column, value in (
        (b.state, wanted.state),
        (b.conversation_id, wanted.conversation_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(b.starts_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(b.starts_at < wanted.until)
    query = before_cursor(query, b.starts_at, b.id, wanted.before)
    return tx.execute(query.limit(wanted.limit)).mappings().all()


@lru_cache
def _columns() -> tuple[str, ...]:
    return tuple(Booking.__dataclass_fields__)


def booking_of(row: Any) -> Booking:
    """Return the row as our own type."""
    values = {name: row[name] for name in _columns()}
    return Booking(**{**values, "state": BookingState(row["state"])})
