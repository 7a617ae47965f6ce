"""Who may do what: visitors by their token, agents by `ADMIN_TOKEN` or loopback.

`Gate` is asked by every handler; nothing else decides. An agent proves it by the
token in a header, or by the cookie that the sign-in sets. A cookie travels with
whatever a browser sends, so it counts only for requests of our own pages.
"""

import contextlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from hashlib import sha256
from urllib.parse import urlsplit

import itsdangerous
from starlette.requests import HTTPConnection

from ..errors import AccessError, BusyError, StoreError
from ..settings import Settings
from .addresses import network, shared
from .rates import Rate

# A visitor may come back for a month; the page then starts a new chat.
TOKEN_AGE_S = 30 * 86_400
# A working day; then the console asks again.
SESSION_AGE_S = 12 * 3_600
# A socket outlives the request that opened it; so often it has to come in again, for
# its session may have been signed out of meanwhile, in another process too.
RECHECK_S = 5 * 60
# The sign-in link is for the operator who has just started the service.
LINK_AGE_S = 15 * 60
COOKIE = "chatwoot_bot_session"
# Browsers accept this prefix only with Secure, for this host alone and all its paths.
TLS_COOKIE = f"__Host-{COOKIE}"
# RFC 9110: requests that change nothing.
SAFE = ("GET", "HEAD", "OPTIONS")
# Where the ASGI scope has the `Session` of the request's cookie.
SESSION = "chatwoot_bot.session"


class Proof(StrEnum):
    """By what a caller was let in."""

    VISITOR = "visitor"  # the token of the conversation
    TOKEN = "token"  # `ADMIN_TOKEN` # noqa: S105 - a name
    SESSION = "session"  # the cookie of the sign-in
    LOOPBACK = "loopback"  # this very machine, while nothing makes the service public


class Visitors:
    """Make and check the tokens that let a visitor back into a conversation.

    Args:
        secret_keys: the first one signs.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._signer = _signer(secret_keys, "visitor")

    def token(self, conversation_id: str) -> str:
        """Return a token for one conversation."""
        return str(self._signer.dumps(conversation_id))

    def owns(self, token: str, conversation_id: str) -> bool:
        """Return whether *token* is for the conversation and not expired."""
        return self.conversation(token) == conversation_id

    def conversation(self, token: str) -> str | None:
        """Return whose *token* it is, or None when it is none or has expired."""
        try:
            return str(self._signer.loads(token, max_age=TOKEN_AGE_S))
        except itsdangerous.BadData:
            return None

    def made(self, token: str) -> bool:
        """Return whether *token* is one of ours, expired or not."""
        try:
            self._signer.loads(token)
        except itsdangerous.BadData:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Session:
    """A console's session, as its cookie says.

    Attributes:
        error: why it is not known whether the session has been ended; None otherwise.
    """

    id: str
    error: StoreError | None = None


class Sessions:
    """Make and check the console's cookie; it ends with its `ADMIN_TOKEN`.

    Args:
        secret_keys: the first one signs.
        admin_tokens: new sessions belong to the first one.
    """

    def __init__(self, secret_keys: Sequence[str], admin_tokens: Sequence[str]) -> None:
        self._signers = [
            _signer(secret_keys, f"session-id:{sha256(token.encode()).hexdigest()}")
            for token in admin_tokens or [""]
        ]

    def make(self) -> str:
        """Return the value of a new session's cookie."""
        return str(self._signers[0].dumps(secrets.token_urlsafe(16)))

    def id_of(self, cookie: str) -> str | None:
        """Return the id of the session, or None when *cookie* is not valid."""
        for signer in self._signers:
            with contextlib.suppress(itsdangerous.BadData):
                return str(signer.loads(cookie, max_age=SESSION_AGE_S))
        return None


def _signer(
    secret_keys: Sequence[str], salt: str
) -> itsdangerous.URLSafeTimedSerializer:
    # itsdangerous signs with the last one, and takes what any of them has signed.
    keys = list(reversed(secret_keys))
    return itsdangerous.URLSafeTimedSerializer(keys, salt=salt)


class LinkCode:
    """The code of the sign-in link: it works once, and not for long.

    It lives in the process that printed it; other processes do not know it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + LINK_AGE_S
        self._value: str | None = secrets.token_urlsafe(24)

    @property
    def value(self) -> str | None:
        """Return the code, or None once it has been used or has expired."""
        if self._clock() >= self._ends_at:
            self._value = None
        return self._value

    def use(self, given: str) -> bool:
        """Return whether *given* is the code, which then works no more."""
        if self.value is None or not is_same(self.value, given):
            return False
        self._value = None
        return True


class Attempts:
    """How often each address has given a wrong `ADMIN_TOKEN` lately.

    An address that has given too many waits, and what it gives meanwhile is not
    compared: not even the right token is let in. But this machine's address and those
    of trusted proxies may stand for everybody, and a guesser must not shut the
    operators out: there every token is compared, the right one is let in, and wrong
    ones beyond the limit are told to wait. That is no protection for a short token.

    Args:
        limit: wrong ones within *window_s*.
        remembered: addresses, at most; see `Rate`.
    """

    def __init__(
        self,
        limit: int = 10,
        window_s: int = 60,
        *,
        remembered: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared()
        self._failed = Rate(
            limit,
            window_s,
            message="Too many wrong tokens; try again in a minute.",
            remembered=remembered,
            clock=clock,
        )

    def __len__(self) -> int:
        """Return how many counters are kept; see `Rate`."""
        return len(self._failed)

    def check(self, address: str) -> None:
        """Let *address* try.

        Raises:
            PaceError: the address failed too often, and is not shared.
        """
        if address not in self._shared:
            self._failed.check(network(address))

    def failed(self, address: str) -> None:
        """Note that *address* has given a wrong token.

        Raises:
            PaceError: it has given too many.
        """
        self._failed.take(network(address))


class Gate:
    """Let callers in, or say why not."""

    def __init__(self, settings: Settings, secret_keys: Sequence[str]) -> None:
        self._admin_tokens = [
            token.get_secret_value() for token in settings.admin_token
        ]
        self._sessions = Sessions(secret_keys, self._admin_tokens)
        self._attempts = Attempts()
        # Beside the host a request names, which a proxy may have changed.
        self._public_url = urlsplit((settings.public_url or "").lower())
        self._friends = {origin_of(url) for url in settings.cors_origins}
        self._trusts_loopback = not self._admin_tokens and not settings.is_public
        self.link_code = LinkCode() if _needs_link(settings) else None
        self.visitors = Visitors(secret_keys)

    @property
    def needs_token(self) -> bool:
        """Whether agents have to sign in, on this machine too."""
        return not self._trusts_loopback

    def offers_sign_in(self, request: HTTPConnection) -> bool:
        """Return whether the caller can become an agent by signing in."""
        if self._trusts_loopback and is_loopback(request):
            return False
        return bool(self._admin_tokens) or self.link_code is not None

    def require_visitor(
        self, request: HTTPConnection, conversation_id: str, token: str | None = None
    ) -> Proof:
        """Let in the conversation's visitor, and agents.

        Args:
            token: where it did not come in a header.

        Raises:
            AccessError: 401 without a token, or with another conversation's.
        """
        given = token or bearer(request)
        if given and self.visitors.owns(given, conversation_id):
            return Proof.VISITOR
        try:
            proof = self.require_agent(request, token)
        except AccessError as error:
            raise AccessError(
                "This needs the conversation's token: Authorization: Bearer <token>.",
                status_code=401,
            ) from error
        if given and proof is Proof.LOOPBACK:
            # Somebody on this machine with a wrong visitor token is a page whose
            # conversation is gone, not an agent.
            raise AccessError("The token is not valid for this.", status_code=401)
        return proof

    def require_agent(self, request: HTTPConnection, token: str | None = None) -> Proof:
        """Let in agents and operators.

        Args:
            token: where it did not come in a header.

        Raises:
            AccessError: 401 without a valid `ADMIN_TOKEN` or session; 403 where there
                is no way to sign in, or from another site's page.
            BusyError: the address has given too many wrong tokens.
            StoreError: it is not known whether the session has been ended.
        """
        if self._trusts_loopback and is_loopback(request):
            return Proof.LOOPBACK
        given = token or bearer(request)
        if given and self._is_admin_token(request, given):
            return Proof.TOKEN
        session: Session | None = request.scope.get(SESSION)
        if session is not None:
            if session.error is not None:
                raise session.error
            self._check_cookie_origin(request)
            return Proof.SESSION
        if self._admin_tokens:
            raise AccessError(
                "This needs the operator's token: Authorization: Bearer <ADMIN_TOKEN>.",
                status_code=401,
            )
        if self.link_code is not None:
            raise AccessError(
                "Open the sign-in link that the service printed at start-up, or set "
                "ADMIN_TOKEN.",
                status_code=401,
            )
        raise AccessError(
            "Without ADMIN_TOKEN this is allowed from the machine itself only. "
            "Set ADMIN_TOKEN and send it as Authorization: Bearer.",
            status_code=403,
        )

    def is_agent(self, request: HTTPConnection) -> bool:
        """Return whether `require_agent` would let the caller in."""
        try:
            self.require_agent(request)
        except (AccessError, BusyError, StoreError):
            return False
        return True

    def is_visitor(self, request: HTTPConnection) -> bool:
        """Return whether the caller has the valid token of any conversation."""
        given = bearer(request)
        return given is not None and self.visitors.conversation(given) is not None

    def sign_in(self, request: HTTPConnection, token: str) -> str | None:
        """Return a new session's cookie; None where agents need none.

        Args:
            token: `ADMIN_TOKEN`; without one, the code of the sign-in link.

        Raises:
            AccessError: see `require_agent`.
            BusyError: the address has given too many wrong tokens.
        """
        if not self.offers_sign_in(request):
            self.require_agent(request)
            return None
        if self._admin_tokens:
            if not self._is_admin_token(request, token):
                raise AccessError("This is not ADMIN_TOKEN.", status_code=401)
        elif not self._is_link_code(request, token):
            raise AccessError(
                "The sign-in link works once and for 15 minutes. Restart the service "
                "for a new one, or set ADMIN_TOKEN.",
                status_code=401,
            )
        return self._sessions.make()

    def session_id(self, request: HTTPConnection) -> str | None:
        """Return the id of the cookie's session, which may have been ended."""
        names = [TLS_COOKIE] if self.is_tls(request) else [TLS_COOKIE, COOKIE]
        cookies = [request.cookies[name] for name in names if name in request.cookies]
        return next(filter(None, map(self._sessions.id_of, cookies)), None)

    def is_tls(self, request: HTTPConnection) -> bool:
        """Return whether the browser came over TLS, as far as is known.

        uvicorn takes the scheme from a proxy in `FORWARDED_ALLOW_IPS`. Behind others
        the page's own `Origin` says it, and `PUBLIC_URL`.
        """
        origin = request.headers.get("origin", "").lower()
        return (
            request.url.scheme in ("https", "wss")
            or (origin.startswith("https://") and self._is_own(request, origin))
            or (
                self._public_url.scheme == "https"
                and self._public_url.netloc == _host(request)
            )
        )

    def check_origin(self, request: HTTPConnection) -> None:
        """Refuse what another site's page has a browser send.

        Raises:
            AccessError: 403.
        """
        origin = request.headers.get("origin", "").lower()
        if self._is_foreign(request) and origin not in self._friends:
            raise AccessError(
                "This site may not use the chat. CORS_ORIGINS names those that may; "
                "PUBLIC_URL is the service's own address behind a proxy.",
                status_code=403,
            )

    def _is_admin_token(self, request: HTTPConnection, given: str) -> bool:
        """Compare in constant time, and count what is wrong.

        Raises:
            BusyError: the address has given too many wrong tokens.
        """
        if not self._admin_tokens or self.visitors.made(given):
            return False  # a client of another origin does not guess tokens
        return self._guessed(request, partial(self._is_one, given))

    def _is_one(self, given: str) -> bool:
        # All are compared: which one it is, the time must not tell.
        return any([is_same(token, given) for token in self._admin_tokens])

    def _is_link_code(self, request: HTTPConnection, given: str) -> bool:
        if self.link_code is None:
            return False
        return self._guessed(request, partial(self.link_code.use, given))

    def _guessed(self, request: HTTPConnection, is_right: Callable[[], bool]) -> bool:
        """Compare, after asking whether the address may try; see `Attempts`.

        Raises:
            BusyError: the address has given too many wrong tokens.
        """
        address = request.client.host if request.client else ""
        self._attempts.check(address)
        if is_right():
            return True
        self._attempts.failed(address)
        return False

    def _check_cookie_origin(self, request: HTTPConnection) -> None:
        is_read = request.scope["type"] == "http" and request.scope["method"] in SAFE
        if self._is_foreign(request) or not (is_read or _says_where_from(request)):
            raise AccessError(
                "A signed-in browser may do this only from our own page.",
                status_code=403,
            )

    def _is_foreign(self, request: HTTPConnection) -> bool:
        """Return whether a browser says that another site's page sends this.

        `Sec-Fetch-Site` counts where it is sent: a proxy cannot have changed what it
        is compared with. Without it and without `Origin` this is no browser.
        """
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        origin = request.headers.get("origin")
        return origin is not None and not self._is_own(request, origin)

    def _is_own(self, request: HTTPConnection, origin: str) -> bool:
        """Return whether *origin* is the service itself, under the name in use.

        The scheme may differ: a proxy that ends TLS does not say so to us.
        """
        netloc = _netloc(origin)
        return netloc is not None and netloc in (
            self._public_url.netloc,
            _host(request),
        )


def is_same(expected: str, given: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(
        expected.encode(), given.encode("utf-8", "surrogateescape")
    )


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url* as a browser writes them in `Origin`."""
    parts = urlsplit(url.strip().lower())
    return f"{parts.scheme}://{parts.netloc}"


def bearer(request: HTTPConnection) -> str | None:
    """Return the token of the Authorization header, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def is_loopback(request: HTTPConnection) -> bool:
    """Return whether the caller sits on this machine and means this service.

    The address alone is not enough: a foreign page in a browser on this machine
    reaches us too (then Origin is foreign, or, after DNS rebinding, Host), and so
    does everybody behind a proxy on this machine. Most proxies say for whom; one that
    does not is why a public service (`Settings.is_public`) trusts no loopback.
    """
    if request.client is None or not _is_loopback_host(request.client.host):
        return False
    if is_forwarded(request) or not _is_loopback_host(_hostname(_host(request))):
        return False
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    # The port too: what listens on another one is another program.
    return origin is None or _netloc(origin) == _host(request)


def is_forwarded(request: HTTPConnection) -> bool:
    """Return whether a proxy has passed the request on, as far as it says so."""
    return bool(forwarding(request))


def forwarding(request: HTTPConnection) -> list[str]:
    """Return what the headers of proxies say."""
    return [
        value
        for name, value in request.headers.items()
        if name in PROXIED
        or name.startswith("x-forwarded")
        or name.endswith("client-ip")
    ]


# Beside X-Forwarded-* and what ends with Client-IP, such as True-Client-IP.
PROXIED = (
    "forwarded",
    "via",
    "x-real-ip",
    "x-original-for",
    "x-original-host",
    "x-original-forwarded-for",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cdn-loop",
    "x-envoy-external-address",
    "x-proxyuser-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-appengine-user-ip",
    "cloudfront-viewer-address",
)


def _needs_link(settings: Settings) -> bool:
    """Return whether the operator has no other way to become an agent."""
    if settings.admin_token:
        return False
    return settings.is_public or not _is_loopback_host(settings.host)


def _says_where_from(request: HTTPConnection) -> bool:
    return "origin" in request.headers or "sec-fetch-site" in request.headers


def _host(request: HTTPConnection) -> str:
    return request.headers.get("host", "").lower()


def _netloc(origin: str) -> str | None:
    """Return host and port of an `Origin`, or None when it names none."""
    try:
        named = urlsplit(origin.lower())
    except ValueError:  # brackets that do not hold an address
        return None
    return named.netloc or None if named.scheme in ("http", "https") else None


def _hostname(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:  # brackets that do not hold an address
        return ""


def _is_loopback_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
