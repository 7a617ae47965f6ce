"""What is checked before any handler: where a request comes from, and whose it is.

A browser sends us what any site's page asks for, and some of that needs no permission
of CORS: a form, or text that happens to be JSON. So a write from another site is
refused here, the same way for every path. And a session that was signed out of counts
no more, although its cookie still does.
"""

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import AccessError, StoreError
from ..store import sessions
from .auth import SAFE, SESSION, Session
from .context import Context, context
from .errors import on_request_error

# Without any of these there is no session, and no page that could be another site's.
BROWSERS_OWN = (b"cookie", b"origin", b"sec-fetch-site")


class Entrance:
    """Refuse writes from foreign pages, and note the session in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if not any(name in BROWSERS_OWN for name, _ in scope["headers"]):
            await self._app({**scope, SESSION: None}, receive, send)
            return
        connection = HTTPConnection(scope)
        ctx = context(connection)
        try:
            if scope["type"] == "http" and scope["method"] not in SAFE:
                ctx.gate.check_origin(connection)
        except AccessError as error:
            response = await on_request_error(Request(scope), error)
            await response(scope, receive, send)
            return
        session = await _session(connection, ctx)
        await self._app({**scope, SESSION: session}, receive, send)


async def _session(connection: HTTPConnection, ctx: Context) -> Session | None:
    """Return the session of the request's cookie, or None."""
    session_id = ctx.gate.session_id(connection)
    if session_id is None:
        return None
    try:
        ended = await ctx.db.glance(sessions.has_ended, session_id)
    except StoreError as error:
        # Whether that matters is for the handler to say: a page is for anybody.
        return Session(session_id, error)
    return None if ended else Session(session_id)
