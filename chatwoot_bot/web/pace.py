"""How fast visitors may write and read: far faster than people do, slower than a flood.

Agents have no pace. The addresses of this machine and of trusted proxies may stand for
many visitors, so the limits for one address exempt them. The limits for one
conversation hold wherever its visitor is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from starlette.requests import HTTPConnection

from .addresses import network, shared
from .auth import forwarding, is_loopback
from .rates import Rate, Slots

log = structlog.get_logger(__name__)

# Characters of one unit of reading; each request costs one unit besides.
UNIT_CHARS = 1_000
# Waiting long polls: each wakes and looks whenever something is said.
POLLS_FROM_ONE_ADDRESS = 4  # in one conversation
POLLS_IN_ONE = 16
# A person's tabs and devices.
SOCKETS_OF_ONE = 10
# An office or a school may share one address.
HELD_BY_ADDRESS = 300

# A frame for each key would be fine.
FRAMES, FRAMES_S = 50, 2

TOO_MANY_FRAMES = "Too many frames; this one is ignored."
TOO_MANY_POLLS = "Too many requests wait for news already; let one end first."
TOO_MANY_SOCKETS = "Too many sockets are open already; close one first."
TOO_MANY_CALLS = "A human has been called often enough; wait a little."


class Strangers:
    """The paces of visitors.

    Args:
        public: whether this machine may be a proxy that says nothing of its visitors.
    """

    def __init__(self, *, public: bool = False) -> None:
        self._public = public
        self._shared = shared()
        self._begun = Rate(300, 150)
        self._said = Rate(600, 20)
        self._said_in_one = Rate(60, 30)
        self._called_in_one = Rate(5, 3_600, message=TOO_MANY_CALLS)
        self._read = Rate(100_000, 60)  # units
        self._read_in_one = Rate(20_000, 60)
        self._polls = Slots(HELD_BY_ADDRESS, TOO_MANY_POLLS)
        self._polls_in_one = Slots(POLLS_IN_ONE, TOO_MANY_POLLS)
        self._polls_in_one_from = Slots(POLLS_FROM_ONE_ADDRESS, TOO_MANY_POLLS)
        self._sockets = Slots(HELD_BY_ADDRESS, TOO_MANY_SOCKETS)
        self._sockets_of_one = Slots(SOCKETS_OF_ONE, TOO_MANY_SOCKETS)
        self._has_warned = False
        #: Of each socket, agents' too: no person sends faster.
        self.frames = Rate(FRAMES, FRAMES_S, message=TOO_MANY_FRAMES)

    def begin(self, connection: HTTPConnection) -> None:
        """Let a visitor start a conversation.

        Raises:
            PaceError: their address has begun too many lately.
        """
        if self._public or not is_loopback(connection):
            self._begun.take(self._address(connection))

    def write(self, connection: HTTPConnection, conversation_id: str) -> None:
        """Let a visitor send a message.

        Raises:
            PaceError: too much was written into it lately, or by their address.
        """
        local = is_loopback(connection)
        if self._public or not local:
            self._said_in_one.take(conversation_id)
        if not local:
            self._said.take(self._address(connection))

    def escalate(self, conversation_id: str) -> None:
        """Let a visitor ask for a handover.

        Raises:
            PaceError: that was done too often in this conversation.
        """
        self._called_in_one.take(conversation_id)

    def read(
        self, connection: HTTPConnection, conversation_id: str, chars: int = 0
    ) -> None:
        """Let a visitor read *chars* characters.

        Raises:
            PaceError: too much was read of this conversation lately, or by their
                address.
        """
        units = 1 + chars // UNIT_CHARS
        self._read_in_one.take(conversation_id, units)
        host = _host(connection)
        if host not in self._shared:
            self._read.take(network(host), units)

    @contextmanager
    def polling(
        self, connection: HTTPConnection, conversation_id: str
    ) -> Iterator[None]:
        """Let a visitor wait for news while the block runs.

        Raises:
            PaceError: too many wait already, for this conversation or from there.
        """
        address = network(_host(connection))
        with (
            self._polls_in_one.hold(conversation_id),
            self._polls_in_one_from.hold(f"{conversation_id} {address}"),
            self._by_address(self._polls, connection),
        ):
            yield

    @contextmanager
    def watching(self, connection: HTTPConnection, who: str) -> Iterator[None]:
        """Let a visitor have a socket while the block runs.

        Args:
            who: the visitor.

        Raises:
            PaceError: they have too many, or their address has.
        """
        with (
            self._sockets_of_one.hold(who),
            self._by_address(self._sockets, connection),
        ):
            yield

    @contextmanager
    def _by_address(self, slots: Slots, connection: HTTPConnection) -> Iterator[None]:
        host = _host(connection)
        if host in self._shared:
            yield
            return
        with slots.hold(network(host)):
            yield

    def _address(self, connection: HTTPConnection) -> str:
        host = _host(connection)
        if not self._has_warned:
            self._warn_of_proxy(connection, host)
        return network(host)

    def _warn_of_proxy(self, connection: HTTPConnection, host: str) -> None:
        """Warn once that visitors behind a proxy share the limits of its address."""
        # For a trusted proxy, uvicorn has made the header's address the client's.
        forwarded = forwarding(connection)
        if not any(forwarded) or host in self._shared or host in " ".join(forwarded):
            return
        self._has_warned = True
        log.warning(
            "forwarding header ignored",
            address=host,
            fix="if this is your proxy, add it to FORWARDED_ALLOW_IPS; otherwise all "
            "its visitors share one limit",
        )


def _host(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""
