"""`chatwoot-bot worker`: turns only, as many processes as wanted on PostgreSQL."""

import asyncio

from ..app import running
from ..settings import Settings
from .environment import begin
from .process import run, stopping_signals
from .terminal import echo


def worker() -> None:
    """Answer conversations, without serving the web."""
    settings = begin()
    run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stopping_signals():
        loop.add_signal_handler(number, stop.set)
    async with running(settings, with_worker=True):
        echo("chatwoot-bot worker is ready", bold=True)
        await stop.wait()
