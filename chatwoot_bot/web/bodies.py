"""The request bodies that are arriving: what they may take of the memory together."""

import asyncio

MAX_BYTES = 32 * 1_048_576


class Bodies:
    """The bodies that have arrived in part; their callers are not authenticated yet.

    When they need more than *limit* bytes, the body that began first gives way: it had
    the most time to arrive. So slow senders cannot keep out fast ones such as Chatwoot.
    """

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        # The bytes of each, the one that began first in front.
        self._sizes: dict[asyncio.Timeout, int] = {}
        self._bytes = 0

    @property
    def held(self) -> int:
        """How many bytes are here."""
        return self._bytes

    def begin(self, timer: asyncio.Timeout) -> None:
        """Count a body; *timer* ends its reading, early when it has to give way."""
        self._sizes[timer] = 0

    def grow(self, timer: asyncio.Timeout, size: int) -> None:
        """Note that *size* more bytes of a body are here."""
        if timer not in self._sizes:
            return  # it has given way
        self._sizes[timer] += size
        self._bytes += size
        while self._bytes > self._limit:
            self._end_first()

    def _end_first(self) -> None:
        first = next(iter(self._sizes))
        self._bytes -= self._sizes.pop(first)
        if not first.expired():
            first.reschedule(0)

    def end(self, timer: asyncio.Timeout) -> bool:
        """Count a body no more; return False when it had to give way."""
        size = self._sizes.pop(timer, None)
        self._bytes -= size or 0
        return size is not None
