"""What a calendar is: something in which calls are booked."""

from collections.abc import Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from ..core.slots import Span
from ..errors import BookingError, Problem
from ..store.bookings import Booking, Wanted


class Calendar(Protocol):
    """Offer times, and book, move and cancel calls.

    What was done stays done: each of the three returns the same when it is asked the
    same again, after a crash in the middle too. All raise `BookingError`.

    Attributes:
        name: as in `Booking.calendar`.
        zone: the company's.
        needs_email: whether a call cannot be booked without an address.
        has_files: whether contacts get their calendar file from us.
    """

    name: str
    zone: ZoneInfo
    needs_email: bool
    has_files: bool

    def slot_at(self, starts_at: float) -> Span:
        """Return the call that would begin at *starts_at*, Unix seconds."""
        ...

    async def free(self, *, now: float) -> Sequence[Span]:
        """Return what is free, in order of time."""
        ...

    async def book(self, wanted: Wanted, *, now: float) -> Booking:
        """Book a call, once for its key."""
        ...

    async def move(self, booking: Booking, starts_at: float, *, now: float) -> Booking:
        """Give a call another time."""
        ...

    async def cancel(self, booking: Booking, *, now: float) -> Booking:
        """Cancel a call."""
        ...


def kept(outcome: Booking | Problem) -> Booking:
    """Return what the database has done.

    Raises:
        BookingError: it has done nothing.
    """
    if isinstance(outcome, Problem):
        raise BookingError(f"not done: {outcome}", problem=outcome)
    return outcome
