"""Read request bodies and what clients prefer, within bounds."""

import asyncio
import re
from typing import Any, TypeVar

import pydantic
from starlette.requests import ClientDisconnect, Request

from ..errors import BodyTooLargeError, BusyError, PayloadError, ValidationError
from .context import context

BODY_TIMEOUT_S = 15
MAX_PREFER_S = 60
WAIT = re.compile(r"\bwait=([0-9]{1,4})\b")

Model = TypeVar("Model", bound=pydantic.BaseModel)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the raw body.

    Raises:
        BodyTooLargeError: longer than *limit* bytes; the rest is not read.
        PayloadError: it did not arrive in time, or not completely.
        BusyError: too much arrives at once, and this body has taken the longest.
    """
    _check_length(request, limit)
    bodies = context(request).bodies
    chunks, size, here = [], 0, True
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S) as timer:
            bodies.begin(timer)
            try:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise _too_long(limit)
                    chunks.append(chunk)
                    bodies.grow(timer, len(chunk))
            finally:
                here = bodies.end(timer)
    except (TimeoutError, ClientDisconnect) as error:
        if not here:
            raise BusyError("Too much is being sent at once; try again.") from error
        raise PayloadError("the body did not arrive completely") from error
    return b"".join(chunks)


def _check_length(request: Request, limit: int) -> None:
    """Refuse what says that it is too long, before anything of it is read."""
    said = request.headers.get("content-length", "").lstrip("0")
    # Digits only, as uvicorn sees to; of too many of them no number is made.
    if len(said) > len(str(limit)) or (said.isdecimal() and int(said) > limit):
        raise _too_long(limit)


def _too_long(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is longer than {limit} bytes.")


async def read_model(request: Request, model: type[Model], limit: int) -> Model:
    """Return the JSON body as *model*; an empty body counts as ``{}``.

    Raises:
        PayloadError: not JSON.
        ValidationError: JSON, but not what the endpoint takes; names the fields.
        BodyTooLargeError: longer than *limit* bytes.
    """
    body = await read_body(request, limit)
    return checked(model, body.strip() or b"{}")


def checked(model: type[Model], text: str | bytes) -> Model:
    """Return JSON as *model*.

    Raises:
        PayloadError: not JSON.
        ValidationError: JSON, but not what was asked for; names the fields.
    """
    try:
        return model.model_validate_json(text)
    except pydantic.ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        if problems[0]["type"] == "json_invalid":
            raise PayloadError("This is not JSON in UTF-8.") from None
        raise ValidationError(
            {_name(item["loc"]): item["msg"] for item in problems}
        ) from None


def query(request: Request, model: type[Model]) -> Model:
    """Return the query string as *model*.

    Raises:
        ValidationError: a parameter is wrong; names it.
    """
    try:
        return model.model_validate(dict(request.query_params))
    except pydantic.ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise ValidationError(
            {_name(item["loc"]): item["msg"] for item in problems}
        ) from None


def _name(loc: tuple[Any, ...]) -> str:
    # The rest of a location names the alternatives of a type, not of the body.
    return str(loc[0]) if loc else "body"


def preferred_wait_s(request: Request) -> float | None:
    """Return the seconds of ``Prefer: wait=…`` (RFC 7240), or None."""
    match = WAIT.search(request.headers.get("prefer", ""))
    return min(float(match.group(1)), MAX_PREFER_S) if match else None
