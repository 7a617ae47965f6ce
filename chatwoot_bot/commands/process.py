"""Run a service in its process and end it in order."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from typing import Any

import structlog
import typer
import uvloop

from ..errors import ChatwootBotError, PartDiedError
from .environment import refused
from .terminal import echo

log = structlog.get_logger(__name__)

# After the shutdown, tasks and threads that still run have this long to end.
END_S = 5.0


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* to its end, or print why it cannot run.

    Raises:
        typer.Exit: 2 for invalid settings, 1 for other failures, 130 when it was
            interrupted.
    """
    _heed_interrupts()
    try:
        _run(main)
    except PartDiedError as error:
        echo(f"chatwoot-bot has stopped: {error}", fg="red", err=True)
        raise typer.Exit(1) from error
    except ChatwootBotError as error:
        raise refused(error) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run *main*; end the process soon afterwards, even if tasks still run.

    The operator's code may swallow a cancellation or block a thread; asyncio would
    wait for both.
    """
    status = 1
    last = None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(main)
                status = 0
            finally:
                last = threading.Timer(END_S, _leave, (status,))
                last.daemon = True
                last.start()
    finally:
        if last is not None:
            last.cancel()


def _leave(status: int) -> None:
    log.error("shutdown timed out, exit forced")
    sys.stdout.flush()
    os._exit(status)


def stopping_signals() -> list[signal.Signals]:
    """Return the signals that end a service in order.

    A closing terminal sends SIGHUP; under `nohup` the process ignores it.
    """
    ended = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ended.append(signal.SIGHUP)
    return ended


def _heed_interrupts() -> None:
    """Let SIGINT stop the process; a failed background task uses it too.

    Shell scripts start background processes with SIGINT ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
