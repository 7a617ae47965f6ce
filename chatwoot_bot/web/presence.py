"""Who of the visitors is online: counted here, told to agents, kept for others.

A visitor is asked for by their token. Agents know visitors by name, and anybody may
choose a name; so agents hear of all who go by it, and visitors of themselves only.
"""

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import structlog

from ..errors import StoreError
from ..hub import Hub, Passing
from ..intake import wait_until
from ..store import presence
from ..store.engine import Database
from ..store.presence import FRESH_S, Sighted, Who

log = structlog.get_logger(__name__)

REFRESH_S = FRESH_S / 3
RETRY_S = 1.0


Key = TypeVar("Key")


class Presence:
    """Count visitors' sockets; several tabs and several processes are one visitor."""

    def __init__(self, db: Database, hub: Hub, clock: Callable[[], float]) -> None:
        self._db = db
        self._hub = hub
        self._clock = clock
        self._told: set[str] = set()  # names, as being online
        self._process = secrets.token_hex(8)
        self._here: Counter[Who] = Counter()
        self._names: Counter[str] = Counter()
        self._unwritten: set[Who] = set()
        self._refresh_at = 0.0  # by the monotonic clock
        self._wake = asyncio.Event()

    def enter(self, who: Who) -> None:
        """Note that a visitor has opened a socket."""
        self._count(who, 1)

    def leave(self, who: Who) -> None:
        """Note that a visitor's socket has closed."""
        self._count(who, -1)

    def _count(self, who: Who, more: int) -> None:
        _add(self._here, who, more)
        _add(self._names, who[0], more)
        self._unwritten.add(who)
        self._wake.set()

    async def status(self, user_id: str, visitor: str | None) -> Sighted:
        """Return the sockets in all processes, and when there was one last.

        Args:
            visitor: None for all who go by that name, which is for agents.
        """
        now = self._clock()
        other = await self._db.read(
            presence.elsewhere, user_id, visitor, self._process, now=now
        )
        here = self._names[user_id]
        if visitor is not None:
            here = self._here[user_id, visitor]
        connections = here + other.connections
        # What is not yet written has happened this moment.
        unwritten = any(
            name == user_id and visitor in (None, one) for name, one in self._unwritten
        )
        recent = connections > 0 or unwritten
        return Sighted(connections, now if recent else other.seen_at)

    async def run(self) -> None:
        """Write and tell what changes, until cancelled."""
        try:
            while True:
                try:
                    await self._write_changes()
                except StoreError as error:
                    log.warning("presence not stored", error=str(error))
                    await asyncio.sleep(RETRY_S)
        finally:
            with contextlib.suppress(StoreError):  # it ends by itself in a minute
                await self._db.write(presence.end, self._process, now=self._clock())

    async def _write_changes(self) -> None:
        if not self._unwritten:
            await wait_until(self._wake, self._refresh_at - time.monotonic())
            self._wake.clear()
        if time.monotonic() >= self._refresh_at:
            now = self._clock()
            await self._db.write(presence.refresh, self._process, now=now)
            self._refresh_at = time.monotonic() + REFRESH_S
        visitors = set(self._unwritten)
        if not visitors:
            return
        counts = {who: self._here[who] for who in visitors}
        now = self._clock()
        await self._db.write(presence.note, self._process, counts, now=now)
        for name in sorted({name for name, _ in visitors}):
            await self._tell(name)
        # Somebody may have come or gone meanwhile.
        self._unwritten -= {who for who in visitors if counts[who] == self._here[who]}

    async def _tell(self, name: str) -> None:
        online = self._names[name] > 0
        if online == (name in self._told):
            return
        if not online:
            other = await self._db.read(
                presence.elsewhere, name, None, self._process, now=self._clock()
            )
            online = other.connections > 0
        self._told ^= {name}
        body = {"user_id": name, "online": online}
        self._hub.tell(Passing(event="PRESENCE", body=body))


def _add(counter: Counter[Key], key: Key, more: int) -> None:
    counter[key] += more
    if not counter[key]:
        del counter[key]
