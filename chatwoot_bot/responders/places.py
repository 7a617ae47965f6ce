"""How many requests one model's server gets at once, and how long others may wait.

A server with one slot answers one question after the other. What waits for its turn,
here or there, is not late as long as the server writes: a time limit that ended it
would call a human for every contact but the first few.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

# So many times the limit to the first token, and a request is given up even if the
# server writes to all others.
LONGEST = 10
# Of a limit; moving it more often than that is of no use.
STEP = 20


class Patience:
    """How long one turn has waited for a place while its server was writing."""

    def __init__(self) -> None:
        self._waited_s = 0.0
        self._waiting: Callable[[], float] | None = None

    @property
    def waited_s(self) -> float:
        """Return the seconds until now, which the contact's time limits leave out."""
        return self._waited_s + (self._waiting() if self._waiting else 0.0)

    def begin(self, waited: Callable[[], float]) -> None:
        """Count what *waited* returns, until `end`."""
        self._waiting = waited

    def end(self) -> None:
        """Have a place, or none any more."""
        self._waited_s, self._waiting = self.waited_s, None


class Places:
    """The places of one server.

    Args:
        limit: requests at once; 0 for any number.
        alive_s: a server that has written nothing for so long may be down.
    """

    def __init__(
        self,
        limit: int,
        *,
        alive_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = asyncio.Semaphore(limit) if limit else None
        self._alive_s = alive_s
        self._clock = clock
        self._moved_at = clock()
        self._under_way = 0
        self._silent: set[Silence] = set()

    @asynccontextmanager
    async def taken(self, patience: Patience) -> AsyncIterator[None]:
        """Wait for a place, first come, first served, and hold it."""
        if self._free is None:
            yield
            return
        began = self._clock()
        patience.begin(lambda: self._moving_s(began))
        try:
            await self._free.acquire()
        finally:
            patience.end()
        if not self._under_way:
            self._moved_at = self._clock()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._free.release()

    def _moving_s(self, began: float) -> float:
        """Return for how long since *began* the server has been at work."""
        until = min(self._clock(), self._moved_at + self._alive_s)
        return max(until - began, 0.0)

    def silence(self, first_s: float, between_s: float) -> "Silence":
        """Return the time limit of one request."""
        return Silence(self, first_s, between_s)

    def wrote(self) -> None:
        """Note that the server has written something, to whomever."""
        self._moved_at = self._clock()
        for each in tuple(self._silent):
            each.others_hear()

    def add(self, silence: "Silence") -> None:
        """Have *silence* learn when others hear something."""
        self._silent.add(silence)

    def discard(self, silence: "Silence") -> None:
        """Have it learn nothing any more."""
        self._silent.discard(silence)


class Silence:
    """End a request to a server that is silent; one that writes is not ended.

    Args:
        first_s: until the first word, of all tries together; from the last time on
            that the server wrote to others.
        between_s: between two words.

    Attributes:
        is_writing: the first word has come.
    """

    def __init__(self, places: Places, first_s: float, between_s: float) -> None:
        self._places = places
        self._first_s = first_s
        self._between_s = between_s
        self._limit = asyncio.timeout(first_s)
        self._clock = asyncio.get_running_loop().time
        self._began = self._moved = self._clock()
        self.is_writing = False

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._places.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._places.discard(self)
        await self._limit.__aexit__(kind, error, trace)

    def again(self) -> None:
        """Begin another try; one that was begun to be answered counts anew."""
        if self.is_writing:
            self.is_writing = False
            self._began = self._move(self._first_s)
            self._places.add(self)

    def hear(self) -> None:
        """Note that a word has come."""
        if not self.is_writing:
            self.is_writing = True
            self._places.discard(self)
            self._places.wrote()
            self._move(self._between_s)
        elif self._clock() - self._moved > self._between_s / STEP:
            self._places.wrote()
            self._move(self._between_s)

    def others_hear(self) -> None:
        """Note that the server is busy with others."""
        now = self._clock()
        if now > self._began + self._first_s * (LONGEST - 1):
            return
        if now - self._moved > self._first_s / STEP:
            self._move(self._first_s)

    def _move(self, seconds: float) -> float:
        self._moved = now = self._clock()
        if not self._limit.expired():
            self._limit.reschedule(now + seconds)
        return now
