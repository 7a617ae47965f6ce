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


class Service:
    """`chatwoot-bot serve` on a port of its own, which it keeps over a restart."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {
            "DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
            "QUIET_SECONDS": "0.05",
            "BOT_NAME": "Ada",
        } | settings
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        log = self.folder / "service.log"
        inherited = {n: os.environ[n] for n in INHERITED if n in os.environ}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chatwoot_bot", "serve", f"--port={self.port}"],
                cwd=self.folder,
                env=inherited | self._settings,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        _wait_until_up(self.url, self._process, log)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def call(
        self, path: str, body: dict[str, object] | None = None, token: str = ""
    ) -> dict:
        """Ask as somebody on this machine; POST when there is a body."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def visitor_says(self, *texts: str, name: str | None = None) -> str:
        """Begin a conversation as a visitor; return its id."""
        made = self.call("/conversations", {"name": name} if name else {})
        for text in texts:
            path = f"/conversations/{made['id']}/messages"
            self.call(path, {"content": text}, made["token"])
        return made["id"]


@dataclass
class Seen:
    """What one page did besides showing things."""

    console: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)  # hosts

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
def serve(tmp_path_factory) -> Iterator[Callable[..., Service]]:
    """Return a function that starts a service with the settings it is given."""
    services: list[Service] = []

    def serve(**settings: str) -> Service:
        service = Service(tmp_path_factory.mktemp("service"), **settings)
        services.append(service)
        service.start()
        return service

    yield serve
    for service in services:
        service.stop()


@pytest.fixture(scope="module")
def service(serve) -> Service:
    """The demo: nothing is configured."""
    return serve()


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
def seen() -> Iterator[Seen]:
    """Whatever a test does: no crash, no mistake reported, no other host."""
    seen = Seen()
    yield seen
    # Chromium itself reports what was refused or cut; tests provoke some of it.
    mistakes = [m for m in seen.console if not m.startswith(BROWSER_SAYS)]
    hosts = {urlsplit(url).netloc for url in seen.requests}
    assert seen.crashes == []
    assert mistakes == []
    assert hosts <= seen.expected


BROWSER_SAYS = ("Failed to load resource", "WebSocket connection to")


@pytest.fixture
def open_page(
    service: Service, browser: Browser, seen: Seen
) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page in a browser of its own."""
    contexts = []

    def open_(
        *, path: str = "/", of: Service = service, is_ready: bool = True, **options
    ) -> Page:
        options = {"viewport": {"width": 1280, "height": 800}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        seen.expected.add(urlsplit(of.url).netloc)
        seen.follow(page)
        page.goto(of.url + path)
        if is_ready:
            expect(page.get_by_role("status")).to_have_text("Connected")
        return page

    yield open_
    for context in contexts:
        context.close()
    service.call("/toggle-human", {"enabled": False})


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """axe-core's script, fetched by npm as tests/browser/axe pins it."""
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(AXE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=FETCH_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        message = f"axe-core could not be fetched, so nothing was checked: {error}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")


AXE = Path(__file__).parent / "axe"
FETCH_S = 120
