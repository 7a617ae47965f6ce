"""Calls that the bot has booked: kept once, given away once, their contact's only.

A time of our own calendar is given away under a lock of that calendar, and a unique
index stands behind it. What Cal.com keeps is recorded here too: *unsure* before it is
asked, so that no booking is lost to us when we crash before it has answered.

Whose call it is: the conversation's it was booked in, and in the web chat that of the
same visitor under the same name. Whoever else names its id has no such call.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from ..core.slots import MAX_MINUTES, MINUTE_S, Span
from ..errors import Problem
from .console import Cursor, before_cursor
from .schema import IS_OURS, bookings, conversations
from .statements import change

OWN = "own"
# More is no contact's need, and a calendar could be filled by one who plays with it.
MAX_UPCOMING = 3
# Any number will do that no other lock has first: "book" in hex.
LOCK = 0x626F6F6B


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
    return [_booking(row) for row in rows.mappings()]


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


def taken(tx: sa.Connection, calendar: str, span: Span) -> list[Span]:
    """Return what is booked in our own *calendar* and overlaps *span*."""
    rows = tx.execute(_TAKEN, _overlap(calendar, span))
    return [Span(row.starts_at, row.ends_at) for row in rows]


_OVERLAPS = (
    IS_OURS
    & (bookings.c.calendar == sa.bindparam("calendar"))
    # The first bound follows from the third, and the index can begin there.
    & (bookings.c.starts_at > sa.bindparam("since"))
    & (bookings.c.starts_at < sa.bindparam("until"))
    & (bookings.c.ends_at > sa.bindparam("begin"))
)
_TAKEN = sa.select(bookings.c.id, bookings.c.starts_at, bookings.c.ends_at).where(
    _OVERLAPS
)


def _overlap(calendar: str, span: Span) -> dict[str, Any]:
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
    return _booking(row) if row else None


def with_key(tx: sa.Connection, key: str) -> Booking | None:
    """Return what was booked with *key*, or None."""
    return _only(tx, _BY_KEY, key)


def with_token(tx: sa.Connection, token: str) -> Booking | None:
    """Return the call whose calendar file *token* opens, or None."""
    return _only(tx, _BY_TOKEN, token)


def _only(tx: sa.Connection, query: sa.Select[Any], value: str) -> Booking | None:
    row = tx.execute(query, {"value": value}).mappings().first()
    return _booking(row) if row else None


_BY_KEY = sa.select(bookings).where(bookings.c.key == sa.bindparam("value"))
_BY_TOKEN = sa.select(bookings).where(bookings.c.token == sa.bindparam("value"))


def book(tx: sa.Connection, wanted: Wanted, *, now: float) -> Booking | Problem:
    """Give a time of our own calendar away, once; a repeat returns what there is."""
    _lock(tx, wanted.calendar)
    found = _known(tx, wanted, now)
    if found is not None:
        return found
    if tx.execute(_TAKEN, _overlap(wanted.calendar, wanted.slot)).first():
        return Problem.TAKEN
    return _insert(tx, wanted, BookingState.BOOKED, now)


def begin(
    tx: sa.Connection, wanted: Wanted, *, now: float
) -> tuple[Booking, bool] | Problem:
    """Note that Cal.com is about to be asked; a repeat returns what there is.

    Returns:
        The call, and whether it is new, so that Cal.com cannot have it yet.
    """
    _lock(tx, wanted.calendar)
    found = _known(tx, wanted, now)
    if found is None:
        return _insert(tx, wanted, BookingState.UNSURE, now), True
    return found if isinstance(found, Problem) else (found, False)


def _known(tx: sa.Connection, wanted: Wanted, now: float) -> Booking | Problem | None:
    """Return what stands for *wanted* already, or in its way; None when it is new."""
    if (booked := with_key(tx, wanted.key)) is not None:
        return booked
    theirs = upcoming(tx, wanted.circle, now=now)
    for booking in theirs:
        same_time = booking.starts_at == wanted.slot.starts_at
        if same_time and booking.calendar == wanted.calendar:
            return booking
    return Problem.TOO_MANY if len(theirs) >= MAX_UPCOMING else None


def _insert(
    tx: sa.Connection, wanted: Wanted, state: BookingState, now: float
) -> Booking:
    row = {
        "id": f"b_{secrets.token_hex(8)}",
        "key": wanted.key,
        "token": secrets.token_urlsafe(24),
        "conversation_id": wanted.circle[0],
        "calendar": wanted.calendar,
        "external_id": None,
        "state": state,
        "starts_at": wanted.slot.starts_at,
        "ends_at": wanted.slot.ends_at,
        "time_zone": wanted.time_zone,
        "name": wanted.name,
        "email": wanted.email,
        "phone": wanted.phone,
        "topic": wanted.topic,
        "sequence": 0,
        "created_at": now,
        "updated_at": now,
    }
    tx.execute(_INSERT, row)
    return _booking(row)


_INSERT = sa.insert(bookings)


def move(
    tx: sa.Connection, booking: Booking, slot: Span, *, now: float
) -> Booking | Problem:
    """Give a call of our own calendar another time, and its old one back.

    To move it where it is changes nothing.
    """
    _lock(tx, booking.calendar)
    current = _current(tx, booking.id)
    if current is None or current.state is not BookingState.BOOKED:
        return Problem.UNKNOWN
    if current.slot == slot:
        return current
    others = tx.execute(_TAKEN, _overlap(booking.calendar, slot))
    if any(row.id != booking.id for row in others):
        return Problem.TAKEN
    return _changed(tx, current, now, starts_at=slot.starts_at, ends_at=slot.ends_at)


def cancel(tx: sa.Connection, booking: Booking, *, now: float) -> Booking | Problem:
    """Note that a call does not take place; its time can be given away again."""
    _lock(tx, booking.calendar)
    current = _current(tx, booking.id)
    if current is None:
        return Problem.UNKNOWN
    if current.state is BookingState.CANCELLED:
        return current
    return _changed(tx, current, now, state=BookingState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What Cal.com says of a call."""

    external_id: str
    state: BookingState
    slot: Span


def settle(
    tx: sa.Connection, booking: Booking, kept: Kept, *, now: float
) -> Booking | Problem:
    """Note what Cal.com has done; nothing to note changes nothing."""
    current = _current(tx, booking.id)
    if current is None:
        return Problem.UNKNOWN
    was = Kept(
        external_id=current.external_id or "", state=current.state, slot=current.slot
    )
    if was == kept:
        return current
    return _changed(
        tx,
        current,
        now,
        external_id=kept.external_id,
        state=kept.state,
        starts_at=kept.slot.starts_at,
        ends_at=kept.slot.ends_at,
    )


def forget(tx: sa.Connection, booking: Booking) -> None:
    """Forget a call that Cal.com has certainly not booked."""
    tx.execute(_FORGET, {"booking": booking.id})


_FORGET = sa.delete(bookings).where(
    bookings.c.id == sa.bindparam("booking"), bookings.c.state == BookingState.UNSURE
)


def _current(tx: sa.Connection, booking_id: str) -> Booking | None:
    return _only(tx, _CURRENT, booking_id)


_CURRENT = (
    sa.select(bookings).where(bookings.c.id == sa.bindparam("value")).with_for_update()
)


def _changed(
    tx: sa.Connection, booking: Booking, now: float, **values: Any
) -> Booking | Problem:
    sequence = booking.sequence
    if booking.state is not BookingState.UNSURE:  # of which nobody has been told
        sequence += 1
    values = {**values, "sequence": sequence, "updated_at": now}
    change(tx, bookings, {"id": booking.id}, **values)
    return _current(tx, booking.id) or Problem.UNKNOWN


def _lock(tx: sa.Connection, calendar: str) -> None:
    """Have one at a time change *calendar*; on SQLite every write is alone."""
    if tx.dialect.name == "postgresql":
        tx.execute(_LOCK, {"calendar": calendar})


_LOCK = sa.select(
    sa.func.pg_advisory_xact_lock(LOCK, sa.func.hashtext(sa.bindparam("calendar")))
)


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


def _booking(row: Any) -> Booking:
    values = {name: row[name] for name in _columns()}
    return Booking(**{**values, "state": BookingState(row["state"])})
