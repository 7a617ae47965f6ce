"""Cal.com's API, version 2 (cal.com/docs/api-reference/v2): how it is called.

Raw JSON and httpx stop here and in `calcom_answers`. A contact's address travels in a
query, so no URL with one gets into a log or a message.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import tenacity

from ..breaker import Breaker
from ..core.slots import Span
from ..errors import BookingError, Problem
from ..store.bookings import Booking, Kept
from .calcom_answers import Shown, reading, refused, shown, spans

SLOTS_VERSION = "2024-09-04"
BOOKINGS_VERSION = "2024-08-13"
ATTEMPTS = 3
RETRY_FOR_S = 4.0
READ_S = 4.0
# A booking makes an event in a host's calendar and sends mails before it answers.
WRITE_S = 10.0
# By what a booking is known to be ours; at most 40 characters (Cal.com).
KEY = "chatwoot_bot_key"
OUTAGE = (429, 502, 503, 504)
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


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
        with reading():
            found = spans(data, minutes=minutes)
        # Cal.com has shown others too (calcom/cal.com issue 24260).
        return sorted(slot for slot in found if span[0] <= slot.starts_at < span[1])

    async def create(self, booking: Booking, language: str | None) -> Kept:
        """Book a call.

        Args:
            language: in which Cal.com writes to the contact (ISO 639-1).

        Raises:
            BookingError: not booked, unless its problem is `UNSURE`.
        """
        body: dict[str, Any] = {
            "eventTypeId": self.event_type_id,
            "start": utc(booking.starts_at),
            "attendee": _attendee(booking, language),
            "metadata": {KEY: booking.key},
        }
        if booking.topic:
            body["bookingFieldsResponses"] = {"notes": booking.topic}
        data = await self._call("POST", "/v2/bookings", body=body)
        with reading(sent=True):
            return shown(data).kept

    async def find(self, booking: Booking) -> Kept | None:
        """Return the call if Cal.com has booked it.

        Raises:
            BookingError: it cannot be known.
        """
        query = {"attendeeEmail": booking.email or "", "sortCreated": "desc"}
        data = await self._call("GET", "/v2/bookings", query=query)
        with reading():
            ours = [
                each
                for each in data
                if (each.get("metadata") or {}).get(KEY) == booking.key
            ]
            # The newest first: moved, it is another booking with the same metadata.
            return shown(ours[0]).kept if ours else None

    async def show(self, external_id: str) -> Shown:
        """Return a booking as it is now.

        Raises:
            BookingError: it cannot be known; `UNKNOWN` when there is none.
        """
        data = await self._call("GET", f"/v2/bookings/{external_id}")
        with reading():
            return shown(data)

    async def reschedule(self, external_id: str, starts_at: float) -> Kept:
        """Give a booking another time; Cal.com makes it another booking.

        Raises:
            BookingError: not moved, unless its problem is `UNSURE`.
        """
        path = f"/v2/bookings/{external_id}/reschedule"
        data = await self._call("POST", path, body={"start": utc(starts_at)})
        with reading(sent=True):
            return shown(data).kept

    async def cancel(self, external_id: str) -> Kept:
        """Cancel a booking.

        Raises:
            BookingError: not cancelled, unless its problem is `UNSURE`.
        """
        path = f"/v2/bookings/{external_id}/cancel"
        reason = {"cancellationReason": "Cancelled by the contact in the chat."}
        data = await self._call("POST", path, body=reason)
        with reading(sent=True):
            return shown(data).kept

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
            BookingError: see `calcom_answers`.
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
        with reading(sent=method == "POST"):
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
            raise refused(request, response)
        return response


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, BookingError) and error.retryable


def _attendee(booking: Booking, language: str | None) -> dict[str, str]:
    given = {
        "name": booking.name,
        "email": booking.email,
        "phoneNumber": booking.phone,
        "timeZone": booking.time_zone,
        "language": "zh-CN" if language == "zh" else language,
    }
    return {name: value for name, value in given.items() if value}


def utc(moment: float) -> str:
    """Return *moment* as Cal.com wants it: ISO 8601 in UTC."""
    written = datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
    return written.replace("+00:00", "Z")
