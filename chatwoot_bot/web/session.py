"""The console's sign-in: `ADMIN_TOKEN` once, then a cookie that scripts cannot read."""

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import AccessError, RequestError
from .auth import COOKIE, SESSION_AGE_S
from .body import read_model
from .context import Context, context
from .schemas import SessionOut, SignIn

log = structlog.get_logger(__name__)


async def show(request: Request) -> Response:
    """Tell whether the caller is an agent."""
    ctx = context(request)
    try:
        ctx.gate.require_agent(request)
    except AccessError:
        return JSONResponse(_session(ctx, agent=False))
    return JSONResponse(_session(ctx, agent=True))


async def sign_in(request: Request) -> Response:
    """Sign in with `ADMIN_TOKEN`; the answer sets the cookie."""
    ctx = context(request)
    body = await read_model(request, SignIn, ctx.settings.max_body_bytes)
    ctx.gate.check_origin(request)
    try:
        cookie = ctx.gate.sign_in(request, body.token)
    except RequestError as error:
        address = request.client.host if request.client else None
        log.warning("sign-in refused", status=error.status_code, address=address)
        raise
    response = JSONResponse(_session(ctx, agent=True))
    if cookie is not None:
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=SESSION_AGE_S,
            httponly=True,
            samesite="strict",
            secure=_is_secure(request, ctx),
        )
    return response


async def sign_out(request: Request) -> Response:
    """Forget the cookie."""
    ctx = context(request)
    ctx.gate.check_origin(request)
    response = JSONResponse(_session(ctx, agent=False))
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _is_secure(request: Request, ctx: Context) -> bool:
    """Return whether the browser came by TLS, as far as anybody says."""
    said = request.headers.get("x-forwarded-proto", request.url.scheme)
    return "https" in (said, (ctx.settings.public_url or "").partition(":")[0])


def _session(ctx: Context, *, agent: bool) -> SessionOut:
    return {"agent": agent, "sign_in": ctx.gate.needs_token}
