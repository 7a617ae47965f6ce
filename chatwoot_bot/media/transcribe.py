"""The words of a voice note, by the server that also has the model.

`POST /audio/transcriptions` is OpenAI's; Groq, vLLM, LocalAI and Speaches have it too.
"""

import asyncio
import time

import httpx

from ..errors import MediaError
from . import kinds

OPENAI = "https://api.openai.com/v1"
TIMEOUT_S = 25.0
# A server without the endpoint is not asked again for so long.
PAUSE_S = 600.0
# A voice message of about ten minutes.
MAX_CHARS = 10_000
ABSENT = (404, 405, 501)
# This voice note; anything else is the server, or our key.
REFUSED = (400, 413, 415, 422)


class Transcriber:
    """Ask a transcription server.

    Args:
        http: the shared client.
        base_url: None for OpenAI's own.
        model: its name there.
    """

    def __init__(
        self, http: httpx.AsyncClient, *, base_url: str | None, api_key: str, model: str
    ) -> None:
        self._http = http
        self._url = f"{base_url or OPENAI}/audio/transcriptions"
        self._headers = {"authorization": f"Bearer {api_key}"}
        self._model = model
        self._paused_until = 0.0

    @property
    def is_available(self) -> bool:
        """Whether asking makes sense: the server has not said that it cannot."""
        return time.monotonic() >= self._paused_until

    async def transcribe(self, data: bytes) -> str:
        """Return what is said in *data*, never empty.

        Raises:
            MediaError: it failed; retryable when a later turn may try.
        """
        kind = await asyncio.to_thread(kinds.kind_of, data)
        if kind not in kinds.AUDIO:
            raise MediaError("sounds of this kind are not understood here")
        name = f"voice.{kinds.AUDIO[kind]}"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._http.post(
                    self._url,
                    headers=self._headers,
                    files={"file": (name, data, kind)},
                    data={"model": self._model, "response_format": "json"},
                    timeout=TIMEOUT_S,
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise _nobody_listens() from error
        self._check_status(answer.status_code)
        return _words(answer)

    def _check_status(self, status: int) -> None:
        if status in REFUSED:
            raise MediaError("it was not understood")
        if status in ABSENT:
            self._paused_until = time.monotonic() + PAUSE_S
        if status != 200:
            raise _nobody_listens()


def _nobody_listens() -> MediaError:
    return MediaError("nobody can listen to it now", retryable=True)


def _words(answer: httpx.Response) -> str:
    try:
        text = answer.json()["text"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _nobody_listens() from None
    text = str(text)[:MAX_CHARS]
    words = text.replace("\x00", "").encode("utf-8", "replace").decode().strip()
    if not words:
        raise MediaError("nothing is said in it")
    return words
