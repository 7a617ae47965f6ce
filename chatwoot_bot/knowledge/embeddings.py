"""What a text means, as a vector, by the model's server or one of its own.

`POST /embeddings` is OpenAI's; Ollama, vLLM, LocalAI and many others have it too.
"""

import asyncio
import math
import sys
import time
from array import array
from collections.abc import Sequence
from operator import mul
from typing import Any

import httpx

from ..errors import EmbeddingsError
from ..http import MAX_BODY_OF_CALL
from .health import Health
from .prefixes import Prefixes

OPENAI = "https://api.openai.com/v1"
# Texts in one request; fewer for a server that is slow or takes no more.
BATCH = 64
# A smaller batch may help: it is too large, or one of its texts is.
TOO_MUCH = frozenset({400, 413, 422})
TIMEOUT_S = 30.0
# A contact waits for a question's; without it there is the full text.
QUESTION_S = 2.0
# A server that does not answer is not asked again for so long.
PAUSE_S = 30.0
MAX_CHARS = 8_000
# Of an answer, for each text: ten thousand numbers of 25 characters.
MAX_BYTES = 262_144
# The server may have sent any JSON.
UNREADABLE = (
    *(AttributeError, LookupError, TypeError, ValueError),
    *(OverflowError, RecursionError),
)

NO_PREFIXES = Prefixes()

# The numbers of one, as an array of float32.
Vector = Sequence[float]


class Embedder:
    """Ask an embeddings server.

    Args:
        http: the shared client.
        base_url: None for OpenAI's own.
        model: its name there.
        prefixes: what the model wants before questions and documents.
        health: told what becomes of each request.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str | None,
        api_key: str,
        model: str,
        prefixes: Prefixes = NO_PREFIXES,
        health: Health | None = None,
    ) -> None:
        self.model = model
        self._prefixes = prefixes
        self._health = health or Health()
        self._http = http
        self._url = f"{base_url or OPENAI}/embeddings"
        self._headers = {"authorization": f"Bearer {api_key}"}
        self._paused_until = 0.0

    @property
    def key(self) -> str:
        """Return what changes when stored vectors must be made again."""
        document = self._prefixes.document
        return f"{self.model}\n{document}" if document else self.model

    async def question(self, text: str) -> Vector | None:
        """Return the vector of a question, or None while the server does not answer."""
        if time.monotonic() < self._paused_until:
            return None
        try:
            asked = _prefixed(self._prefixes.query, text)
            [vector] = await self._ask([asked], timeout_s=QUESTION_S)
        except EmbeddingsError:
            self._paused_until = time.monotonic() + PAUSE_S
            return None
        return vector

    async def questions(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of questions for which no contact waits.

        Raises:
            EmbeddingsError: the server did not give them.
        """
        asked = [_prefixed(self._prefixes.query, text) for text in texts]
        return await self._ask(asked, timeout_s=TIMEOUT_S)

    async def texts(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of *texts* of documents, each of length 1.

        Args:
            texts: at most `BATCH`.

        Raises:
            EmbeddingsError: the server did not give them.
        """
        asked = [_prefixed(self._prefixes.document, text) for text in texts]
        return await self._ask(asked, timeout_s=TIMEOUT_S)

    async def _ask(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        try:
            vectors = await self._vectors(texts, timeout_s)
        except EmbeddingsError as error:
            if not error.too_much or len(texts) == 1:
                self._health.failed(str(error))
            raise
        self._health.worked()
        return vectors

    async def _vectors(self, texts: Sequence[str], timeout_s: float) -> list[Vector]:
        body = {"model": self.model, "input": texts, "encoding_format": "float"}
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._http.post(
                    self._url,
                    headers=self._headers,
                    json=body,
                    timeout=timeout_s,
                    extensions={MAX_BODY_OF_CALL: MAX_BYTES * len(texts)},
                )
        except (TimeoutError, httpx.TimeoutException) as error:
            raise EmbeddingsError(
                f"the embeddings server needs more than {timeout_s:g} s",
                too_much=True,
            ) from error
        except httpx.HTTPError as error:
            raise EmbeddingsError("the embeddings server does not answer") from error
        if answer.status_code != 200:
            raise EmbeddingsError(
                f"the embeddings server said {answer.status_code}",
                too_much=answer.status_code in TOO_MUCH,
            )
        return _vectors(answer, len(texts))


def _prefixed(prefix: str, text: str) -> str:
    return f"{prefix} {text[:MAX_CHARS]}" if prefix else text[:MAX_CHARS]


def _vectors(answer: httpx.Response, wanted: int) -> list[Vector]:
    try:
        data: list[Any] = answer.json()["data"]
        data = sorted(data, key=lambda each: each.get("index", 0))
        vectors = [_of_length_1(each["embedding"]) for each in data]
    except UNREADABLE as error:
        raise EmbeddingsError("the embeddings server is not understood") from error
    if len(vectors) != wanted:
        raise EmbeddingsError("the embeddings server left something out")
    return vectors


def _of_length_1(numbers: Sequence[float]) -> Vector:
    length = math.sqrt(sum(map(mul, numbers, numbers)))
    if not length or not math.isfinite(length):
        raise ValueError("a vector without direction")
    return array("f", [number / length for number in numbers])


def signs_of(vector: Vector, mean: Vector | None = None) -> bytes:
    """Return one bit for each number: whether it is above *mean*'s, or above 0."""
    if mean is None:
        bits = "".join("1" if number > 0 else "0" for number in vector)
    else:
        pairs = zip(vector, mean, strict=False)
        bits = "".join("1" if number > middle else "0" for number, middle in pairs)
    return int(bits or "0", 2).to_bytes((len(bits) + 7) // 8, "little")


def to_bytes(vector: Vector) -> bytes:
    """Return the numbers as little-endian float32."""
    return _little_endian(array("f", vector)).tobytes()


def from_bytes(numbers: bytes) -> Vector:
    """Return what `to_bytes` was given."""
    vector = array("f")
    vector.frombytes(numbers)
    return _little_endian(vector)


def _little_endian(vector: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def similarity(one: Vector, other: Vector) -> float:
    """Return how near two vectors are, from -1 to 1; 0 for different models'."""
    return sum(map(mul, one, other)) if len(one) == len(other) else 0.0
