"""The real service in its own process, for tests that need one."""

import contextlib
import multiprocessing
import os
import queue
import re
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

from chatwoot_bot.settings import Settings

ADMIN = "the-operators-token"
# Then nobody is the operator just for being on the same machine.
PUBLIC = {"CHATWOOT_BASE_URL", "PUBLIC_URL", "CORS_ORIGINS"}
START_S = 30
STOP_S = 40
HERE = str(Path(__file__).parent)

# Importing the service takes a second and a half, and the tests start hundreds.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["chatwoot_bot.app", "chatwoot_bot.commands.serve"])


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment with only the given settings."""
    ours = {name.upper() for name in Settings.model_fields}
    rest = {name: value for name, value in os.environ.items() if name not in ours}
    return rest | {name: str(value) for name, value in settings.items()}


class Service:
    """`chatwoot-bot serve`, started on a free port and stopped by its process id.

    Args:
        folder: its working directory; the database lies there.
        python: an interpreter to start it with; by default it is forked from a process
            that has already imported it, which takes a few MB more.
        settings: environment variables.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        python: Path | str | None = None,
        **settings: object,
    ) -> None:
        self.folder = folder
        self._python = python
        self.arguments = arguments or ("serve",)
        self.settings = {
            "PORT": 0,
            "DATABASE_URL": f"sqlite:///{folder / 'bot.db'}",
            "QUIET_SECONDS": 0.05,
            "LOG_FORMAT": "json",
        } | settings
        if PUBLIC & settings.keys():
            self.settings.setdefault("ADMIN_TOKEN", ADMIN)
        self.url = ""
        self.lines: list[str] = []
        self._process: _Started | _Forked | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the service is not running"
        return self._process.pid

    @property
    def agent(self) -> dict[str, str]:
        """The headers of an agent's request."""
        token = self.settings.get("ADMIN_TOKEN")
        return {"authorization": f"Bearer {token}"} if token else {}

    @property
    def output(self) -> str:
        """All that the service has printed, logs included."""
        return "".join(self.lines)

    def start(self) -> "Service":
        """Start, and return once it listens."""
        env = environment(**self.settings)
        if self._python is None:
            self._process = _Forked(self.arguments, self.folder, env)
        else:
            self._process = _Started(self._python, self.arguments, self.folder, env)
        ready: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(
            target=self._read, args=(self._process, ready), daemon=True
        )
        self._reader.start()
        try:
            url = ready.get(timeout=START_S)
        except queue.Empty:
            self.kill()
            raise
        if url is None:
            self.kill()  # or its open pipe fails a later test
            raise AssertionError(f"the service did not start:\n{self.output}")
        self.url = url
        return self

    def _read(self, process, ready) -> None:
        for line in process.stdout:
            self.lines.append(line)
            if found := re.search(
                r"chatwoot-bot (?:worker )?is ready(?:: (\S+))?", line
            ):
                ready.put(found.group(1) or "")
        ready.put(None)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop as an operator would; return the exit code."""
        return self._end(how)

    def kill(self) -> int:
        """Stop as a power cut would."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.signal(how)
        code = self._process.wait(timeout=STOP_S)
        self._reader.join(timeout=5)
        self._process.stdout.close()
        self._process = None
        return code

    def __enter__(self) -> "Service":
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.kill()


class _Started:
    """A service as a shell starts it."""

    def __init__(
        self,
        python: Path | str,
        arguments: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
    ) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "chatwoot_bot", *arguments],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self.stdout: TextIO = self._process.stdout
        self.pid = self._process.pid

    def signal(self, how: signal.Signals) -> None:
        """Do nothing if it has ended by itself."""
        self._process.send_signal(how)

    def wait(self, timeout: float) -> int:
        """Return the exit code; below zero for a signal."""
        return self._process.wait(timeout)


class _Forked:
    """The same, but for the time to import it."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, env: Mapping[str, str]
    ) -> None:
        reader, writer = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(
            target=_serve, args=(writer, arguments, folder, env), daemon=True
        )
        self._process.start()
        writer.close()
        self.stdout: TextIO = os.fdopen(os.dup(reader.fileno()))
        reader.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def signal(self, how: signal.Signals) -> None:
        """Do nothing if it has ended by itself."""
        if self._process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, how)

    def wait(self, timeout: float) -> int:
        """Return the exit code; below zero for a signal."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError("the service does not end")
        return self._process.exitcode


def _serve(
    output: Connection, arguments: Sequence[str], folder: Path, env: Mapping[str, str]
) -> None:
    """Be `python -m chatwoot_bot` in *folder*."""
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["chatwoot-bot", *arguments]
    sys.path[:] = [str(folder), *(p for p in sys.path if not p.startswith(HERE))]
    runpy.run_module("chatwoot_bot", run_name="__main__")
