"""Wait for a condition of the simulator without polling."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """Wakes everybody who waits whenever anything changes.

    A condition variable that can be notified from plain functions: those that
    change the world are not coroutines and hold no lock.
    """

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Let all waiters look again; waiters of one loop turn wake once."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(
        self,
        look: Callable[[], T],
        *,
        timeout: float,  # noqa: ASYNC109 - the error describes what was seen
        describe: Callable[[], str],
    ) -> T:
        """Return the first true result of *look*.

        Raises:
            TimeoutError: It stayed false for *timeout* seconds; the text is from
                *describe*, called at that moment.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (result := look()):
                    await self._next.wait()
        except TimeoutError:
            raise TimeoutError(describe()) from None
        return result
