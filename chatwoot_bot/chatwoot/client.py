"""Chatwoot's REST API: the four calls that the engine makes.

Raw JSON and httpx stop here: callers get our types and `ChatwootError`. Calls that
may be repeated without harm are repeated here for blips of seconds; a message that
Chatwoot may have stored is not, that is for whoever kept it.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from ..core.conversation import Status
from ..errors import ChatwootError

ATTEMPTS = 3
RETRY_FOR_S = 5.0
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
# Typing and status checks only decorate a reply, so they must not hold it up.
SHORT_TIMEOUT = httpx.Timeout(3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What Chatwoot shows of a conversation.

    Attributes:
        updated_at: Chatwoot's clock, Unix seconds.
        messages: the newest ones shown (message id, our reply key or None).
    """

    status: Status | None
    updated_at: float
    messages: Mapping[int, str | None]


class ChatwootClient:
    """Talk to one Chatwoot installation with one token.

    Args:
        http: the shared client.
        base_url: as in the browser, without a trailing slash.
        token: a bot's or a user's; never logged.
    """

    def __init__(self, http: httpx.AsyncClient, *, base_url: str, token: str) -> None:
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
        return Conversation(
            status=_status(payload.get("status")),
            updated_at=_seconds(payload.get("updated_at")),
            messages=dict(_shown_messages(payload)),
        )

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
        display_id: int,
        action: str = "",
        body: Any = None,
        *,
        timeout: httpx.Timeout = TIMEOUT,  # noqa: ASYNC109 - httpx enforces it
    ) -> httpx.Response:
        path = f"/api/v1/accounts/{account_id}/conversations/{display_id}/{action}"
        path = path.rstrip("/")
        try:
            response = await self._http.request(
                method,
                self._base_url + path,
                json=body,
                headers=self._headers,
                timeout=timeout,
            )
        except httpx.RequestError as error:
            raise ChatwootError(
                f"{method} {path}: no answer ({type(error).__name__})",
                status_code=None,
                in_doubt=not isinstance(error, NEVER_SENT),
            ) from error
        if response.is_success:
            return response
        raise ChatwootError(
            f"{method} {path} answered {response.status_code}{_said(response)}",
            status_code=response.status_code,
            # After 429 or any 4xx nothing was done; a 5xx may come after the commit.
            in_doubt=response.status_code >= 500,
        )


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


def _reply_key(message: Mapping[str, Any]) -> str | None:
    attributes = message.get("content_attributes")
    ours = attributes.get("chatwoot_bot") if isinstance(attributes, dict) else None
    key = ours.get("reply_key") if isinstance(ours, dict) else None
    return key if isinstance(key, str) else None
