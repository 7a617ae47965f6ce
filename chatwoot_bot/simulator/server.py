"""The simulator: a Chatwoot that a test or a person can hold in the hand.

    async with Simulator(webhook_url="http://127.0.0.1:8000/webhook/chatwoot") as sim:
        message = await sim.contact_says("Do you ship to Norway?")
        await sim.wait_for_replies(message.conversation_id, 1)

It serves Chatwoot's REST API at `base_url` and sends signed webhooks, with the
behaviour of one release of Chatwoot (`releases.py`). What people do in Chatwoot is in
`stage.py`; what goes wrong in Chatwoot is in `faults`. It shares no code with the
service it tests, or one wrong belief would pass on both sides.
"""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Self, TypeVar

from . import platform_api, releases
from .api import Api, Call
from .carrier import Carrier
from .control import Control
from .deliveries import TIMEOUT_S, Attempt, Deliveries, Delivery
from .describing import describe, describe_replies
from .faults import Faults
from .files import FileStore
from .noise import creation_noise, is_beginning
from .office import Office, populate
from .payloads import old_shape, webhook_body
from .records import Account, Event, Message
from .routes import ACCOUNT_EVENTS, recipients
from .serving import LocalServer
from .stage import Stage
from .waiting import Changes
from .widget_limits import WidgetLimits
from .wire import dump
from .world import DEFAULT_BOT, World

T = TypeVar("T")

RETRY_S = 3.0  # between attempts of one delivery at least, Chatwoot's own


class Simulator(Stage):
    """A local stand-in for Chatwoot; an async context manager.

    Args:
        webhook_url: Where deliveries go; may be changed while it runs. Empty: to
            nobody, until an administrator connects a bot or adds a webhook by REST.
        secret: Signs deliveries; empty means unsigned, as before Chatwoot 4.13.
        host: The address the REST API listens on.
        port: Its port; 0 takes a free one.
        agent_bot: True for the agent-bot route: new conversations are pending,
            failing deliveries are repeated and then opened for humans. False for
            a plain account webhook: conversations are open, one attempt each.
        release: Which Chatwoot it is, such as 4.17; `releases.RELEASES` has those that
            there are, and `releases.DEFAULT` is the one when left out.
        email_collect: Whether the inbox asks visitors for an e-mail address after
            their first message, as a new widget of a real Chatwoot does.
        seed: Decides all that is random: names, ids, faults.
        bot_token: The token of bot 4.
        user_token: The token of agent 12, who is no administrator.
        admin_token: The token of agent 1, who is one.
        channel: The inbox's channel; `Channel::Api` accepts incoming messages.
        subscriptions: The account webhook's events, Chatwoot's default without
            the contact events when left out. The agent-bot route has no choice.
        keep_pending_on_bot_failure: The account setting that stops 2.6.
        first_conversation: The first display id. A service that keeps its database
            over a restart of the simulator needs new ids, or it rightly takes what
            it is told for repeats.
        first_message: The first message id; the same holds.
        retry_s: Seconds between attempts of a delivery, at least: the gaps are up to
            3.6 times as long.
        timeout_s: How long the webhook may take to answer.
        on_message: Called with each stored message, activity included.
    """

    def __init__(
        self,
        *,
        webhook_url: str,
        secret: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        agent_bot: bool = True,
        release: str | None = None,
        email_collect: bool = False,
        seed: int = 1,
        account_id: int = 1,
        inbox_id: int = 3,
        bot_token: str = "bot-token",  # noqa: S107 - a stand-in guards nothing
        user_token: str = "user-token",  # noqa: S107
        admin_token: str = "admin-token",  # noqa: S107
        channel: str = "Channel::WebWidget",
        subscriptions: Iterable[str] = ACCOUNT_EVENTS,
        keep_pending_on_bot_failure: bool = False,
        first_conversation: int = 1,
        first_message: int = 1,
        retry_s: float = RETRY_S,
        timeout_s: float = TIMEOUT_S,
        on_message: Callable[[Message], None] | None = None,
    ) -> None:
        rng = random.Random(seed)  # noqa: S311 - repeatable is the point
        self.seed = seed
        self.on_message = on_message
        self.faults = Faults(rng=random.Random(rng.getrandbits(64)))  # noqa: S311
        # A generator of its own, so that tokens change nothing in what is played.
        tokens = random.Random(f"office {seed}")  # noqa: S311
        files = FileStore(rng=tokens, clock=time.time, faults=self.faults)
        office = Office(
            account=Account(id=account_id),
            release=releases.release_of(release or releases.DEFAULT),
            rng=tokens,
            clock=time.time,
        )
        populate(office, user_token=user_token, admin_token=admin_token)
        office.keep_pending_on_bot_failure = keep_pending_on_bot_failure
        office.add_bot("Ada", description="LLM bot", access_token=bot_token)
        office.add_inbox(
            "Website", channel, id=inbox_id, enable_email_collect=email_collect
        )
        world = World(
            office=office,
            files=files,
            limits=WidgetLimits(
                release=office.release, faults=self.faults, clock=time.time
            ),
            rng=rng,
            clock=time.time,
            emit=self._emit,
            stored=self._stored,
            first_conversation=first_conversation,
            first_message=first_message,
        )
        super().__init__(world)
        self._changes = Changes()
        self._connect(webhook_url, secret, agent_bot, tuple(subscriptions))
        self._deliveries = Deliveries(
            faults=self.faults,
            retry_s=retry_s,
            timeout_s=timeout_s,
            failed=self._delivery_failed,
            changed=self._changes.notify,
        )
        self._api = Api(
            world=self.world,
            faults=self.faults,
            changed=self._changes.notify,
            extra=[
                *files.routes(),
                *Control(self).routes(),
                *platform_api.routes(self.world),
            ],
        )
        self._carrier = Carrier(
            world=self.world, faults=self.faults, changed=self._changes.notify
        )
        self._server = LocalServer(self._api.app(), host=host, port=port)

    async def __aenter__(self) -> Self:
        await self._server.start()
        self.world.frontend_url = self.world.files.base_url = self.base_url
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # The server first: a call that still comes in would start a delivery.
        self._api.release()
        self._carrier.release()
        try:
            await self._server.stop()
        finally:
            await self._deliveries.aclose()

    # What it is, and what it has seen.

    @property
    def base_url(self) -> str:
        """What the service needs as CHATWOOT_BASE_URL."""
        return f"http://{self._server.host}:{self._server.port}"

    @property
    def webhook_url(self) -> str:
        """Where deliveries go: those of bot 4, or of the first account webhook."""
        webhooks = self.world.office.webhooks.values()
        return next((each.url for each in webhooks), self.world.bot.outgoing_url)

    @webhook_url.setter
    def webhook_url(self, url: str) -> None:
        webhook = next(iter(self.world.office.webhooks.values()), None)
        if webhook is None:
            self.world.bot.outgoing_url = url
        else:
            webhook.url = url

    @property
    def delivery_log(self) -> list[Attempt]:
        """All attempts, in the order in which they ended."""
        return self._deliveries.log

    @property
    def under_way(self) -> int:
        """How many deliveries and outgoing messages have not come to their end."""
        return self._deliveries.under_way + self._carrier.under_way

    @property
    def calls(self) -> list[Call]:
        """All REST calls that came in, in the order in which they were answered."""
        return self._api.calls

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Refuse all connections to the REST API meanwhile; the port is kept."""
        await self._server.stop()
        try:
            yield
        finally:
            await self._server.start()

    # Waiting. The timeouts are arguments because their text tells what was seen.

    async def until(
        self,
        predicate: Callable[[], T],
        timeout: float = 10,  # noqa: ASYNC109
    ) -> T:
        """Wait until *predicate* is true; it is asked again after each change.

        Raises:
            TimeoutError: With what the simulator has seen.
        """
        return await self._changes.until(
            predicate, timeout=timeout, describe=lambda: describe(self, timeout)
        )

    async def wait_for_replies(
        self,
        conversation: int,
        count: int,
        timeout: float = 10,  # noqa: ASYNC109
    ) -> list[Message]:
        """Wait for at least *count* replies and return all there are.

        Raises:
            TimeoutError: With the conversation's state and what went wrong.
        """
        await self._changes.until(
            lambda: len(self.replies(conversation)) >= count,
            timeout=timeout,
            describe=lambda: describe_replies(self, conversation, count, timeout),
        )
        return self.replies(conversation)

    async def settled(self, timeout: float = 10) -> None:  # noqa: ASYNC109
        """Wait until every delivery has been attempted to its end.

        Raises:
            TimeoutError: With what the simulator has seen.
        """
        await self.until(lambda: self.under_way == 0, timeout)

    # Within.

    def _connect(
        self, url: str, secret: str, agent_bot: bool, subscriptions: tuple[str, ...]
    ) -> None:
        """Put the service under test in its place: as a bot, or as a plain webhook."""
        office = self.world.office
        if agent_bot:
            bot = office.bots[DEFAULT_BOT]
            bot.outgoing_url, bot.secret = url, secret
            self.world.inbox.agent_bot_id = bot.id if url else None
        elif url:
            office.add_webhook(url, subscriptions, secret=secret)

    def _emit(self, event: Event) -> None:
        self._send(event)
        if self.faults.deliveries.creation_noise and is_beginning(event):
            for noise in creation_noise(event.conversation):
                self._send(noise)
        self._changes.notify()

    def _send(self, event: Event) -> None:
        for recipient in recipients(self.world.office, event):
            is_late = recipient.route != "agent_bot"
            build = partial(self._body, event, is_late=is_late)
            self._deliveries.enqueue(event, recipient, build)

    def _body(self, event: Event, *, is_late: bool) -> bytes:
        """Return the bytes to send; a late body is of the record as it is by then."""
        if is_late and event.message is not None:
            event = replace(event, message=self.world.ledger.message(event.message.id))
        body = webhook_body(self.world, event)
        shapes = self.faults.deliveries
        return dump(
            old_shape(
                body,
                account=shapes.old_shapes or shapes.without_account,
                assignee=shapes.old_shapes or shapes.without_assignee_type,
            )
        )

    def _stored(self, message: Message) -> None:
        if self.on_message is not None:
            self.on_message(message)
        self._carrier.take(message)
        self._changes.notify()

    def _delivery_failed(self, delivery: Delivery, attempt: Attempt) -> None:
        if delivery.recipient.route == "agent_bot":
            if not self.world.office.keep_pending_on_bot_failure:
                conversation = self._conversation(delivery.conversation_id)
                self.world.open_after_failure(conversation)
        elif delivery.recipient.route == "api_inbox" and delivery.message_id:
            text = attempt.error or f"{attempt.status} {attempt.body}".strip()
            self.world.fail_message(delivery.message_id, text)
