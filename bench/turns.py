"""How long many conversations take when they all ask at once.

    .venv/bin/python -m bench.turns [--conversations 500] [--delay 1.0] [--limit 200]
                                    [--postgres [--workers 1]]

Every conversation gets one message; then the replies are counted at the stand-in for
Chatwoot. A few conversations come before them, because a service is started once and
then runs for weeks. The ideal is the model's own time, as often as all places for
turns are taken: each process that runs turns has `MAX_CONCURRENT_TURNS` of them. Each
reply costs the service six requests: the webhook, the model, typing on and off, a look
at the status, and the message. Without `--workers` the web's process runs the turns.
"""

import argparse
import asyncio
import math
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
from bench.postgres import add_options, databases
from chatwoot_bot.settings import Settings
from tests.service import Service

WARM_UP = 20
LIMIT = Settings.model_fields["max_concurrent_turns"].default


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


def settings(chatwoot: str, model: str, limit: int) -> dict[str, object]:
    return {
        "CHATWOOT_BASE_URL": chatwoot,
        "CHATWOOT_API_TOKEN": "t",
        "CHATWOOT_WEBHOOK_SECRET": load.SECRET,
        "OPENAI_BASE_URL": f"{model}/v1",
        "OPENAI_API_KEY": "k",
        "QUIET_SECONDS": 0,
        "SWEEP_INTERVAL_SECONDS": 0,
        "MAX_CONCURRENT_TURNS": limit,
        "LOG_LEVEL": "WARNING",
    }


def cpu_s(running: list[Service]) -> float:
    return sum(sum(psutil.Process(one.pid).cpu_times()[:2]) for one in running)


def ideal_s(count: int, delay_s: float, limit: int, workers: int) -> float:
    """Return what *count* turns take when only the model takes time, in seconds."""
    places = limit * max(workers, 1)
    return math.ceil(count / places) * delay_s


async def answered(chatwoot: str, count: int) -> None:
    """Wait until *count* conversations have their reply, each one."""
    async with httpx.AsyncClient() as client:
        while True:
            answer = (await client.get(f"{chatwoot}/replies")).json()
            if answer["posted"] >= count:
                break
            await asyncio.sleep(0.02)
    assert answer == {"posted": count, "conversations": count}, answer


async def measure(
    count: int, delay_s: float, limit: int, workers: int, database_url: str
) -> dict[str, float]:
    """Return the figures of one run.

    Args:
        limit: `MAX_CONCURRENT_TURNS`.
        workers: processes beside the web's; 0 to run the turns in that one.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        chatwoot = stack.enter_context(standin("chatwoot", 0))
        model = stack.enter_context(standin("model", delay_s))
        chosen = settings(chatwoot, model, limit) | {"DATABASE_URL": database_url}
        arguments = ("serve", "--no-worker") if workers else ("serve",)
        service = stack.enter_context(
            Service(folder, *arguments, python=sys.executable, **chosen)
        )
        running = [service]
        for _ in range(workers):
            worker = Service(folder, "worker", python=sys.executable, **chosen)
            running.append(stack.enter_context(worker))
        url = f"{service.url}/webhook/chatwoot"
        requests = [
            load.request(url, load.message(n, WARM_UP + count))
            for n in range(1, WARM_UP + count + 1)
        ]
        await load.run(url, requests[:WARM_UP], senders=WARM_UP)
        await answered(chatwoot, WARM_UP)
        before = cpu_s(running)
        began = time.perf_counter()
        await load.run(url, requests[WARM_UP:], senders=50)
        accepted = time.perf_counter() - began
        await answered(chatwoot, WARM_UP + count)
        elapsed = time.perf_counter() - began
        cpu = cpu_s(running) - before
    ideal = ideal_s(count, delay_s, limit, workers)
    return {
        "accepted_s": accepted,
        "elapsed_s": elapsed,
        "ideal_s": ideal,
        "elapsed_to_ideal": elapsed / ideal if ideal else math.nan,
        "turns_per_second": count / elapsed,
        "service_cpu_ms_per_turn": cpu / count * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=500)
    parser.add_argument("--delay", type=float, default=1.0, help="the model's, seconds")
    parser.add_argument("--limit", type=int, default=LIMIT, help="MAX_CONCURRENT_TURNS")
    parser.add_argument(
        "--workers", type=int, default=0, help="worker processes; needs PostgreSQL"
    )
    add_options(parser)
    options = parser.parse_args()
    if options.workers and not (options.postgres or options.database_url):
        parser.error("a SQLite file serves one process: --workers needs --postgres")
    with (
        databases(options) as new_database,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        figures = runner.run(
            measure(
                options.conversations,
                options.delay,
                options.limit,
                options.workers,
                new_database(),
            )
        )
    for name, value in figures.items():
        print(f"{name:>26} {value:10.2f}")


if __name__ == "__main__":
    main()
