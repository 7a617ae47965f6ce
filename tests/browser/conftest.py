"""A real service, a real browser, and a page that must behave in it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

START_S = 30
STOP_S = 30
WAIT_MS = 10_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The developer's own settings must not reach the service, so nothing else does.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Service:
    """The running service, as the agent's side of the tests uses it."""

    url: str

    def call(self, path: str, body: dict[str, object], token: str = "") -> dict:
        """POST as somebody on this machine: the operator, or an agent."""
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


@dataclass
class Seen:
    """What one page did besides showing things."""

    console: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.crashes.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "console",
            lambda line: (
                self.console.append(line.text)
                if line.type in {"error", "warning"}
                else None
            ),
        )


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("demo")
    port = _free_port()
    log = folder / "service.log"
    environment = {n: os.environ[n] for n in INHERITED if n in os.environ} | {
        "DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
        "QUIET_SECONDS": "0.05",
        "BOT_NAME": "Ada",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "chatwoot_bot", "serve", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_up(url, process, log)
            yield Service(url)
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_up(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.05)  # nothing to wait on before it listens
    pytest.fail(f"the service did not come up:\n{log.read_text()}")


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if chromium is None:
        message = "no Chromium is installed, so the pages were not tested in a browser"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def seen(service: Service) -> Iterator[Seen]:
    """Whatever a test does: no crash, no mistake reported, no other host."""
    seen = Seen()
    yield seen
    # Chromium itself reports every refused or cut request; tests provoke some.
    mistakes = [m for m in seen.console if not m.startswith("Failed to load resource")]
    hosts = {urlsplit(url).netloc for url in seen.requests}
    assert seen.crashes == []
    assert mistakes == []
    assert hosts <= {urlsplit(service.url).netloc}


@pytest.fixture
def open_page(
    service: Service, browser: Browser, seen: Seen
) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the demo page as a new visitor."""
    contexts = []

    def open_(*, path: str = "/", **options: object) -> Page:
        options = {"viewport": {"width": 1280, "height": 800}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        seen.follow(page)
        page.goto(service.url + path)
        expect(page.get_by_role("status")).to_have_text("Connected")
        return page

    yield open_
    for context in contexts:
        context.close()
    service.call("/toggle-human", {"enabled": False})
