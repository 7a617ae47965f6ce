"""What the service keeps in memory: idle, with many waiting, with many turns.

    .venv/bin/python -m bench.memory

Aim: under 120 MB, and 40 kB for each running turn.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import uvloop

from bench import load
from bench.turns import settings, standin
from tests.service import Service

WAITING = 10_000
RUNNING = 500


def rss_mb(service: Service) -> float:
    return psutil.Process(service.pid).memory_info().rss / 1e6


async def fill(service: Service, count: int) -> None:
    url = f"{service.url}/webhook/chatwoot"
    bodies = [load.message(n, count) for n in range(1, count + 1)]
    await load.run(url, [load.request(url, body) for body in bodies], senders=50)


async def running_turns(service: Service) -> int:
    async with httpx.AsyncClient(headers=service.agent) as client:
        text = (await client.get(f"{service.url}/metrics")).text
    for line in text.splitlines():
        if line.startswith("chatwoot_bot_turns_running "):
            return int(float(line.split()[1]))
    return 0


async def measure() -> dict[str, float]:
    """Return the figures of one run, in MB and kB."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        chatwoot = stack.enter_context(standin("chatwoot", 0))
        model = stack.enter_context(standin("model", 60))
        chosen = settings(chatwoot, model, RUNNING)

        for name in ("waiting", "running"):
            # The first start migrates, which takes memory that later ones do not.
            (folder / name).mkdir()
            with Service(folder / name, python=sys.executable, **chosen):
                pass

        quiet = chosen | {"QUIET_SECONDS": 3_600, "MAX_WAIT_SECONDS": 3_600}
        quiet |= {"ANSWER_DEADLINE_SECONDS": 7_200}
        with Service(folder / "waiting", python=sys.executable, **quiet) as service:
            idle = rss_mb(service)
            await fill(service, WAITING)
            waiting = rss_mb(service)

        with Service(folder / "running", python=sys.executable, **chosen) as service:
            before = rss_mb(service)
            await fill(service, RUNNING)
            deadline = time.monotonic() + 60
            while await running_turns(service) < RUNNING:
                assert time.monotonic() < deadline, "the turns did not all start"
                await asyncio.sleep(0.2)
            await asyncio.sleep(3)  # until every one has asked the model
            running = rss_mb(service)
    return {
        "idle_mb": idle,
        f"waiting_{WAITING}_mb": waiting,
        f"running_{RUNNING}_mb": running,
        "kb_per_running_turn": (running - before) / RUNNING * 1000,
    }


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name, value in runner.run(measure()).items():
            print(f"{name:>22} {value:10.1f}")
