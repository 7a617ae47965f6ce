"""The console's sign-in: a token once, then a cookie that scripts cannot read.

The token is `ADMIN_TOKEN`, or the code of the sign-in link while none is set.
"""

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import AccessError, RequestError
from ..store import sessions
from .auth import COOKIE, SESSION, SESSION_AGE_S, TLS_COOKIE, Session
from .body import read_model
from .context import Context, context
from .schemas import SessionOut, SignIn

log = structlog.get_logger(__name__)


async def show(request: Request) -> Response:
    """Return whether the caller is an agent."""
    ctx = context(request)
    try:
        ctx.gate.require_agent(request)
    except AccessError:
        return JSONResponse(_session(request, ctx, agent=False))
    return JSONResponse(_session(request, ctx, agent=True))


async def sign_in(request: Request) -> Response:
    """Sign in; the answer sets the cookie."""
    ctx = context(request)
    body = await read_model(request, SignIn, ctx.settings.max_body_bytes)
    try:
        cookie = ctx.gate.sign_in(request, body.token)
    except RequestError as error:
        address = request.client.host if request.client else None
        log.warning("sign-in refused", status=error.status_code, address=address)
        raise
    response = JSONResponse(_session(request, ctx, agent=True))
    if cookie is not None:
        is_tls = ctx.gate.is_tls(request)
        response.set_cookie(
            TLS_COOKIE if is_tls else COOKIE,
            cookie,
            max_age=SESSION_AGE_S,
            httponly=True,
            samesite="strict",
            secure=is_tls,
        )
    return response


async def sign_out(request: Request) -> Response:
    """End the session; copies of its cookie become invalid too."""
    ctx = context(request)
    session: Session | None = request.scope.get(SESSION)
    if session is not None:
        if session.error is not None:
            raise session.error
        now = ctx.clock()
        ends_at = now + SESSION_AGE_S
        await ctx.db.write(sessions.end, session.id, now=now, expires_at=ends_at)
    response = JSONResponse(_session(request, ctx, agent=False))
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    # Without Secure a browser would not take the prefix, not even to delete it.
    response.delete_cookie(TLS_COOKIE, httponly=True, samesite="strict", secure=True)
    return response


def _session(request: Request, ctx: Context, *, agent: bool) -> SessionOut:
    return {"agent": agent, "sign_in": ctx.gate.offers_sign_in(request)}
