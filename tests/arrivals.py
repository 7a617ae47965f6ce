"""Arrivals for the store's tests: valid by default, changed by keyword."""

import itertools

from chatwoot_bot.core.conversation import Sender, Status
from chatwoot_bot.core.decision import Policy
from chatwoot_bot.core.events import Event, Kind, Said, Sighting
from chatwoot_bot.store.arrivals import Arrival, Rules

RULES = Rules(
    policy=Policy(handover_keywords=("human",)),
    quiet_s=1.5,
    max_wait_s=10.0,
)
SENDERS = {
    Kind.CONTACT_MESSAGE: Sender.CONTACT,
    Kind.AGENT_REPLY: Sender.AGENT,
    Kind.AGENT_NOTE: Sender.AGENT,
    Kind.BOT_MESSAGE: Sender.BOT,
    Kind.DELETED: Sender.CONTACT,
    Kind.UNDELIVERED: Sender.BOT,
    Kind.EMPTY: Sender.CONTACT,
    Kind.REACTION: Sender.CONTACT,
    Kind.MACHINE_MESSAGE: Sender.CONTACT,
}
message_ids = itertools.count(1_000)


def says(
    kind=Kind.CONTACT_MESSAGE,
    *,
    content="Where is my order?",
    conversation=150,
    status=Status.PENDING,
    clock=100.0,
    at=1_000.0,
    message_id=None,
    delivery_id=None,
    reply_key=None,
    private=False,
    first_reply_at=0.0,
    by_user=False,
    inbox=3,
    account=1,
    inline=False,
    channel="chatwoot",
    attachments=(),
):
    """A message_created in a Chatwoot conversation."""
    event = Event(
        name="message_created",
        kind=kind,
        reason="" if kind is Kind.CONTACT_MESSAGE else str(kind),
        account_id=account,
        inbox_id=inbox,
        conversation=Sighting(
            display_id=conversation,
            status=status,
            updated_at=clock,
            first_reply_at=first_reply_at,
        ),
        message=Said(
            external_id=message_id or next(message_ids),
            sender=SENDERS[kind],
            content=content,
            attachments=attachments,
            reply_key=reply_key,
            private=private,
            by_user=by_user,
        ),
    )
    return Arrival(
        event=event,
        channel=channel,
        received_at=at,
        delivery_id=delivery_id,
        body=b"{}",
        inline=inline,
    )


def shows(status, *, conversation=150, clock=200.0, at=1_100.0, inbox=3, account=1):
    """A conversation_status_changed."""
    event = Event(
        name="conversation_status_changed",
        kind=Kind.OTHER,
        reason="not_message_created",
        account_id=account,
        inbox_id=inbox,
        conversation=Sighting(display_id=conversation, status=status, updated_at=clock),
    )
    return Arrival(event=event, channel="chatwoot", received_at=at)
