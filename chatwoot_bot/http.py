"""The one HTTP client, for Chatwoot and the model.

httpx gives the interface, aiohttp the connections: httpcore, which httpx brings along,
takes twice as long for a request, and more with every open connection
(`bench/README.md`). The translation is ours because it must be exact: "never sent" and
"nobody knows" decide whether a reply may be said again.

No answer is trusted: it must come uncompressed, which every request asks for, because
a few kilobytes may unpack to gigabytes; and its body has a largest size. An answer that
breaks either rule is an `httpx.RemoteProtocolError`, as if it had been cut off.
"""

import codecs
import functools
import ssl
import sys
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

# Of a body, when the call does not say; several times Chatwoot's longest list.
MAX_BODY = 8 * 1_048_576
# In `extensions`: the largest body in bytes that a call can use.
MAX_BODY_OF_CALL = "max_body"

# Encodings of text on the Web (encoding.spec.whatwg.org), by Python's names. Python has
# others under such names: zlib unpacks, idna and unicode_escape are no alphabets.
CHARSETS = frozenset(
    {
        *("ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"),
        *(f"iso8859-{number}" for number in range(1, 17)),
        *(f"cp{number}" for number in (437, 850, 852, 866, 874, 932, 936, 949, 950)),
        *(f"cp{number}" for number in range(1250, 1259)),
        *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "tis-620"),
        *("gb2312", "gbk", "gb18030", "big5", "big5hkscs", "euc_kr"),
        *("euc_jp", "shift_jis", "iso2022_jp"),
    }
)

# From the special to the general. What fails before the connection stands was never
# sent; after any other the outcome is unknown.
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


class CompressedAnswerError(httpx.RemoteProtocolError):
    """The body is compressed, though no request allows it."""


class LargeAnswerError(httpx.RemoteProtocolError):
    """The body is larger than the call can use."""


def charset_of(headers: Mapping[str, str]) -> str:
    """Return Python's name of the encoding of text that an answer names, or UTF-8."""
    _, _, said = headers.get("content-type", "").lower().partition("charset=")
    return _encoding(said[:40])


@functools.lru_cache(32)
def _encoding(said: str) -> str:
    name = said.partition(";")[0].strip(" \t'\"")
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return "utf-8"
    return found if found in CHARSETS else "utf-8"


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Carry httpx's requests through one aiohttp session.

    It opens as many connections as are asked for at once; the callers bound that.
    `HTTPS_PROXY` and `NO_PROXY` of the environment are respected.

    Args:
        connector: makes the connections, once a loop runs; see `make_connector`.
        proxies: False to connect to nobody but the server itself.
        checks: False for a caller that bounds the body itself.
    """

    def __init__(
        self,
        connector: Callable[[], aiohttp.TCPConnector] | None = None,
        *,
        proxies: bool = True,
        checks: bool = True,
    ) -> None:
        self._checks = checks
        self._connector = connector or make_connector
        self._proxy = functools.cache(_proxy_of if proxies else _no_proxy)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; its connection is free again when the body is closed.

        Raises:
            httpx.TransportError: see `TRANSLATIONS`; and in the module's docstring.
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
        most = request.extensions.get(MAX_BODY_OF_CALL, MAX_BODY)
        body = _Body(answer, request, most if self._checks else None)
        response = httpx.Response(
            status_code=answer.status,
            headers=answer.raw_headers,
            stream=body,
            extensions={"http_version": b"HTTP/1.1"},
        )
        if self._checks:
            # aiohttp has looked into the headers already; httpx would for each.
            if "content-encoding" in answer.headers:
                coding = response.headers["content-encoding"]
                if coding.strip().lower() not in ("", "identity"):
                    await body.aclose()
                    raise CompressedAnswerError("a compressed answer", request=request)
            response.encoding = charset_of(answer.headers)
        return response

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
    """A response's body as it comes, up to *most* bytes; None for any number."""

    def __init__(
        self, answer: aiohttp.ClientResponse, request: httpx.Request, most: int | None
    ) -> None:
        self._answer = answer
        self._request = request
        self._left = sys.maxsize if most is None else most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated(self._request):
            async for chunk in self._answer.content.iter_any():
                self._left -= len(chunk)
                if self._left < 0:
                    raise LargeAnswerError("an answer too large", request=self._request)
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
        if error is None:
            return
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
    """httpx's client; its own `send` takes longer than the sending itself."""

    def __init__(self, transport: AiohttpTransport, **options: Any) -> None:
        super().__init__(transport=transport, **options)
        self._carrier = transport

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **more: Any
    ) -> httpx.Response:
        """Send *request*; httpx does it when it is more than a request and its answer.

        Raises:
            httpx.TransportError: as `AiohttpTransport` does.
        """
        has_all = "timeout" in request.extensions and not request.url.userinfo
        if more or self.is_closed or not has_all:
            return await super().send(request, stream=stream, **more)
        try:
            response = await self._carrier.handle_async_request(request)
        except httpx.RequestError as error:
            error.request = request
            raise
        response.request = request
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response

    @property  # type: ignore[misc]  # nobody sets them
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES


_NO_COOKIES = _NoCookies()


def make_client() -> httpx.AsyncClient:
    """Make the client; it follows no redirects, which could carry a token away."""
    _certificates()  # now, and not in the loop at the first request
    return _Client(
        headers={"accept-encoding": "identity"},
        transport=AiohttpTransport(),
        timeout=httpx.Timeout(30.0, connect=5.0),
    )
