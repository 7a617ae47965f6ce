"""How long a reply takes beyond the quiet period and the model's own time.

    .venv/bin/python -m bench.latency [--seconds 60] [--rate 10]

A contact writes every tenth of a second, each in a new conversation, through the
simulator; the model takes 0.8 s. Measured is the time from the message to the reply in
Chatwoot, less `QUIET_SECONDS` and the model's time.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop

from bench import load
from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.server import Simulator
from tests.service import Service

QUIET_S = 1.5
MODEL_S = 0.8


async def measure(seconds: float, rate: float) -> dict[str, float]:
    """Return the figures of one run, in milliseconds."""
    async with (
        ModelStandIn(delay_s=MODEL_S) as model,
        Simulator(
            webhook_url="http://127.0.0.1:9/", secret=load.SECRET, bot_token="t"
        ) as chatwoot,
    ):
        service = Service(
            Path(tempfile.mkdtemp()),
            python=sys.executable,
            CHATWOOT_BASE_URL=chatwoot.base_url,
            CHATWOOT_API_TOKEN="t",
            CHATWOOT_WEBHOOK_SECRET=load.SECRET,
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="k",
            QUIET_SECONDS=QUIET_S,
            LOG_LEVEL="WARNING",
        )
        with service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            said = []
            for number in range(int(seconds * rate)):
                said.append(await chatwoot.contact_says(f"message {number}"))
                await asyncio.sleep(1 / rate)
            await chatwoot.until(
                lambda: all(chatwoot.replies(m.conversation_id) for m in said),
                timeout=30,
            )
    beyond = sorted(
        chatwoot.replies(message.conversation_id)[0].created_at
        - message.created_at
        - QUIET_S
        - MODEL_S
        for message in said
    )
    return {
        "messages": len(beyond),
        "p50_ms": beyond[len(beyond) // 2] * 1000,
        "p99_ms": beyond[int(len(beyond) * 0.99)] * 1000,
        "longest_ms": beyond[-1] * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=10)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(measure(options.seconds, options.rate))
    for name, value in figures.items():
        print(f"{name:>12} {value:10.1f}")


if __name__ == "__main__":
    main()
