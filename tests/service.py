"""The real service in its own process, for tests that need one."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from chatwoot_bot.settings import Settings

START_S = 30
STOP_S = 40


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment with only the given settings."""
    ours = {name.upper() for name in Settings.model_fields}
    rest = {name: value for name, value in os.environ.items() if name not in ours}
    return rest | {name: str(value) for name, value in settings.items()}


class Service:
    """`chatwoot-bot serve`, started on a free port and stopped by its process id.

    Args:
        folder: its working directory; the database lies there.
        python: the interpreter; another environment's to try another installation.
        settings: environment variables.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        python: Path | str = sys.executable,
        **settings: object,
    ) -> None:
        self.folder = folder
        self.python = python
        self.arguments = arguments or ("serve",)
        self.settings = {
            "PORT": 0,
            "DATABASE_URL": f"sqlite:///{folder / 'bot.db'}",
            "QUIET_SECONDS": 0.05,
            "LOG_FORMAT": "json",
        } | settings
        self.url = ""
        self.lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the service is not running"
        return self._process.pid

    @property
    def output(self) -> str:
        """All that the service has printed, logs included."""
        return "".join(self.lines)

    def start(self) -> "Service":
        """Start, and return once it listens."""
        self._process = subprocess.Popen(
            [self.python, "-m", "chatwoot_bot", *self.arguments],
            cwd=self.folder,
            env=environment(**self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(
            target=self._read, args=(self._process, ready), daemon=True
        )
        self._reader.start()
        url = ready.get(timeout=START_S)
        assert url is not None, f"the service did not start:\n{self.output}"
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

    def stop(self) -> int:
        """Stop as an operator would; return the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Stop as a power cut would."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(timeout=STOP_S)
        self._reader.join(timeout=5)
        self._process.stdout.close()
        self._process = None
        return code

    def __enter__(self) -> "Service":
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
