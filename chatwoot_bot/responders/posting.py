"""How a question is posted: as openai does, but for what it prepares anew each time.

Its URL, its headers and its checks of the options take as long as sending does.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

import httpx
import openai


class Posting:
    """Post questions to one server.

    Args:
        http: what carries them.
        client: knows the address, the key and the time limit.
    """

    def __init__(self, http: httpx.AsyncClient, client: openai.AsyncOpenAI) -> None:
        self._http = http
        self._client = client
        root = str(client.base_url).rstrip("/")
        self._url = httpx.URL(f"{root}/chat/completions")
        self._extensions = {"timeout": httpx.Timeout(client.timeout).as_dict()}  # type: ignore[arg-type]  # a number

    @cached_property
    def _headers(self) -> httpx.Headers:
        # Asked for in the loop, because they name its library.
        headers = httpx.Headers(self._http.headers)
        named = {**self._client.default_headers, **self._client.auth_headers}
        headers.update(
            {name: value for name, value in named.items() if isinstance(value, str)}
        )
        return headers

    async def stream(self, body: Mapping[str, Any]) -> openai.AsyncStream[Any]:
        """Post *body*, and return the answer as it comes.

        Raises:
            openai.APIConnectionError: there is no answer.
            openai.APIStatusError: it is a refusal.
        """
        request = httpx.Request(
            "POST",
            self._url,
            json=body,
            headers=self._headers,
            extensions=self._extensions,
        )
        try:
            response: Any = await self._http.send(request, stream=True)
        except httpx.TimeoutException as error:
            raise openai.APITimeoutError(request) from error  # type: ignore[arg-type]  # it names httpx2
        except httpx.RequestError as error:
            raise openai.APIConnectionError(request=request) from error  # type: ignore[arg-type]  # likewise
        if not response.is_success:
            await response.aread()
            raise _refusal(response)
        return openai.AsyncStream(
            cast_to=object, response=response, client=self._client
        )


def _refusal(response: Any) -> openai.APIStatusError:
    """Return what a server has refused, and its words."""
    said: Any = response.text.strip()
    with suppress(ValueError, RecursionError):  # a proxy's page
        said = json.loads(said)
    if isinstance(said, dict):
        said = said.get("error", said)
    message = f"Error code: {response.status_code}"
    return openai.APIStatusError(message, response=response, body=said)
