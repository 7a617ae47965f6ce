"""`chatwoot-bot worker`: turns only, as many processes as wanted on PostgreSQL."""

import asyncio
import signal

import typer
import uvloop

from ..app import running
from ..errors import ChatwootBotError, PartDiedError
from ..settings import Settings
from .environment import begin, refused
from .serve import heed_interrupts


def worker() -> None:
    """Answer conversations, without serving the web."""
    settings = begin()
    heed_interrupts()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(settings))
    except PartDiedError as error:
        typer.secho(f"chatwoot-bot has stopped: {error}", fg="red", err=True)
        raise typer.Exit(1) from error
    except ChatwootBotError as error:
        raise refused(error) from error


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, with_worker=True):
        typer.secho("chatwoot-bot worker is ready", bold=True)
        await stop.wait()
