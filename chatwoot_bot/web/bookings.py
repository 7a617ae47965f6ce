"""Calls that the bot has booked: a list for agents, calendar files for contacts."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..booking import ics
from ..errors import NotFoundError
from ..store import bookings
from ..store.bookings import OWN
from .body import query
from .context import context
from .schemas import BookingPage, BookingQuery, booking_out, cursor_out, unix


async def list_bookings(request: Request) -> Response:
    """List the calls that the bot has booked, the latest start first."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    wanted = query(request, BookingQuery)
    rows = await ctx.db.read(
        bookings.list_bookings,
        bookings.Filter(
            since=unix(wanted.since) if wanted.since else None,
            until=unix(wanted.until) if wanted.until else None,
            state=wanted.state,
            conversation_id=wanted.conversation_id,
            before=wanted.before,
            limit=wanted.limit,
        ),
    )
    more = len(rows) == wanted.limit
    settings = ctx.settings
    urls = {
        "chatwoot_url": settings.chatwoot_base_url,
        "public_url": settings.public_url,
    }
    page: BookingPage = {
        "items": [booking_out(row, **urls) for row in rows],
        "next": cursor_out(rows[-1]["starts_at"], rows[-1]["id"]) if more else None,
    }
    return JSONResponse(page)


async def calendar_file(request: Request) -> Response:
    """Get a call as a calendar file; the unguessable address is the permission.

    Cal.com sends contacts a file of its own, so its calls have none here.
    """
    ctx = context(request)
    token = request.path_params["token"]
    booking = None
    if "\x00" not in token:
        booking = await ctx.db.read(bookings.with_token, token)
    if booking is None or booking.calendar != OWN:
        raise NotFoundError("There is no such calendar file.")
    content = ics.calendar_file(booking)
    saved = {"content-disposition": 'attachment; filename="call.ics"'}
    return Response(content, media_type=ics.MEDIA_TYPE, headers=saved)
