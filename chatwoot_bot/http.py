"""The one HTTP client, for Chatwoot and the model.

httpcore looks at every connection of a pool for every request, so one pool of some
hundred connections spends more time on looking than on sending (`bench/README.md`).
The client therefore spreads its requests over small pools, filling the first before it
touches the next.
"""

from collections.abc import AsyncIterator, Callable

import httpx

# Connections to a pool; with 1 and with 20 a turn costs more.
POOL = 4


class _Stream(httpx.AsyncByteStream):
    """A response's body that says when its connection is free again."""

    def __init__(self, inner: httpx.AsyncByteStream, free: Callable[[], None]) -> None:
        self._inner = inner
        self._free = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._free()


class SpreadTransport(httpx.AsyncBaseTransport):
    """Send each request through the first pool that has room.

    Args:
        connections: how many may be open at once, in all pools together.
    """

    def __init__(self, connections: int) -> None:
        # Unlimited within a pool: the caller bounds what is under way.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=POOL)
        count = -(-connections // POOL)
        # One for all: reading the certificates takes longer than the rest.
        trust = httpx.create_ssl_context()
        self._pools = [
            httpx.AsyncHTTPTransport(verify=trust, limits=limits) for _ in range(count)
        ]
        self._busy = [0] * count

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the connection counts as busy until the body is closed."""
        room = (number for number, busy in enumerate(self._busy) if busy < POOL)
        number = next(room, self._busy.index(min(self._busy)))
        self._busy[number] += 1
        try:
            response = await self._pools[number].handle_async_request(request)
        except BaseException:
            self._busy[number] -= 1
            raise
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("an async transport gave a body that is not async")
        response.stream = _Stream(response.stream, lambda: self._free(number))
        return response

    def _free(self, number: int) -> None:
        self._busy[number] -= 1

    async def aclose(self) -> None:
        """Close every pool."""
        for pool in self._pools:
            await pool.aclose()


def make_client(*, turns: int) -> httpx.AsyncClient:
    """Make the client for a service that runs up to *turns* turns at once.

    It follows no redirects, which could carry a token to another host.
    """
    # The model's answer and the typing indicator of each turn, side by side.
    transport = SpreadTransport(2 * turns + POOL)
    return httpx.AsyncClient(
        transport=transport, timeout=httpx.Timeout(30.0, connect=5.0)
    )
