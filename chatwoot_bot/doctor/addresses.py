"""Whether Chatwoot would refuse an address because it is private."""

import asyncio
import ipaddress
import socket

import httpx

LOOK_UP_S = 5.0


async def is_private(url: str) -> bool:
    """Return whether no address of *url*'s host is a public one.

    Chatwoot looks it up with its own resolver, so this is a strong hint and no proof.
    A name that nobody knows here is not called private. Source: `lib/safe_fetch.rb`
    in Chatwoot, since 4.14.0.
    """
    host = httpx.URL(url).host
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass  # it is a name
    try:
        async with asyncio.timeout(LOOK_UP_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError, TimeoutError):
        return False
    addresses = {str(row[4][0]).partition("%")[0] for row in found}
    return not any(ipaddress.ip_address(each).is_global for each in addresses)
