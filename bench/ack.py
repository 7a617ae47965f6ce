"""How fast a delivery is acknowledged, durably, while replies take seconds.

    .venv/bin/python -m bench.ack [--messages 6000] [--senders 50]

Three things in one run, because machines differ: a bare Starlette endpoint that only
reads the body, our webhook with signatures on and a model that takes 5 s, and the
disk's own fsync. The ratio of the first two is the figure to compare.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench import load
from chatwoot_bot.simulator.llm import ModelStandIn
from tests.service import Service

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


async def bare(count: int, senders: int) -> load.Result:
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        [sys.executable, "-c", BARE], stdout=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().strip() + "/webhook/chatwoot"
        bodies = [load.message(n, 300) for n in range(1, count + 1)]
        requests = [load.request(url, body) for body in bodies]
        return await load.run(url, requests, senders=senders)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def ours(
    folder: Path, count: int, senders: int, database_url: str | None
) -> load.Result:
    async with ModelStandIn(delay_s=5.0) as model:
        settings = {"DATABASE_URL": database_url} if database_url else {}
        service = Service(
            folder,
            CHATWOOT_BASE_URL="http://127.0.0.1:9",
            CHATWOOT_API_TOKEN="t",
            CHATWOOT_WEBHOOK_SECRET=load.SECRET,
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="k",
            LOG_LEVEL="WARNING",
            QUIET_SECONDS=1.5,
            **settings,
        )
        with service:
            url = f"{service.url}/webhook/chatwoot"
            bodies = [load.message(n, 300) for n in range(1, count + 1)]
            requests = [load.request(url, body) for body in bodies]
            return await load.run(url, requests, senders=senders)


async def measure(
    count: int, senders: int, database_url: str | None = None
) -> dict[str, float]:
    """Return the figures of one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = fsync_p99_ms(folder)
        floor = await bare(count, senders)
        durable = await ours(folder, count, senders, database_url)
        fsync = max(before, fsync_p99_ms(folder))
    assert set(durable.statuses) == {200}, durable.statuses
    return {
        "bare_per_second": floor.per_second,
        "per_second": durable.per_second,
        "ratio": durable.per_second / floor.per_second,
        "p50_ms": durable.p50,
        "p99_ms": durable.p99,
        "fsync_p99_ms": fsync,
        "p99_beyond_fsync_ms": durable.p99 - fsync,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=6_000)
    parser.add_argument("--senders", type=int, default=50)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(
            measure(options.messages, options.senders, options.database_url)
        )
    for name, value in figures.items():
        print(f"{name:>22} {value:10.2f}")


if __name__ == "__main__":
    main()
