"""For the operator: health, metrics, and the pages' files."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import __version__
from ..errors import StoreError
from ..store import human
from .context import context

PACKAGE = Path(__file__).parents[1]
# In a wheel the pages lie inside the package, in a checkout beside it.
STATIC = next(
    path for path in (PACKAGE / "static", PACKAGE.parent / "static") if path.is_dir()
)


async def health(request: Request) -> Response:
    """Report that the process is alive."""
    return JSONResponse({"status": "ok", "version": __version__})


async def ready(request: Request) -> Response:
    """Report whether the service is ready; agents get the status of each part."""
    ctx = context(request)
    human_mode = None
    try:
        human_mode = await ctx.db.read(human.human_mode)
        database: dict[str, Any] = {"ok": True}
    except StoreError:
        database = {"ok": False}
    parts = {"database": database, **ctx.readiness()}
    fine = all(part.get("ok", True) for part in parts.values())
    body: dict[str, Any] = {
        "status": "ready" if fine else "not_ready",
        # No secret: every page with the chat shows who answers.
        "bot_name": ctx.settings.bot_for("web").settings.bot_name,
    }
    is_agent = ctx.gate.is_agent(request)
    if is_agent or ctx.gate.is_visitor(request):
        body["human_mode"] = human_mode
    if is_agent:
        body |= parts
    return JSONResponse(body, status_code=200 if fine else 503)


async def metrics(request: Request) -> Response:
    """Render the counters for Prometheus."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    ctx.metrics.waiting.set(ctx.db.waiting)
    return Response(
        generate_latest(ctx.metrics.registry), media_type=CONTENT_TYPE_LATEST
    )


def page(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that serves one of our pages."""

    async def serve(request: Request) -> Response:
        return FileResponse(STATIC / name)

    return serve


async def widget(request: Request) -> Response:
    """Serve the script that embeds the web chat in another site."""
    anywhere = {"cross-origin-resource-policy": "cross-origin"}
    return FileResponse(
        STATIC / "widget.js", media_type="text/javascript", headers=anywhere
    )


class SecurityHeaders:
    """Add security headers: a content policy for pages, no caching of answers.

    Args:
        friends: origins whose pages may frame the visitor chat.
        chatwoot: Chatwoot's origin, which may frame the panel; None without one.
    """

    def __init__(
        self, app: ASGIApp, friends: Sequence[str] = (), chatwoot: str | None = None
    ) -> None:
        self._app = app
        self._everywhere = _headers("'none'")
        self._embedded = _headers(" ".join(["'self'", *friends]))
        self._panel = _headers(chatwoot or "'none'")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        headers = self._for(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
                if scope["scheme"] == "https":
                    message["headers"].append(HSTS)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _for(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        if scope["type"] != "http":
            return []
        path = scope["path"]
        if path not in PUBLIC and not path.startswith("/static/"):
            return self._everywhere + PRIVATE
        if path == "/dashboard-app":
            return self._panel + CACHED
        # The first, as the page's own script reads it.
        embed = QueryParams(scope["query_string"]).getlist("embed")[:1]
        if path == "/" and embed == ["1"]:
            return self._embedded + CACHED
        return self._everywhere + CACHED


# The same for every caller.
PUBLIC = ("/", "/console", "/dashboard-app", "/docs", "/widget.js", "/openapi.json")
# Pages and their scripts change together at an upgrade: always ask.
CACHED = [(b"cache-control", b"no-cache")]
# Transcripts, names and tokens: nothing between us and the caller may keep them.
PRIVATE = [
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# For a year. Only this host: what else there is below it is not ours to say.
HSTS = (b"strict-transport-security", b"max-age=31536000")


def _headers(frame_ancestors: str) -> list[tuple[bytes, bytes]]:
    policy = (
        f"default-src 'self'; frame-ancestors {frame_ancestors}; object-src 'none'; "
        "base-uri 'none'; form-action 'self'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]
