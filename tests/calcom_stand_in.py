"""A stand-in for Cal.com's API v2 on a local port, with its own ways to say no.

What it does and says is from the source of calcom/cal.com, `apps/api/v2/src`: the
input types forbid unknown fields, a moved booking becomes another one, a time that is
not free is a 400.
"""

import asyncio
import re
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatwoot_bot.simulator.serving import (
    LocalServer,
    drop_connection,
    wait_for_disconnect,
)

KEY = "cal_live_hush_hush"
EVENT_TYPE = 7
TAKEN = "User either already has booking at this time or is not available"
TOO_SOON = (
    'The event type can\'t be booked at the "start" time provided. This could be '
    "because it's too soon (violating the minimum booking notice)"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """How the next matching call goes wrong.

    Attributes:
        status: of the answer; None cuts the connection instead.
        done: whether what was asked for is done all the same.
        waits: the answer comes when the caller has gone; `asked` says so meanwhile.
    """

    status: int | None = None
    done: bool = False
    text: str = ""
    waits: bool = False


LOST_REQUEST = Fault()
LOST_ANSWER = Fault(done=True)
NEVER_ANSWERS = Fault(done=True, waits=True)


class CalcomStandIn:
    """Cal.com with one event type.

    Attributes:
        free: starts that can be booked, aware datetimes.
        bookings: as the API shows them, by their uid.
        calls: what was asked for, such as ``POST /v2/bookings``.
    """

    def __init__(self):
        self.free = []
        self.bookings = {}
        self.calls = []
        self.confirms_itself = True
        self.asked = asyncio.Event()
        self._faults = {}
        self._server = LocalServer(self._app(), host="127.0.0.1", port=0)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.port}"

    async def start(self):
        await self._server.start()

    async def stop(self):
        await self._server.stop()

    def fail(self, call, *faults):
        """Have the next calls of this kind go wrong; a uid in its path is ``{uid}``."""
        self._faults.setdefault(call, deque()).extend(faults)

    def active(self):
        """The bookings that stand."""
        standing = ("accepted", "pending")
        return [b for b in self.bookings.values() if b["status"] in standing]

    def reschedule(self, uid, start):
        """Move a booking, as its host does or a request whose answer was lost."""
        moved = self._insert(parsed(start), self.bookings[uid]["attendees"][0], {}, uid)
        self._end(self.bookings[uid], rescheduledToUid=moved["uid"])
        return moved

    def cancel(self, uid):
        """Cancel a booking, as its host does."""
        self._end(self.bookings[uid], cancellationReason="Ill.")

    def _app(self):
        routes = [
            ("GET", "/v2/slots", self._slots),
            ("POST", "/v2/bookings", self._create),
            ("GET", "/v2/bookings", self._list),
            ("GET", "/v2/bookings/{uid}", self._show),
            ("POST", "/v2/bookings/{uid}/reschedule", self._reschedule),
            ("POST", "/v2/bookings/{uid}/cancel", self._cancel),
        ]
        return Starlette(
            routes=[
                Route(
                    path, self._guarded(f"{method} {path}", handler), methods=[method]
                )
                for method, path, handler in routes
            ]
        )

    def _guarded(self, call, handler):
        version = "2024-09-04" if "slots" in call else "2024-08-13"

        async def handle(request):
            self.calls.append(call)
            body = await request.json() if request.method == "POST" else None
            if request.headers.get("authorization") != f"Bearer {KEY}":
                return refused(401, "UnauthorizedException", "Invalid API Key")
            if request.headers.get("cal-api-version") != version:
                return refused(404, "NotFoundException", f"Cannot {call}")
            faults = self._faults.get(call)
            if not faults:
                return handler(request, body)
            fault = faults.popleft()
            if fault.done:
                handler(request, body)
            return await self._failed(request, fault)

        return handle

    async def _failed(self, request, fault):
        if fault.waits:
            self.asked.set()
            await wait_for_disconnect(request)
        elif fault.status is None:
            await drop_connection(request)
        if fault.status and fault.status >= 300:
            return refused(fault.status, "Exception", fault.text)
        return Response(fault.text, fault.status or 200)

    def _slots(self, request, _):
        query = request.query_params
        known = {"eventTypeId", "start", "end", "timeZone", "format", "duration"}
        if unknown := set(query) - known:
            return wrong_property(*unknown)
        if query["eventTypeId"] != str(EVENT_TYPE):
            return refused(404, "NotFoundException", "Event Type not found")
        days = {}
        for start in sorted(self.free):
            slot = {"start": written(start), "end": written(start + HALF_HOUR)}
            if query.get("format") != "range":
                del slot["end"]
            days.setdefault(f"{start:%Y-%m-%d}", []).append(slot)
        return answer(days)

    def _create(self, _, body):
        allowed = {"start", "eventTypeId", "attendee", "metadata"}
        if unknown := set(body) - allowed - {"bookingFieldsResponses"}:
            return wrong_property(*unknown)
        if body["eventTypeId"] != EVENT_TYPE:
            words = f"Event type with id {body['eventTypeId']} not found."
            return refused(404, "NotFoundException", words)
        attendee = body["attendee"]
        if not re.fullmatch(r"[^@\s]+@[^@\s.]+\.[^@\s]+", attendee.get("email", "")):
            return refused(400, "BadRequestException", "Invalid email format")
        if not re.fullmatch(r"\+\d{8,15}", attendee.get("phoneNumber", "+4930123456")):
            words = "Invalid phone number format. Please use international format."
            return refused(400, "BadRequestException", words)
        if any(len(k) > 40 or len(v) > 500 for k, v in body["metadata"].items()):
            return refused(400, "BadRequestException", "Metadata must have at most 50")
        if (start := parsed(body["start"])) not in self.free:
            return refused(400, "BadRequestException", TAKEN)
        booking = self._insert(start, attendee, body)
        return answer(booking, status=201)

    def _insert(self, start, attendee, body, moved_from=None):
        self.free.remove(start)
        uid = f"uid-{len(self.bookings) + 1}"
        self.bookings[uid] = {
            "id": len(self.bookings) + 1,
            "uid": uid,
            "status": "accepted" if self.confirms_itself else "pending",
            "start": written(start),
            "end": written(start + HALF_HOUR),
            "duration": 30,
            "attendees": [attendee],
            "metadata": body.get("metadata", {}),
            "bookingFieldsResponses": body.get("bookingFieldsResponses", {}),
            "rescheduledFromUid": moved_from,
        }
        return self.bookings[uid]

    def _list(self, request, _):
        query = request.query_params
        if unknown := set(query) - {"attendeeEmail", "sortCreated"}:
            return wrong_property(*unknown)
        found = [
            booking
            for booking in self.bookings.values()
            if booking["attendees"][0]["email"] == query["attendeeEmail"]
        ]
        return answer(found[::-1] if query.get("sortCreated") == "desc" else found)

    def _show(self, request, _):
        booking = self.bookings.get(request.path_params["uid"])
        if booking is None:
            return refused(404, "NotFoundException", "Booking was not found")
        return answer(booking)

    def _reschedule(self, request, body):
        booking = self.bookings[request.path_params["uid"]]
        if booking["status"] == "cancelled":
            words = "Can't reschedule booking because it has been cancelled."
            return refused(400, "BadRequestException", words)
        if parsed(body["start"]) not in self.free:
            return refused(400, "BadRequestException", TOO_SOON)
        return answer(self.reschedule(booking["uid"], body["start"]), status=201)

    def _cancel(self, request, body):
        booking = self.bookings[request.path_params["uid"]]
        if booking["status"] == "cancelled":
            words = "This booking has already been cancelled"
            return refused(400, "BadRequestException", words)
        self._end(booking, cancellationReason=body["cancellationReason"])
        return answer(booking)

    def _end(self, booking, **facts):
        booking.update(status="cancelled", **facts)
        self.free.append(parsed(booking["start"]))


HALF_HOUR = timedelta(minutes=30)


def written(moment):
    return (
        moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def parsed(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def answer(data, *, status=200):
    return JSONResponse({"status": "success", "data": data}, status)


def refused(status, code, message):
    details = {"message": message, "error": code, "statusCode": status}
    error = {"code": code, "message": message, "details": details}
    return JSONResponse({"status": "error", "error": error}, status)


def wrong_property(*names):
    words = ", ".join(
        f"{n} property is wrong,property {n} should not exist" for n in names
    )
    return refused(400, "BadRequestException", words)


@asynccontextmanager
async def calcom_stand_in(*free):
    """Run a stand-in at which the times *free* can be booked."""
    stand_in = CalcomStandIn()
    stand_in.free = [parsed(each) for each in free]
    await stand_in.start()
    try:
        yield stand_in
    finally:
        await stand_in.stop()
