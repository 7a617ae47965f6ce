"""Messages of the web chat, changed or taken back after they were said."""

import sqlalchemy as sa

from . import memory
from .arrivals import MAX_RESTARTS, Accepted, Rules
from .human import operate
from .schema import messages
from .story import Story
from .updates import owe_the_rest


def edit(
    tx: sa.Connection,
    *,
    conversation_id: str,
    message_id: int,
    content: str,
    now: float,
    rules: Rules,
) -> Accepted:
    """Give a message another text; an answer that is being written must not miss it.

    A deleted one stays as it is.
    """
    named = {"conversation": conversation_id, "message": message_id}

    def change(story: Story, result: Accepted) -> None:
        owed = story.tx.execute(_EDIT, {**named, "content": content, "now": now})
        _tell(story, result, owed.scalar())

    return operate(tx, conversation_id, change, now=now, rules=rules)


def delete(
    tx: sa.Connection,
    *,
    conversation_id: str,
    message_id: int,
    now: float,
    rules: Rules,
) -> Accepted:
    """Forget a message's text and owe no answer to it; its place stays."""
    named = {"conversation": conversation_id, "message": message_id}

    def change(story: Story, result: Accepted) -> None:
        owed = story.tx.execute(_IS_OWED, named).scalar()
        if not story.tx.execute(_DELETE, {**named, "now": now}).rowcount:
            return
        memory.forget(story.tx, conversation_id)
        if owed:
            owe_the_rest(story)
        _tell(story, result, owed)

    return operate(tx, conversation_id, change, now=now, rules=rules)


def _tell(story: Story, result: Accepted, owed: bool | None) -> None:
    """Say that a message has changed, and stop a turn that has read it.

    Args:
        owed: whether it waits for an answer; None when there is no such message.
    """
    if owed is None:
        return
    result.changed = True
    if owed and story.now.leased and story.now.restarts < MAX_RESTARTS:
        result.interrupts = "superseded"


_NAMED = (
    messages.c.id == sa.bindparam("message"),
    messages.c.conversation_id == sa.bindparam("conversation"),
    messages.c.deleted_at.is_(None),
)
_IS_OWED = sa.select(messages.c.owed).where(*_NAMED)
_EDIT = (
    sa.update(messages)
    .where(*_NAMED)
    .values(content=sa.bindparam("content"), edited_at=sa.bindparam("now"))
    .returning(messages.c.owed)
)
_DELETE = (
    sa.update(messages)
    .where(*_NAMED)
    .values(
        content=None,
        attachments=None,
        owed=sa.false(),
        deleted_at=sa.bindparam("now"),
    )
)
