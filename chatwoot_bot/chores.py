"""Background work that no turn waits for; dropped when there is no room."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from .errors import ChatwootBotError
from .thinking import let_go

log = structlog.get_logger(__name__)

# At the same time; they must not slow the answers.
AT_ONCE = 4
# The most that may wait; more is dropped.
WAITING = 1_000


class Chores:
    """Tasks by a key; a key has one at a time."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._closed = False

    def begin(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have *work* done, unless that of the same key is still being done."""
        if self._closed or key in self._tasks or len(self._tasks) >= WAITING:
            return
        task = asyncio.create_task(self._do(key, work), name=f"chore {key}")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _do(
        self, key: str, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        async with self._room:
            try:
                await work()
            except ChatwootBotError as error:
                log.warning("chore failed", conversation=key, error=str(error))
            except Exception:
                log.exception("chore crashed", conversation=key)

    async def close(self) -> None:
        """Stop what is being done; it is begun anew another time."""
        self._closed = True
        await let_go(list(self._tasks.values()))
