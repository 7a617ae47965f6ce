"""Which addresses an attachment may be fetched from.

A URL in a delivery or in a redirect can name anything, so no connection goes to an
address that is not public: the machine itself, its network, a cloud's metadata
service. The operator's own hosts are the exception. The check is made on the very
address that is then connected to, so that a name which changes its mind between the
two (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Collection

import aiohttp
import aiohttp.abc
import httpx

from ..http import AiohttpTransport, make_connector

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# (host, port), the host in lower case.
Origin = tuple[str, int]
# RFC 6052: an IPv4 address behind it, as a translating gateway reaches it.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
PORTS = {"http": 80, "https": 443}


class RefusedAddressError(OSError):
    """Nothing has been sent: the address is not one that may be asked."""


def is_public(address: str) -> bool:
    """Return whether *address* is one of the Internet's, whatever it is wrapped in."""
    ip: Address = ipaddress.ip_address(address)
    while (inner := _wrapped(ip)) is not None:
        ip = inner
    inside = ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False)
    return ip.is_global and not inside


def _wrapped(ip: Address) -> Address | None:
    """Return the IPv4 address that *ip* stands for, if it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def origin_of(url: str) -> Origin:
    """Return host and port of *url*, an HTTP URL or a bare ``host:port``.

    A bare host stands for port 443.
    """
    parsed = httpx.URL(url if "://" in url else f"https://{url}")
    return parsed.host.lower(), parsed.port or PORTS[parsed.scheme]


class Guard:
    """Let through what is public, and the operator's own hosts.

    Args:
        own: hosts whose addresses may be private, each at its port only.
        resolver: looks names up; by default the system does.
    """

    def __init__(
        self,
        own: Collection[Origin],
        resolver: aiohttp.abc.AbstractResolver | None = None,
    ) -> None:
        self._own = frozenset(own)
        self._resolver = resolver
        # Grows with the addresses that the operator's own names have, no others.
        self._known = set(self._own)

    def transport(self) -> AiohttpTransport:
        """Return a transport that connects nowhere else.

        It asks no proxy: one would look the name up again, out of sight.
        """
        return AiohttpTransport(self._connector, proxies=False, checks=False)

    def _connector(self) -> aiohttp.TCPConnector:
        return make_connector(
            resolver=_CheckedNames(self, self._resolver or aiohttp.ThreadedResolver()),
            use_dns_cache=False,
            socket_factory=self._socket,
        )

    def check(self, host: str, port: int, addresses: Collection[str]) -> None:
        """Check every address of *host*.

        Raises:
            RefusedAddressError: one of them is not public, and *host* not ours.
        """
        if (host.lower().rstrip("."), port) in self._own:
            self._known |= {(address, port) for address in addresses}
        elif not all(is_public(address) for address in addresses):
            raise RefusedAddressError("an address of this name is not public")

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for one connection, as the last thing before it is made."""
        family, kind, protocol, _, (address, port, *_) = info
        if (address, port) not in self._known and not is_public(str(address)):
            raise RefusedAddressError("the address is not public")
        return socket.socket(family, kind, protocol)


class _CheckedNames(aiohttp.abc.AbstractResolver):
    """Look names up, and refuse those that lead inside."""

    def __init__(self, guard: Guard, inner: aiohttp.abc.AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        self._guard.check(host, port, [result["host"] for result in found])
        return found

    async def close(self) -> None:
        await self._inner.close()


def is_refusal(error: BaseException | None) -> bool:
    """Return whether *error* was caused by a refused address."""
    while error is not None:
        if isinstance(error, RefusedAddressError):
            return True
        error = error.__cause__ or error.__context__
    return False
