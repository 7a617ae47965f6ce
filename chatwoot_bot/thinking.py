"""Work that must stop at once when somebody else speaks."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """The turn must not say what it was going to say."""


class Thinking:
    """The thoughts of one turn, one after the other."""

    def __init__(self) -> None:
        self._interrupted: str | None = None
        self._task: asyncio.Task[Any] | None = None

    def interrupt(self, reason: str) -> None:
        """Stop the thought at once, and let no other begin."""
        self._interrupted = reason
        if self._task is not None:
            self._task.cancel()

    async def think(
        self, thought: Coroutine[Any, Any, T], *, for_s: float = float("inf")
    ) -> T:
        """Await *thought* in a task of its own, so that `interrupt` can stop it.

        Args:
            for_s: no longer than this.

        Raises:
            Interrupted: somebody was faster.
            TimeoutError: it takes too long.
        """
        if self._interrupted is not None:
            thought.close()
            raise Interrupted(self._interrupted)
        self._task = task = asyncio.create_task(thought)
        try:
            async with asyncio.timeout(for_s if for_s < 1e9 else None):
                return await task
        except asyncio.CancelledError:
            turn = asyncio.current_task()
            if self._interrupted is None or (turn is not None and turn.cancelling()):
                raise  # shutdown, or the lease is lost
            raise Interrupted(self._interrupted) from None
        finally:
            self._task = None
