"""Cal.com's API, version 2: how it is called, and what its answers mean.

Raw JSON and httpx stop here. A contact's address travels in a query, so no URL with
one, and none of Cal.com's own words, gets into a log or a message.

Sources: cal.com/docs/api-reference/v2; what is refused and how,
`apps/api/v2/src/ee/bookings/2024-08-13/services/errors.service.ts` of calcom/cal.com.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
import tenacity

from ..breaker import Breaker
from ..core.slots import MINUTE_S, Span
from ..errors import BookingError, Problem
from ..store.bookings import Booking, BookingState, Kept

log = structlog.get_logger(__name__)

SLOTS_VERSION = "2024-09-04"
BOOKINGS_VERSION = "2024-08-13"
ATTEMPTS = 3
RETRY_FOR_S = 4.0
READ_S = 4.0
# A booking makes an event in somebody's calendar and sends mails before it answers.
WRITE_S = 10.0
# By what a booking is known to be ours; at most 40 characters (Cal.com).
KEY = "chatwoot_bot_key"
OUTAGE = (429, 502, 503, 504)
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# httpx and we hand on what Cal.com, or a proxy before it, has sent.
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
# Cal.com's own words for a 400 or 409, in lower case; the first that fits.
WORDS: tuple[tuple[str, Problem], ...] = (
    ("maximum number of active bookings", Problem.TOO_MANY),
    ("required booking field", Problem.UNAVAILABLE),
    ("email", Problem.CONTACT),
    ("phone", Problem.CONTACT),
    ("already has booking", Problem.TAKEN),
    ("not available", Problem.TAKEN),
    ("can't be booked at", Problem.TAKEN),
    ("in the past", Problem.TAKEN),
    ("cancelled", Problem.UNKNOWN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A booking as Cal.com shows it.

    Attributes:
        moved_to: the id of the booking that took its place, or None.
    """

    kept: Kept
    moved_to: str | None


class CalcomClient:
    """Call Cal.com for one event type.

    Args:
        http: the shared client.
        base_url: without a trailing slash and without ``/v2``.
        api_key: never logged.
        breaker: opens when Cal.com does not answer.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str,
        api_key: str,
        event_type_id: int,
        breaker: Breaker | None = None,
    ) -> None:
        self.event_type_id = event_type_id
        self.breaker = breaker or Breaker()
        self._http = http
        self._base_url = base_url
        self._headers = {"authorization": f"Bearer {api_key}"}

    async def slots(self, span: Span, *, minutes: int) -> list[Span]:
        """Return what is free in *span*, in order of time.

        Args:
            minutes: how long a call takes where Cal.com does not say.

        Raises:
            BookingError: it cannot be known.
        """
        query = {
            "eventTypeId": str(self.event_type_id),
            "start": utc(span.starts_at),
            "end": utc(span.ends_at),
            "format": "range",
        }
        data = await self._call("GET", "/v2/slots", query=query, version=SLOTS_VERSION)
        with _reading():
            found = {
                Span(_seconds(slot["start"]), _end(slot, minutes))
                # Without any, it is an empty list instead of an object.
                for slots in (data.values() if data else ())
                for slot in slots
            }
        # Cal.com has shown others too (calcom/cal.com issue 24260).
        return sorted(slot for slot in found if span[0] <= slot.starts_at < span[1])

    async def create(self, booking: Booking) -> Kept:
        """Book a call.

        Raises:
            BookingError: not booked, unless its problem is `UNSURE`.
        """
        body: dict[str, Any] = {
            "eventTypeId": self.event_type_id,
            "start": utc(booking.starts_at),
            "attendee": _attendee(booking),
            "metadata": {KEY: booking.key},
        }
        if booking.topic:
            body["bookingFieldsResponses"] = {"notes": booking.topic}
        data = await self._call("POST", "/v2/bookings", body=body)
        with _reading(sent=True):
            return _shown(data).kept

    async def find(self, booking: Booking) -> Kept | None:
        """Return the call if Cal.com has booked it.

        Raises:
            BookingError: it cannot be known.
        """
        query = {"attendeeEmail": booking.email or "", "sortCreated": "desc"}
        data = await self._call("GET", "/v2/bookings", query=query)
        with _reading():
            ours = [
                each
                for each in data
                if (each.get("metadata") or {}).get(KEY) == booking.key
            ]
            # The newest first: moved, it is another booking with the same metadata.
            return _shown(ours[0]).kept if ours else None

    async def show(self, external_id: str) -> Shown:
        """Return a booking as it is now.

        Raises:
            BookingError: it cannot be known; `UNKNOWN` when there is none.
        """
        data = await self._call("GET", f"/v2/bookings/{external_id}")
        with _reading():
            return _shown(data)

    async def reschedule(self, external_id: str, starts_at: float) -> Kept:
        """Give a booking another time; Cal.com makes it another booking.

        Raises:
            BookingError: not moved, unless its problem is `UNSURE`.
        """
        path = f"/v2/bookings/{external_id}/reschedule"
        data = await self._call("POST", path, body={"start": utc(starts_at)})
        with _reading(sent=True):
            return _shown(data).kept

    async def cancel(self, external_id: str) -> Kept:
        """Cancel a booking.

        Raises:
            BookingError: not cancelled, unless its problem is `UNSURE`.
        """
        path = f"/v2/bookings/{external_id}/cancel"
        reason = {"cancellationReason": "Cancelled by the contact in the chat."}
        data = await self._call("POST", path, body=reason)
        with _reading(sent=True):
            return _shown(data).kept

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        version: str = BOOKINGS_VERSION,
    ) -> Any:
        """Return the `data` of the answer; blips are tried again.

        Raises:
            BookingError: see `_problem`.
        """
        request = self._http.build_request(
            method,
            self._base_url + path,
            params=query,
            json=body,
            headers={**self._headers, "cal-api-version": version},
        )
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            stop=tenacity.stop_after_attempt(ATTEMPTS)
            | tenacity.stop_after_delay(RETRY_FOR_S),
            wait=tenacity.wait_exponential(multiplier=0.2)
            + tenacity.wait_random(0, 0.2),
            reraise=True,
        )
        response: httpx.Response = await retrying(self._send, request)
        with _reading(sent=method == "POST"):
            return response.json()["data"]

    async def _send(self, request: httpx.Request) -> httpx.Response:
        if not self.breaker.allows():
            raise BookingError("Cal.com's circuit is open", problem=Problem.UNAVAILABLE)
        writes = request.method == "POST"
        try:
            async with asyncio.timeout(WRITE_S if writes else READ_S):
                response = await self._http.send(request)
        except (httpx.RequestError, TimeoutError) as error:
            self.breaker.failed()
            unsure = writes and not isinstance(error, NEVER_SENT)
            raise BookingError(
                f"Cal.com: no answer ({type(error).__name__})",
                problem=Problem.UNSURE if unsure else Problem.UNAVAILABLE,
                retryable=not unsure,
            ) from error
        except BaseException:
            self.breaker.abandoned()
            raise
        if response.status_code in OUTAGE:
            self.breaker.failed()
        else:
            self.breaker.succeeded()
        if not response.is_success:
            raise _refused(request, response)
        return response


def _refused(request: httpx.Request, response: httpx.Response) -> BookingError:
    status = response.status_code
    problem = _problem(request, response)
    what = f"{request.method} {request.url.path} answered {status}"
    if problem is Problem.UNAVAILABLE:
        log.warning("Cal.com refused", call=what, hint=HINTS.get(status))
    again = status == 429 or (request.method == "GET" and status >= 500)
    return BookingError(f"Cal.com: {what}", problem=problem, retryable=again)


HINTS = {
    400: "the event type asks for more than a name, an email address and notes",
    401: "check CALCOM_API_KEY",
    403: "check CALCOM_API_KEY and CALCOM_EVENT_TYPE_ID",
    404: "check CALCOM_EVENT_TYPE_ID",
}


def _problem(request: httpx.Request, response: httpx.Response) -> Problem:
    status = response.status_code
    if status >= 500:
        # It may have booked before it failed.
        return Problem.UNSURE if request.method == "POST" else Problem.UNAVAILABLE
    if status == 404 and "/v2/bookings/" in request.url.path:
        return Problem.UNKNOWN
    if status == 409:
        return Problem.TAKEN
    if status in (400, 422):
        words = _said(response)
        return next((p for part, p in WORDS if part in words), Problem.UNAVAILABLE)
    return Problem.UNAVAILABLE


def _said(response: httpx.Response) -> str:
    """Return Cal.com's words for an error, in lower case; empty without any."""
    try:
        return str(response.json()["error"]["message"]).lower()
    except UNREADABLE:
        return ""


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, BookingError) and error.retryable


class _reading:
    """Translate what a wrong answer makes the code in its block raise.

    Args:
        sent: something was to be done, which has happened or has not.
    """

    def __init__(self, *, sent: bool = False) -> None:
        self._problem = Problem.UNSURE if sent else Problem.UNAVAILABLE

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, UNREADABLE):
            name = type(error).__name__
            raise BookingError(
                f"Cal.com's answer is not understood ({name})", problem=self._problem
            ) from error


def _attendee(booking: Booking) -> dict[str, str]:
    given = {
        "name": booking.name,
        "email": booking.email,
        "phoneNumber": booking.phone,
        "timeZone": booking.time_zone,
    }
    return {name: value for name, value in given.items() if value}


def _shown(data: Mapping[str, Any]) -> Shown:
    status = data["status"]
    state = STATES.get(status, BookingState.CANCELLED)
    kept = Kept(
        external_id=str(data["uid"]),
        state=state,
        slot=Span(_seconds(data["start"]), _seconds(data["end"])),
    )
    return Shown(kept=kept, moved_to=data.get("rescheduledToUid"))


# The others are cancelled and rejected.
STATES = {"accepted": BookingState.BOOKED, "pending": BookingState.REQUESTED}


def _end(slot: Mapping[str, Any], minutes: int) -> float:
    if "end" in slot:
        return _seconds(slot["end"])
    return _seconds(slot["start"]) + minutes * MINUTE_S


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def utc(moment: float) -> str:
    """Return *moment* as Cal.com wants it: ISO 8601 in UTC."""
    shown = datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
    return shown.replace("+00:00", "Z")
