"""A part that must run has died of a bug: the process stops, and has failed."""

import ctypes
import signal
import subprocess
import sys

import pytest
from service import Service, environment

BOTH = """
import asyncio
from chatwoot_bot import worker
from chatwoot_bot.cli import app
from chatwoot_bot.web import presence

async def die(self):
    raise ZeroDivisionError("a bug")

worker.Worker.run = presence.Presence.run = die
app(["serve"])
"""
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

    assert "a part of the service died" in ended.stdout + ended.stderr
    assert "chatwoot-bot has stopped: the worker died" in ended.stderr
    assert ended.returncode == 1


def test_two_parts_that_die_during_the_start_are_one_failure(tmp_path):
    """A database that nothing can be written to kills all of them at once."""
    ended = subprocess.run(
        [sys.executable, "-c", BOTH],
        cwd=tmp_path,
        env=environment(PORT=0),
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert "chatwoot-bot has stopped" in ended.stderr
    assert ended.returncode == 1


PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def obey_modes():
    """Have root, too, heed what files allow; others cannot do otherwise."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def test_database_that_cannot_be_written_refuses_the_start(tmp_path):
    with Service(tmp_path):
        pass
    (tmp_path / "bot.db").chmod(0o400)
    ended = subprocess.run(
        [sys.executable, "-m", "chatwoot_bot", "serve"],
        cwd=tmp_path,
        env=environment(PORT=0, DATABASE_URL="sqlite:///bot.db"),
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=obey_modes,
    )

    assert ended.returncode == 1
    assert "cannot start: cannot write" in ended.stderr
    assert "Traceback" not in ended.stderr
