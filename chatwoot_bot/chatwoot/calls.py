"""How every call to Chatwoot's REST API is made, and what its errors mean.

Raw JSON and httpx stop in this package: callers get our types and `ChatwootError`.
Calls that may be repeated without harm are repeated here for blips of seconds; a
message that Chatwoot may have stored is not, that is for whoever kept it.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity

from ..breaker import Breaker
from ..errors import ChatwootError
from .answers import Answer, json_of, read

ATTEMPTS = 3
RETRY_FOR_S = 5.0
TOTAL_S = 12.0
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
# What only goes along with a reply must not hold it up.
ASIDE_TIMEOUT = httpx.Timeout(3.0)

# Rack makes this the same as the documented `api_access_token`, and nginx drops headers
# with underscores unless it is told not to.
HEADER = "api-access-token"

# Whether the JSON of a success is Chatwoot's.
Shape = Callable[[Any], bool]


def anything(_body: Any) -> bool:
    """Take every JSON, and none: of some calls Chatwoot's answer is empty."""
    return True


class Calls:
    """Call one Chatwoot installation with one token.

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
        # httpx copies such headers for each request, and does not encode them again.
        self._headers = httpx.Headers(
            {
                HEADER: token,
                # Chatwoot 4.12.1 answered 401 to a bot that also accepted br
                # (chatwoot issue 14024); the answers are small.
                "accept-encoding": "identity",
                "accept": "*/*",
                "user-agent": "chatwoot-bot",
            }
        )

    async def repeat(
        self,
        method: str,
        account_id: int,
        display_id: int,
        action: str,
        body: Any,
        *,
        shape: Shape = anything,
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
            self.call, method, account_id, display_id, action, body, shape=shape
        )
        return response

    async def call(
        self,
        method: str,
        account_id: int | None,
        display_id: int | None,
        action: str = "",
        body: Any = None,
        *,
        aside: bool = False,
        shape: Shape = anything,
    ) -> httpx.Response:
        """Make one call.

        Args:
            account_id: None for what belongs to no account; then the whole path
                below ``/api`` is in *action*.
            display_id: of the conversation that it is about; None for the account.
            action: what follows in the path, with its query.
            aside: the reply that it goes along with is said without it too. It has
                less time, and is left out while the circuit is not closed: the one
                call that may try then is a reply's. That it was slow proves nothing.
            shape: whether the JSON of a success is Chatwoot's; else it is an outage.

        Raises:
            ChatwootError: a refusal, or no answer; says what became of the request.
        """
        path = "/api" if account_id is None else f"/api/v1/accounts/{account_id}"
        if display_id is not None:
            path += f"/conversations/{display_id}"
        if action:
            path += f"/{action}"
        times = ASIDE_TIMEOUT if aside else TIMEOUT
        # Not `http.request`, which takes as long to merge this with defaults as the
        # transport takes to send it.
        request = httpx.Request(
            method,
            _url(self._base_url + path),
            json=body,
            headers=self._headers,
            extensions={"timeout": times.as_dict()},
        )
        what = f"{method} {path}"
        response = await self._send(request, what, aside=aside)
        answer = read(response)
        strange = answer.is_success and (answer.is_page or not shape(answer.body))
        if strange or answer.is_outage:
            self.breaker.failed()
        else:
            self.breaker.succeeded()
        if answer.is_success and not strange:
            return response
        raise ChatwootError(
            f"{what} answered {response.status_code}{_described(response, answer)}",
            status_code=response.status_code,
            final=answer.is_final,
            # After 429 or any 4xx nothing was done; a 5xx may come after the commit,
            # and a page in place of an answer may hide that it was.
            in_doubt=response.status_code >= 500 or strange,
        )

    async def _send(
        self, request: httpx.Request, what: str, *, aside: bool
    ) -> httpx.Response:
        """Send *request* if the circuit lets it; tell the circuit of no answer."""
        if not (self.breaker.is_closed if aside else self.breaker.allows()):
            raise ChatwootError("Chatwoot's circuit is open", status_code=None)
        try:
            # httpx bounds each step; a server that trickles bytes would hold us.
            async with asyncio.timeout(TOTAL_S):
                response = await self._http.send(request)
        except (httpx.RequestError, TimeoutError) as error:
            if not aside or isinstance(error, NEVER_SENT):
                self.breaker.failed()
            raise ChatwootError(
                f"{what}: no answer ({type(error).__name__})",
                status_code=None,
                in_doubt=not isinstance(error, NEVER_SENT),
            ) from error
        except BaseException:
            self.breaker.abandoned()
            raise
        return response


# Typing goes on and off at one address, and httpx looks at each character of it.
_url = lru_cache(maxsize=512)(httpx.URL)

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ChatwootError) and error.retryable


def object_of(response: httpx.Response) -> Mapping[str, Any]:
    """Return the answer's JSON object; an empty one when it is something else."""
    try:
        payload = json_of(response)
    except (ValueError, RecursionError):
        # A proxy's page, in whatever encoding.
        return {}
    return payload if isinstance(payload, dict) else {}


def list_of(response: httpx.Response) -> list[Mapping[str, Any]]:
    """Return the objects in the answer's JSON array; none when it is something else."""
    try:
        payload = json_of(response)
    except (ValueError, RecursionError):
        return []
    entries = payload if isinstance(payload, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def _described(response: httpx.Response, answer: Answer) -> str:
    """Return Chatwoot's own words for an error, or what answered in its place."""
    if answer.words:
        return f": {answer.words}"
    if response.is_redirect:
        # Without the query, which may hold what a sign-in page needs.
        target = urlsplit(response.headers.get("location", ""))
        where = f"{target.netloc}{target.path}"[:200]
        return (
            f", a redirect to {where}; CHATWOOT_BASE_URL must be the address of "
            "Chatwoot itself"
        )
    kind = response.headers.get("content-type", "no content type")[:50]
    return f", which is not Chatwoot's answer ({kind})"
