"""The sockets that the service listens on; what keeps it from that is told by name."""

import contextlib
import errno
import socket
from collections.abc import Iterator

from ..errors import ChatwootBotError

Address = tuple[socket.AddressFamily, tuple[object, ...]]


@contextlib.contextmanager
def bound(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Yield a socket for each address of *host*; they are closed at the end.

    uvicorn would end the process itself, and name neither setting.

    Raises:
        ChatwootBotError: there is none; the message names the setting to fix.
    """
    with contextlib.ExitStack() as stack:
        try:
            sockets = _bind_all(stack, host, port)
        except (OSError, UnicodeError) as error:
            raise unusable(host, port, error) from error
        yield sockets


def _bind_all(stack: contextlib.ExitStack, host: str, port: int) -> list[socket.socket]:
    found, absent = [], None
    for family, address in _addresses(host, port):
        try:
            one = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # 0.0.0.0 is another address, which may be listened on beside it.
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
        except OSError as error:
            # localhost may be ::1 on a machine that does not speak IPv6.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            absent = error
        else:
            found.append(one)
    if absent is not None and not found:
        raise absent
    return found


def _addresses(host: str, port: int) -> list[Address]:
    infos = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((info[0], info[4]) for info in infos))


def unusable(host: str, port: int, error: Exception) -> ChatwootBotError:
    """Return what the operator reads about *error*."""
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return ChatwootBotError(
            f"port {port} on {host} is not free. Stop what uses it, or set PORT"
        )
    if number in (errno.EACCES, errno.EPERM):
        return ChatwootBotError(
            f"this user may not listen on port {port}. Set PORT to 1024 or more"
        )
    why = getattr(error, "strerror", None) or "it is no name of a host"
    return ChatwootBotError(
        f"HOST={host} cannot be listened on: {why}. Set HOST to an address of this "
        "machine, or to 0.0.0.0 for all"
    )
