"""The stand-ins' server leaves nothing open behind it."""

import asyncio
import socket

import pytest
from starlette.applications import Starlette

from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("rounds", range(5))
async def test_connection_that_comes_as_the_server_stops_is_closed(rounds):
    """However far the event loop has come with letting it in."""
    server = LocalServer(Starlette(), host="127.0.0.1", port=0)
    await server.start()
    with socket.create_connection((server.host, server.port)) as late:
        for _ in range(rounds):
            await asyncio.sleep(0)
        await server.stop()
        late.setblocking(False)
        try:
            left = late.recv(1)
        except ConnectionResetError:
            left = b""

    assert left == b""
