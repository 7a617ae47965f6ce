"""What a Chat Completions server answers with: a stream, JSON, or a page."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import openai

from ..errors import ResponderError
from .base import TOO_LONG

# Bytes of a whole completion.
MAX_WHOLE = 4 * 2**20


async def chunks(stream: openai.AsyncStream[Any]) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the chunks of *stream*; a server that does not stream sends only one.

    Raises:
        ResponderError: it is a page, or too long.
        ValueError: what should be JSON is none.
    """
    kind = stream.response.headers.get("content-type", "")
    kind = kind.partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise ResponderError(
            "not a Chat Completions server; check the base URL",
            retryable=True,  # or the page of a gateway whose server restarts
            kind="not_a_model_server",
        )
    if kind == "application/json":
        yield await _whole(stream)
        return
    async for chunk in stream:
        yield chunk


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
    return whole
