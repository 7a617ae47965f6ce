"""A cancellable task owned by one turn."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)

# What is cancelled may tidy up for so long; then it is left to itself.
LET_GO_S = 3.0


class Interrupted(Exception):
    """The turn must not say what it was going to say."""


class Thinking:
    """The thoughts of one turn, one after the other."""

    def __init__(self) -> None:
        self._interrupted: str | None = None
        self._task: asyncio.Task[Any] | None = None
        self._stop: asyncio.Future[None] | None = None

    def interrupt(self, reason: str) -> None:
        """Stop the thought at once, and let no other begin."""
        self._interrupted = reason
        if self._task is not None:
            self._task.cancel()
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(None)

    async def think(
        self,
        thought: Coroutine[Any, Any, T],
        *,
        for_s: float = float("inf"),
        waited_s: Callable[[], float] = float,
    ) -> T:
        """Await *thought* in a task of its own, so that `interrupt` can stop it.

        One that takes a cancellation for one more error to try again after, as an
        operator's code may, does not block the caller.

        Args:
            for_s: no longer than this.
            waited_s: what of the time until now does not count.

        Raises:
            Interrupted: a newer message or an agent was first.
            TimeoutError: it takes too long.
        """
        if self._interrupted is not None:
            thought.close()
            raise Interrupted(self._interrupted)
        self._task = task = asyncio.create_task(thought)
        self._stop = asyncio.get_running_loop().create_future()
        ends: set[asyncio.Future[Any]] = {task, self._stop}
        try:
            await _first_of(ends, for_s, waited_s)
        finally:
            self._task = self._stop = None
            await let_go([task])
        if task.done() and not task.cancelled():
            return task.result()
        if self._interrupted is not None:
            raise Interrupted(self._interrupted)
        raise TimeoutError


async def _first_of(
    ends: Collection[asyncio.Future[Any]],
    for_s: float,
    waited_s: Callable[[], float],
) -> None:
    """Wait for one of *ends*, for *for_s* seconds and those that do not count."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while (left := for_s + waited_s() - (clock() - began)) > 0:
        done, _ = await asyncio.wait(
            ends,
            timeout=left if left < 1e9 else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if done:
            return


async def let_go(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* and wait for their end, but not for ever."""
    running = {task for task in tasks if not task.done()}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=LET_GO_S)
    for task in tasks:
        if not task.done():
            log.error(
                "task ignored its cancellation",
                code=getattr(task.get_coro(), "__qualname__", ""),
            )
        # The loop itself holds tasks only weakly.
        _LEFT.add(task)
        task.add_done_callback(_is_over)


def _is_over(task: asyncio.Task[Any]) -> None:
    _LEFT.discard(task)
    if not task.cancelled():
        task.exception()  # so that asyncio does not report it as never retrieved


_LEFT: set[asyncio.Task[Any]] = set()
