"""What a turn has read in a message's attachments, so that the next need not."""

import sqlalchemy as sa

from ..core.attachments import dump
from ..core.conversation import Message
from .leases import Lease, held
from .schema import messages


def keep_reading(tx: sa.Connection, lease: Lease, message: Message) -> None:
    """Keep the text and the attachments of *message*, unless it is deleted by now.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    held(tx, lease)
    read = {"content": message.content, "attachments": dump(message.attachments)}
    tx.execute(_KEEP, {"message": message.id, **read})


_KEEP = (
    sa.update(messages)
    .where(messages.c.id == sa.bindparam("message"), messages.c.deleted_at.is_(None))
    .values(content=sa.bindparam("content"), attachments=sa.bindparam("attachments"))
)
