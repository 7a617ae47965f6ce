"""Who gets which event (docs/chatwoot/deliveries.md)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .office import Office
from .records import Bot, Conversation, Event

Route = Literal["agent_bot", "account", "api_inbox", "automation"]

WEBHOOK_EVENTS = (
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "webwidget_triggered",
    "inbox_created",
    "inbox_updated",
    "conversation_typing_on",
    "conversation_typing_off",
)
"""All that an account webhook may subscribe to (docs/chatwoot/deliveries.md#events)."""

WEBHOOK_DEFAULT = WEBHOOK_EVENTS[:8]
"""What the database writes when no subscription was given."""

ACCOUNT_EVENTS = frozenset(
    {
        "message_created",
        "message_updated",
        "conversation_created",
        "conversation_updated",
        "conversation_status_changed",
    }
)
"""What the stand-in's own account webhook subscribes to unless told otherwise:
Chatwoot's default without the contact events."""

BOT_EVENTS = frozenset(
    {
        "message_created",
        "message_updated",
        "conversation_updated",
        "conversation_status_changed",
        "conversation_opened",
        "conversation_resolved",
        "webwidget_triggered",
    }
)
API_INBOX_EVENTS = frozenset(
    {
        "message_created",
        "message_updated",
        "conversation_created",
        "conversation_updated",
        "conversation_status_changed",
        "conversation_typing_on",
        "conversation_typing_off",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where one delivery goes, as it was when the event happened."""

    route: Route
    id: int
    url: str
    secret: str


def recipients(office: Office, event: Event) -> list[Recipient]:
    """Return everybody who is told of *event*.

    A URL that is both a bot's and an account webhook's is told twice
    (docs/chatwoot/deliveries.md#order-and-loss).
    """
    if event.url:
        return [Recipient(route="automation", id=0, url=event.url, secret="")]
    return [
        *_bots(office, event),
        *_api_inbox(event),
        *_webhooks(office, event),
    ]


def bots_of(office: Office, conversation: Conversation) -> list[Bot]:
    """Return the conversation's own bot and the inbox's; often that is one."""
    ids = (conversation.assignee_agent_bot_id, conversation.inbox.agent_bot_id)
    unique = dict.fromkeys(each for each in ids if each is not None)
    return [office.bots[each] for each in unique if each in office.bots]


def _bots(office: Office, event: Event) -> Iterator[Recipient]:
    if event.name not in BOT_EVENTS:
        return
    for bot in bots_of(office, event.conversation):
        if bot.outgoing_url:
            yield Recipient(
                route="agent_bot", id=bot.id, url=bot.outgoing_url, secret=bot.secret
            )


def _api_inbox(event: Event) -> Iterator[Recipient]:
    inbox = event.conversation.inbox
    if inbox.is_api and inbox.webhook_url and event.name in API_INBOX_EVENTS:
        yield Recipient(
            route="api_inbox", id=inbox.id, url=inbox.webhook_url, secret=inbox.secret
        )


def _webhooks(office: Office, event: Event) -> Iterator[Recipient]:
    for each in office.webhooks.values():
        if event.name in each.subscriptions:
            yield Recipient(
                route="account", id=each.id, url=each.url, secret=each.secret
            )
