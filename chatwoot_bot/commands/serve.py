"""`chatwoot-bot serve`: run the web server and the worker in one process."""

import asyncio
import contextlib
import ctypes
import gc
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette

from ..app import build
from ..settings import Settings
from .connections import Bounds, bound_buffers
from .environment import begin
from .listening import bound, unusable
from .process import run, stopping_signals
from .protocols import Config
from .terminal import echo

# mallopt(3): parameters of glibc, and a size in bytes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, LARGE_BLOCK = -1, -3, 131_072


def serve(
    host: Annotated[str | None, typer.Option(help="Overrides HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Overrides PORT.")] = None,
    worker: Annotated[
        bool, typer.Option(help="Answer conversations in this process too.")
    ] = True,
) -> None:
    """Serve the webhook, the web chat and the demo page."""
    settings = begin(host=host, port=port)
    app = build(settings, with_worker=worker)
    run(_serve(app, settings))


async def _serve(app: Starlette, settings: Settings) -> None:
    config = Config(
        app,
        Bounds.of_process(),
        host=settings.host,
        port=settings.port,
        lifespan="off",  # ours is entered below, so that its errors read well
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        ws_max_size=settings.max_body_bytes,
        # 64 kB for each socket, to make small messages a little smaller.
        ws_per_message_deflate=False,
    )
    with bound(settings.host, settings.port) as sockets:
        bound_buffers(sockets)
        await _run(config, app, settings, sockets)


async def _run(
    config: uvicorn.Config,
    app: Starlette,
    settings: Settings,
    sockets: list[socket.socket],
) -> None:
    async with app.router.lifespan_context(app):
        _return_large_blocks()
        # Imported modules stay in memory: a collection that walks them blocks the
        # event loop for 100 ms, and a request leaves little garbage.
        gc.collect()
        gc.freeze()
        # The second number is small, or thousands of sockets are walked over at once.
        gc.set_threshold(20_000, 5, 200)
        server = Server(config, app, settings)
        loop = asyncio.get_running_loop()
        for number in stopping_signals():
            loop.add_signal_handler(number, server.handle_exit, number, None)
        await server.serve(sockets)


def _return_large_blocks() -> None:
    """Return large blocks of memory to the system when they are freed.

    By default glibc raises its threshold to the largest block freed so far, and pages
    of messages then fragment the heap.
    """
    with contextlib.suppress(AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
        library.mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK)


class Server(uvicorn.Server):
    """uvicorn that prints its address and releases waiting requests at shutdown."""

    def __init__(
        self, config: uvicorn.Config, app: Starlette, settings: Settings
    ) -> None:
        super().__init__(config)
        self._app = app
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and print the URL to open."""
        host = self._settings.host
        try:
            await super().startup(sockets)
        except OSError as error:  # two that start at once can both have the address
            raise unusable(host, self._settings.port, error) from error
        port = self.servers[0].sockets[0].getsockname()[1]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104
        self._print_link(f"http://{shown}:{port}")
        echo(f"chatwoot-bot is ready: http://{shown}:{port}", bold=True)

    def _print_link(self, url: str) -> None:
        """Print a sign-in link for the operator when no ADMIN_TOKEN is set.

        Print it on the terminal and in no log: its first reader becomes the operator.
        """
        code = self._app.state.context.gate.link_code
        if code is None:
            return
        echo("Sign in as the operator, once and within 15 minutes:")
        for base in filter(None, (url, self._settings.public_url)):
            echo(f"  {base}/console#sign-in={code.value}")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `_serve`.

        uvicorn would raise them again at the end, and kill the process before
        running turns end and leases are released.
        """
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running turns end, and only then stop listening."""
        await self._app.state.context.drain()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; end waiting requests and sockets at once."""
        self._app.state.context.hub.close()
        super().handle_exit(sig, frame)
