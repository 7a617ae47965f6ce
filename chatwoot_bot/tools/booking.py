"""The tools by which the model books, moves and cancels calls with colleagues.

Which call is meant is never the model's word alone: it is looked for among the
contact's own, so that a contact who names another's reaches nothing.
"""

from typing import Any
from zoneinfo import ZoneInfo

from ..booking.calendar import Calendar
from ..core import slots
from ..core.conversation import Conversation, Sender
from ..core.notes import Say
from ..core.slots import Wish, numeric, readable
from ..errors import BookingError, Problem
from ..language import language_of
from ..store import bookings
from ..store.bookings import Booking, BookingState, Wanted
from ..store.engine import Database
from .base import Call, Effect, Result, Tool, ToolError
from .booking_forms import (
    Cancellation,
    FreeTimes,
    Move,
    NewCall,
    NewCallByEmail,
    NoArguments,
)
from .booking_words import DONE, MOVED, NOTED, WORDS, call_lines, free_lines

# A contact reads them in a chat.
OFFERED = 8
# Cal.com may be asked twice, and looked at in between; see `booking.external`.
TIMEOUT_S = 40.0
NO_TIME = "Nothing is done: preferred_time must be a time as find_free_times writes it."


def link_tools(url: str) -> tuple[Tool, ...]:
    """Return the tool of a company whose contacts book by a link."""

    async def run(_arguments: NoArguments, _call: Call) -> Result:
        return Result(text=f"Contacts choose a time for a call themselves: {url}")

    return (
        Tool(
            name="book_a_call",
            description="Get the link by which the contact books a call with a "
            "colleague. Give it to them as it is; you cannot book for them.",
            arguments=NoArguments,
            run=run,
        ),
    )


class Desk:
    """Books calls in one calendar, at the model's word.

    Args:
        public_url: where contacts reach this service; None for no calendar files.
        link: where contacts book themselves when the calendar cannot be reached.
        say: says an English text in the agents' language.
    """

    def __init__(
        self,
        calendar: Calendar,
        db: Database,
        *,
        public_url: str | None = None,
        link: str | None = None,
        say: Say = str,
    ) -> None:
        self._calendar = calendar
        self._db = db
        self._public_url = public_url
        self._link = link
        self._say = say

    def tools(self) -> tuple[Tool, ...]:
        """Return what the model may do here."""
        new_call = NewCallByEmail if self._calendar.needs_email else NewCall
        keyed: dict[str, Any] = {"effect": Effect.KEYED, "timeout_s": TIMEOUT_S}
        return (
            Tool(
                name="find_free_times",
                description="See when a call with a colleague can be booked, and which "
                "calls the contact has. Use it before you offer times, and offer two "
                "or three of them.",
                arguments=FreeTimes,
                run=self.find_free_times,
            ),
            Tool(
                name="book_a_call",
                description="Book a call with a colleague, once the contact has "
                "agreed to a time that find_free_times has shown, and has told you "
                "their name and where to reach them. Never invent an address or a "
                "number.",
                arguments=new_call,
                run=self.book_a_call,
                **keyed,
            ),
            Tool(
                name="reschedule_call",
                description="Move a call that the contact has booked to another time "
                "that find_free_times has shown.",
                arguments=Move,
                run=self.reschedule_call,
                offered_to=self.has_calls,
                **keyed,
            ),
            Tool(
                name="cancel_call",
                description="Cancel a call that the contact has booked, once they "
                "have said that they do not want it.",
                arguments=Cancellation,
                run=self.cancel_call,
                offered_to=self.has_calls,
                **keyed,
            ),
        )

    async def has_calls(self, conversation: Conversation, now: float) -> bool:
        """Return whether there is a call to move or to cancel, or was a moment ago."""
        call = Call(key="", conversation=conversation, transcript=(), now=now)
        return bool(await self._calls(call) or await self._gone(call))

    async def find_free_times(self, wanted: FreeTimes, call: Call) -> Result:
        """Tell a few of the free times that suit."""
        zone = self._zone(wanted.time_zone)
        wish = Wish(
            zone=zone,
            first=wanted.first_day,
            last=wanted.last_day,
            after=wanted.after,
            before=wanted.before,
        )
        try:
            free = await self._calendar.free(now=call.now)
        except BookingError as error:
            raise self._sorry(error) from error
        fitting = [slot for slot in free if wish.fits(slot)]
        shown = slots.few(fitting or free, zone, limit=OFFERED)
        lines = [f"It is {slots.clock(call.now, zone)} now."]
        if not fitting:
            lines.append("Nothing is free then.")
        lines.append(free_lines(shown, zone))
        lines += call_lines(await self._calls(call), zone)
        return Result(text="\n".join(lines))

    async def book_a_call(self, wanted: NewCall, call: Call) -> Result:
        """Book a call."""
        zone = self._zone(wanted.time_zone)
        starts_at = await self._moment(wanted.preferred_time, zone, call.now)
        email, phone = wanted.reach()
        circle = await self._db.read(bookings.circle, call.conversation.id)
        request = Wanted(
            key=call.key,
            circle=circle,
            calendar=self._calendar.name,
            slot=self._calendar.slot_at(starts_at),
            time_zone=zone.key,
            name=wanted.name,
            email=email,
            phone=phone,
            topic=wanted.topic,
            language=_language(call),
        )
        try:
            booking = await self._calendar.book(request, now=call.now)
        except BookingError as error:
            raise await self._explained(error, call, zone, starts_at) from error
        return self._done(booking)

    async def reschedule_call(self, wanted: Move, call: Call) -> Result:
        """Move a call."""
        booking = await self._meant(wanted.booking, call)
        zone = self._zone(wanted.time_zone or booking.time_zone)
        starts_at = await self._moment(wanted.preferred_time, zone, call.now)
        try:
            moved = await self._calendar.move(booking, starts_at, now=call.now)
        except BookingError as error:
            raise await self._explained(error, call, zone, starts_at) from error
        return self._done(moved)

    async def cancel_call(self, wanted: Cancellation, call: Call) -> Result:
        """Cancel a call."""
        booking = await self._meant(wanted.booking, call)
        try:
            cancelled = await self._calendar.cancel(booking, now=call.now)
        except BookingError as error:
            zone = self._zone(booking.time_zone)
            raise await self._explained(error, call, zone) from error
        return self._done(cancelled)

    async def _moment(self, text: str | None, zone: ZoneInfo, now: float) -> float:
        """Return the moment that the model names.

        Raises:
            ToolError: it names none; with a few that are free.
        """
        try:
            return slots.parse_start(text or "", zone)
        except ValueError:
            free = await self._nearest(now, zone, now)
            raise ToolError(f"{NO_TIME}\n{free}") from None

    def _zone(self, name: str | None) -> ZoneInfo:
        return ZoneInfo(name) if name else self._calendar.zone

    async def _calls(self, call: Call) -> list[Booking]:
        """Return the contact's calls in this calendar, the next one first."""
        circle = await self._db.read(bookings.circle, call.conversation.id)
        theirs = await self._db.read(bookings.upcoming, circle, now=call.now)
        return [each for each in theirs if each.calendar == self._calendar.name]

    async def _gone(self, call: Call) -> Booking | None:
        """Return the call that was cancelled last: a repeat may mean no other."""
        circle = await self._db.read(bookings.circle, call.conversation.id)
        gone = await self._db.read(bookings.last_cancelled, circle, now=call.now)
        return gone if gone and gone.calendar == self._calendar.name else None

    async def _meant(self, booking_id: str | None, call: Call) -> Booking:
        """Return the contact's call that the model means.

        Raises:
            ToolError: it means none of theirs, or it is not clear which.
        """
        if booking_id is not None:
            circle = await self._db.read(bookings.circle, call.conversation.id)
            found = await self._db.read(bookings.find, booking_id, circle, now=call.now)
            if found is not None and found.calendar == self._calendar.name:
                return found
        theirs = await self._calls(call)
        if booking_id is None and len(theirs) == 1:
            return theirs[0]
        if booking_id is None and not theirs and (gone := await self._gone(call)):
            return gone
        problem = "There is no such booking."
        if booking_id is None and theirs:
            problem = "It is not clear which booking."
        lines = call_lines(theirs, self._calendar.zone)
        raise ToolError("\n".join([problem, *lines]))

    async def _explained(
        self,
        error: BookingError,
        call: Call,
        zone: ZoneInfo,
        starts_at: float | None = None,
    ) -> ToolError:
        """Return what went wrong, and what there is to do."""
        match error.problem:
            case Problem.TAKEN if starts_at is not None:
                free = await self._nearest(starts_at, zone, call.now)
                return ToolError(f"That time is not free.\n{free}")
            case Problem.TOO_MANY | Problem.UNKNOWN:
                lines = call_lines(await self._calls(call), zone)
                return ToolError("\n".join([WORDS[error.problem], *lines]))
        return self._sorry(error)

    async def _nearest(self, moment: float, zone: ZoneInfo, now: float) -> str:
        try:
            free = await self._calendar.free(now=now)
        except BookingError:
            return "Ask for other free times with find_free_times."
        return free_lines(slots.nearest(free, moment, limit=OFFERED // 2), zone)

    def _sorry(self, error: BookingError) -> ToolError:
        words = WORDS[error.problem]
        if self._link and error.problem is Problem.UNAVAILABLE:
            words += f" They may book it themselves here: {self._link}"
        return ToolError(words)

    def _done(self, booking: Booking) -> Result:
        """Return what has been done, for the model and for the agents."""
        what = DONE[booking.state]
        if booking.sequence and booking.state is BookingState.BOOKED:
            what = MOVED
        theirs = readable(booking.slot, ZoneInfo(booking.time_zone))
        text = f"{what}: {booking.id}, {theirs}."
        if self._public_url and self._calendar.has_files:
            url = f"{self._public_url}/bookings/{booking.token}.ics"
            text += f" Calendar file for the contact: {url}"
        return Result(text=text, notes=(self._note(what, booking),))

    def _note(self, what: str, booking: Booking) -> str:
        # The names of days and months are in English.
        when = readable if self._say is str else numeric
        ours = when(booking.slot, self._calendar.zone)
        who = ", ".join(
            part for part in (booking.name, booking.email, booking.phone) if part
        )
        topic = f"\n\n{booking.topic}" if booking.topic else ""
        return f"**{self._say(NOTED[what])}** {ours}\n\n{who}{topic}"


def _language(call: Call) -> str:
    said = [
        message.content
        for message in reversed(call.transcript)
        if message.sender is Sender.CONTACT and message.content
    ]
    return language_of(said).code
