"""The right to work on a conversation, and the fence that goes with it."""

from dataclasses import dataclass

import sqlalchemy as sa

from ..core.conversation import Conversation
from ..errors import LeaseLostError
from .conversations import find


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one conversation until the lease runs out."""

    conversation_id: str
    token: str


def held(tx: sa.Connection, lease: Lease) -> tuple[Conversation, bool]:
    """Lock the leased conversation."""
    found = find(tx, {"id": lease.conversation_id, "lease": lease.token})
    if found is None:
        raise LeaseLostError("the lease has passed to another worker")
    return found
