"""The way from Chatwoot to the service, as a load balancer in front of it behaves.

Deliveries wait while no process is up, and several take turns. A request that dies
with its process is answered 500, so that Chatwoot repeats it, or breaks, so that
Chatwoot opens the conversation for humans. Some echoes of the bot's own messages get
lost on the way, so that nobody can rely on them.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from chatwoot_bot.simulator.server import Simulator

NOWHERE = "http://service.test/webhook/chatwoot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One request to the service.

    Attributes:
        began, ended: Unix seconds.
        fate: the status, or what went wrong.
    """

    delivery_id: str
    began: float
    ended: float
    target: str
    fate: str

    @property
    def is_success(self) -> bool:
        return self.fate == "200"


class Balancer(httpx.AsyncBaseTransport):
    """Send each delivery to a process that is up; see above.

    Args:
        break_share: share of the requests that died with their process which break.
        lose_share: share of the echoes of the bot's messages that get lost.

    Attributes:
        log: all requests that reached a process, in the order in which they ended.
        in_flight: requests without an answer now.
        on_request: called as each request sets off.
    """

    def __init__(self, seed: int, *, break_share: float, lose_share: float) -> None:
        self.log: list[Passage] = []
        self.in_flight = 0
        self.on_request: Callable[[], None] = lambda: None
        self._rng = random.Random(seed)
        self._break_share = break_share
        self._lose_share = lose_share
        self._targets: list[str] = []
        self._turn = itertools.count()
        self._changed = asyncio.Event()
        self._inner = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_keepalive_connections=0)
        )

    def add(self, url: str) -> None:
        """Send requests to *url* from now on."""
        self._targets.append(url)
        self._changed.set()

    def remove(self, url: str) -> None:
        """Send no more requests there."""
        if url in self._targets:
            self._targets.remove(url)
        if not self._targets:
            self._changed.clear()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if _is_echo(request) and self._rng.random() < self._lose_share:
            return httpx.Response(200)
        while True:
            await self._changed.wait()
            target = self._targets[next(self._turn) % len(self._targets)]
            try:
                return await self._send(request, target)
            except httpx.ConnectError:
                self.remove(target)  # it has just died, and has seen nothing

    async def _send(self, request: httpx.Request, target: str) -> httpx.Response:
        parts = urlsplit(target)
        request.url = request.url.copy_with(host=parts.hostname, port=parts.port)
        began = time.time()
        fate = "cancelled"
        self.in_flight += 1
        self.on_request()
        try:
            response = await self._inner.handle_async_request(request)
            await response.aread()
            fate = str(response.status_code)
            return response
        except httpx.ConnectError:
            fate = "refused"
            raise
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if self._rng.random() < self._break_share:
                fate = "broken"
                raise
            fate = "broken, answered 500"
            return httpx.Response(500)
        except httpx.TransportError as error:
            fate = type(error).__name__
            raise
        finally:
            self.in_flight -= 1
            self.log.append(
                Passage(
                    delivery_id=request.headers["x-chatwoot-delivery"],
                    began=began,
                    ended=time.time(),
                    target=target,
                    fate=fate,
                )
            )

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_echo(request: httpx.Request) -> bool:
    body = json.loads(request.content)
    ours = (body.get("content_attributes") or {}).get("chatwoot_bot")
    return body["event"] == "message_created" and ours is not None


class BalancedChatwoot(Simulator):
    """A simulated Chatwoot whose deliveries go through a balancer."""

    def __init__(self, balancer: Balancer, **options: object) -> None:
        super().__init__(webhook_url=NOWHERE, **options)
        direct = self._deliveries._client
        self._deliveries._client = httpx.AsyncClient(
            transport=balancer, headers=direct.headers, timeout=direct.timeout
        )
