"""What somebody who was away has missed: which messages at first, their words later.

Their words may be long, and whoever missed much may read slowly; so they are read
page by page, each as long as can be held in memory for every reader at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from .chat import Name, Rows, first_page
from .feed import OVERLAP_ROWS, OVERLAP_S, TOUCHED_AT, begin
from .schema import HAS_CHANGED, messages, state_changes

# A page; a message that is longer has one for itself.
PAGE_CHARS = 100_000
PAGE_MESSAGES = 100
# A change of state in the last minutes is near the end of its table.
MAX_STATES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What came after a message.

    Attributes:
        new: messages, in their order.
        changed: earlier ones that were edited or deleted, in their order.
        states: the newest change of state of each conversation.
        complete: this is all; else the oldest of it.
    """

    new: Sequence[Name]
    changed: Sequence[Name]
    states: Rows
    complete: bool


def missed(
    tx: sa.Connection, conversation_ids: Sequence[str] | None, *, after: int, limit: int
) -> Missed:
    """Return what came after a message; over several conversations, some of it again.

    Args:
        conversation_ids: where to look; None for everywhere.
        limit: of later messages, and of changed ones; the oldest come first.
    """
    here: sa.ColumnElement[bool] = sa.true()
    if conversation_ids is not None:
        here = messages.c.conversation_id.in_(conversation_ids)
    since = _time_of(tx, after) - OVERLAP_S
    is_one = conversation_ids is not None and len(conversation_ids) == 1
    first = after if is_one else begin(tx, messages, at=after, since=since)
    overlap = messages.c.id > first, messages.c.id <= after
    again = _names(tx, OVERLAP_ROWS, here, *overlap) if first < after else ()
    new = _names(tx, limit, here, messages.c.id > after)
    touched = (HAS_CHANGED, since <= TOUCHED_AT)
    changed = _names(tx, limit, here, messages.c.id <= first, *touched)
    if conversation_ids is None:
        conversation_ids = _moved(tx, since)
    return Missed(
        new=[*again, *new[:limit]],
        changed=changed[:limit],
        states=_states_now(tx, conversation_ids),
        complete=max(len(new), len(changed)) <= limit,
    )


def _time_of(tx: sa.Connection, message_id: int) -> float:
    """Return when a message was written, or the last one before its number."""
    query = sa.select(messages.c.created_at).where(messages.c.id <= message_id)
    return tx.execute(query.order_by(messages.c.id.desc()).limit(1)).scalar() or 0.0


def _names(
    tx: sa.Connection, limit: int, *where: sa.ColumnElement[bool]
) -> Sequence[Name]:
    """Return one more than *limit*, if there are."""
    chars = sa.func.coalesce(sa.func.length(messages.c.content), 0)
    query = sa.select(messages.c.id, chars).where(*where).order_by(messages.c.id)
    return [(row[0], row[1]) for row in tx.execute(query.limit(limit + 1))]


def _moved(tx: sa.Connection, since: float) -> Sequence[str]:
    """Return the conversations whose state has changed since."""
    s = state_changes.c
    newest = sa.select(s.conversation_id, s.created_at).order_by(s.id.desc())
    rows = tx.execute(newest.limit(MAX_STATES))
    return list({row.conversation_id for row in rows if row.created_at >= since})


def _states_now(tx: sa.Connection, conversation_ids: Sequence[str]) -> Rows:
    """Return the newest change of state of each conversation that had one."""
    last = (
        sa.select(sa.func.max(state_changes.c.id))
        .where(state_changes.c.conversation_id.in_(conversation_ids))
        .group_by(state_changes.c.conversation_id)
    )
    query = sa.select(state_changes).where(state_changes.c.id.in_(last))
    return tx.execute(query).mappings().all()


def pages(names: Sequence[Name]) -> Iterator[list[int]]:
    """Yield ids by the page."""
    while names:
        page = first_page(names, chars=PAGE_CHARS, size=PAGE_MESSAGES)
        yield page
        names = names[len(page) :]


def by_ids(tx: sa.Connection, message_ids: Sequence[int]) -> Rows:
    """Return messages as they are now, in their order."""
    query = sa.select(messages).where(messages.c.id.in_(message_ids))
    return tx.execute(query.order_by(messages.c.id)).mappings().all()
