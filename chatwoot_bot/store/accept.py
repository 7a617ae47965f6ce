"""What events do to their conversations: `accept`, in one transaction for many.

    seen before? → lock the conversations → status, then message → due_at → save

Control events (an agent replied, a status changed) take effect here, before the
200, and do not wait behind a turn. A contact's message only makes the conversation
due. The rules run in memory, on a `Story` for each conversation; the statements
around them are for all arrivals at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ..core.conversation import State, Status
from ..core.events import UPDATES, Kind
from . import updates
from .arrivals import Accepted, Arrival, Rules
from .conversations import (
    NO_ACCOUNT,
    Identity,
    new_id,
    open_all,
    save_all,
    state_at_first_sight,
)
from .deliveries import Delivery, Outcome, remember
from .schema import messages
from .signals import notify
from .story import Key, Story, at_first_sight, key_of


def accept(
    tx: sa.Connection, arrivals: Sequence[Arrival], rules: Rules
) -> list[Accepted]:
    """Store *arrivals* and let each take effect, once, however often it comes."""
    new = remember(tx, [_delivery(arrival) for arrival in arrivals])
    results = [
        Accepted(
            outcome=Outcome.IGNORED if is_new else Outcome.DUPLICATE,
            reason=arrival.event.reason,
        )
        for arrival, is_new in zip(arrivals, new, strict=True)
    ]
    effective = [
        (arrival, result)
        for arrival, result, is_new in zip(arrivals, results, new, strict=True)
        if is_new and _concerns_a_conversation(arrival)
    ]
    stories = open_stories(tx, [arrival for arrival, _ in effective], rules)
    known = _known_messages(tx, stories, effective)
    for story, (arrival, result) in zip(stories, effective, strict=True):
        story.take(arrival, result, known)
        again = arrival.event.kind is Kind.CONTACT_MESSAGE
        if arrival.event.kind in UPDATES or (
            again and result.outcome is Outcome.DUPLICATE
        ):
            updates.take(story, arrival, result, known)
    close_stories(tx, stories)
    tell(tx, results)
    return results


def tell(tx: sa.Connection, results: Sequence[Accepted]) -> None:
    """Signal to other processes what arrivals have changed."""
    notify(tx, [signal for result in results if (signal := result.signal())])


def _delivery(arrival: Arrival) -> Delivery:
    ignored = arrival.event.kind is not Kind.CONTACT_MESSAGE
    return Delivery(
        delivery_id=arrival.delivery_id,
        outcome=Outcome.IGNORED if ignored else Outcome.ACCEPTED,
        reason=arrival.event.reason,
        body=None if ignored else arrival.body,
        received_at=arrival.received_at,
    )


def _concerns_a_conversation(arrival: Arrival) -> bool:
    event = arrival.event
    if event.kind is not Kind.OTHER:
        return True
    about_status = event.conversation is not None and event.conversation.status
    # Typing and widget events come often and say nothing that others do not.
    return bool(about_status) and event.name.startswith(("message_", "conversation_"))


def open_stories(
    tx: sa.Connection, arrivals: Sequence[Arrival], rules: Rules
) -> list["Story"]:
    """Lock the arrivals' conversations, making them at first sight.

    Returns:
        A story per arrival; arrivals of one conversation share theirs.
    """
    identities = [_identity(arrival, rules) for arrival in arrivals]
    wanted = {
        identity: (lambda arrival=arrival: _first_sight(tx, arrival, rules))
        for identity, arrival in reversed(list(zip(identities, arrivals, strict=True)))
    }
    found, human_mode = open_all(tx, wanted) if wanted else ({}, False)
    stories: dict[str, Story] = {}
    for conversation in found.values():
        stories[conversation.id] = Story(tx, rules, conversation, human_mode=human_mode)
    return [stories[found[identity].id] for identity in identities]


def _identity(arrival: Arrival, rules: Rules) -> Identity:
    event = arrival.event
    if event.conversation is None:
        return arrival.conversation_id or new_id()
    account_id = event.account_id or rules.account_id or NO_ACCOUNT
    return account_id, event.conversation.display_id


def _first_sight(tx: sa.Connection, arrival: Arrival, rules: Rules) -> dict[str, Any]:
    event = arrival.event
    row: dict[str, Any] = {
        "channel": arrival.channel,
        "inbox_id": event.inbox_id,
        "state": State.AI,
        "created_at": arrival.received_at,
        "active_at": arrival.received_at,
    }
    if (seen := event.conversation) is not None:
        row |= {
            "contact_name": seen.contact_name,
            "contact": seen.contact,
            "state": state_at_first_sight(tx, seen, event.inbox_id),
            "status": seen.status,
            "status_at": seen.updated_at,
            "ever_pending": seen.status is Status.PENDING,
            **at_first_sight(seen),
            "touched": seen.status is Status.OPEN and seen.agent_replied,
            "chatwoot_channel": seen.channel,
            "can_reply": seen.can_reply is not False,
        }
    return row


def _known_messages(
    tx: sa.Connection,
    stories: Sequence["Story"],
    effective: Sequence[tuple[Arrival, Accepted]],
) -> set[Key]:
    """Return the keys of those messages that are stored already.

    Their conversations are locked, so nobody stores another one meanwhile.
    """
    keys = [
        key_of(story.now, arrival.event.message)
        for story, (arrival, _) in zip(stories, effective, strict=True)
        if arrival.event.message is not None
    ]
    known: set[Key] = set()
    for query, kind in ((_BY_EXTERNAL_ID, int), (_BY_CLIENT_ID, str)):
        wanted = [key for key in keys if key and isinstance(key[1], kind)]
        if wanted:
            # A few too many when several accounts share an id; harmless.
            first, second = (list(set(ids)) for ids in zip(*wanted, strict=True))
            found = tx.execute(query, {"first": first, "second": second})
            known |= {tuple(row) for row in found}
    return known


def _select_keys(
    first: sa.Column[Any], second: sa.Column[Any]
) -> sa.Select[tuple[Any, Any]]:
    """Return a query over both columns of a unique index; one cannot use it."""
    return sa.select(first, second).where(
        first.in_(sa.bindparam("first", expanding=True)),
        second.in_(sa.bindparam("second", expanding=True)),
    )


_BY_EXTERNAL_ID = _select_keys(messages.c.account_id, messages.c.external_id)
_BY_CLIENT_ID = _select_keys(messages.c.conversation_id, messages.c.client_id)


def close_stories(tx: sa.Connection, stories: Sequence[Story]) -> None:
    """Write what the stories have changed."""
    unique = list({story.now.id: story for story in stories}.values())
    _insert_messages(tx, [entry for story in unique for entry in story.new_messages])
    changed = [story for story in unique if story.changed]
    save_all(tx, [(story.now, story.active_at) for story in changed])


def _insert_messages(
    tx: sa.Connection, new: Sequence[tuple[dict[str, Any], Accepted]]
) -> None:
    """Insert messages in the order of arrival, and note their ids.

    Many rows in one statement come back in no order, so they are told apart by
    their keys; a message without one (the demo's) is inserted alone.
    """
    keyed = {_row_key(row): (row, result) for row, result in new if _row_key(row)}
    alone = [(row, result) for row, result in new if not _row_key(row)]
    if keyed:
        rows = [row for row, _ in keyed.values()]
        for back in tx.execute(_INSERT, rows).mappings():
            keyed[_row_key(back)][1].message_id = back["id"]
    for row, result in alone:
        result.message_id = tx.execute(_INSERT, row).scalars().one()


_INSERT = sa.insert(messages).returning(
    messages.c.id,
    messages.c.account_id,
    messages.c.external_id,
    messages.c.conversation_id,
    messages.c.client_id,
)


def _row_key(row: Mapping[Any, Any]) -> Key | None:
    if row["external_id"] is not None and row["account_id"] is not None:
        return row["account_id"], row["external_id"]
    return (row["conversation_id"], row["client_id"]) if row["client_id"] else None
