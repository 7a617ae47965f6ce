"""The one HTTP client, for Chatwoot and the model.

httpx gives the interface, aiohttp the connections: httpcore, which httpx brings along,
takes twice as long for a request, and more with every open connection
(`bench/README.md`). The translation is ours because it must be exact: "never sent" and
"nobody knows" decide whether a reply may be said again.
"""

import functools
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from yarl import URL

# Shorter than any server's own, so that we rarely write to a connection that the
# server is closing: nobody could tell whether it has read the message.
KEEP_ALIVE_S = 4.0
# Proxies with long security headers; aiohttp's own limit is 8,190.
MAX_HEADER = 64 * 1024

# From the special to the general. What fails before the connection stands was never
# sent; of everything else nobody knows.
TRANSLATIONS: Mapping[type[Exception], type[httpx.TransportError]] = {
    aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
    aiohttp.ServerTimeoutError: httpx.ReadTimeout,
    aiohttp.ClientHttpProxyError: httpx.ConnectError,
    aiohttp.ClientConnectorError: httpx.ConnectError,
    aiohttp.InvalidURL: httpx.UnsupportedProtocol,
    aiohttp.ServerDisconnectedError: httpx.RemoteProtocolError,
    aiohttp.ClientError: httpx.ReadError,
    # Raised bare where a connection breaks at the wrong moment.
    OSError: httpx.ReadError,
}


def make_connector(**options: Any) -> aiohttp.TCPConnector:
    """Return what opens connections; *options* are aiohttp's."""
    return aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEEP_ALIVE_S,
        ssl=_certificates(),
        **options,
    )


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Read the certificates once: that takes 90 ms, and a megabyte each time."""
    return httpx.create_ssl_context()


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Carry httpx's requests through one aiohttp session.

    It opens as many connections as are asked for at once; the callers bound that.
    `HTTPS_PROXY` and `NO_PROXY` of the environment are respected.

    Args:
        connector: makes the connections, once a loop runs; see `make_connector`.
        proxies: False to connect to nobody but the server itself.
    """

    def __init__(
        self,
        connector: Callable[[], aiohttp.TCPConnector] | None = None,
        *,
        proxies: bool = True,
    ) -> None:
        self._connector = connector or make_connector
        self._proxy = functools.cache(_proxy_of if proxies else _no_proxy)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; its connection is free again when the body is closed.

        Raises:
            httpx.TransportError: see `TRANSLATIONS`.
        """
        times = request.extensions.get("timeout", {})
        raw = request.headers.raw
        with _translated(request):
            answer = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[(_text(name), _text(value)) for name, value in raw],
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=_timeout(times.get("connect"), times.get("read")),
                proxy=self._proxy(request.url.scheme, request.url.host),
            )
        return httpx.Response(
            status_code=answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, request),
            extensions={"http_version": b"HTTP/1.1"},
        )

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first request, because it wants a running loop.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # httpx does
                # aiohttp would read it, and .netrc, again for every request.
                trust_env=False,
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
            )
        return self._session

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()


def _proxy_of(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a server, or None.

    Raises:
        httpx.UnsupportedProtocol: it is no HTTP proxy.
    """
    proxy = None if proxy_bypass(host) else getproxies().get(scheme)
    if proxy is None:
        return None
    protocol, _, address = proxy.rpartition("://")
    if protocol not in ("", "http", "https"):
        raise httpx.UnsupportedProtocol(
            f"{scheme.upper()}_PROXY names a proxy of the kind {protocol}; "
            "only HTTP proxies can be used"
        )
    return f"{protocol or 'http'}://{address}"


def _no_proxy(_scheme: str, _host: str) -> None:
    """Return None."""


class _Body(httpx.AsyncByteStream):
    """A response's body as it comes."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated(self._request):
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        # A body that was not read to its end takes its connection with it: that is
        # how a cancelled turn stops the model.
        self._answer.close()


class _translated:
    """Raise httpx's error for aiohttp's.

    A class, because a generator's context costs more than the translation.
    """

    def __init__(self, request: httpx.Request) -> None:
        self._request = request

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for theirs, ours in TRANSLATIONS.items():
            if isinstance(error, theirs):
                message = str(error) or type(error).__name__
                raise ours(message, request=self._request) from error


# Nearly all are the same in every request, and live as long as it.
_text = functools.lru_cache(256)(bytes.decode)


@functools.cache
def _timeout(connect_s: float | None, read_s: float | None) -> aiohttp.ClientTimeout:
    """Return the limits of one request; its callers bound the whole of it."""
    return aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=read_s)


class _NoCookies(httpx.Cookies):
    """Keep no cookies: one client carries several tokens, and each call its own."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Forget them."""


class _Client(httpx.AsyncClient):
    @property  # type: ignore[misc]  # nobody sets them
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES


_NO_COOKIES = _NoCookies()


def make_client() -> httpx.AsyncClient:
    """Make the client; it follows no redirects, which could carry a token away."""
    _certificates()  # now, and not in the loop at the first request
    return _Client(
        transport=AiohttpTransport(), timeout=httpx.Timeout(30.0, connect=5.0)
    )
