"""Chatwoot's REST API: the four calls that the engine makes.

Raw JSON and httpx stop here: callers get our types and `ChatwootError`. Calls that
may be repeated without harm are repeated here for blips of seconds; a message that
Chatwoot may have stored is not, that is for whoever kept it.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from ..breaker import Breaker
from ..core.conversation import Status
from ..core.events import Event, from_rest
from ..errors import ChatwootError, PayloadError

ATTEMPTS = 3
RETRY_FOR_S = 5.0
TOTAL_S = 12.0
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
# Typing and status checks only decorate a reply, so they must not hold it up.
SHORT_TIMEOUT = httpx.Timeout(3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What Chatwoot shows of a conversation.

    Attributes:
        updated_at: Chatwoot's clock, Unix seconds.
        messages: the newest ones shown (message id, our reply key or None).
        last: the newest public message, as if delivered; None when not shown.
    """

    status: Status | None
    updated_at: float
    messages: Mapping[int, str | None]
    last: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A message that was fetched instead of delivered.

    Attributes:
        written_at: Unix seconds.
    """

    event: Event
    written_at: float


class ChatwootClient:
    """Talk to one Chatwoot installation with one token.

    Args:
        http: the shared client.
        base_url: as in the browser, without a trailing slash.
        token: a bot's or a user's; never logged.
        breaker: opens when Chatwoot does not answer.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str,
        token: str,
        breaker: Breaker | None = None,
    ) -> None:
        self.breaker = breaker or Breaker()
        self._http = http
        self._base_url = base_url
        self._headers = {
            # The documented name, with underscores.
            "api_access_token": token,
            # Chatwoot 4.12.1 answered 401 to a bot that also accepted br
            # (chatwoot issue 14024); the answers are small.
            "accept-encoding": "identity",
        }

    async def create_message(
        self,
        account_id: int,
        display_id: int,
        *,
        content: str,
        reply_key: str,
        private: bool = False,
    ) -> int:
        """Post a message; return Chatwoot's id for it.

        Stored is not delivered: the channel's own failure comes later, as
        `message_updated`.

        Raises:
            ChatwootError: `in_doubt` says whether it may be there all the same.
        """
        body = {
            "content": content,
            "message_type": "outgoing",
            "private": private,
            "content_attributes": {"chatwoot_bot": {"reply_key": reply_key}},
        }
        response = await self._call("POST", account_id, display_id, "messages", body)
        message_id = _object(response).get("id")
        if not isinstance(message_id, int):
            # A proxy's or a login page's 200.
            raise ChatwootError(
                "the answer to a new message has no id",
                status_code=None,
                in_doubt=True,
            )
        return message_id

    async def toggle_status(
        self, account_id: int, display_id: int, status: Status
    ) -> float:
        """Set the status; return Chatwoot's clock (Unix seconds) after that.

        With a bot's token, pending → open is Chatwoot's own handoff.

        Raises:
            ChatwootError: it was not set, as far as we know.
        """
        response = await self._repeat(
            "POST", account_id, display_id, "toggle_status", {"status": status}
        )
        if not isinstance(_object(response).get("payload"), dict):
            # A proxy's or a login page's 200.
            raise ChatwootError(
                "the answer to a new status is not Chatwoot's",
                status_code=None,
                in_doubt=True,
            )
        return _clock(response)

    async def toggle_typing(
        self, account_id: int, display_id: int, *, on: bool
    ) -> None:
        """Show or hide the typing indicator; bots may since Chatwoot 4.11.2.

        Raises:
            ChatwootError: it did not work; nobody need care.
        """
        body = {"typing_status": "on" if on else "off"}
        await self._call(
            "POST",
            account_id,
            display_id,
            "toggle_typing_status",
            body,
            timeout=SHORT_TIMEOUT,
        )

    async def get_conversation(self, account_id: int, display_id: int) -> Conversation:
        """Read a conversation; bots may since Chatwoot 4.14.2.

        Raises:
            ChatwootError: 401 in older releases, 500 for a conversation with a
                team (facts, section 5.1), or no answer.
        """
        response = await self._call(
            "GET", account_id, display_id, timeout=SHORT_TIMEOUT
        )
        payload = _object(response)
        last = _last_message(payload, account_id)
        return Conversation(
            status=_status(payload.get("status")),
            updated_at=_seconds(payload.get("updated_at")),
            messages=dict(_shown_messages(payload)),
            last=last.event if last else None,
        )

    async def last_message(self, account_id: int, display_id: int) -> Fetched | None:
        """Return the newest message of a conversation; bots may since 4.14.2.

        Raises:
            ChatwootError: as for `get_conversation`.
        """
        response = await self._call(
            "GET", account_id, display_id, timeout=SHORT_TIMEOUT
        )
        return _last_message(_object(response), account_id)

    async def list_last_messages(
        self, account_id: int, *, status: Status, page: int
    ) -> list[Fetched]:
        """Return the newest message of each conversation, 25 to a page.

        Raises:
            ChatwootError: 401 for a bot's token, or no answer.
        """
        query = f"?status={status}&assignee_type=all&page={page}"
        response = await self._call("GET", account_id, None, query)
        data = _object(response).get("data")
        payload = data.get("payload") if isinstance(data, dict) else None
        rows = payload if isinstance(payload, list) else []
        found = [
            _last_message(row, account_id) for row in rows if isinstance(row, dict)
        ]
        return [fetched for fetched in found if fetched is not None]

    async def list_reply_keys(
        self, account_id: int, display_id: int, *, after: int
    ) -> dict[int, str | None]:
        """Return our keys in the up to 100 messages that follow *after*.

        Raises:
            ChatwootError: 401 for a bot's token, or no answer.
        """
        response = await self._call(
            "GET", account_id, display_id, f"messages?after={after}"
        )
        payload = _object(response).get("payload")
        return {
            message["id"]: _reply_key(message)
            for message in (payload if isinstance(payload, list) else [])
            if isinstance(message, dict) and isinstance(message.get("id"), int)
        }

    async def _repeat(
        self, method: str, account_id: int, display_id: int, action: str, body: Any
    ) -> httpx.Response:
        """Make a call that does no harm twice, up to three times."""
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            stop=tenacity.stop_after_attempt(ATTEMPTS)
            | tenacity.stop_after_delay(RETRY_FOR_S),
            wait=tenacity.wait_exponential(multiplier=0.2)
            + tenacity.wait_random(0, 0.2),
            reraise=True,
        )
        response: httpx.Response = await retrying(
            self._call, method, account_id, display_id, action, body
        )
        return response

    async def _call(
        self,
        method: str,
        account_id: int,
        display_id: int | None,
        action: str = "",
        body: Any = None,
        *,
        timeout: httpx.Timeout = TIMEOUT,  # noqa: ASYNC109 - httpx enforces it
    ) -> httpx.Response:
        path = f"/api/v1/accounts/{account_id}/conversations"
        if display_id is not None:
            path += f"/{display_id}"
        if action:
            path += action if action.startswith("?") else f"/{action}"
        if not self.breaker.allows():
            raise ChatwootError("Chatwoot's circuit is open", status_code=None)
        try:
            # httpx bounds each step; somebody who trickles bytes would hold us.
            async with asyncio.timeout(TOTAL_S):
                response = await self._http.request(
                    method,
                    self._base_url + path,
                    json=body,
                    headers=self._headers,
                    timeout=timeout,
                )
        except (httpx.RequestError, TimeoutError) as error:
            self.breaker.failed()
            raise ChatwootError(
                f"{method} {path}: no answer ({type(error).__name__})",
                status_code=None,
                in_doubt=not isinstance(error, NEVER_SENT),
            ) from error
        except BaseException:
            self.breaker.abandoned()
            raise
        if response.status_code in OUTAGE:
            self.breaker.failed()
        else:
            self.breaker.succeeded()
        if response.is_success:
            return response
        said = _said(response)
        raise ChatwootError(
            f"{method} {path} answered {response.status_code}{said}",
            status_code=response.status_code,
            # The flood guard of 200 messages a minute (facts, section 6.2).
            passes="Too many messages" in said,
            # After 429 or any 4xx nothing was done; a 5xx may come after the commit.
            in_doubt=response.status_code >= 500,
        )


# Not 500: a bot gets it for good for a conversation with a team (facts, section 5.1).
OUTAGE = (429, 502, 503, 504)
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ChatwootError) and error.retryable


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        payload = response.json()
    except (ValueError, RecursionError):
        # A proxy's page, in whatever encoding.
        return {}
    return payload if isinstance(payload, dict) else {}


def _said(response: httpx.Response) -> str:
    """Return Chatwoot's own words for an error (facts, section 6.1), shortened."""
    payload = _object(response)
    words = payload.get("error") or payload.get("message") or payload.get("errors")
    return f": {str(words)[:200]}" if words else ""


def _clock(response: httpx.Response) -> float:
    """Return the server's clock, at the end of the second that its header names."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp() + 1.0
    except (KeyError, ValueError):
        return time.time()


def _status(value: Any) -> Status | None:
    return Status(value) if isinstance(value, str) and value in set(Status) else None


def _seconds(value: Any) -> float:
    known = isinstance(value, int | float) and 0 <= value <= 1e11
    return float(value) if known else 0.0


def _shown_messages(payload: Mapping[str, Any]) -> Iterator[tuple[int, str | None]]:
    shown = payload.get("messages")
    candidates = [*shown] if isinstance(shown, list) else []
    candidates.append(payload.get("last_non_activity_message"))
    for message in candidates:
        if isinstance(message, dict) and isinstance(message.get("id"), int):
            yield message["id"], _reply_key(message)


def _last_message(conversation: Mapping[str, Any], account_id: int) -> Fetched | None:
    """Return the newest public message, if Chatwoot shows one that we understand."""
    message = conversation.get("last_non_activity_message")
    if not isinstance(message, dict) or message.get("private"):
        return None
    try:
        event = from_rest(conversation, message, account_id)
    except PayloadError:
        return None
    return Fetched(event=event, written_at=_seconds(message.get("created_at")))


def _reply_key(message: Mapping[str, Any]) -> str | None:
    attributes = message.get("content_attributes")
    ours = attributes.get("chatwoot_bot") if isinstance(attributes, dict) else None
    key = ours.get("reply_key") if isinstance(ours, dict) else None
    return key if isinstance(key, str) else None
