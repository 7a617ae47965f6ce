"""Who of the visitors is online: counted here, told to agents, kept for others."""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable

import structlog

from ..errors import StoreError
from ..hub import Hub, Passing
from ..intake import wait_until
from ..store import presence
from ..store.engine import Database
from ..store.presence import FRESH_S, Sighted

log = structlog.get_logger(__name__)

REFRESH_S = FRESH_S / 3
RETRY_S = 1.0


class Presence:
    """Count visitors' sockets; several tabs and several processes are one visitor."""

    def __init__(self, db: Database, hub: Hub, clock: Callable[[], float]) -> None:
        self._db = db
        self._hub = hub
        self._clock = clock
        self._told: set[str] = set()  # as being online
        self._process = secrets.token_hex(8)
        self._here: Counter[str] = Counter()
        self._unwritten: set[str] = set()
        self._wake = asyncio.Event()

    def enter(self, user_id: str) -> None:
        """Note that a visitor has opened a socket."""
        self._here[user_id] += 1
        self._note(user_id)

    def leave(self, user_id: str) -> None:
        """Note that a visitor's socket has closed."""
        self._here[user_id] -= 1
        if not self._here[user_id]:
            del self._here[user_id]
        self._note(user_id)

    def _note(self, user_id: str) -> None:
        self._unwritten.add(user_id)
        self._wake.set()

    async def status(self, user_id: str) -> Sighted:
        """Return a visitor's sockets in all processes, and when there was one last."""
        now = self._clock()
        other = await self._db.read(presence.elsewhere, user_id, self._process, now=now)
        connections = self._here[user_id] + other.connections
        # What is not yet written has happened this moment.
        recent = connections > 0 or user_id in self._unwritten
        return Sighted(connections, now if recent else other.seen_at)

    async def run(self) -> None:
        """Write and tell what changes, until cancelled."""
        try:
            while True:
                try:
                    await self._write_changes()
                except StoreError as error:
                    log.warning("presence not written", error=str(error))
                    await asyncio.sleep(RETRY_S)
        finally:
            with contextlib.suppress(StoreError):  # it ends by itself in a minute
                await self._db.write(presence.end, self._process, now=self._clock())

    async def _write_changes(self) -> None:
        if not self._unwritten:
            changed = await wait_until(self._wake, REFRESH_S)
            self._wake.clear()
            if not changed:
                now = self._clock()
                await self._db.write(presence.refresh, self._process, now=now)
                return
        users = set(self._unwritten)
        if not users:
            return
        counts = {user_id: self._here[user_id] for user_id in users}
        now = self._clock()
        await self._db.write(presence.note, self._process, counts, now=now)
        for user_id, connections in counts.items():
            await self._tell(user_id, connections)
        # Somebody may have come or gone meanwhile.
        self._unwritten -= {user for user in users if counts[user] == self._here[user]}

    async def _tell(self, user_id: str, connections: int) -> None:
        online = connections > 0
        if online == (user_id in self._told):
            return
        if not online:
            other = await self._db.read(
                presence.elsewhere, user_id, self._process, now=self._clock()
            )
            online = other.connections > 0
        self._told ^= {user_id}
        body = {"user_id": user_id, "online": online}
        self._hub.tell(Passing(event="PRESENCE", body=body))
