"""Cal.com as a calendar: it keeps the calls, and we keep whose they are.

A call is recorded before Cal.com is asked for it, with a key that travels along. What
is in doubt after a timeout or a crash is looked for by that key before it is asked for
again; a booking that is to be moved or cancelled is looked at first.
"""

from zoneinfo import ZoneInfo

from ..core.slots import DAY_S, MINUTE_S, Span
from ..errors import BookingError, Problem
from ..store import agenda
from ..store.bookings import Booking, BookingState, Kept, Wanted
from ..store.engine import Database
from .calcom import CalcomClient
from .calendar import kept

ATTEMPTS = 2
# A booking that was moved leads to the next; follow at most this many moves.
LONGEST_CHAIN = 20


class CalcomCalendar:
    """Book calls at Cal.com; see `Calendar`.

    Args:
        zone: the company's.
        minutes: how long a call takes, where Cal.com does not say.
        days_ahead: how far to look; when there are slots is for Cal.com to say.
    """

    needs_email = True
    # Cal.com sends contacts its own by email.
    has_files = False

    def __init__(
        self,
        db: Database,
        client: CalcomClient,
        *,
        zone: ZoneInfo,
        minutes: int,
        days_ahead: int,
    ) -> None:
        self.name = f"calcom:{client.event_type_id}"
        self.zone = zone
        self._db = db
        self._client = client
        self._minutes = minutes
        self._days_ahead = days_ahead

    def slot_at(self, starts_at: float) -> Span:
        """See `Calendar`."""
        return Span(starts_at, starts_at + self._minutes * MINUTE_S)

    async def free(self, *, now: float) -> list[Span]:
        """See `Calendar`."""
        ahead = Span(now, now + self._days_ahead * DAY_S)
        return await self._client.slots(ahead, minutes=self._minutes)

    async def book(self, wanted: Wanted, *, now: float) -> Booking:
        """See `Calendar`."""
        begun = await self._db.write(agenda.begin, wanted, now=now)
        if isinstance(begun, Problem):
            raise BookingError("not begun", problem=begun)
        booking, new = begun
        if booking.state is not BookingState.UNSURE:
            return booking
        try:
            found = await self._make(booking, wanted.language, asked=not new)
        except BookingError as error:
            if error.problem is not Problem.UNSURE:
                await self._db.write(agenda.forget, booking)
            raise
        return await self._settle(booking, found, now)

    async def _make(
        self, booking: Booking, language: str | None, *, asked: bool
    ) -> Kept:
        """Return what Cal.com keeps for *booking*, made only if it is not there.

        Args:
            asked: Cal.com was asked for it before.
        """
        failure = None
        for _ in range(ATTEMPTS):
            if asked and (found := await self._find(booking)):
                return found
            try:
                return await self._client.create(booking, language)
            except BookingError as error:
                # What is taken may be so by the request whose answer was lost.
                if asked and error.problem not in (Problem.UNSURE, Problem.TAKEN):
                    # And no refusal now tells what became of that one.
                    raise BookingError(str(error), problem=Problem.UNSURE) from error
                if not asked and error.problem is not Problem.UNSURE:
                    raise
                failure = error
            asked = True
        if found := await self._find(booking):
            return found
        raise failure or BookingError("not booked", problem=Problem.UNSURE)

    async def _find(self, booking: Booking) -> Kept | None:
        try:
            return await self._client.find(booking)
        except BookingError as error:
            raise BookingError(str(error), problem=Problem.UNSURE) from error

    async def move(self, booking: Booking, starts_at: float, *, now: float) -> Booking:
        """See `Calendar`."""
        latest = await self._latest(booking)
        if latest.state is BookingState.CANCELLED:
            await self._settle(booking, latest, now)
            raise BookingError("cancelled at Cal.com", problem=Problem.UNKNOWN)
        if latest.slot.starts_at != starts_at:
            latest = await self._reschedule(booking, latest, starts_at)
        return await self._settle(booking, latest, now)

    async def _reschedule(
        self, booking: Booking, latest: Kept, starts_at: float
    ) -> Kept:
        try:
            return await self._client.reschedule(latest.external_id, starts_at)
        except BookingError as error:
            if error.problem is not Problem.UNSURE:
                raise
            found = await self._latest(booking)
            if found.slot.starts_at != starts_at:
                raise
            return found

    async def cancel(self, booking: Booking, *, now: float) -> Booking:
        """See `Calendar`."""
        try:
            latest = await self._latest(booking)
        except BookingError as error:
            if error.problem is not Problem.UNKNOWN:
                raise
            # It was deleted in Cal.com.
            return kept(await self._db.write(agenda.cancel, booking, now=now))
        if latest.state is not BookingState.CANCELLED:
            latest = await self._cancel(booking, latest)
        return await self._settle(booking, latest, now)

    async def _cancel(self, booking: Booking, latest: Kept) -> Kept:
        try:
            return await self._client.cancel(latest.external_id)
        except BookingError as error:
            if error.problem is not Problem.UNSURE:
                raise
            found = await self._latest(booking)
            if found.state is not BookingState.CANCELLED:
                raise
            return found

    async def _latest(self, booking: Booking) -> Kept:
        """Return what *booking* has become at Cal.com.

        Raises:
            BookingError: it cannot be known; `UNSURE` when it may be booked or not.
        """
        if booking.external_id is None:
            found = await self._find(booking)
            if found is None:
                raise BookingError("not found", problem=Problem.UNSURE)
            return found
        shown = await self._client.show(booking.external_id)
        for _ in range(LONGEST_CHAIN):
            if shown.moved_to is None:
                break
            shown = await self._client.show(shown.moved_to)
        return shown.kept

    async def _settle(self, booking: Booking, found: Kept, now: float) -> Booking:
        settled = await self._db.write(agenda.settle, booking, found, now=now)
        return kept(settled)
