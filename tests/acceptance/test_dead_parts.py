"""A part that must run has died of a bug: the process stops, and has failed."""

import signal
import subprocess
import sys

import pytest
from service import environment

START = """
import asyncio
from chatwoot_bot import worker
from chatwoot_bot.cli import app

async def die(self):
    await asyncio.sleep({seconds})
    raise ZeroDivisionError("a bug")

worker.Worker.run = die
app({command})
"""


def ignore_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("seconds", [0, 0.5])
@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("heeds", [True, False], ids=["", "in-the-background"])
def test_dead_worker_is_a_failure_for_whoever_restarts_the_service(
    tmp_path, command, seconds, heeds
):
    """With exit code 0, systemd's Restart=on-failure would leave contacts alone."""
    script = START.format(seconds=seconds, command=[command])
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(PORT=0, DATABASE_URL=f"sqlite:///{tmp_path / 'bot.db'}"),
        capture_output=True,
        text=True,
        timeout=30,
        # As a shell's script starts what it puts into the background.
        preexec_fn=None if heeds else ignore_interrupts,
    )

    assert ended.returncode > 0
    assert "a part of the service died" in ended.stdout + ended.stderr
    if seconds:
        assert ended.returncode == 1
        assert "chatwoot-bot has stopped: the worker died" in ended.stderr
