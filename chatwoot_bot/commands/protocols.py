"""uvicorn's protocols, bounded: headers, trailers, frames, and slow readers.

With httptools, uvicorn bounds none of these. The protocols report to `Connections`
what each connection waits for; `Connections` has the clock.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from .connections import Bounds, Connections

# As many as browsers and proxies need, and more than Apache's 100.
MAX_HEADERS = 256
# Requests that wait for the answer to an earlier one; few clients send any.
MAX_PIPELINED = 16
# Frames of one message: each costs memory, even an empty one.
MAX_FRAGMENTS = 1_024
# A socket whose application has ended is gone after this long, read or not.
ABORT_S = 10.0
# Bytes of a refused request that are read and discarded. Closing at once would reset
# the connection before the client has read the answer.
MAX_THROWN_AWAY = 1_048_576
# Methods whose body no handler reads; it is discarded.
BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a request is refused that never reaches the application."""

    status: str
    code: str
    message: str

    def __bytes__(self) -> bytes:
        """Return the whole answer."""
        error = {"code": self.code, "message": self.message}
        body = json.dumps({"error": error}).encode()
        head = (
            f"HTTP/1.1 {self.status}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + body


BAD = Refusal("400 Bad Request", "bad_request", "This is not HTTP.")
TOO_LARGE = Refusal(
    "431 Request Header Fields Too Large",
    "headers_too_large",
    "The headers are too long.",
)
# Never 503: Chatwoot repeats a bot's delivery on 429.
TOO_MANY = Refusal(
    "429 Too Many Requests", "busy", "Too many connections are open; try again."
)


class Http(HttpToolsProtocol):
    """uvicorn's HTTP, bounded; see `Bounds`."""

    def __init__(self, config: "Config", *args: Any, **more: Any) -> None:
        super().__init__(config, *args, **more)
        self._connections = config.connections
        self._most = config.connections.bounds.header_bytes
        self._refusal: Refusal | None = None
        self._is_upgraded = False
        # Whether the headers of a message have begun and are not complete.
        self._is_head = False
        # Whether a message's headers, body or end came in the piece that is parsed.
        self._has_moved = False
        # The bytes since that was so the last time.
        self._head = 0
        self._running: RequestResponseCycle | None = None
        # How many headers the message has, without trailers.
        self._fields = 0

    @property
    def is_held_back(self) -> bool:
        """Whether it is our turn, so that nothing more is read."""
        return self.flow.read_paused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the connection in, or refuse it."""
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        if self._connections.enter(transport, host):
            self._connections.wait(self)
        else:
            self._refusal = TOO_MANY
            transport.write(bytes(TOO_MANY))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection no more."""
        super().connection_lost(exc)
        self._forget()
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells only the last of several requests.
            self._running.disconnected = True
            self._running.message_event.set()

    def _forget(self) -> None:
        self._connections.wait_no_more(self)
        self._connections.gone(self, self.transport)

    def end(self) -> None:
        """End the connection at once; what it has said so far is forgotten."""
        self._refusal = self._refusal or BAD
        self._forget()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse *data* in pieces that are no longer than headers may still be."""
        while data and self._refusal is None and not self._is_upgraded:
            room = self._most - self._head
            self._parse(data[:room])
            data = data[room:]
        if data and self._refusal is not None:
            self._throw_away(len(data))

    def _parse(self, piece: bytes) -> None:
        self._has_moved = False
        super().data_received(piece)
        if self._refusal is not None or self._is_upgraded:
            return
        self._head = 0 if self._has_moved else self._head + len(piece)
        if self._head >= self._most:
            self._refuse(TOO_LARGE)
            return
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if self._is_head:
            self._connections.wait(self, len(piece))
        elif is_busy:
            self._connections.wait_no_more(self)
        else:  # nothing yet, or the rest of an unread body
            self._connections.wait(self)

    def _refuse(self, refusal: Refusal) -> None:
        self._refusal = refusal
        if self.cycle is not None and not self.cycle.response_complete:
            self.end()  # this answer would be taken for that to an earlier request
            return
        self.transport.write(bytes(refusal))
        self.transport.write_eof()
        self._head = 0
        self._connections.wait(self)

    def _throw_away(self, size: int) -> None:
        self._head += size
        if self._head > MAX_THROWN_AWAY:
            self.end()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, or what a callback below has refused."""
        is_large = self._is_head and len(self.headers) > MAX_HEADERS
        self._refuse(TOO_LARGE if is_large else BAD)

    def on_message_begin(self) -> None:
        """Begin a message, unless too many wait."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait for their answers")
        super().on_message_begin()
        self._is_head = True

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless it has too many headers."""
        if len(self.headers) > MAX_HEADERS:
            raise ValueError("too many headers")
        self._is_head = False
        self._has_moved = True
        self._fields = len(self.headers)
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._has_moved = True
        if self.scope["method"] not in BODILESS:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a message; trailers, which come last, are not headers."""
        self._has_moved = True
        del self.headers[self._fields :]
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Watch the reader of a last answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._connections.unread(self, self.transport, self.loop)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; there may be an answer that is not read."""
        super().timeout_keep_alive_handler()
        self._connections.unread(self, self.transport, self.loop)

    def pause_writing(self) -> None:
        """Watch a reader that does not keep up."""
        super().pause_writing()
        self._connections.unread(self, self.transport, self.loop)

    def resume_writing(self) -> None:
        """Watch no more a reader that has kept up."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._connections.read(self)

    def handle_websocket_upgrade(self) -> None:
        """Let `Sockets` go on with the connection."""
        self._is_upgraded = True
        self._connections.wait_no_more(self)
        super().handle_websocket_upgrade()


class Sockets(WebSocketsSansIOProtocol):
    """uvicorn's WebSockets, without patience for a reader that takes nothing.

    A closed connection stays until all that was written has been read; a stuck one
    would stay for hours. Heartbeats are uvicorn's: a ping every 20 s, and a peer that
    does not answer within 20 s is gone.
    """

    def __init__(self, config: "Config", *args: Any, **more: Any) -> None:
        super().__init__(config, *args, **more)
        self._connections = config.connections

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection no more."""
        super().connection_lost(exc)
        self._connections.gone(self, self.transport)

    def data_received(self, data: bytes) -> None:
        """Take frames; first comes the handshake, in one piece."""
        super().data_received(data)
        if not self.handshake_initiated:  # `websockets` allows shorter headers
            self.transport.write(bytes(TOO_LARGE))
            self.transport.close()

    async def run_asgi(self) -> None:
        """Serve one socket."""
        await super().run_asgi()
        self.loop.call_later(ABORT_S, self.transport.abort)

    def pause_writing(self) -> None:
        """Watch a reader that does not keep up, and read nothing from it meanwhile.

        Each ping that it sent would be answered, and the answers would be kept.
        """
        super().pause_writing()
        self._connections.unread(self, self.transport, self.loop)
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on with a reader that has kept up."""
        super().resume_writing()
        if self.transport.is_closing():
            return
        self._connections.read(self)
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        """Take a piece of a message, unless it has too many."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self.transport.abort()


class Config(uvicorn.Config):
    """uvicorn's, with what its protocols share."""

    def __init__(self, app: ASGIApp, bounds: Bounds, **more: Any) -> None:
        super().__init__(app, http=Http, ws=Sockets, **more)
        self.connections = Connections(bounds)
