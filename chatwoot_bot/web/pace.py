"""How fast strangers may write: far more than anybody means, far less than a flood.

Whoever has the operator's token, and this machine itself, is no stranger.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from ..errors import PaceError
from .auth import is_loopback


@dataclass(slots=True)
class Pace:
    """A bucket for each key: so many at once, and then so many a second.

    Attributes:
        remembered: keys, at most; the one that was still for longest is forgotten.
    """

    at_once: float
    per_s: float
    remembered: int = 20_000
    clock: Callable[[], float] = time.monotonic
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, key: str) -> None:
        """Take one.

        Raises:
            PaceError: there is none at this moment.
        """
        now = self.clock()
        left, at = self._left.get(key, (self.at_once, now))
        left = min(self.at_once, left + (now - at) * self.per_s)
        if left < 1:
            wait_s = math.ceil((1 - left) / self.per_s)
            raise PaceError("Too fast; wait a little.", retry_after_s=wait_s)
        self._left[key] = left - 1, now
        self._left.move_to_end(key)
        if len(self._left) > self.remembered:
            self._left.popitem(last=False)


class Strangers:
    """The paces of visitors; an office or a school may share one address."""

    def __init__(self) -> None:
        self._begun = Pace(at_once=300, per_s=2)
        self._said = Pace(at_once=600, per_s=30)
        self._said_in_one = Pace(at_once=60, per_s=2)

    def begin(self, connection: HTTPConnection) -> None:
        """Let somebody begin a conversation.

        Raises:
            PaceError: their address has begun too many lately.
        """
        if not is_loopback(connection):
            self._begun.take(_address(connection))

    def write(self, connection: HTTPConnection, conversation_id: str) -> None:
        """Let somebody write into a conversation.

        Raises:
            PaceError: too much was written into it lately, or by their address.
        """
        if not is_loopback(connection):
            self._said_in_one.take(conversation_id)
            self._said.take(_address(connection))


def _address(connection: HTTPConnection) -> str:
    host = connection.client.host if connection.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a Unix socket
        return host
    if address.version == 6:  # of which everybody has a network
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host
