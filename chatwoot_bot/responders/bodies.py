"""What a Chat Completions server answers with: a stream, JSON, or a page."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any

import httpx
import openai

from ..errors import ResponderError
from .base import TOO_LONG

# Bytes of a whole completion.
MAX_WHOLE = 4 * 2**20
# Before and at the beginning of JSON, and of the lines of a stream.
BLANK = b"\xef\xbb\xbf \t\r\n"
REFUSAL = re.compile(r"[45][0-9]{2}")
JSON, STREAM = (b"{", b"["), (b":", b"d", b"e", b"i", b"r")


class _Form(Enum):
    PAGE = auto()
    JSON = auto()
    STREAM = auto()


async def chunks(
    stream: openai.AsyncStream[Any], *, begins: bytes
) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the chunks of *stream*; a server that does not stream sends only one.

    Args:
        begins: the first bytes of it, not all of them blanks.

    Raises:
        APIError: the server says what is wrong.
        ResponderError: it is a page, or too long.
        ValueError: what should be JSON is none.
    """
    form = _form(stream.response.headers.get("content-type", ""), begins)
    if form is _Form.PAGE:
        raise _no_model_server()
    if form is _Form.JSON:
        yield await _whole(stream)
        return
    async for chunk in stream:
        yield chunk


def status_of(error: openai.APIError) -> int:
    """Return the status of a refusal; of one in a stream, the one that it names."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    body = error.body if isinstance(error.body, Mapping) else {}
    status = str(body.get("code"))[:3]
    return int(status) if REFUSAL.fullmatch(status) else 500


@contextmanager
def unbroken() -> Iterator[None]:
    """Read what a server has begun to answer: it is there, though it breaks off.

    Raises:
        ResponderError: it broke off; the same question may succeed.
    """
    try:
        yield
    except (openai.APIConnectionError, httpx.TransportError) as error:
        raise ResponderError(
            f"the model's answer broke off ({type(error).__name__})",
            retryable=True,
            kind="broken_off",
        ) from error


def _form(kind: str, begins: bytes) -> _Form:
    """Return what a body is, by its beginning; by its type if it is compressed."""
    kind = kind.partition(";")[0].strip().lower()
    first = begins.lstrip(BLANK)[:1]
    if first == b"<" or kind in ("text/html", "application/xhtml+xml"):
        return _Form.PAGE
    if first in JSON or (kind == "application/json" and first not in STREAM):
        return _Form.JSON
    return _Form.STREAM


def _no_model_server() -> ResponderError:
    return ResponderError(
        "not a Chat Completions server; check the base URL",
        retryable=True,  # or the page of a gateway whose server restarts
        kind="not_a_model_server",
    )


async def _whole(stream: openai.AsyncStream[Any]) -> Mapping[str, Any]:
    body = bytearray()
    async for part in stream.response.aiter_bytes():
        body += part
        if len(body) > MAX_WHOLE:
            raise ResponderError(
                f"the model's server sent more than {MAX_WHOLE} bytes",
                retryable=False,
                kind=TOO_LONG,
            )
    whole: Mapping[str, Any] = json.loads(bytes(body))
    if error := whole.get("error"):
        # As in a stream, where openai looks for it.
        raise openai.APIError("refused", stream.response.request, body=error)
    if "choices" not in whole:
        raise _no_model_server()
    return whole
