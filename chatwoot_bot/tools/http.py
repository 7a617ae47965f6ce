"""Tools that are HTTP endpoints of the operator's (`[[bots.http_tools]]`).

What the server says is data for the model. A redirect is not followed, because the
headers may hold a secret that is for this server only; what a server says is searched
for these secrets before anybody reads it.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pydantic
from pydantic import Field

from ..core.endpoint import PLACEHOLDER, Endpoint
from ..http import charset_of
from .base import Call, Effect, Result, Tool, ToolError
from .secrets import MAX_CHARS as MAX_SECRET
from .secrets import Redaction
from .toolbox import IN_DOUBT, DoubtfulError

MAX_BYTES = 65_536
# Of what a refusal says, for the model.
MAX_REFUSAL = 500
TEXT = re.compile(r"\A(?:text/.*|application/(?:.*\+)?(?:json|xml))", re.IGNORECASE)
KINDS: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
}
# In a value for the path. Servers and proxies take these for the end of a part of the
# path, or decode them to something that is one, some more than once.
BEYOND = "/\\;?#%"
# Answers of a server that has done nothing; after any other the outcome is unknown.
UNDONE = frozenset({*range(300, 500)} - {408, 409, 425})


def endpoint_tool(http: httpx.AsyncClient, endpoint: Endpoint) -> Tool:
    """Return the tool that calls *endpoint*."""
    fields: dict[str, Any] = {
        each.name: (KINDS[each.kind], Field(description=each.description or None))
        for each in endpoint.parameters
    }
    arguments: type[pydantic.BaseModel] = pydantic.create_model(
        endpoint.name, __config__=pydantic.ConfigDict(extra="forbid"), **fields
    )
    effect = Effect.ONCE
    if endpoint.method == "GET":
        effect = Effect.NONE
    elif endpoint.key_header is not None:
        effect = Effect.KEYED
    redacted = Redaction(endpoint.secret_headers.values())

    async def run(given: pydantic.BaseModel, call: Call) -> Result:
        exchange = _Exchange(http, endpoint, effect, redacted)
        return await exchange.run(given.model_dump(), call)

    return Tool(
        name=endpoint.name,
        description=endpoint.description,
        arguments=arguments,
        run=run,
        effect=effect,
        timeout_s=endpoint.timeout_s,
    )


class _Exchange:
    """One request, and what its answer means."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        endpoint: Endpoint,
        effect: Effect,
        redacted: Redaction,
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._effect = effect
        self._redacted = redacted

    async def run(self, values: Mapping[str, Any], call: Call) -> Result:
        """Ask the server.

        Raises:
            ToolError: not done; or, as a `DoubtfulError`, outcome unknown.
        """
        request = self._request(values, call)
        try:
            answer = await self._http.send(request, stream=True, follow_redirects=False)
            try:
                text = await self._read(answer)
            finally:
                await answer.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ToolError("The server cannot be reached.") from error
        except httpx.HTTPError as error:
            raise self._doubt("The server has not answered.") from error
        return self._judge(answer.status_code, text)

    def _request(self, values: Mapping[str, Any], call: Call) -> httpx.Request:
        endpoint, conversation = self._endpoint, call.conversation
        headers = httpx.Headers({"accept": "application/json, text/*;q=0.9"})
        headers.update(endpoint.headers)
        headers.update(endpoint.secret_headers)
        # Also against the operator's: a compressed answer would be refused.
        headers["accept-encoding"] = "identity"
        if conversation.account_id is not None:
            headers["x-chatwoot-account-id"] = str(conversation.account_id)
        if conversation.display_id is not None:
            headers["x-chatwoot-conversation-id"] = str(conversation.display_id)
        if endpoint.key_header is not None and call.key:
            headers[endpoint.key_header] = call.key
        try:
            url = httpx.URL(_filled(endpoint, values))
        except httpx.InvalidURL as error:
            raise ToolError("The arguments are too long.") from error
        rest = {k: v for k, v in values.items() if k not in endpoint.placed}
        in_body = endpoint.method not in ("GET", "DELETE")
        if rest and not in_body:
            url = url.copy_merge_params({k: _written(v) for k, v in rest.items()})
        return self._http.build_request(
            endpoint.method,
            url,
            headers=headers,
            json=rest if in_body else None,
            timeout=endpoint.timeout_s,
        )

    async def _read(self, answer: httpx.Response) -> str:
        """Return the body, if it is text; "" for none."""
        data = bytearray()
        # A secret at the end is read whole, or it would be told in part.
        async for piece in answer.aiter_bytes():
            data += piece
            if len(data) > MAX_BYTES + MAX_SECRET:
                break
        kind = answer.headers.get("content-type", "text/plain").partition(";")[0]
        if data and not TEXT.fullmatch(kind.strip()):
            return "[The answer is no text.]"
        text = bytes(data[: MAX_BYTES + MAX_SECRET])
        told = self._redacted(text.decode(charset_of(answer.headers), "replace"))
        cut = "\n[The rest is left out.]" if len(data) > MAX_BYTES else ""
        return told[:MAX_BYTES].strip() + cut

    def _judge(self, status: int, text: str) -> Result:
        if 200 <= status < 300:
            return Result(text=text or "Done.")
        problem = f"The server answered {status}."
        if 300 <= status < 400:
            problem += " It sends elsewhere, and that is not followed."
        elif status < 500 and text:
            problem += f" {text[:MAX_REFUSAL]}"
        raise ToolError(problem) if status in UNDONE else self._doubt(problem)

    def _doubt(self, problem: str) -> ToolError:
        if self._effect is Effect.NONE:
            return ToolError(problem)
        return DoubtfulError(f"{problem} {IN_DOUBT}")


def _filled(endpoint: Endpoint, values: Mapping[str, Any]) -> str:
    """Return the URL with the values in their places.

    Raises:
        ToolError: a value would make it another path.
    """

    def place(found: re.Match[str]) -> str:
        value = _written(values[found[1]])
        if problem := _leaves(value):
            raise ToolError(f"{found[1]}: {problem}")
        return quote(value, safe="")

    def field(found: re.Match[str]) -> str:
        return quote(_written(values[found[1]]), safe="")

    path, mark, query = endpoint.url.partition("?")
    for part in path.split("/"):
        # Two values in one part may make up what each of them may not be.
        whole = PLACEHOLDER.sub(lambda found: _written(values[found[1]]), part)
        names = ", ".join(PLACEHOLDER.findall(part))
        if names and not all(form.strip(". ") for form in _forms(whole)):
            raise ToolError(f"{names}: must not be empty, nor only dots.")
    return PLACEHOLDER.sub(place, path) + mark + PLACEHOLDER.sub(field, query)


def _leaves(value: str) -> str | None:
    """Return why *value* could lead out of its part of the path, or None."""
    for form in _forms(value):
        if found := [each for each in BEYOND if each in form]:
            return f"must not hold {' '.join(found)}; give it as it is, not encoded."
        if not form.isprintable():
            return "must not hold control characters."
    return None


def _forms(value: str) -> tuple[str, str]:
    """Return *value*, and as a server reads it that takes \uff0e for a dot."""
    return value, unicodedata.normalize("NFKC", value)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
