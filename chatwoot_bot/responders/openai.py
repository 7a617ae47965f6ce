"""Answer with a model behind the Chat Completions API (OpenAI, Groq, Ollama, vLLM).

The answer is streamed, so that cancelling the turn stops the model at once and a
server that hangs in the middle is noticed. Retries live here and nowhere else for
blips of seconds; what lasts longer is the fallback's business.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import openai
import tenacity

from ..core.conversation import Message
from ..core.transcript import for_model
from ..errors import ResponderError
from .base import Answer

ATTEMPTS = 3
RETRY_FOR_S = 10.0
# openai hands on what the server sent, unchecked.
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


class OpenAIResponder:
    """Ask a Chat Completions server.

    Args:
        http: the shared client; openai would make its own, of another library.
        base_url: None for OpenAI's own.
        prompt: the system prompt.
        timeout_s: for one whole answer, retries included.
    """

    name = "openai"

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str | None,
        api_key: str,
        model: str,
        prompt: str,
        timeout_s: float,
    ) -> None:
        self.model: str | None = model
        self._model = model
        self._prompt = prompt
        self._timeout_s = timeout_s
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout_s,
            max_retries=0,
            http_client=http,  # type: ignore[arg-type]  # it names httpx2, and takes httpx
        )

    async def respond(self, transcript: Sequence[Message]) -> Answer:
        """Ask the model; see `Responder`."""
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            stop=tenacity.stop_after_attempt(ATTEMPTS)
            | tenacity.stop_after_delay(RETRY_FOR_S),
            wait=tenacity.wait_exponential(multiplier=0.2)
            + tenacity.wait_random(0, 0.2),
            reraise=True,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                answer: Answer = await retrying(self._ask, transcript)
                return answer
        except TimeoutError as error:
            raise ResponderError(
                f"no answer within {self._timeout_s:g} s", retryable=True
            ) from error

    async def _ask(self, transcript: Sequence[Message]) -> Answer:
        try:
            return await self._stream(transcript)
        except openai.APIStatusError as error:
            raise ResponderError(
                f"the model's server answered {error.status_code}",
                retryable=error.status_code in (408, 409, 429)
                or error.status_code >= 500,
            ) from error
        except (openai.OpenAIError, httpx.HTTPError) as error:
            # httpx's own errors too: openai translates only those of httpx2.
            raise ResponderError(
                f"the model's server cannot be reached ({type(error).__name__})",
                retryable=True,
            ) from error
        except UNREADABLE as error:
            raise ResponderError(
                f"the model's answer is not understood ({type(error).__name__})",
                retryable=True,
            ) from error

    async def _stream(self, transcript: Sequence[Message]) -> Answer:
        text, tokens = [], None
        # Not `chat.completions.create`: its checks of what we send and the objects it
        # builds from each chunk take three times as long as the request itself.
        stream: openai.AsyncStream[Any] = await self._client.post(
            "/chat/completions",
            body={
                "model": self._model,
                "messages": for_model(transcript, prompt=self._prompt),
                "stream": True,
                "stream_options": {"include_usage": True},
            },
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        async with stream:
            async for chunk in stream:
                if usage := chunk.get("usage"):
                    tokens = usage["total_tokens"]
                for choice in chunk["choices"]:
                    text.append(choice["delta"].get("content") or "")
        answer = _storable("".join(text)).strip()
        if not answer:
            raise ResponderError("the model's answer is empty", retryable=True)
        return Answer(text=answer, model=self._model, tokens=tokens)


def _storable(text: str) -> str:
    """Join surrogate pairs that came in two chunks; replace what no database takes."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\x00", "\ufffd")


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ResponderError) and error.retryable
