"""Thousands of open sockets on one process, and how fast a message reaches its room.

    .venv/bin/python -m bench.sockets --sockets 2000 --rooms 200 --rate 200 --seconds 20

The service runs in its own process; this one opens the sockets, posts agents'
messages at a fixed rate (the next one goes out in time, whether the last has come or
not) and notes for each when the last socket of its room has it. Then it reports the
time from the beginning of the POST to that moment, and the memory of an idle socket.
"""

import argparse
import asyncio
import itertools
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import psutil

TOKEN = "a-token-for-bench"


class Room:
    """One conversation and the messages that its sockets still wait for."""

    def __init__(self, conversation):
        self.id = conversation["id"]
        self.token = conversation["token"]
        self.members = 0


class Ledger:
    """When each message was posted, how many sockets have it, and the times."""

    def __init__(self):
        self.posted = {}
        self.missing = {}
        self.times = []

    def post(self, key, members):
        self.posted[key] = time.perf_counter()
        self.missing[key] = members

    def heard(self, key):
        self.missing[key] -= 1
        if not self.missing[key]:
            self.times.append(time.perf_counter() - self.posted[key])


KEY = re.compile(r'"client_id": "(m\d+)"')


async def listen(http, url, room, ledger, opened):
    address = f"{url}/ws/conversations/{room.id}?token={room.token}"
    async with http.ws_connect(address, autoping=True) as socket:
        room.members += 1
        opened.release()
        async for message in socket:
            if found := KEY.search(message.data):
                ledger.heard(found[1])


async def post(http, url, room, key, ledger):
    ledger.post(key, room.members)
    body = {"content": f"Message {key}", "sender": "agent", "client_id": key}
    headers = {"authorization": f"Bearer {TOKEN}"}
    path = f"{url}/conversations/{room.id}/messages"
    async with http.post(path, json=body, headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        await answer.read()


async def open_rooms(http, url, count):
    rooms = []
    for _ in range(count):
        async with http.post(f"{url}/conversations", json={}) as answer:
            rooms.append(Room(await answer.json()))
    return rooms


async def measure(url, process, options):
    ledger = Ledger()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        rooms = await open_rooms(http, url, options.rooms)
        await asyncio.sleep(1)
        before = process.memory_info().rss
        opened = asyncio.Semaphore(0)
        began = time.perf_counter()
        listeners = []
        for _, room in zip(
            range(options.sockets), itertools.cycle(rooms), strict=False
        ):
            listeners.append(
                asyncio.create_task(listen(http, url, room, ledger, opened))
            )
            if len(listeners) % 50 == 0:
                for _ in range(50):
                    await opened.acquire()
        took = time.perf_counter() - began
        await asyncio.sleep(3)
        idle = (process.memory_info().rss - before) / options.sockets / 1024
        print(
            f"{options.sockets} sockets in {options.rooms} rooms, {took:.1f} s to open"
        )
        print(f"memory per idle socket: {idle:.1f} kB")
        cpu = process.cpu_times()
        await at_rate(http, url, rooms, ledger, options)
        used = process.cpu_times()
        report(ledger, options, used.user + used.system - cpu.user - cpu.system)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)


async def at_rate(http, url, rooms, ledger, options):
    posts = []
    begin = time.perf_counter()
    turns = itertools.cycle(rooms)
    for number in range(int(options.rate * options.seconds)):
        due = begin + number / options.rate
        if (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        posts.append(
            asyncio.create_task(post(http, url, next(turns), f"m{number}", ledger))
        )
    await asyncio.gather(*posts)
    for _ in range(200):
        if not any(ledger.missing.values()):
            break
        await asyncio.sleep(0.05)


def report(ledger, options, cpu_s):
    lost = sum(ledger.missing.values())
    times = sorted(1000 * one for one in ledger.times)
    p99 = times[int(len(times) * 0.99)]
    print(
        f"{options.rate:g} messages/s for {options.seconds:g} s, "
        f"{options.rate * options.sockets / options.rooms:g} deliveries/s, lost: {lost}"
    )
    print(
        f"POST to every socket of the room: p50 {statistics.median(times):.0f} ms, "
        f"p99 {p99:.0f} ms, max {times[-1]:.0f} ms (aim: p99 < 150 ms)"
    )
    print(f"CPU of the service: {100 * cpu_s / options.seconds:.0f} % of a core")


def serve(folder, database_url):
    process = subprocess.Popen(
        [sys.executable, "-m", "chatwoot_bot", "serve"],
        cwd=folder,
        env={
            "PATH": "",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PORT": "0",
            "ADMIN_TOKEN": TOKEN,
            "LOG_LEVEL": "WARNING",
            "DATABASE_URL": database_url or f"sqlite:///{folder}/bench.db",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    return process, re.search(r"http://\S+", line)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=2_000)
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-sockets-") as folder:
        process, url = serve(folder, options.database_url)
        try:
            asyncio.run(measure(url, psutil.Process(process.pid), options))
        finally:
            process.terminate()
            process.wait(timeout=40)


if __name__ == "__main__":
    main()
