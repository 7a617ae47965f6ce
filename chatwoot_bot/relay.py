"""Tell other processes on the same PostgreSQL what is only passing."""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any

import structlog

from .errors import StoreError
from .hub import Hub, Passing
from .store.engine import Database
from .store.signals import Live, notify_live

log = structlog.get_logger(__name__)

# What nobody can take in is not worth keeping: typing and pieces of answers.
MAX_WAITING = 5_000
RETRY_S = 1.0


class Relay:
    """Carry what passes here to the other processes, and theirs to our hub.

    In order, and one write for all that waits: a database that is slow makes the
    writes larger, not more.
    """

    def __init__(self, db: Database, hub: Hub) -> None:
        self._db = db
        self._hub = hub
        self._process = secrets.token_hex(8)
        self._waiting: deque[Live] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()

    def changed(self, conversation_id: str) -> None:
        """Do nothing: who changes the database tells the others itself."""

    def passed(self, passing: Passing, *, here: bool) -> None:
        """Have it carried to the other processes."""
        if here:
            self._waiting.append(
                Live(
                    process=self._process,
                    event=passing.event,
                    body=dict(passing.body),
                    conversation_id=passing.conversation_id,
                )
            )
            self._wake.set()

    def heard(self, live: Live) -> None:
        """Tell our own listeners what another process has said."""
        if live.process != self._process:
            body: Mapping[str, Any] = live.body
            passing = Passing(
                event=live.event, body=body, conversation_id=live.conversation_id
            )
            self._hub.tell(passing, here=False)

    async def run(self) -> None:
        """Carry, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting = list(self._waiting)
            self._waiting.clear()
            try:
                await self._db.write(notify_live, waiting)
            except StoreError as error:
                log.warning("signals not published", error=str(error))
                # Or half an answer would stand there, and typing would never end.
                ends = [live for live in waiting if _ends_something(live)]
                self._waiting.extendleft(reversed(ends))
                self._wake.set()
                await asyncio.sleep(RETRY_S)


def _ends_something(live: Live) -> bool:
    if live.event == "TYPING":
        return live.body["typing"] is False
    return live.event in ("REPLY_DROPPED", "PRESENCE")
