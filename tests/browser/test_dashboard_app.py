"""The panel inside Chatwoot: a frame in a page of Chatwoot's, which posts to it."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from pages import button, has_no_sideways_scroll, shot, too_small
from playwright.sync_api import FrameLocator, Page, expect

from chatwoot_bot.simulator import Simulator

TOKEN = "a-token-that-only-agents-have"
STEP_S = 30


class Chatwoot:
    """The simulator on a thread of its own: the browser's tests are not async."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.simulator = Simulator(webhook_url="")
        self.wait_for(self.simulator.start())

    def wait_for(self, step: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(STEP_S)

    def close(self) -> None:
        self.wait_for(self.simulator.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def chatwoot() -> Iterator[Chatwoot]:
    chatwoot = Chatwoot()
    yield chatwoot
    chatwoot.close()


@pytest.fixture(scope="module")
def connected(serve, chatwoot):
    """A service that answers in an inbox of the simulator."""
    simulator = chatwoot.simulator
    service = serve(
        CHATWOOT_BASE_URL=simulator.base_url,
        CHATWOOT_API_TOKEN="bot-token",
        CHATWOOT_ACCOUNT_ID="1",
        CHATWOOT_WEBHOOK_SECRET=simulator.secret,
    )
    simulator.webhook_url = f"{service.url}/webhook/chatwoot"
    return service
