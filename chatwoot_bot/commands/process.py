"""How a service runs in its process, and ends."""

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

# When all is given back, what is left has so long to end.
END_S = 5.0


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* to its end, or say why not.

    Raises:
        typer.Exit: 2 for unusable settings, 1 for what else keeps a service from its
            work, 130 when it was interrupted.
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
    """Run *main*; soon after its end the process ends, whatever else still runs.

    Code of the operator's may take a cancellation for one more error, or block a
    thread; asyncio would wait for both.
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
    log.error("something does not end when it is stopped; the process leaves it")
    sys.stdout.flush()
    os._exit(status)


def stopping_signals() -> list[signal.Signals]:
    """Return the signals that end a service in order.

    A terminal that closes sends SIGHUP; `nohup` has it ignored, and so it stays.
    """
    ended = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ended.append(signal.SIGHUP)
    return ended


def _heed_interrupts() -> None:
    """Let SIGINT stop the process, by which a part that dies stops it too.

    A shell's script starts what it puts into the background with SIGINT ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
