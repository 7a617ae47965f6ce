"""Stored files: links that redirect to a storage that forgets.

Source: docs/chatwoot/payloads.md#attachments.

`data_url` needs no login and does not expire; it answers 302 to a second URL that
lasts some minutes. A file may not be there yet when its event arrives: 404.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from mimetypes import guess_type
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .faults import Faults

STORAGE = "/rails/active_storage"
VARIATION = "eyJfcmFpbHMiOnsicHVyIjoidmFyaWF0aW9uIn19--thumb"
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(slots=True, kw_only=True)
class Blob:
    """One stored file.

    Attributes:
        key: The signed id in its URL.
        kept_at: When it was stored, Unix seconds.
        asked: How often it was asked for.
    """

    key: str
    name: str
    content_type: str
    content: bytes
    kept_at: float
    asked: int = 0

    @property
    def extension(self) -> str | None:
        """The end of its name, without the dot."""
        _, dot, end = self.name.rpartition(".")
        return end if dot else None


class FileStore:
    """Keeps files and serves them.

    Args:
        rng: Where ids come from.
        clock: Unix seconds.
        faults: `faults.files` says how late and how short-lived they are.
    """

    def __init__(
        self, *, rng: random.Random, clock: Callable[[], float], faults: Faults
    ) -> None:
        self.base_url = ""
        self.asked: list[tuple[str, int, bool]] = []
        """Path, status, and whether a Chatwoot token was sent, of each request."""
        self._rng = rng
        self._clock = clock
        self._faults = faults
        self._blobs: dict[str, Blob] = {}
        self._tickets: dict[str, tuple[Blob, float]] = {}

    def keep(self, name: str, content: bytes, content_type: str | None = None) -> Blob:
        """Store a file."""
        blob = Blob(
            key=f"eyJfcmFpbHMi{self._rng.getrandbits(64):016x}--{self._hex()}",
            name=name,
            content_type=content_type or guess_type(name)[0] or UNKNOWN_TYPE,
            content=content,
            kept_at=self._clock(),
        )
        self._blobs[blob.key] = blob
        return blob

    def find(self, key: str) -> Blob | None:
        """Return a stored file by its signed id."""
        return self._blobs.get(key)

    def data_url(self, blob: Blob) -> str:
        """Return the link that events carry."""
        path = f"{STORAGE}/blobs/redirect/{blob.key}/{quote(blob.name)}"
        return self.base_url + path

    def thumb_url(self, blob: Blob) -> str:
        """Return the link to a small picture; empty for all but images."""
        if not blob.content_type.startswith("image/"):
            return ""
        path = f"representations/redirect/{blob.key}/{VARIATION}/{quote(blob.name)}"
        return f"{self.base_url}{STORAGE}/{path}"

    def routes(self) -> list[Route]:
        """Return the routes that serve the files."""
        representation = "/representations/redirect/{key}/{variation}/{name}"
        return [
            Route(STORAGE + "/blobs/redirect/{key}/{name}", self._redirect),
            Route(STORAGE + representation, self._redirect),
            Route(STORAGE + "/disk/{ticket}/{name}", self._serve),
        ]

    async def _redirect(self, request: Request) -> Response:
        blob = self._blobs.get(request.path_params["key"])
        if blob is None or self._is_late(blob):
            return self._note(request, Response(status_code=404))
        ticket = self._hex()
        ends = self._clock() + self._faults.files.lifetime_s
        self._tickets[ticket] = (blob, ends)
        url = f"{self.base_url}{STORAGE}/disk/{ticket}/{quote(blob.name)}"
        return self._note(request, RedirectResponse(url, status_code=302))

    async def _serve(self, request: Request) -> Response:
        blob, ends = self._tickets.get(request.path_params["ticket"], (None, 0.0))
        if blob is None or self._clock() > ends:
            return self._note(request, Response(status_code=404))
        answer = Response(blob.content, media_type=blob.content_type)
        return self._note(request, answer)

    def _is_late(self, blob: Blob) -> bool:
        """Return whether the file is not there yet, as far as anybody can see."""
        blob.asked += 1
        late = self._faults.files
        if blob.asked <= late.missing_requests:
            return True
        return self._clock() < blob.kept_at + late.missing_s

    def _note(self, request: Request, answer: Response) -> Response:
        names = {name.replace("-", "_") for name in request.headers}
        has_token = "api_access_token" in names
        self.asked.append((request.url.path, answer.status_code, has_token))
        return answer

    def _hex(self) -> str:
        return f"{self._rng.getrandbits(160):040x}"
