"""Serve an ASGI application on a real local port, inside the running event loop.

uvicorn with three differences: it leaves signals alone, it says when it is ready,
and an application can cut the connection of a request, which no ASGI message can.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BACKLOG = 2048  # bursts of hundreds of connections are what it is for
# Of the event loop, from a connection that is accepted to its protocol; one to spare.
ROUNDS_TO_ENTER = 4


class LocalServer:
    """A server that can be stopped and started again on the same port.

    Args:
        app: The application.
        host: The address to listen on.
        port: 0 takes a free one; `port` tells which after the start.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._app = app
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; returns when connections are accepted.

        Raises:
            OSError: The port is taken.
        """
        # Bound here: uvicorn would end the whole process when the port is taken.
        listener = _listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=_DroppableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            backlog=BACKLOG,
            # Longer than any client keeps one: no request meets a closing door.
            timeout_keep_alive=65,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Close the port and all connections; running requests get one second."""
        if self._server is None or self._task is None:
            return
        self._server.leave.set()
        await self._task
        self._server = self._task = None


async def drop_connection(request: Request) -> None:
    """Close the client's connection without an answer."""
    request.state.transport.abort()
    await wait_for_disconnect(request)


async def wait_for_disconnect(request: Request) -> None:
    """Wait until the client has gone; call it only after the body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _listen(host: str, port: int) -> socket.socket:
    """Bind a socket that names its protocol.

    asyncio switches Nagle's algorithm off only then; without it each answer on a
    kept connection waits 40 ms for the client's delayed ACK.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server in an event loop that the caller owns."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.leave = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door first, then disconnect the clients.

        At once, uvicorn and asyncio both overlook a connection that has just been
        accepted: it would stay open unnoticed.
        """
        loop = asyncio.get_running_loop()
        for listener in sockets or ():
            loop.remove_reader(listener)
        for _ in range(ROUNDS_TO_ENTER):
            await asyncio.sleep(0)
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second; a test suite starts hundreds of these.
        await self.leave.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _DroppableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the transport in `request.state`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
