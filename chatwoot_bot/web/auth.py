"""Who may do what: visitors by their token, agents by `ADMIN_TOKEN` or loopback.

`Gate` is asked by every handler; nothing else decides. An agent proves it by the
token in a header, or by the cookie that the sign-in sets. A cookie travels with
whatever a browser sends, so it counts for a write only when `Origin` is ours.
"""

import hmac
import ipaddress
import time
from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from urllib.parse import urlsplit

import itsdangerous
from starlette.requests import HTTPConnection

from ..errors import AccessError, BusyError
from ..settings import Settings
from .addresses import network, shared
from .rates import Rate

# A visitor may come back for a month; the page then starts a new chat.
TOKEN_AGE_S = 30 * 86_400
# A working day; then the console asks again.
SESSION_AGE_S = 12 * 3_600
COOKIE = "chatwoot_bot_session"
# RFC 9110: requests that change nothing.
SAFE = ("GET", "HEAD", "OPTIONS")


class Proof(StrEnum):
    """By what a caller was let in."""

    VISITOR = "visitor"  # the token of the conversation
    TOKEN = "token"  # `ADMIN_TOKEN` # noqa: S105 - a name
    SESSION = "session"  # the cookie of the sign-in
    LOOPBACK = "loopback"  # this very machine, while no `ADMIN_TOKEN` is set


class Visitors:
    """Make and check the tokens that let a visitor back into a conversation."""

    def __init__(self, secret_key: str) -> None:
        self._signer = itsdangerous.URLSafeTimedSerializer(secret_key, salt="visitor")

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


class Sessions:
    """Make and check the console's cookie; another `ADMIN_TOKEN` ends them all."""

    def __init__(self, secret_key: str, admin_token: str) -> None:
        salt = f"session:{sha256(admin_token.encode()).hexdigest()}"
        self._signer = itsdangerous.URLSafeTimedSerializer(secret_key, salt=salt)

    def make(self) -> str:
        """Return the value of a new session's cookie."""
        return str(self._signer.dumps("agent"))

    def valid(self, cookie: str) -> bool:
        """Return whether *cookie* is one of ours and not expired."""
        try:
            return bool(self._signer.loads(cookie, max_age=SESSION_AGE_S) == "agent")
        except itsdangerous.BadData:
            return False


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
            PaceError: it has failed too often, and is nobody else's.
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

    def __init__(self, settings: Settings, secret_key: str) -> None:
        token = settings.admin_token
        self._admin_token = token.get_secret_value() if token else None
        self._sessions = Sessions(secret_key, self._admin_token or "")
        self._attempts = Attempts()
        # Beside the host a request names, which a proxy may have changed.
        own = [settings.public_url] if settings.public_url else []
        self._own = {origin_of(url) for url in own}
        self._friends = {origin_of(url) for url in settings.cors_origins}
        self.visitors = Visitors(secret_key)

    @property
    def needs_token(self) -> bool:
        """Whether agents have to sign in."""
        return self._admin_token is not None

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
            AccessError: 401 without a valid `ADMIN_TOKEN`; 403 from another machine
                when none is set, or from another site's page.
            BusyError: the address has given too many wrong tokens.
        """
        if self._admin_token is None:
            if is_loopback(request):
                return Proof.LOOPBACK
            raise AccessError(
                "Without ADMIN_TOKEN this is allowed from the machine itself only. "
                "Set ADMIN_TOKEN and send it as Authorization: Bearer.",
                status_code=403,
            )
        given = token or bearer(request)
        if given and self._is_admin_token(request, given):
            return Proof.TOKEN
        if self._sessions.valid(request.cookies.get(COOKIE, "")):
            self._check_cookie_origin(request)
            return Proof.SESSION
        raise AccessError(
            "This needs the operator's token: Authorization: Bearer <ADMIN_TOKEN>.",
            status_code=401,
        )

    def is_agent(self, request: HTTPConnection) -> bool:
        """Return whether `require_agent` would let the caller in."""
        try:
            self.require_agent(request)
        except (AccessError, BusyError):
            return False
        return True

    def sign_in(self, request: HTTPConnection, token: str) -> str | None:
        """Return a new session's cookie; None where agents need none.

        Raises:
            AccessError: see `require_agent`.
            BusyError: the address has given too many wrong tokens.
        """
        if not self.needs_token:
            self.require_agent(request)
            return None
        if not self._is_admin_token(request, token):
            raise AccessError("This is not ADMIN_TOKEN.", status_code=401)
        return self._sessions.make()

    def check_origin(self, request: HTTPConnection) -> None:
        """Refuse a socket that another site's page opens.

        Raises:
            AccessError: 403.
        """
        origin = request.headers.get("origin")
        if origin is None or self._is_own(request, origin):
            return  # no browser, or a page of ours
        if origin.lower() not in self._friends:
            raise AccessError(
                "This site may not use the chat; CORS_ORIGINS names those that may.",
                status_code=403,
            )

    def _is_admin_token(self, request: HTTPConnection, given: str) -> bool:
        """Compare in constant time, and count what is wrong.

        Raises:
            BusyError: the address has given too many wrong tokens.
        """
        address = request.client.host if request.client else ""
        if self.visitors.made(given):
            return False  # somebody in the wrong place guesses at nothing
        self._attempts.check(address)
        expected = (self._admin_token or "").encode()
        if hmac.compare_digest(expected, given.encode("utf-8", "surrogateescape")):
            return True
        self._attempts.failed(address)
        return False

    def _check_cookie_origin(self, request: HTTPConnection) -> None:
        if request.scope["type"] == "http" and request.scope["method"] in SAFE:
            return
        origin = request.headers.get("origin")
        if origin is None or not self._is_own(request, origin):
            raise AccessError(
                "A signed-in browser may do this only from our own page.",
                status_code=403,
            )

    def _is_own(self, request: HTTPConnection, origin: str) -> bool:
        """Return whether *origin* is the service itself, under the name in use.

        The scheme may differ: a proxy that ends TLS does not say so to us.
        """
        own = {urlsplit(one).netloc for one in self._own}
        try:
            named = urlsplit(origin.lower())
        except ValueError:  # brackets that do not hold an address
            return False
        if named.scheme not in ("http", "https"):
            return False
        return named.netloc in own | {request.headers.get("host", "").lower()}


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
    does everybody behind a proxy on this machine. Most proxies say for whom; for one
    that does not, `ADMIN_TOKEN` is the only protection, as start-up warns.
    """
    if request.client is None or not _is_loopback_host(request.client.host):
        return False
    if any(name in request.headers for name in PROXIED):
        return False
    try:
        host = urlsplit("//" + request.headers.get("host", "")).hostname or ""
        origin = urlsplit(request.headers.get("origin", "//localhost")).hostname or ""
    except ValueError:  # brackets that do not hold an address
        return False
    return _is_loopback_host(host) and _is_loopback_host(origin)


PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip", "via", "cf-connecting-ip")


def _is_loopback_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
