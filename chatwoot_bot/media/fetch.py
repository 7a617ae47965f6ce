"""Fetch one attachment: patiently, within limits, and from nowhere it must not be.

Chatwoot's `data_url` needs no login and leads by 302 to a store of files; no token
is ever sent. The file may be stored only seconds after its event has come (Chatwoot
issues 12605, 14511, 14644), which shows as 404, or as 403 behind S3.
"""

import asyncio

import httpx

from ..errors import MediaError
from .guard import is_refusal

CONNECT_S = 5.0
READ_S = 10.0
WHOLE_S = 20.0
REDIRECTS_MAX = 5
FIRST_WAIT_S = 0.5
LAST_WAIT_S = 3.0
# All downloads of the process at once; each may fill a buffer of the largest size.
AT_ONCE = 32

MOVED = (301, 302, 303, 307, 308)
NOT_YET = (403, 404)
BUSY = (408, 425, 429)
HEADERS = {
    "accept": "*/*",
    # A compressed body could be a bomb; pictures and voices are compressed already.
    "accept-encoding": "identity",
    "user-agent": "chatwoot-bot",
}
TIMES = {"timeout": httpx.Timeout(READ_S, connect=CONNECT_S).as_dict()}


class _NotYetError(Exception):
    """It may be there in a moment; `error` is the end of it when it never is."""

    def __init__(self, error: MediaError) -> None:
        super().__init__(str(error))
        self.error = error


class Fetcher:
    """Downloads over a guarded transport; see `media.guard`.

    Args:
        transport: used as it is, because a client would add cookies, and a
            password from the URL.
        max_bytes: of one file.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._transport = transport
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, url: str, *, patience_s: float) -> bytes:
        """Return the body behind *url*, at most `max_bytes`.

        Args:
            patience_s: how long to ask again for what is not there yet.

        Raises:
            MediaError: it cannot be had; retryable when a later turn may try.
        """
        now = asyncio.get_running_loop().time
        patient_until, wait = now() + patience_s, FIRST_WAIT_S
        while True:
            try:
                async with self._slots, asyncio.timeout(WHOLE_S):
                    return await self._follow(url)
            except TimeoutError:
                raise MediaError("it takes too long to load", retryable=True) from None
            except _NotYetError as not_yet:
                if now() + wait > patient_until:
                    raise not_yet.error from None
            await asyncio.sleep(wait)
            wait = min(2 * wait, LAST_WAIT_S)

    async def _follow(self, url: str) -> bytes:
        """Follow redirects to the body; each hop is checked like the first."""
        for _ in range(REDIRECTS_MAX + 1):
            answer = await self._ask(_checked(url))
            try:
                if answer.status_code not in MOVED:
                    return await self._body(answer)
                url = _next(url, answer.headers.get("location"))
            finally:
                await answer.aclose()
        raise MediaError("its address leads in circles")

    async def _ask(self, url: httpx.URL) -> httpx.Response:
        request = httpx.Request("GET", url, headers=HEADERS, extensions=TIMES)
        try:
            return await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            if is_refusal(error):
                raise MediaError("its address must not be opened") from None
            raise _silent() from error

    async def _body(self, answer: httpx.Response) -> bytes:
        _check_status(answer.status_code)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise MediaError("it comes compressed")
        if int(answer.headers.get("content-length", 0)) > self.max_bytes:
            raise self.too_large()
        body = bytearray()
        try:
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > self.max_bytes:
                    raise self.too_large()
        except httpx.TransportError as error:
            raise _silent() from error
        return bytes(body)

    def too_large(self) -> MediaError:
        """Return what is wrong with a file above the limit."""
        return MediaError(f"it is larger than {self.max_bytes / 1_048_576:.3g} MB")


def _check_status(status: int) -> None:
    if status == 200:
        return
    if status in NOT_YET:
        raise _NotYetError(MediaError("it is not there"))
    passing = status in BUSY or status >= 500
    error = MediaError(f"its server answers {status}", retryable=passing)
    raise _NotYetError(error) if passing else error


def _silent() -> _NotYetError:
    return _NotYetError(MediaError("its server does not answer", retryable=True))


def _checked(url: str) -> httpx.URL:
    """Return *url* for a request without any credentials.

    Raises:
        MediaError: it is not HTTP, or holds a password.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise MediaError("its address must not be opened")
    return parsed


def _next(url: str, location: str | None) -> str:
    try:
        return str(httpx.URL(url).join(location or ""))
    except httpx.InvalidURL:
        raise MediaError("its address leads nowhere") from None
