"""The one way in: store an arrival, then notify the worker and subscribers."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial

import structlog

from .hub import Hub
from .metrics import Metrics
from .missed import Missed
from .store import chat
from .store.accept import accept
from .store.arrivals import Accepted, Arrival, Rules
from .store.engine import Database
from .store.signals import Signal
from .worker import Worker

log = structlog.get_logger(__name__)
# Asked first: making a line that nobody reads costs as much as parsing the event.
stdlib_log = logging.getLogger(__name__)

# Another process may have answered, and its signal may be lost.
LOOK_EVERY_S = 1.0


class Intake:
    """Take arrivals from every channel and see that they have their effect.

    Args:
        worker: None in a process that only serves the web.
        missed: fetches what was lost before a command; None where it cannot.
    """

    def __init__(
        self,
        db: Database,
        hub: Hub,
        rules: Rules,
        metrics: Metrics,
        worker: Worker | None,
        missed: Missed | None = None,
    ) -> None:
        self._db = db
        self._hub = hub
        # One object, so that arrivals which wait together are accepted together.
        self._accept = partial(accept, rules=rules)
        self._metrics = metrics
        self._worker = worker
        self._missed = missed

    async def take(self, arrival: Arrival) -> Accepted:
        """Return once *arrival* is on disk.

        Raises:
            BusyError: too many arrivals wait for the disk; nothing is stored.
            StoreError: it could not be stored.
        """
        self._db.refuse_when_full()
        for fetched in await self._missed.before(arrival) if self._missed else ():
            # A command acts on what the contact wrote last, delivered or not.
            lost = replace(arrival, event=fetched.event, delivery_id=None, body=None)
            await self._store(lost)
        return await self._store(arrival)

    async def _store(self, arrival: Arrival) -> Accepted:
        accepted = await self.follow(self._db.write_grouped(self._accept, arrival))
        self._tell(arrival, accepted)
        return accepted

    def _tell(self, arrival: Arrival, accepted: Accepted) -> None:
        """Count and log; only a contact's message is worth a line at INFO."""
        decision = accepted.decision
        reason = decision.reason if decision is not None else accepted.reason
        self._metrics.deliveries.labels(accepted.outcome.value, reason).inc()
        if accepted.undelivered is not None:
            self._tell_undelivered(arrival, accepted)
        level = logging.DEBUG if decision is None else logging.INFO
        if not stdlib_log.isEnabledFor(level):
            return
        log.log(
            level,
            "event stored" if decision is None else "message accepted",
            conversation=accepted.conversation_id,
            message=accepted.message_id,
            outcome=str(accepted.outcome),
            route=str(decision.route) if decision is not None else None,
            reason=reason,
            delivery=arrival.delivery_id,
        )

    def _tell_undelivered(self, arrival: Arrival, accepted: Accepted) -> None:
        """Count and log a reply that the channel did not bring to the contact."""
        self._metrics.replies.labels("undelivered").inc()
        if accepted.interrupts is not None:
            self._metrics.handovers.labels("undelivered").inc()
        message = arrival.event.message
        log.error(
            "channel delivery failed",
            conversation=accepted.conversation_id,
            reply=accepted.undelivered,
            error=message.error if message else None,
        )

    async def follow(self, write: Awaitable[Accepted]) -> Accepted:
        """Await a write, pass on what it changed, and log who has the conversation."""
        accepted = await write
        self.pass_on(accepted)
        return accepted

    def pass_on(self, accepted: Accepted) -> None:
        """Tell of a change that has been written, and log who has the conversation."""
        if accepted.moved is not None:
            state, reason = accepted.moved
            log.info(
                "state changed",
                conversation=accepted.conversation_id,
                state=str(state),
                reason=reason,
            )
        if (signal := accepted.signal()) is not None:
            self.heed(signal)

    def heed(self, signal: Signal) -> None:
        """Act on a change of this process or, on PostgreSQL, of another."""
        if signal.conversation_id is None:
            if self._worker is not None and signal.interrupts is not None:
                self._worker.interrupt_all(signal.interrupts)
            return
        if self._worker is not None:
            if signal.interrupts is not None:
                self._worker.interrupt(
                    signal.conversation_id, signal.interrupts, signal.version
                )
            if signal.due_at is not None:
                self._worker.wake(signal.due_at)
        self._hub.publish(signal.conversation_id)

    def look(self) -> None:
        """Look for work at once: signals may have been missed."""
        if self._worker is not None:
            self._worker.wake(0.0)

    async def wait_for_answer(
        self, conversation_id: str, message_id: int, *, timeout_s: float
    ) -> chat.Fate:
        """Wait until a message is answered, or will not be answered.

        Returns:
            Its fate; not settled when the time ran out.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        with self._hub.watch(conversation_id) as changed:
            while True:
                changed.clear()
                fate = await self._db.read(chat.fate, message_id)
                left = deadline - loop.time()
                if fate.settled or left <= 0 or self._hub.closed:
                    return fate
                await wait_until(changed, min(left, LOOK_EVERY_S))


async def wait_until(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for *event*; return False when the time ran out first."""
    try:
        async with asyncio.timeout(max(timeout_s, 0)):
            await event.wait()
    except TimeoutError:
        return False
    return True
