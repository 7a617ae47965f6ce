"""Hostile clients and the one who watches, each in a process of its own.

Nothing but the standard library, so that they start at once and cost little.
"""

import asyncio
import contextlib
import json
import multiprocessing
import socket
import time
import urllib.request
from urllib.parse import urlsplit

SPAWN = multiprocessing.get_context("spawn")
# A burst takes as long as its requests take together, whoever sends it.
PAUSE_S = 0.02
# As a proxy on this machine says it, which makes the caller a stranger.
STRANGER = "X-Forwarded-For: 203.0.113.9\r\n"


@contextlib.contextmanager
def watching(url, every_s=0.1):
    """Ask `/health` all the time; yield a list that in the end holds the seconds."""
    seen, stop, pipe = [], SPAWN.Event(), SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=_watch, args=(url, every_s, stop, pipe[1]))
    process.start()
    try:
        yield seen
    finally:
        stop.set()
        if pipe[0].poll(60):
            seen.extend(pipe[0].recv())
        process.join(10)
        process.kill()


def _watch(url, every_s, stop, pipe):
    seen = []
    urllib.request.urlopen(f"{url}/health", timeout=30).close()  # imports, once
    while not stop.is_set():
        began = time.monotonic()
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
                answer.read()
            seen.append(time.monotonic() - began)
        except OSError:
            seen.append(30.0)
        stop.wait(max(0.0, every_s - (time.monotonic() - began)))
    pipe.send(seen)


@contextlib.contextmanager
def attacking(attack, *arguments):
    """Run an attack until the block ends."""
    process = SPAWN.Process(target=_attack, args=(attack, arguments))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join(10)


def _attack(attack, arguments):
    asyncio.run(attack(*arguments))


async def endless_headers(url, total=60_000_000):
    """Send header lines until the service hangs up; then again."""
    for _ in range(8):
        with contextlib.suppress(OSError):
            reader, writer = await _connect(url)
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n")
            for number in range(total // 65_536):
                writer.write(b"X-%d: b\r\n" % number * (65_536 // 12))
                await asyncio.wait_for(writer.drain(), 5)
            writer.write(b"\r\n")
            await asyncio.wait_for(reader.read(100), 5)
    await asyncio.sleep(3600)


async def deaf_readers(url, path, token, count=200):
    """Ask for a page and read nothing of the answer."""
    request = _request(url, "GET", path, token)
    kept = []
    for _ in range(count):
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        parts = urlsplit(url)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                await loop.sock_connect(deaf, (parts.hostname, parts.port))
                await loop.sock_sendall(deaf, request)
            kept.append(deaf)
        await asyncio.sleep(PAUSE_S)
    await asyncio.sleep(3600)


async def many_requests(url, method, path, token, count, body=None, header=""):
    """Send requests, 500 a second, and wait for what comes of each."""
    request = _request(url, method, path, token, body, header)

    async def ask():
        with contextlib.suppress(OSError):
            reader, writer = await _connect(url)
            writer.write(request)
            await reader.read(1 << 20)
            writer.close()

    asked = []
    for number in range(count):
        asked.append(asyncio.create_task(ask()))
        if number % 10 == 9:
            await asyncio.sleep(PAUSE_S)
    await asyncio.gather(*asked)
    await asyncio.sleep(3600)


def _request(url, method, path, token, body=None, header=""):
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n{STRANGER}"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n{header}\r\n"
    )
    return head.encode() + content


async def _connect(url):
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)
