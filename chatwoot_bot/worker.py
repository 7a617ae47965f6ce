"""The loop that runs turns: claim what is due, keep the leases alive, back off.

Many turns run at once, one per conversation. A claim happens when the earliest
`due_at` is reached; `wake` tells of an earlier one, and a slow poll makes sure that
a lost signal costs a second and no more.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from .engine import Engine
from .errors import ChatwootBotError, LeaseLostError, StoreError
from .metrics import Metrics
from .outbox import backoff_s
from .store import turns
from .store.engine import Database
from .store.leases import Lease
from .store.turns import Ending
from .turn import Turn

log = structlog.get_logger(__name__)

POLL_S = 1.0
HEARTBEAT_S = turns.LEASE_S / 3
WATCH_S = 10.0
GIVE_BACK_EVERY_S = 1.0
# A cancelled turn still switches its typing indicator off.
CANCEL_S = 8.0
# Claimed at once; more are claimed as soon as these have begun.
CLAIM = 64
# Conversations whose waiting in line is remembered, the latest.
REMEMBERED = 1_000


class Worker:
    """Run turns until stopped.

    Args:
        limit: turns at once (`MAX_CONCURRENT_TURNS`).
    """

    def __init__(self, engine: Engine, *, limit: int) -> None:
        self._engine = engine
        self._db: Database = engine.db
        self._metrics: Metrics = engine.metrics
        self._clock: Callable[[], float] = engine.clock
        self._limit = limit
        self._turns: dict[Lease, Turn] = {}
        self._tasks: dict[Lease, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._wake_at = 0.0
        self._stopping = False
        self._busy_since: float | None = None
        # By conversation, of superseded turns.
        self._in_line_s: dict[str, float] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.looked_at = self._clock()

    def wake(self, due_at: float) -> None:
        """Look again no later than *due_at*, Unix seconds."""
        if due_at < self._wake_at:
            self._wake.set()

    def interrupt(self, conversation_id: str, reason: str, version: int) -> None:
        """Stop the turn that is thinking about the conversation, if one is.

        Args:
            version: the conversation's; a turn that has seen it goes on.
        """
        for lease, turn in self._turns.items():
            if lease.conversation_id == conversation_id and turn.version < version:
                turn.interrupt(reason)

    def interrupt_all(self, reason: str) -> None:
        """Stop every turn that is thinking."""
        for turn in self._turns.values():
            turn.interrupt(reason)

    async def run(self) -> None:
        """Claim and run until `stop`; a failure of this loop ends the process."""
        if self._db.is_sqlite:
            # The file is ours alone, so the workers that held these leases are dead.
            await self._db.write(turns.reclaim, now=self._clock())
        async with asyncio.TaskGroup() as side:
            others = [
                side.create_task(self._heartbeat()),
                side.create_task(self._watch()),
            ]
            await self._loop()
            for task in others:
                task.cancel()

    async def _loop(self) -> None:
        self._idle.clear()
        try:
            await self._claim_until_stopped()
        finally:
            self._idle.set()

    async def _claim_until_stopped(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._wake_at = float("inf")
            try:
                due_at = await self._claim()
            except StoreError as error:
                log.error("claim failed", error=str(error))
                due_at = self._clock() + POLL_S
            now = self._clock()
            self.looked_at = now
            self._wake_at = min(due_at or float("inf"), now + POLL_S)
            if self._wake.is_set():
                continue
            await _wait(self._wake, self._wake_at - now)

    async def _claim(self) -> float | None:
        """Start what is due; return when the next is (Unix seconds), or None."""
        room = min(self._limit - len(self._tasks), CLAIM)
        if room <= 0:
            if self._busy_since is None:
                self._busy_since = self._clock()
            return None  # a finished turn wakes the loop
        due_at = await self._db.glance(turns.next_due)
        if due_at is None or due_at > self._clock():
            self._busy_since = None
            return due_at
        leases = await self._db.write(turns.claim, now=self._clock(), limit=room)
        for lease in leases:
            self._start(lease)
        if len(leases) < room:
            self._busy_since = None  # no turn waits any more
        return self._clock() + (0.0 if leases else POLL_S)

    def _start(self, lease: Lease) -> None:
        turn = Turn(
            self._engine,
            lease,
            busy_since=self._busy_since,
            in_line_s=self._in_line_s.pop(lease.conversation_id, 0.0),
        )
        self._turns[lease] = turn
        task = asyncio.create_task(self._run(turn), name=turn.id)
        self._tasks[lease] = task
        self._metrics.running.set(len(self._tasks))

    async def _run(self, turn: Turn) -> None:
        """Run one turn and, if it fails, see that the conversation is tried again."""
        started = time.monotonic()
        try:
            due_at = await turn.run()
        except LeaseLostError:
            turn.log.warning("lease lost")
            due_at = None
        except ChatwootBotError as error:
            turn.log.error("turn failed", error=str(error))
            due_at = await self._back_off(turn)
        except Exception:
            # A bug in one conversation must not stop the others.
            turn.log.exception("turn crashed")
            due_at = await self._back_off(turn)
        finally:
            self._turns.pop(turn.lease, None)
            self._tasks.pop(turn.lease, None)
            self._metrics.running.set(len(self._tasks))
            self._metrics.turn_seconds.observe(time.monotonic() - started)
            if turn.is_overtaken and turn.in_line_s:
                self._in_line_s[turn.lease.conversation_id] = turn.in_line_s
                if len(self._in_line_s) > REMEMBERED:
                    self._in_line_s.pop(next(iter(self._in_line_s)))
        if len(self._tasks) == self._limit - 1:
            self.wake(0.0)  # there is room again
        elif due_at is not None:
            self.wake(due_at)

    async def _back_off(self, turn: Turn) -> float | None:
        """Give a failed turn's conversation back, for a new try later."""
        self._metrics.turns.labels("unknown", "failed").inc()
        wait_s = backoff_s(turn.failures + 1)
        for _ in range(int(turns.LEASE_S / GIVE_BACK_EVERY_S)):
            now = self._clock()
            try:
                return await self._db.write(
                    turns.finish,
                    turn.lease,
                    self._engine.rules,
                    ending=Ending.FAILED,
                    now=now,
                    retry_at=now + wait_s,
                )
            except LeaseLostError:
                return None
            except StoreError as error:
                # The database is away, perhaps for a restart.
                turn.log.error("lease release failed", error=str(error))
                await asyncio.sleep(GIVE_BACK_EVERY_S)
        return None  # the lease has run out by itself

    async def _heartbeat(self) -> None:
        """Extend the leases of running turns; stop the turns that have lost theirs."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            leases = list(self._turns)
            if not leases:
                continue
            try:
                held = await self._db.write(
                    turns.heartbeat, leases=leases, now=self._clock()
                )
            except StoreError as error:
                log.error("heartbeat failed", error=str(error))
                continue
            for lease in set(leases) - held:
                # Its writes are refused from now on; spare the model the work.
                if turn := self._turns.get(lease):
                    turn.interrupt("lease_lost")

    async def _watch(self) -> None:
        """Find contacts who wait longer than the deadline, for any reason."""
        deadline_s = self._engine.rules.policy.answer_deadline_s
        while True:
            await asyncio.sleep(min(WATCH_S, deadline_s / 2))
            now = self._clock()
            try:
                late = await self._db.write(
                    turns.hurry, now=now, owed_before=now - deadline_s
                )
            except StoreError as error:
                log.error("watchdog failed", error=str(error))
                continue
            if late:
                log.warning("answers overdue", conversations=late)
                self._metrics.late.inc(late)
                self.wake(now)

    async def stop(self, *, grace_s: float) -> bool:
        """Claim no more, let running turns end, release the leases.

        Args:
            grace_s: how long running turns may take; they are not given it twice.

        Returns:
            Whether there were any.
        """
        if self._stopping:
            grace_s = 0.0
        self._stopping = True
        self._wake.set()
        await self._idle.wait()  # a claim under way still starts its turns
        tasks = dict(self._tasks)
        if not tasks:
            return False
        await asyncio.wait(tasks.values(), timeout=grace_s)
        left = {lease: task for lease, task in tasks.items() if not task.done()}
        for task in left.values():
            task.cancel()
        if left:
            await asyncio.wait(left.values(), timeout=CANCEL_S)
        for lease in left:
            await self._give_back(lease)
        return True

    async def _give_back(self, lease: Lease) -> None:
        try:
            await self._db.write(
                turns.finish,
                lease,
                self._engine.rules,
                ending=Ending.GIVEN_BACK,
                now=self._clock(),
            )
        except StoreError as error:
            log.warning("lease release failed", error=str(error))


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(max(timeout_s, 0)):
            await event.wait()
    except TimeoutError:
        pass
