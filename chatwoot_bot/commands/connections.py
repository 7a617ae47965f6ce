"""All connections of a server: how many there may be, and how long they may wait.

The protocols report what a connection waits for: the rest of a request's headers, or a
reader. One timer for all of them ends those that wait too long; a request that is read
and answered at once needs none.
"""

import asyncio
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from ..web.addresses import network, shared

log = structlog.get_logger(__name__)

# For the database, files, and the calls to Chatwoot and to models.
DESCRIPTORS_KEPT = 128
# One process serves no more well; each open socket takes about 60 kB.
MAX_CONNECTIONS = 10_000
MAX_FROM_ONE_ADDRESS = 1_000
# Beyond the others; see `Connections.enter`.
KEPT_FOR_SHARED = 16
WARN_EVERY_S = 60.0
# Bytes that the kernel keeps for a reader. Its default grows to 4 MB for each, and a
# slow reader would show no progress until a third of that is empty.
SEND_BUFFER = 131_072
# Bytes that the kernel keeps until they are read, and so the most that one read brings
# of a body before its handler has asked for any of it.
RECEIVE_BUFFER = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What all connections, and each of them, may take.

    Attributes:
        total: connections at one time; see `Connections.enter`.
        per_address: of one address (IPv6: a /64) that is nobody else's.
        header_bytes: of one request, its first line included; trailers likewise.
        header_s: until the headers are complete, from the connection's begin or the
            first byte of a later request.
        unread_s: how long a reader may take nothing of what waits for it.
        unread_bytes: what may wait for slow readers in all.
        waiting_bytes: of headers that are not complete, in all.
        look_s: how often is looked at what waits.
    """

    total: int = MAX_CONNECTIONS
    per_address: int = MAX_FROM_ONE_ADDRESS
    header_bytes: int = 65_536
    header_s: float = 10.0
    unread_s: float = 30.0
    unread_bytes: int = 64 * 1_048_576
    waiting_bytes: int = 16 * 1_048_576
    look_s: float = 1.0

    @classmethod
    def of_process(cls) -> "Bounds":
        """Return those that fit the process's limit on open files."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = MAX_CONNECTIONS
        if files != resource.RLIM_INFINITY:
            free = files - DESCRIPTORS_KEPT - KEPT_FOR_SHARED
        total = max(32, min(free, MAX_CONNECTIONS))
        return cls(total=total, per_address=min(total // 2, MAX_FROM_ONE_ADDRESS))


@dataclass(slots=True)
class _Unread:
    """Since when a reader has taken nothing, and how much there was."""

    transport: asyncio.Transport
    size: int
    since: float


def bound_buffers(listeners: Iterable[socket.socket]) -> None:
    """Bound what the kernel keeps for each connection of *listeners*."""
    for listener in listeners:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


class Caller(Protocol):
    """A connection that has still to say what it wants."""

    loop: asyncio.AbstractEventLoop

    @property
    def is_held_back(self) -> bool:
        """Whether it is our turn, so that nothing more is read."""

    def end(self) -> None:
        """End it at once, and tell `Connections.gone`."""


@dataclass(slots=True)
class _Waiting:
    """What a caller has said so far, and until when it may say the rest."""

    connection: Caller
    until: float
    size: int = 0


class Connections:
    """All connections of a server."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._shared = shared(every=True)
        # The part of the address that counts, by connection.
        self._open: dict[asyncio.BaseTransport, str] = {}
        self._by_address: Counter[str] = Counter()
        # Both in the order of their beginning, so the first is the oldest.
        self._waiting: dict[Caller, _Waiting] = {}
        self._waiting_bytes = 0
        self._unread: dict[object, _Unread] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._warned_at = -WARN_EVERY_S

    @property
    def total(self) -> int:
        """How many are open."""
        return len(self._open)

    def enter(self, transport: asyncio.BaseTransport, host: str) -> bool:
        """Count a new connection, or return False when there is no room for it.

        When all places are taken, the connection that has waited for the longest to
        say what it wants makes room; so a crowd that sends nothing keeps nobody out.
        When all are at work, a few places are left for addresses that are shared:
        the probes of this machine, and proxies.
        """
        address = network(host)
        is_many = self._by_address[address] >= self.bounds.per_address
        if is_many and host not in self._shared:
            self._warn("one address has as many connections as it may", host)
            return False
        if self.total >= self.bounds.total and not self._make_room():
            kept = KEPT_FOR_SHARED if host in self._shared else 0
            if self.total >= self.bounds.total + kept:
                self._warn("as many connections are at work as there may be", host)
                return False
        self._open[transport] = address
        self._by_address[address] += 1
        return True

    def _leave(self, transport: asyncio.BaseTransport) -> None:
        """Count a connection no more, if it is counted."""
        address = self._open.pop(transport, None)
        if address is None:
            return
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _make_room(self) -> bool:
        if not self._waiting:
            return False
        next(iter(self._waiting.values())).connection.end()
        return True

    def _warn(self, reason: str, host: str) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            log.warning("connection refused", reason=reason, address=host)

    def wait(self, one: Caller, size: int = 0) -> None:
        """Give *one* its time to say what it wants; it keeps what is left of it.

        Args:
            size: of what has come now.
        """
        waiting = self._waiting.get(one)
        if waiting is None:
            until = one.loop.time() + self.bounds.header_s
            waiting = self._waiting[one] = _Waiting(one, until)
            self._look_later(one.loop)
        waiting.size += size
        self._waiting_bytes += size
        while self._waiting_bytes > self.bounds.waiting_bytes and self._make_room():
            pass

    def wait_no_more(self, one: Caller) -> None:
        """Note that *one* has said what it wants."""
        waiting = self._waiting.pop(one, None)
        if waiting is not None:
            self._waiting_bytes -= waiting.size

    def unread(
        self, one: object, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Note that something waits for the reader of *one*."""
        if one not in self._unread:
            size = transport.get_write_buffer_size()
            self._unread[one] = _Unread(transport, size, loop.time())
            self._look_later(loop)
        if len(self._unread) > 1:
            self._bound_unread()

    def read(self, one: object) -> None:
        """Note that the reader of *one* has taken what there was."""
        self._unread.pop(one, None)

    def gone(self, one: object, transport: asyncio.BaseTransport) -> None:
        """Forget *one*, and count it no more."""
        self._leave(transport)
        self._unread.pop(one, None)

    def _bound_unread(self) -> None:
        held = sum(
            each.transport.get_write_buffer_size() for each in self._unread.values()
        )
        while held > self.bounds.unread_bytes and self._unread:
            first = next(iter(self._unread))
            slow = self._unread.pop(first)
            held -= slow.transport.get_write_buffer_size()
            slow.transport.abort()

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._looking is None:
            self._looking = loop.call_later(self.bounds.look_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looking = None
        now = loop.time()
        while self._waiting:
            waiting = next(iter(self._waiting.values()))
            if waiting.until > now:
                break
            self._expire(waiting)
        for one in list(self._unread):
            self._look_at_reader(one, now)
        if self._unread:
            self._bound_unread()
        if self._waiting or self._unread:
            self._look_later(loop)

    def _expire(self, waiting: _Waiting) -> None:
        one = waiting.connection
        self.wait_no_more(one)
        if one.is_held_back:  # by us: what it has still to say may be on its way
            self.wait(one, waiting.size)
        else:
            one.end()

    def _look_at_reader(self, one: object, now: float) -> None:
        slow = self._unread[one]
        size = slow.transport.get_write_buffer_size()
        if size < slow.size:
            slow.since = now
        slow.size = size
        if size and now - slow.since >= self.bounds.unread_s:
            del self._unread[one]
            slow.transport.abort()
