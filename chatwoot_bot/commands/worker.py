"""`chatwoot-bot worker`: turns only, as many processes as wanted on PostgreSQL."""

import asyncio
import signal

import typer
import uvloop

from .. import logs
from ..app import running
from ..errors import ChatwootBotError, PartDiedError
from ..settings import Settings
from .serve import heed_interrupts, load_settings, refused


def worker() -> None:
    """Answer conversations, without serving the web."""
    settings = load_settings(host=None, port=None)
    logs.configure(settings.log_level, settings.log_format)
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
