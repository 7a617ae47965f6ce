"""How fast a delivery is acknowledged, durably, while replies take seconds.

    .venv/bin/python -m bench.ack [--messages 6000] [--senders 50]
                                  [--stored 1000000] [--postgres]

Three things in one run, because machines differ: a bare Starlette endpoint that only
reads the body, our webhook with signatures on and a model that takes 5 s, and the
disk's own fsync. The ratio of the first two is the figure to compare.

With `--stored` ours is measured on an empty database and then on one with so many
messages. `accept_ms` is the time per acknowledged message; `claim_ms` is what the
worker needs to find and lease 64 conversations of many that are due. What counts is
their cost on the full database as a multiple of that on the empty one.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop

from bench import fill, load
from bench.postgres import add_options, databases
from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.store import turns
from chatwoot_bot.store.engine import Database
from chatwoot_bot.worker import CLAIM
from tests.service import Service

CONVERSATIONS = 300
# Eight claims' worth, so that a claim has to choose.
DUE = 8 * CLAIM
CLAIMS = 200
# Of which full is to be compared with empty.
COSTS = ("accept_ms", "claim_ms", "p50_ms", "p99_ms")

BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
async def receive(request):
    await request.body()
    return JSONResponse({"status": "ok", "route": "bot", "queued": True})
app = Starlette(routes=[Route("/webhook/chatwoot", receive, methods=["POST"])])
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)
Server(uvicorn.Config(app, port=0, log_level="error", access_log=False)).run()
"""


def fsync_p99_ms(folder: Path, times: int = 300) -> float:
    """Return what the disk itself needs for 4 kB, in milliseconds."""
    taken = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return sorted(taken)[int(times * 0.99)] * 1000


def requests(url: str, count: int, stored: int) -> list[bytes]:
    """Return signed deliveries of messages that are newer than the *stored* ones."""
    bodies = [
        load.message(n, CONVERSATIONS, beyond=stored) for n in range(1, count + 1)
    ]
    return [load.request(url, body) for body in bodies]


async def bare(count: int, senders: int) -> load.Result:
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        [sys.executable, "-c", BARE], stdout=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().strip() + "/webhook/chatwoot"
        return await load.run(url, requests(url, count, 0), senders=senders)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def ours(
    folder: Path, count: int, senders: int, database_url: str, stored: int
) -> load.Result:
    async with ModelStandIn(delay_s=5.0) as model:
        service = Service(
            folder,
            python=sys.executable,
            CHATWOOT_BASE_URL="http://127.0.0.1:9",
            CHATWOOT_API_TOKEN="t",
            CHATWOOT_WEBHOOK_SECRET=load.SECRET,
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="k",
            LOG_LEVEL="WARNING",
            QUIET_SECONDS=1.5,
            DATABASE_URL=database_url,
        )
        with service:
            url = f"{service.url}/webhook/chatwoot"
            result = await load.run(url, requests(url, count, stored), senders=senders)
    assert set(result.statuses) == {200}, result.statuses
    return result


@asynccontextmanager
async def waiting(database_url: str) -> AsyncIterator[Database]:
    """Open a database with `DUE` conversations that are due, and remove them again."""
    db = Database(database_url)
    await db.open()
    try:
        ids = await db.write(fill.make_due, DUE, now=time.time())
        await asyncio.to_thread(fill.settle, database_url)
        yield db
        await db.write(fill.remove, ids)
    finally:
        await db.close()


async def claim(db: Database) -> float:
    """Return what `next_due` and a full claim take, in seconds."""
    now = time.time()
    began = time.perf_counter()
    due_at = await db.read(turns.next_due)
    leases = await db.write(turns.claim, now=now, limit=CLAIM)
    taken = time.perf_counter() - began
    assert due_at is not None and due_at <= now and len(leases) == CLAIM
    claimed = [lease.conversation_id for lease in leases]
    await db.write(fill.make_due_again, claimed, now=now)
    return taken


async def claim_ms(database_urls: Sequence[str]) -> list[float]:
    """Return the median time of a claim on each database, in milliseconds.

    They take turns, so that a busy moment of the machine meets all of them.
    """
    taken: list[list[float]] = []
    async with AsyncExitStack() as stack:
        dbs = [await stack.enter_async_context(waiting(url)) for url in database_urls]
        for _ in range(CLAIMS):
            taken.append([await claim(db) for db in dbs])
    return [statistics.median(times) * 1000 for times in zip(*taken, strict=True)]


async def measure(
    count: int, senders: int, stored: int, new_database: Callable[[], str]
) -> dict[str, dict[str, float]]:
    """Return the figures of one run: of the machine, "empty" and, if any, "full"."""
    urls = {"empty": new_database()}
    if stored:
        urls["full"] = new_database()
        fill.fill(urls["full"], stored)
    claims = await claim_ms(list(urls.values()))
    with tempfile.TemporaryDirectory() as folder:
        before = fsync_p99_ms(Path(folder))
        floor = await bare(count, senders)
        runs = [
            await ours(Path(folder), count, senders, url, stored)
            for url in urls.values()
        ]
        fsync = max(before, fsync_p99_ms(Path(folder)))
    machine = {"bare_per_second": floor.per_second, "fsync_p99_ms": fsync}
    figures = {"machine": machine}
    for name, durable, claimed in zip(urls, runs, claims, strict=True):
        figures[name] = {
            "per_second": durable.per_second,
            "ratio_to_bare": durable.per_second / floor.per_second,
            "p50_ms": durable.p50,
            "p99_ms": durable.p99,
            "p99_beyond_fsync_ms": durable.p99 - fsync,
            "accept_ms": 1000 / durable.per_second,
            "claim_ms": claimed,
        }
    return figures


def report(figures: dict[str, dict[str, float]]) -> None:
    """Print the figures, and what is full in terms of empty."""
    empty, full = figures["empty"], figures.get("full")
    for name, value in figures["machine"].items():
        print(f"{name:>22} {value:10.2f}")
    if full is not None:
        print(f"{'':>22} {'empty':>10} {'full':>10} {'full/empty':>10}")
    for name, value in empty.items():
        line = f"{name:>22} {value:10.2f}"
        if full is not None:
            line += f" {full[name]:10.2f}"
            if name in COSTS:
                line += f" {full[name] / value:10.2f}"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=6_000)
    parser.add_argument("--senders", type=int, default=50)
    parser.add_argument(
        "--stored", type=int, default=0, help="messages in the full database"
    )
    add_options(parser)
    options = parser.parse_args()
    with (
        databases(options) as new_database,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        report(
            runner.run(
                measure(options.messages, options.senders, options.stored, new_database)
            )
        )


if __name__ == "__main__":
    main()
