"""A call as a calendar file (RFC 5545) that phones and mail programs open."""

from datetime import UTC, datetime

from ..store.bookings import Booking, BookingState

MEDIA_TYPE = "text/calendar"


def calendar_file(booking: Booking) -> bytes:
    """Return the file of *booking* as it is now.

    Whoever opens a newer one replaces the event, because its UID stays and its
    SEQUENCE grows; one of a cancelled call takes the event away.
    """
    # Imported here: it takes 100 ms, and most services never make a file.
    import icalendar

    cancelled = booking.state is BookingState.CANCELLED
    file = icalendar.Calendar()
    file.add("prodid", "-//chatwoot-bot//booking//EN")
    file.add("version", "2.0")
    file.add("method", "CANCEL" if cancelled else "PUBLISH")
    event = icalendar.Event()
    event.add("uid", f"{booking.id}@chatwoot-bot")
    event.add("sequence", booking.sequence)
    event.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    event.add("dtstamp", _utc(booking.updated_at))
    event.add("dtstart", _utc(booking.starts_at))
    event.add("dtend", _utc(booking.ends_at))
    event.add("summary", f"Call: {booking.topic}" if booking.topic else "Call")
    file.add_component(event)
    content: bytes = file.to_ical()
    return content


def _utc(moment: float) -> datetime:
    # Whole seconds: the format has no others.
    return datetime.fromtimestamp(int(moment), UTC)
