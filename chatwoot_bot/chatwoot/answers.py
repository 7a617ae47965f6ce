"""What Chatwoot's REST API answers, and what each refusal means.

The engine's client treats every refusal alike; whoever sets things up or looks for
what is wrong needs to know which one it was (docs/chatwoot/api.md#errors).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import httpx

from ..core.text import without_controls


class Refusal(StrEnum):
    """Why a call was refused; the value is one sentence with the mend."""

    ANONYMOUS = (
        "Chatwoot saw no token, because a proxy in front of it drops the header "
        "api-access-token: let it through"
    )
    UNKNOWN = (
        "Chatwoot does not know this token: copy it again, and from this installation"
    )
    NOT_FOR_BOTS = (
        "this is the token of a bot or of a platform app: take a user's access token, "
        "from Profile settings in Chatwoot"
    )
    OTHER_ACCOUNT = "this token is not valid in this account: check the account id"
    NOT_ALLOWED = (
        "the user of this token may not do that: take the access token of an "
        "administrator"
    )
    SUSPENDED = "the account is suspended: ask whoever runs this Chatwoot"
    NO_API = "the plan of this account has no API access: change the plan"
    NOT_FOUND = "Chatwoot has nothing with this number: check the account id and others"


# In Chatwoot's own words, in English whatever the account's language. From the
# special to the general: "this endpoint" is a bot's, "this account" is anybody's.
WORDS: Mapping[str, Refusal] = {
    "sign in or sign up": Refusal.ANONYMOUS,
    "invalid access token": Refusal.UNKNOWN,
    "not authorized for bots": Refusal.NOT_FOR_BOTS,
    "authorized to access this account": Refusal.OTHER_ACCOUNT,
    "authorized to do this action": Refusal.NOT_ALLOWED,
    "account is suspended": Refusal.SUSPENDED,
    "api access is not enabled": Refusal.NO_API,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the API.

    Attributes:
        body: the JSON, or None when it is none.
        is_page: there is a body, and it is not JSON.
        at: the server's clock by the header ``Date``, Unix seconds; None without.
    """

    status: int
    body: Any = field(repr=False)
    at: float | None = None
    is_page: bool = False

    @property
    def is_success(self) -> bool:
        """Whether Chatwoot did what it was asked."""
        return 200 <= self.status < 300

    @property
    def words(self) -> str:
        """Chatwoot's own words for an error, shortened; empty without any."""
        if not isinstance(self.body, dict):
            return ""
        for name in ("error", "message", "errors"):
            said = self.body.get(name)
            if said:
                text = " ".join(map(str, said)) if isinstance(said, list) else str(said)
                return without_controls(text[:200])
        return ""

    @property
    def refusal(self) -> Refusal | None:
        """Which refusal this is; None for success and for any other trouble."""
        if self.is_success:
            return None
        words = self.words.lower()
        for part, refusal in WORDS.items():
            if part in words:
                return refusal
        # A proxy's or another program's 404 has no such body.
        is_ours = self.status == 404 and "resource could not be found" in words
        return Refusal.NOT_FOUND if is_ours else None

    @property
    def is_final(self) -> bool:
        """Whether Chatwoot itself refused, so that asking again changes nothing.

        A proxy's 404, a redirect and a sign-in page are none of its answers. Behind
        413 is always a proxy, to which the request will be too large again.
        """
        if self.status == 404:
            return self.refusal is Refusal.NOT_FOUND
        if self.status in (401, 403):
            own = isinstance(self.body, dict) and set(self.body) == {"error"}
            return own or self.refusal is not None
        if self.status in (400, 422):
            # The flood guard of 200 messages a minute passes
            # (docs/chatwoot/api.md#rate-limits).
            return bool(self.words) and "Too many messages" not in self.words
        return self.status == 413

    @property
    def is_outage(self) -> bool:
        """Whether what answered is not Chatwoot, or not Chatwoot at work.

        500 is no outage: a bot gets it for good for a conversation with a team
        (docs/chatwoot/api.md#bot-tokens). Nor is what Chatwoot refuses, for good or for
        now.
        """
        known = self.is_success or self.is_final or self.status == 500
        return not (known or "Too many messages" in self.words)


def read(response: httpx.Response) -> Answer:
    """Return what *response* says; its body was read."""
    body, is_page = None, False
    try:
        body = json_of(response) if response.content.strip() else None
    except (ValueError, RecursionError):
        is_page = True  # a proxy's, in whatever encoding
    return Answer(
        status=response.status_code, body=body, at=_date(response), is_page=is_page
    )


def json_of(response: httpx.Response) -> Any:
    """Return the JSON of *response*, which is parsed once however often it is read.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    if PARSED not in response.extensions:
        response.extensions[PARSED] = response.json()
    return response.extensions[PARSED]


PARSED = "parsed"


def _date(response: httpx.Response) -> float | None:
    return _moment(response.headers.get("date", ""))


@lru_cache(maxsize=8)  # the same within a second
def _moment(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def rails_time(value: Any) -> float | None:
    """Return the Unix seconds of ``2026-07-20 12:00:00``, which is UTC."""
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
