"""Send events to webhooks the way Chatwoot's job workers do.

Source: docs/chatwoot/deliveries.md.

Ten at a time and without any promise of order. One delivery id for all attempts
of a delivery, a new timestamp and signature for each. The agent-bot route repeats
429 and 500 twice, then hands the conversation to humans; the other routes try once,
an API inbox then marks the message failed, an account webhook forgets.
"""

import asyncio
import hashlib
import hmac
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from .faults import Faults
from .records import Event
from .routes import Recipient

CONCURRENCY = 10  # Sidekiq's default in Chatwoot
TIMEOUT_S = 5.0  # connect and read separately, WEBHOOK_TIMEOUT's default
RETRY_STATUSES = (429, 500)
ATTEMPTS = 3
# Sidekiq looks for due retries only now and then: a gap is the spacing and up to
# 2.6 times more. Recorded: 3.1 to 10.8 s, half of them below 7 s.
RETRY_SPREAD = 2.6
REDIRECTS_MAX = 10
ANSWER_MAX = 10_000  # characters of an answer that the log keeps
RUBY = {
    "Accept-Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
    "User-Agent": "Ruby",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP request to the webhook, or one delivery that was dropped.

    Attributes:
        number: 1 for the first attempt, 0 for a dropped delivery.
        status: None when no answer came.
        body: The text of the answer.
        error: What went wrong without an answer; empty otherwise.
        route: agent_bot, account or api_inbox.
        sent: The request body as it was signed.
    """

    event: str
    delivery_id: str
    conversation_id: int
    message_id: int | None
    number: int
    status: int | None
    body: str
    elapsed_s: float
    error: str
    route: str
    url: str
    sent: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether Chatwoot is content: any 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to the webhook."""

    id: str
    event: str
    conversation_id: int
    message_id: int | None
    recipient: Recipient
    build: Callable[[], bytes]


def sign(body: bytes, *, secret: str, timestamp: int) -> dict[str, str]:
    """Return the two signature headers; none at all without a secret.

    Source: chatwoot/chatwoot lib/webhooks/trigger.rb, pull request 13573.
    """
    if not secret:
        return {}
    signed = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return {
        "X-Chatwoot-Timestamp": str(timestamp),
        "X-Chatwoot-Signature": f"sha256={digest}",
    }


def draw_gaps(least_s: float, rng: random.Random) -> list[float]:
    """Return the seconds between the attempts of one delivery."""
    return [least_s * (1 + RETRY_SPREAD * rng.random()) for _ in range(1, ATTEMPTS)]


class Deliveries:
    """The delivery worker: owns its tasks and its HTTP client.

    Args:
        faults: The switches for unruly deliveries.
        retry_s: Seconds between attempts, at least; `RETRY_SPREAD` adds to it.
        timeout_s: Seconds for connecting, and again for each read.
        failed: Called after the last attempt of a message event has failed.
        changed: Called whenever the log or the number under way changes.
    """

    def __init__(
        self,
        *,
        faults: Faults,
        retry_s: float,
        timeout_s: float,
        failed: Callable[[Delivery, Attempt], None],
        changed: Callable[[], None],
    ) -> None:
        self.log: list[Attempt] = []
        self._faults = faults
        self._retry_s = retry_s
        self._failed = failed
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()
        self._bugs: list[Exception] = []
        self._slots = asyncio.Semaphore(CONCURRENCY)
        # Net::HTTP opens a connection for each delivery, so a webhook that was
        # restarted meets no stale one.
        self._client = httpx.AsyncClient(
            headers=RUBY,
            timeout=timeout_s,
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    @property
    def under_way(self) -> int:
        """How many deliveries have not been attempted to their end."""
        return len(self._tasks)

    def enqueue(
        self, event: Event, recipient: Recipient, build: Callable[[], bytes]
    ) -> None:
        """Send *event* to *recipient* soon.

        The agent-bot route builds the body now, the others when it is sent, so that
        it may already show newer state
        (docs/chatwoot/deliveries.md#when-bodies-are-built).
        """
        if self._client.is_closed:
            return
        if recipient.route == "agent_bot":
            body = build()
            build = lambda: body  # noqa: E731 - the same shape as the late one
        delivery = Delivery(
            # Not from the seed: a second run must not look like repeats of the first.
            id=str(uuid.uuid4()),
            event=event.name,
            conversation_id=event.conversation.id,
            message_id=event.message.id if event.message else None,
            recipient=recipient,
            build=build,
        )
        faults = self._faults.deliveries
        if self._faults.chance(faults.drop):
            self._note(delivery, number=0, error="dropped on request")
            return
        for _ in range(2 if self._faults.chance(faults.duplicate) else 1):
            self._start(delivery)

    async def aclose(self) -> None:
        """Cancel what is under way, wait for it and close the client.

        Raises:
            ExceptionGroup: Deliveries met a bug of the simulator's own.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()
        if self._bugs:
            raise ExceptionGroup("the simulator failed to deliver", self._bugs)

    def _start(self, delivery: Delivery) -> None:
        # Drawn here and not in the task: the order of draws stays that of events.
        rng = self._faults.rng
        wait_s = rng.random() * self._faults.deliveries.reorder_s
        gaps_s = draw_gaps(self._retry_s, rng)
        task = asyncio.create_task(self._deliver(delivery, wait_s, gaps_s))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed()
        if not task.cancelled() and isinstance(bug := task.exception(), Exception):
            self._bugs.append(bug)

    async def _deliver(
        self, delivery: Delivery, wait_s: float, gaps_s: list[float]
    ) -> None:
        """Attempt a delivery to its end; retries wait outside of the ten slots."""
        is_bot = delivery.recipient.route == "agent_bot"
        if wait_s:
            await asyncio.sleep(wait_s)
        for number in range(1, ATTEMPTS + 1):
            async with self._slots:
                attempt = await self._attempt(delivery, number)
            if attempt.is_success:
                return
            if not is_bot or attempt.status not in RETRY_STATUSES:
                break
            if number < ATTEMPTS:
                await asyncio.sleep(gaps_s[number - 1])
        if delivery.event in ("message_created", "message_updated"):
            self._failed(delivery, attempt)

    async def _attempt(self, delivery: Delivery, number: int) -> Attempt:
        body = delivery.build()
        started = time.monotonic()
        try:
            answer = await self._post(body, delivery)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            elapsed_s = time.monotonic() - started
            return self._note(
                delivery, number=number, error=reason, elapsed_s=elapsed_s, sent=body
            )
        return self._note(
            delivery,
            number=number,
            status=answer.status_code,
            body=answer.text[:ANSWER_MAX],
            elapsed_s=time.monotonic() - started,
            sent=body,
        )

    async def _post(self, body: bytes, delivery: Delivery) -> httpx.Response:
        """Post, and post again wherever a redirect leads; httpx would turn to GET."""
        url = httpx.URL(delivery.recipient.url)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        # Automation rules and macros send neither of the two
        # (docs/chatwoot/deliveries.md#routes).
        is_plain = delivery.recipient.route == "automation"
        if not (is_plain or self._faults.deliveries.without_delivery_id):
            headers["X-Chatwoot-Delivery"] = delivery.id
        if not self._faults.deliveries.unsigned:
            secret = delivery.recipient.secret
            headers |= sign(body, secret=secret, timestamp=int(time.time()))
        for _ in range(REDIRECTS_MAX):
            answer = await self._client.post(url, content=body, headers=headers)
            if not answer.has_redirect_location:
                return answer
            url = url.join(answer.headers["Location"])
        return answer

    def _note(
        self,
        delivery: Delivery,
        *,
        number: int,
        status: int | None = None,
        body: str = "",
        elapsed_s: float = 0.0,
        error: str = "",
        sent: bytes = b"",
    ) -> Attempt:
        attempt = Attempt(
            event=delivery.event,
            delivery_id=delivery.id,
            conversation_id=delivery.conversation_id,
            message_id=delivery.message_id,
            number=number,
            status=status,
            body=body,
            elapsed_s=elapsed_s,
            error=error,
            route=delivery.recipient.route,
            url=delivery.recipient.url,
            sent=sent,
        )
        self.log.append(attempt)
        self._changed()
        return attempt
