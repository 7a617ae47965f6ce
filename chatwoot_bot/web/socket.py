"""One WebSocket: a queue out that never grows too long, and frames in, not too fast."""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import RequestError, StoreError, ValidationError
from .body import checked
from .rates import Rate
from .rooms import event_text
from .schemas import Frame

log = structlog.get_logger(__name__)

# More than a busy conversation has in a minute; a reader that is so far behind reads
# the rest after it has come back.
MAX_WAITING = 500
MAX_WAITING_BYTES = 4_000_000
# What one that asks for a replay counts for; what it brings is counted as well.
REPLAY_FRAMES = 10
# How long a page of what was missed may take; a phone on a bad line reads slowly.
PAGE_S = 30.0
# How long a close may take; a reader that is stuck does not answer it.
CLOSE_S = 5.0

# RFC 6455: 1013 is "try again later".
TOO_SLOW = (1013, "too slow: events were waiting; reconnect and send after")
# Not a refusal: whoever still has the right comes back in at once.
TOO_OLD = (4408, "open for long; connect again")


class Socket:
    """A WebSocket that has been let in; see `rooms.Member`.

    Args:
        max_age_s: then it is closed, so that its right to be here is asked for again.
        frames: how fast they may come in.
    """

    def __init__(self, websocket: WebSocket, *, max_age_s: float, frames: Rate) -> None:
        self._websocket = websocket
        self._waiting: deque[str] = deque()
        self._bytes = 0
        self._sending: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._time = asyncio.timeout(max_age_s)
        self._frames = frames
        self._name = secrets.token_hex(8)

    def push(self, text: str) -> None:
        """Have *text* sent; never waits, and gives up on a reader that is too slow."""
        if self._closing is not None:
            return
        is_long = bool(self._waiting) and self._bytes + len(text) > MAX_WAITING_BYTES
        if len(self._waiting) >= MAX_WAITING or is_long:
            self._give_up()
            return
        self._waiting.append(text)
        self._bytes += len(text)  # it is ASCII
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def drained(self) -> bool:
        """Wait until all is sent that was pushed; False when the socket is closed."""
        if self._sending is not None and self._closing is None:
            sent, _ = await asyncio.wait([self._sending], timeout=PAGE_S)
            if not sent:
                self._give_up()
        return self._closing is None

    def error(
        self, error: RequestError | StoreError, client_id: str | None = None
    ) -> None:
        """Tell what is wrong with a frame."""
        body: dict[str, object] = {"code": "storage_failed", "message": NOT_STORED}
        if isinstance(error, RequestError):
            body = {"code": error.code, "message": str(error)}
        if isinstance(error, ValidationError):
            body["fields"] = error.fields
        if client_id is not None:
            body["client_id"] = client_id
        self.push(event_text("ERROR", body))

    async def _send(self) -> None:
        # Gone: whoever reads the frames hears of it too.
        with contextlib.suppress(WebSocketDisconnect):
            while self._waiting:
                text = self._waiting.popleft()
                self._bytes -= len(text)
                await self._websocket.send_text(text)

    def _give_up(self) -> None:
        log.warning("socket dropped", reason="too slow")
        self._waiting.clear()
        self._closing = asyncio.create_task(self._close(*TOO_SLOW))
        self._time.reschedule(asyncio.get_running_loop().time() + CLOSE_S)

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.close(code, reason)

    async def serve(self, heed: Callable[[Frame], Awaitable[None]]) -> None:
        """Hand frames to *heed*, until the socket ends."""
        try:
            async with self._time:
                while True:
                    await self._heed(await self._receive(), heed)
        except WebSocketDisconnect:
            pass
        except TimeoutError:
            if self._closing is None:
                await self._close(*TOO_OLD)
        finally:
            await self._end()

    async def _receive(self) -> str | bytes:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        text: str | bytes = message.get("text") or message.get("bytes") or ""
        return text

    async def _heed(
        self, text: str | bytes, heed: Callable[[Frame], Awaitable[None]]
    ) -> None:
        frame = None
        try:
            self._frames.take(self._name)
            frame = checked(Frame, text)
            if frame.after is not None:
                self._frames.take(self._name, REPLAY_FRAMES - 1)
            await heed(frame)
        except (RequestError, StoreError) as error:
            self.error(error, frame.client_id if frame else None)

    async def _end(self) -> None:
        """Leave no task behind."""
        tasks = [task for task in (self._sending, self._closing) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


NOT_STORED = "The database could not store it; try again."
