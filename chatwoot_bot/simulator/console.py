"""What a terminal needs that is no part of Chatwoot: typed lines, and open ports."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


async def is_listening(url: str) -> bool:
    """Return whether a server accepts connections at *url*."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def typed_lines() -> AsyncIterator[str]:
    """Yield the lines that are typed, without the empty ones, until the end.

    The reader is a daemon thread: a blocked `readline` must not keep the process
    from ending.
    """
    loop = asyncio.get_running_loop()
    typed: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        while line := sys.stdin.readline():
            loop.call_soon_threadsafe(typed.put_nowait, line)
        loop.call_soon_threadsafe(typed.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await typed.get():
        if line.strip():
            yield line.strip()


async def script_lines(script: list[str]) -> AsyncIterator[str]:
    """Yield the lines of a script; those that begin with # are remarks."""
    for line in script:
        if line.strip() and not line.startswith("#"):
            yield line.strip()
