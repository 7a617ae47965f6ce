"""The service is away for a while: everybody who wrote meanwhile is answered, once.

A table: each release of Chatwoot, with a bot's token alone and with a user's, and four
ways of being away. Chatwoot opens the conversations, and the bot stays their owner.
The long form (CHAOS=long) takes the times of a real Chatwoot: 30 s away, 6 s late.
"""

import asyncio
import contextlib
import json
import os
import time

import httpx
import pytest
from scene import installed
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

RELEASES = ("4.16", "4.17", "4.18")
TOKENS = {"a bot's token": {}, "a user's token": {"CHATWOOT_USER_TOKEN": "user-token"}}
VISITORS = 20
LONG = os.environ.get("CHAOS") == "long"
AWAY_S = 30.0 if LONG else 0.0
# Between two attempts of Chatwoot's.
RETRY_S = 3.0 if LONG else 0.01
# How long Chatwoot waits for us: its own 5 s, and less where we are to be late.
TIMEOUT_S = 5.0
PATIENCE_S = TIMEOUT_S if LONG else 0.8
LATE_S = 6.0 if LONG else 1.2
WITHIN_S = 60
# Until Chatwoot has tried for the last time: thousands of attempts on a busy machine.
SETTLED_S = 240


class Front:
    """What stands between Chatwoot and the service, and fails."""

    def __init__(self, failure):
        self.failure = failure
        self.target = ""
        app = Starlette(routes=[Route("/", self._receive, methods=["POST"])])
        self._server = LocalServer(app, host="127.0.0.1", port=0)
        self._client = httpx.AsyncClient()

    async def _receive(self, request):
        body = await request.body()
        if self.failure.isdigit():
            return Response(status_code=int(self.failure))
        if json.loads(body)["event"] == "message_created":
            await asyncio.sleep(LATE_S)
        headers = {"content-type": "application/json"}
        delivery = request.headers["x-chatwoot-delivery"]
        headers["x-chatwoot-delivery"] = delivery
        answer = await self._client.post(self.target, content=body, headers=headers)
        return Response(status_code=answer.status_code)

    async def __aenter__(self):
        await self._server.start()
        return self

    async def __aexit__(self, *_):
        await self._server.stop()
        await self._client.aclose()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.port}/"


@contextlib.asynccontextmanager
async def away(installation, here, failure):
    """Have the service miss what Chatwoot delivers meanwhile."""
    if failure == "stopped":
        await asyncio.to_thread(installation.service.stop)
        yield
        await asyncio.to_thread(installation.service.start)
    else:
        async with Front(failure) as front:
            front.target, here.chatwoot.webhook_url = here.url, front.url
            yield
    here.chatwoot.webhook_url = here.url


@pytest.fixture(scope="module", params=TOKENS)
def services(request, tmp_path_factory):
    """A service for each release, all with the same kind of token."""
    settings = TOKENS[request.param] | {"SWEEP_INTERVAL_SECONDS": 0.3}
    with contextlib.ExitStack() as stack:
        yield {
            release: stack.enter_context(
                installed(tmp_path_factory.mktemp("away"), **settings)
            )
            for release in RELEASES
        }


async def downtime(installation, release, failure):
    """Play one cell of the table; return who is not answered, or not once."""
    timeout_s = PATIENCE_S if failure == "late" else TIMEOUT_S
    async with installation.scene(
        release=release, retry_s=RETRY_S, timeout_s=timeout_s
    ) as here:
        lost, took_s = await _played(installation, here, failure)
    print(f"\n{release}, {failure}: {len(lost)} lost, {took_s:.1f} s")
    assert lost or took_s <= WITHIN_S
    return lost


async def _played(installation, here, failure):
    chatwoot = here.chatwoot
    known = [
        (await chatwoot.contact_says("Hi")).conversation_id for _ in range(VISITORS)
    ]
    for cid in known:
        await chatwoot.wait_for_replies(cid, 1, timeout=WITHIN_S)
    await chatwoot.settled(timeout=WITHIN_S)
    gone_at = time.monotonic()
    async with away(installation, here, failure):
        for cid in known:
            await chatwoot.contact_says("Is anybody there?", conversation=cid)
        new = [
            (await chatwoot.contact_says("Do you ship to Norway?")).conversation_id
            for _ in range(VISITORS)
        ]
        if not LONG:
            await chatwoot.settled(timeout=SETTLED_S)
        await asyncio.sleep(gone_at + AWAY_S - time.monotonic())
        back_at = time.monotonic()
    answers = {key: ["Answer to: Hi", "Answer to: Is anybody there?"] for key in known}
    answers |= {key: ["Answer to: Do you ship to Norway?"] for key in new}

    def lost():
        return {
            cid: (chatwoot.status(cid), here.answers(cid))
            for cid in answers
            if (chatwoot.status(cid), here.answers(cid)) != ("pending", answers[cid])
        }

    took_s = float("inf")
    with contextlib.suppress(TimeoutError):
        await chatwoot.until(lambda: not lost(), timeout=WITHIN_S)
        took_s = time.monotonic() - back_at
        await chatwoot.settled(timeout=SETTLED_S)
        await here.quiet()
        # A delivery that was late all the same has been made up for.
        await chatwoot.until(lambda: not lost(), timeout=WITHIN_S)
    return lost(), took_s


@pytest.mark.parametrize("failure", ["stopped", "503", "500", "late"])
async def test_nobody_is_lost_while_the_service_is_away(services, failure):
    """On every release, all of the known and all of the new ones."""
    cells = [
        downtime(installation, release, failure)
        for release, installation in services.items()
    ]

    lost = await asyncio.gather(*cells)

    assert dict(zip(services, lost, strict=True)) == {each: {} for each in RELEASES}
