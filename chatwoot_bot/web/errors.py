"""Turn every error into ``{"error": {"code", "message"}}`` with a fitting status."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import (
    PaceError,
    RequestError,
    SignatureError,
    StoreError,
    ValidationError,
)

log = structlog.get_logger(__name__)

Handler = Callable[[Request, Exception], Awaitable[Response]]


def respond(
    status_code: int,
    code: str,
    message: str,
    fields: dict[str, str] | None = None,
) -> JSONResponse:
    """Return an error in the one form that all of ours have."""
    body: dict[str, object] = {"error": {"code": code, "message": message}}
    if fields:
        body["fields"] = fields
    return JSONResponse(body, status_code=status_code)


async def on_request_error(request: Request, error: Exception) -> Response:
    """Answer what the caller did wrong."""
    if not isinstance(error, RequestError):
        raise error
    message = str(error)
    if isinstance(error, SignatureError):
        # A caller who guesses signatures must not learn which check failed.
        message = "The delivery is not signed as expected."
    fields = error.fields if isinstance(error, ValidationError) else None
    response = respond(error.status_code, error.code, message, fields)
    if isinstance(error, PaceError):
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


async def on_store_error(request: Request, error: Exception) -> Response:
    """Answer 500, never 503: Chatwoot repeats a bot's delivery on 500 only."""
    log.error("storage failed", path=request.url.path, error=str(error))
    return respond(500, "storage_failed", "The database could not store it; try again.")


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette refuses: unknown paths and wrong methods."""
    if not isinstance(error, HTTPException):
        raise error
    code = HTTPStatus(error.status_code).name.lower()
    response = respond(error.status_code, code, f"{error.detail}.")
    response.headers.update(error.headers or {})
    if allowed := response.headers.get("allow"):
        response.headers["allow"] = ", ".join(sorted(allowed.split(", ")))
    return response


async def on_bug(request: Request, error: Exception) -> Response:
    """Answer a bug; Starlette raises it again, so the log has the traceback."""
    return respond(500, "internal_error", "Something went wrong on our side.")


HANDLERS: dict[type[Exception], Handler] = {
    RequestError: on_request_error,
    StoreError: on_store_error,
    HTTPException: on_http_exception,
    Exception: on_bug,
}
