"""Notice that Chatwoot is back, and send at once what has waited for it.

Each waiting conversation has a back-off of up to a minute. While the circuit is open,
only the oldest of them tries, whenever the circuit lets one call through. As soon as
that closes it, all become due, oldest first and a few at a time: Chatwoot has just
come back. They wait in the database, so the rush covers what other processes tried.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from .breaker import Breaker
from .errors import StoreError
from .store import turns
from .store.engine import Database

log = structlog.get_logger(__name__)

LOOK_S = 0.25
# A trial that was asked for begins within this time.
PROBE_S = 1.0
BATCH = 25
BATCH_EVERY_S = 0.5
# A turn that was failing while Chatwoot came back is seen by a later pass; one whose
# request hung until its timeout, by the last.
PASSES_AFTER_S = (0.0, 3.0, 9.0)
MOST = 10_000


class Recovery:
    """Make waiting conversations due when Chatwoot answers again.

    Args:
        breaker: the circuit to Chatwoot.
        clock: Unix seconds.
        wake: tells the worker that something is due, see `Worker.wake`.
    """

    def __init__(
        self,
        db: Database,
        breaker: Breaker,
        *,
        clock: Callable[[], float],
        wake: Callable[[float], None],
    ) -> None:
        self._db = db
        self._breaker = breaker
        self._clock = clock
        self._wake = wake

    async def run(self) -> None:
        """Watch the circuit for ever; begin with what an earlier process has left."""
        seen = -1
        while True:
            pause_s = LOOK_S
            try:
                if self._breaker.recoveries != seen:
                    seen = self._breaker.recoveries
                    await self._rush(seen)
                elif self._breaker.state == "half_open" and await self._probe():
                    pause_s = PROBE_S
            except StoreError as error:
                seen = -1  # once the database is back
                pause_s = PROBE_S
                log.error("recovery failed", error=str(error))
            await asyncio.sleep(pause_s)

    async def _probe(self) -> int:
        """Let the oldest waiting conversation find out whether Chatwoot is back."""
        now = self._clock()
        oldest = await self._db.glance(turns.waiting, now=now, before=now, limit=1)
        return await self._hurry(oldest)

    async def _rush(self, recovery: int) -> None:
        """Make due what waits, until it is done or Chatwoot is away again."""
        back_at = self._clock()
        for after_s in PASSES_AFTER_S:
            await asyncio.sleep(after_s)
            ids = await self._db.read(
                turns.waiting, now=self._clock(), before=back_at, limit=MOST
            )
            if ids:
                log.info("waiting conversations made due", conversations=len(ids))
            for start in range(0, len(ids), BATCH):
                if not self._still(recovery):
                    return
                await self._hurry(ids[start : start + BATCH])
                await asyncio.sleep(BATCH_EVERY_S)
            if not self._still(recovery):
                return

    def _still(self, recovery: int) -> bool:
        """Whether Chatwoot has answered ever since that recovery."""
        return self._breaker.is_closed and self._breaker.recoveries == recovery

    async def _hurry(self, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        now = self._clock()
        made_due = await self._db.write(turns.make_due, ids=ids, now=now)
        self._wake(now)
        return made_due
