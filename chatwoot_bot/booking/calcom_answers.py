"""What Cal.com's answers mean; its own words get into no log, they name the contact.

Source: `apps/api/v2/src/ee/bookings/2024-08-13/services/errors.service.ts` and
`output.service.ts` of calcom/cal.com.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import structlog

from ..core.slots import MINUTE_S, Span
from ..errors import BookingError, Problem
from ..store.bookings import BookingState, Kept

log = structlog.get_logger(__name__)

# httpx and we hand on what Cal.com, or a proxy before it, has sent.
UNREADABLE = (
    *(AttributeError, LookupError, TypeError, ValueError),
    *(OverflowError, RecursionError),
)
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


def refused(request: httpx.Request, response: httpx.Response) -> BookingError:
    """Return what a refusal means, and log what the operator can fix."""
    status = response.status_code
    problem = _problem(request, response)
    what = f"{request.method} {request.url.path} answered {status}"
    if problem is Problem.UNAVAILABLE:
        log.warning("Cal.com request refused", call=what, hint=HINTS.get(status))
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


class reading:
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


def shown(data: Mapping[str, Any]) -> Shown:
    """Return the booking that Cal.com shows."""
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


def spans(data: Any, *, minutes: int) -> set[Span]:
    """Return the slots that Cal.com shows.

    Args:
        minutes: how long one is where Cal.com does not say.
    """
    return {
        Span(_seconds(slot["start"]), _end(slot, minutes))
        # Without any, it is an empty list instead of an object.
        for slots in (data.values() if data else ())
        for slot in slots
    }


def _end(slot: Mapping[str, Any], minutes: int) -> float:
    if "end" in slot:
        return _seconds(slot["end"])
    return _seconds(slot["start"]) + minutes * MINUTE_S


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
