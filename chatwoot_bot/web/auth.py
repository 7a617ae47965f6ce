"""Who may do what: visitors by their token, agents by `ADMIN_TOKEN` or loopback."""

import hmac
import ipaddress
from urllib.parse import urlsplit

import itsdangerous
from starlette.requests import HTTPConnection

from ..errors import AccessError
from ..settings import Settings

# A visitor may come back for a month; the page then starts a new chat.
TOKEN_AGE_S = 30 * 86_400


class Visitors:
    """Make and check the tokens that let a visitor back into a conversation."""

    def __init__(self, secret_key: str) -> None:
        self._signer = itsdangerous.URLSafeTimedSerializer(secret_key, salt="visitor")

    def token(self, conversation_id: str) -> str:
        """Return a token for one conversation."""
        return str(self._signer.dumps(conversation_id))

    def owns(self, token: str, conversation_id: str) -> bool:
        """Return whether *token* is for the conversation and not expired."""
        try:
            return bool(
                self._signer.loads(token, max_age=TOKEN_AGE_S) == conversation_id
            )
        except itsdangerous.BadData:
            return False


def require_visitor(
    request: HTTPConnection,
    settings: Settings,
    visitors: Visitors,
    conversation_id: str,
) -> None:
    """Let in the conversation's visitor, and agents.

    Raises:
        AccessError: 401 without a token, or with another conversation's.
    """
    token = bearer(request)
    if token and visitors.owns(token, conversation_id):
        return
    try:
        require_agent(request, settings)
    except AccessError as error:
        raise AccessError(
            "This needs the conversation's token: Authorization: Bearer <token>.",
            status_code=401,
        ) from error
    if token and settings.admin_token is None:
        # Somebody on this machine with a wrong visitor token is a page whose
        # conversation is gone, not an agent.
        raise AccessError("The token is not valid for this.", status_code=401)


def require_agent(request: HTTPConnection, settings: Settings) -> None:
    """Let in agents and operators.

    Raises:
        AccessError: 401 without a valid `ADMIN_TOKEN`; 403 from another machine
            when none is set, or from another site's page.
    """
    if settings.admin_token is not None:
        expected = settings.admin_token.get_secret_value().encode()
        given = (bearer(request) or "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(expected, given):
            raise AccessError(
                "This needs the operator's token: Authorization: Bearer <ADMIN_TOKEN>.",
                status_code=401,
            )
        return
    if not is_loopback(request):
        raise AccessError(
            "Without ADMIN_TOKEN this is allowed from the machine itself only. "
            "Set ADMIN_TOKEN and send it as Authorization: Bearer.",
            status_code=403,
        )


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
