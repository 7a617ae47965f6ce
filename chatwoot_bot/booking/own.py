"""Our own calendar: opening hours, less what is booked."""

from ..core.slots import Grid, Span, without
from ..errors import BookingError, Problem
from ..store import agenda, bookings
from ..store.bookings import OWN, Booking, Wanted
from ..store.engine import Database
from .calendar import kept


class OwnCalendar:
    """Book calls in the database; see `Calendar`."""

    name = OWN
    needs_email = False
    has_files = True

    def __init__(self, db: Database, grid: Grid) -> None:
        self.zone = grid.hours.zone
        self._db = db
        self._grid = grid

    def slot_at(self, starts_at: float) -> Span:
        """See `Calendar`."""
        return self._grid.slot_at(starts_at)

    async def free(self, *, now: float) -> list[Span]:
        """See `Calendar`."""
        slots = self._grid.slots(now)
        if not slots:
            return []
        whole = Span(slots[0].starts_at, slots[-1].ends_at)
        taken = await self._db.read(bookings.taken, self.name, whole)
        return without(slots, taken)

    async def book(self, wanted: Wanted, *, now: float) -> Booking:
        """See `Calendar`."""
        # First: what was booked before a crash may be too near to be offered by now.
        booked = await self._db.read(bookings.with_key, wanted.key)
        if booked is not None:
            return booked
        self._check_offered(wanted.slot, now)
        return kept(await self._db.write(agenda.book, wanted, now=now))

    async def move(self, booking: Booking, starts_at: float, *, now: float) -> Booking:
        """See `Calendar`."""
        slot = self.slot_at(starts_at)
        if booking.slot != slot:
            self._check_offered(slot, now)
        return kept(await self._db.write(agenda.move, booking, slot, now=now))

    async def cancel(self, booking: Booking, *, now: float) -> Booking:
        """See `Calendar`."""
        return kept(await self._db.write(agenda.cancel, booking, now=now))

    def _check_offered(self, slot: Span, now: float) -> None:
        if not self._grid.offers(slot, now):
            raise BookingError("not a time that is offered", problem=Problem.TAKEN)
