"""What administrators set up: bots, inboxes, webhooks, agents, and the small lists.

The REST calls that change it are in `administration.py` and `catalogue.py`
(docs/chatwoot/api.md#administration). Nothing here sends an event.
"""

import random
import string
from collections.abc import Callable
from typing import Any, TypeVar

from .channels import WINDOWS_S
from .records import Account, AccountWebhook, Agent, Bot, Inbox, Team
from .releases import Release
from .wire import Json

T = TypeVar("T")
# Of access tokens and secrets (docs/chatwoot/deliveries.md#signature).
TOKEN_LENGTH = 24
PLATFORM_TOKEN = "platform-token"  # noqa: S105 - a stand-in guards nothing
ALPHABET = string.ascii_letters + string.digits


class Table:
    """Rows of a list that Chatwoot only keeps for its users.

    Args:
        first: The id of the first row.
        clock: Unix seconds.
    """

    def __init__(self, first: int, clock: Callable[[], float]) -> None:
        self.rows: dict[int, Json] = {}
        self._next = first
        self._clock = clock

    def add(self, **fields: Any) -> Json:
        """Keep a new row; it gets an id and its times."""
        now = self._clock()
        row = {"id": self._next, **fields, "created_at": now, "updated_at": now}
        self.rows[self._next] = row
        self._next += 1
        return row

    def change(self, row: Json, **fields: Any) -> Json:
        """Change a row in place."""
        row.update(fields, updated_at=self._clock())
        return row


class Office:
    """One account as its administrator left it.

    Args:
        account: The account.
        release: Which Chatwoot it is.
        rng: Where tokens and secrets come from.
        clock: Unix seconds.
    """

    def __init__(
        self,
        *,
        account: Account,
        release: Release,
        rng: random.Random,
        clock: Callable[[], float],
    ) -> None:
        self.account = account
        self.release = release
        self.bots: dict[int, Bot] = {}
        self.inboxes: dict[int, Inbox] = {}
        self.webhooks: dict[int, AccountWebhook] = {}
        self.agents: dict[int, Agent] = {}
        self.teams: dict[int, Team] = {}
        self.labels = Table(31, clock)
        self.dashboard_apps = Table(1, clock)
        self.canned_responses = Table(1, clock)
        self.custom_attributes = Table(1, clock)
        self.keep_pending_on_bot_failure = False
        self.platform_token = PLATFORM_TOKEN
        self._rng = rng
        self._clock = clock

    def token(self) -> str:
        """Return a new access token or secret."""
        return "".join(self._rng.choices(ALPHABET, k=TOKEN_LENGTH))

    def next_id(self, rows: dict[int, Any], first: int = 1) -> int:
        """Return an id that no row of that table has."""
        return max(rows, default=first - 1) + 1

    def add_bot(self, name: str, **fields: Any) -> Bot:
        """Create a bot of this account, with a token and a secret of its own."""
        fields = {"access_token": self.token(), "secret": self.token()} | fields
        fields.setdefault("account_id", self.account.id)
        fields.setdefault("created_at", self._clock())
        bot = Bot(id=self.next_id(self.bots, first=4), name=name, **fields)
        self.bots[bot.id] = bot
        return bot

    def add_inbox(self, name: str, channel: str, **fields: Any) -> Inbox:
        """Create an inbox; every channel has a token, API inboxes a secret too."""
        fields = {"hmac_token": self.token(), "identifier": self.token()} | fields
        if channel == "Channel::Api":
            fields = {"secret": self.token()} | fields
        fields = {"reply_window_s": WINDOWS_S.get(channel)} | fields
        fields = {"id": self.next_id(self.inboxes)} | fields
        inbox = Inbox(name=name, channel=channel, **fields)
        self.inboxes[inbox.id] = inbox
        return inbox

    def add_webhook(
        self, url: str, subscriptions: tuple[str, ...], **fields: Any
    ) -> AccountWebhook:
        """Create an account webhook with a secret of its own."""
        fields = {"secret": self.token()} | fields
        webhook = AccountWebhook(
            id=self.next_id(self.webhooks),
            url=url,
            subscriptions=subscriptions,
            **fields,
        )
        self.webhooks[webhook.id] = webhook
        return webhook

    def remove_bot(self, bot: Bot) -> None:
        """Delete a bot; its inboxes lose it, pending conversations stay pending."""
        del self.bots[bot.id]
        for inbox in self.inboxes.values():
            if inbox.agent_bot_id == bot.id:
                inbox.agent_bot_id = None

    def bot_of(self, token: str) -> Bot | None:
        """Return whose token this is, if a bot's."""
        return _holder(self.bots, token)

    def agent_of(self, token: str) -> Agent | None:
        """Return whose token this is, if a human's."""
        return _holder(self.agents, token)


def populate(office: Office, *, user_token: str, admin_token: str) -> None:
    """Hire the people that every simulated account has."""
    for agent in (
        Agent(
            id=1,
            name="Grace Hill",
            available_name="Grace",
            email="grace@example.com",
            role="administrator",
            access_token=admin_token,
        ),
        Agent(
            id=12,
            name="Maria Gomez",
            available_name="Maria",
            email="maria@example.com",
            access_token=user_token,
        ),
    ):
        office.agents[agent.id] = agent
    office.teams[2] = Team(id=2, name="billing")
    for title, colour in (("billing", "#1F93FF"), ("vip", "#F5A623")):
        office.labels.add(
            title=title, description=None, color=colour, show_on_sidebar=True
        )


def _holder(rows: dict[int, T], token: str) -> T | None:
    for row in rows.values():
        if token and getattr(row, "access_token", None) == token:
            return row
    return None
