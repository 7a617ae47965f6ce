"""What the tools for calls tell the model, and agents in their notes."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from ..core.slots import Span, iso_local, readable
from ..errors import Problem
from ..store.bookings import Booking, BookingState

DONE = {
    BookingState.BOOKED: "Booked",
    BookingState.REQUESTED: "Requested, the colleague has still to confirm it",
    BookingState.UNSURE: "Not certain",
    BookingState.CANCELLED: "Cancelled",
}
MOVED = "Moved"
# How a note for agents begins, by what has been done.
NOTED = {
    DONE[BookingState.BOOKED]: "Call: booked.",
    MOVED: "Call: moved.",
    DONE[BookingState.REQUESTED]: (
        "Call: requested, the colleague has still to confirm it."
    ),
    DONE[BookingState.UNSURE]: "Call: not certain.",
    DONE[BookingState.CANCELLED]: "Call: cancelled.",
}
WORDS = {
    Problem.TAKEN: "That time is not free. Ask for others with find_free_times.",
    Problem.TOO_MANY: "The contact has as many calls as one may have. Offer to move "
    "or to cancel one.",
    Problem.UNKNOWN: "There is no such booking.",
    Problem.CONTACT: "The calendar does not accept the email address or the phone "
    "number. Ask the contact for it again; a number begins with + and the country.",
    Problem.UNSURE: "The calendar has not answered, so nobody knows whether it was "
    "done. Do not say that it was: say that a colleague will confirm it, and call "
    "escalate_to_human.",
    Problem.UNAVAILABLE: "The calendar cannot be reached now. Say so, and offer a "
    "human.",
}


def free_lines(free: Sequence[Span], zone: ZoneInfo) -> str:
    """Return the times that are free, each in a line."""
    if not free:
        return "No time is free at all. Offer a human."
    lines = [f"{iso_local(slot[0], zone)}: {readable(slot, zone)}" for slot in free]
    return "\n".join(["Free are, among others:", *lines])


def call_lines(theirs: Sequence[Booking], zone: ZoneInfo) -> list[str]:
    """Return the calls of a contact, each in a line; nothing without any."""
    lines = [
        f"{each.id}: {readable(each.slot, zone)}, {DONE[each.state].lower()}"
        for each in theirs
    ]
    return ["The contact's calls:", *lines] if lines else []
