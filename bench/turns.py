"""How long many conversations take when they all ask at once.

    .venv/bin/python -m bench.turns [--conversations 500] [--delay 1.0]
                                    [--workers 1 --database-url postgresql://…]

Every conversation gets one message; then the replies are counted at the stand-in for
Chatwoot. The ideal is the model's own time. Each reply costs the service six requests:
the webhook, the model, typing on and off, a look at the status, and the message.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import uvloop

from bench import load
from tests.service import Service


@contextmanager
def standin(kind: str, delay_s: float):
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.standins", kind, str(delay_s)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def settings(chatwoot: str, model: str, count: int) -> dict[str, object]:
    return {
        "CHATWOOT_BASE_URL": chatwoot,
        "CHATWOOT_API_TOKEN": "t",
        "CHATWOOT_WEBHOOK_SECRET": load.SECRET,
        "OPENAI_BASE_URL": f"{model}/v1",
        "OPENAI_API_KEY": "k",
        "QUIET_SECONDS": 0,
        "SWEEP_INTERVAL_SECONDS": 0,
        "MAX_CONCURRENT_TURNS": count,
        "LOG_LEVEL": "WARNING",
    }


def cpu_s(running: list[Service]) -> float:
    return sum(sum(psutil.Process(one.pid).cpu_times()[:2]) for one in running)


async def measure(
    count: int, delay_s: float, workers: int, database_url: str | None
) -> dict[str, float]:
    """Return the figures of one run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        chatwoot = stack.enter_context(standin("chatwoot", 0))
        model = stack.enter_context(standin("model", delay_s))
        chosen = settings(chatwoot, model, count)
        arguments = ("serve",)
        if database_url:
            chosen["DATABASE_URL"] = database_url
            arguments = ("serve", "--no-worker") if workers else ("serve",)
        service = stack.enter_context(Service(folder, *arguments, **chosen))
        running = [service]
        for _ in range(workers):
            worker = Service(folder, "worker", **chosen)
            running.append(stack.enter_context(worker))
        url = f"{service.url}/webhook/chatwoot"
        bodies = [load.message(n, count) for n in range(1, count + 1)]
        requests = [load.request(url, body) for body in bodies]
        before = cpu_s(running)
        began = time.perf_counter()
        await load.run(url, requests, senders=50)
        accepted = time.perf_counter() - began
        async with httpx.AsyncClient() as client:
            while True:
                answer = (await client.get(f"{chatwoot}/replies")).json()
                if answer["posted"] >= count:
                    break
                await asyncio.sleep(0.02)
        elapsed = time.perf_counter() - began
        cpu = cpu_s(running) - before
    assert answer == {"posted": count, "conversations": count}, answer
    return {
        "accepted_s": accepted,
        "elapsed_s": elapsed,
        "share_of_ideal": elapsed / max(delay_s, 1e-9) if delay_s else 0.0,
        "turns_per_second": count / elapsed,
        "service_cpu_ms_per_turn": cpu / count * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=500)
    parser.add_argument("--delay", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(
            measure(
                options.conversations,
                options.delay,
                options.workers,
                options.database_url,
            )
        )
    for name, value in figures.items():
        print(f"{name:>26} {value:10.2f}")


if __name__ == "__main__":
    main()
