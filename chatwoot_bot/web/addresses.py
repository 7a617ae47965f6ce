"""Which addresses stand for one caller, and which for many."""

import ipaddress
import os
from collections.abc import Mapping
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=4_096)
def network(host: str) -> str:
    """Return the part of *host* that one caller has: an IPv6 address's /64."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a Unix socket
        return host
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


class Shared:
    """The addresses that many callers may share: this machine's, and trusted proxies'.

    Args:
        proxies: as in uvicorn's `FORWARDED_ALLOW_IPS`: addresses and networks, comma
            separated, or ``*``.
        every: whether ``*`` makes all addresses shared. Of a connection it does, for
            each may come from a proxy; a request then has its client's own address.
    """

    def __init__(self, proxies: str, *, every: bool = False) -> None:
        names = [name.strip() for name in proxies.split(",")]
        self._every = every and "*" in names
        self._networks = [one for name in names if (one := _network(name))]

    def __contains__(self, host: str) -> bool:
        """Return whether *host* is shared; a Unix socket has no host and is."""
        if self._every or not host:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host == "localhost"
        return address.is_loopback or any(address in one for one in self._networks)


def shared(environ: Mapping[str, str] = os.environ, *, every: bool = False) -> Shared:
    """Return the shared addresses of this process; see `Shared`."""
    return Shared(environ.get("FORWARDED_ALLOW_IPS", ""), every=every)


def _network(name: str) -> Network | None:
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError:  # a Unix socket's name
        return None
