"""What a contact and the bot's purse have had to bear, for the operator's limits."""

from typing import Any

import sqlalchemy as sa

from ..core.conversation import Conversation, Sender
from ..core.decision import Policy, Strain
from . import spending
from .schema import conversations, messages

HOUR_S = 3_600.0
# Of a contact, at the same time; more are not looked at.
CONVERSATIONS = 20


def strain(
    tx: sa.Connection, conversation: Conversation, policy: Policy, *, now: float
) -> Strain:
    """Return what `give_up` weighs, as far as *policy* asks for it.

    Args:
        now: Unix seconds.
    """
    written, today = 0, 0.0
    if limit := policy.messages_per_hour(conversation):
        written = _written(tx, conversation, limit + 1, since=now - HOUR_S)
    if policy.max_cost_per_day:
        today = spending.on_day(tx, now).cost
    return Strain(messages_in_hour=written, spent_today=today)


def _written(
    tx: sa.Connection, conversation: Conversation, enough: int, *, since: float
) -> int:
    """Count what the contact wrote after *since*, up to *enough*."""
    ids = {conversation.id}
    if conversation.contact is not None:
        mine = {"contact": conversation.contact, "since": since}
        ids |= set(tx.execute(_ACTIVE, mine).scalars())
    count = 0
    for each in sorted(ids):
        # One after the other: each walks its own end of the index, and no further.
        newest = tx.execute(_NEWEST, {"conversation": each, "limit": enough - count})
        count += sum(at > since for at in newest.scalars())
        if count >= enough:
            break
    return count


_ACTIVE: sa.Select[Any] = (
    sa.select(conversations.c.id)
    .where(
        conversations.c.contact == sa.bindparam("contact"),
        conversations.c.active_at > sa.bindparam("since"),
    )
    .order_by(conversations.c.active_at.desc())
    .limit(CONVERSATIONS)
)
_NEWEST: sa.Select[Any] = (
    sa.select(messages.c.created_at)
    .where(
        messages.c.conversation_id == sa.bindparam("conversation"),
        messages.c.sender == Sender.CONTACT,
    )
    .order_by(messages.c.id.desc())
    .limit(sa.bindparam("limit"))
)
