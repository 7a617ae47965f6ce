"""Book, move and cancel calls in the database: each time is given away once.

A time of our own calendar is given away under a lock of that calendar, and a unique
index stands behind it. What Cal.com keeps is recorded here too: *unsure* before it is
asked, so that no call is lost to us when we crash before it has answered.
"""

import secrets
from typing import Any

import sqlalchemy as sa

from ..core.slots import Span
from ..errors import Problem
from .bookings import (
    TAKEN,
    Booking,
    BookingState,
    Kept,
    Wanted,
    booking_of,
    overlap,
    upcoming,
    with_key,
)
from .schema import bookings
from .statements import change

# More is no contact's need, and a calendar could be filled by one who plays with it.
MAX_UPCOMING = 3
# Any number will do that no other lock has first: "book" in hex.
LOCK = 0x626F6F6B


def book(tx: sa.Connection, wanted: Wanted, *, now: float) -> Booking | Problem:
    """Give a time of our own calendar away, once; a repeat returns what there is."""
    _lock(tx, wanted.calendar)
    found = _known(tx, wanted, now)
    if found is not None:
        return found
    if tx.execute(TAKEN, overlap(wanted.calendar, wanted.slot)).first():
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
    return booking_of(row)


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
    others = tx.execute(TAKEN, overlap(booking.calendar, slot))
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
    row = tx.execute(_CURRENT, {"booking": booking_id}).mappings().first()
    return booking_of(row) if row else None


_CURRENT = (
    sa.select(bookings)
    .where(bookings.c.id == sa.bindparam("booking"))
    .with_for_update()
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
