"""What `message_updated` does to a message that we have: edited, deleted, not arrived.

Some channels send a message without its content first; the update that brings it is
that message. Each may come again, and with every later receipt; the second time
nothing changes.
"""

from functools import partial
from typing import Any

import sqlalchemy as sa

from ..core.attachments import dump, load
from ..core.conversation import Sender, State, Trigger
from ..core.events import Kind, Said
from ..core.notes import quoted
from . import memory
from .arrivals import MAX_RESTARTS, Accepted, Arrival
from .conversations import has_unsaid, insert_new
from .replies import insert_routing
from .schema import messages, replies
from .statements import change
from .story import Key, Story, key_of

UNDELIVERED = (
    "The bot's reply did not reach the contact, so the bot has stepped back. "
    "The channel said: {error}"
)


def take(story: Story, arrival: Arrival, result: Accepted, known: set[Key]) -> None:
    """Let an update take effect, and say in *result* what follows.

    Args:
        known: the keys of messages that are stored, these arrivals' included.
    """
    said = arrival.event.message
    key = key_of(story.now, said) if said is not None else None
    if said is None or key is None:
        return  # it names no message
    before = story.now.state, story.now.due_at
    match arrival.event.kind:
        case Kind.UNDELIVERED:
            _not_arrived(story, arrival, said, result)
        case Kind.DELETED if key in known:
            _delete(story, arrival, key, result)
        case Kind.DELETED if said.sender is Sender.CONTACT:
            _bury(story, arrival, said, result)
            known.add(key)
        case Kind.EDITED | Kind.CONTACT_MESSAGE if _is_empty(story, said, key):
            record = partial(_fill, story, key)
            story.take_question(arrival, said, result, record)
        case Kind.EDITED:
            _edit(story, arrival, said, key, result)
        case _:
            return  # a deleted message that we never had
    story.finish(before, arrival, result)


def _edit(
    story: Story, arrival: Arrival, said: Said, key: Key, result: Accepted
) -> None:
    """Take the new text; an answer that is being written must not miss it."""
    edited: dict[str, Any] = {"content": said.content}
    if said.attachments:
        if not _tells_more(story, key, said):
            return  # a receipt; or we have listened ourselves, and transcripts differ
        edited["attachments"] = dump(said.attachments)
    for row, _ in _arriving(story, said):
        row.update(edited)
    edited = {"attachments": None, **edited, "now": arrival.received_at}
    owed = story.tx.execute(_EDIT, {**_named(key), **edited}).scalar()
    result.changed = result.changed or owed is not None
    if owed and story.now.leased and story.now.restarts < MAX_RESTARTS:
        result.interrupts = "superseded"


def _is_empty(story: Story, said: Said, key: Key) -> bool:
    """Return whether a message came without content, which *said* brings."""
    if not said.content:
        return False
    arriving = [row for row, _ in _arriving(story, said)]
    if arriving:
        return any(row["content"] == "" for row in arriving)
    if not isinstance(key[1], int):
        return False  # of the web chat, where nothing is empty
    return story.tx.execute(_EMPTY, _named(key)).first() is not None


def _fill(
    story: Story,
    key: Key,
    arrival: Arrival,
    said: Said,
    result: Accepted,
    *,
    owed: bool = False,
) -> None:
    """Give an empty message its content; the contact waits from now on."""
    values = {"content": said.content, "attachments": dump(said.attachments)}
    for row, _ in _arriving(story, said):
        row.update(values, owed=owed)
    now = {"now": arrival.received_at, "is_owed": owed}
    filled = story.tx.execute(_FILL, {**_named(key), **values, **now}).scalar()
    result.message_id = filled
    result.changed = True


def _tells_more(story: Story, key: Key, said: Said) -> bool:
    """Return whether *said* has more attachments than is stored, or their words."""
    attached = story.tx.execute(_ATTACHED, _named(key)).scalar()
    stored = load(attached) if attached else ()
    if len(said.attachments) > len(stored):
        return True
    return any(each.text for each in said.attachments) and not any(
        each.text for each in stored
    )


def _delete(story: Story, arrival: Arrival, key: Key, result: Accepted) -> None:
    """Forget the text, and owe no answer to it."""
    taken_back = {"content": None, "attachments": None, "owed": False}
    for row, _ in _arriving(story, arrival.event.message):
        row.update(taken_back, deleted_at=arrival.received_at)
    named = _named(key)
    owed = story.tx.execute(_IS_OWED, named).scalar()
    deleted = story.tx.execute(_DELETE, {**named, "now": arrival.received_at})
    result.changed = result.changed or deleted.rowcount > 0
    memory.forget(story.tx, story.now.id)
    if owed is False and not story.new_messages:
        return
    owe_the_rest(story)
    if owed and story.now.leased:
        result.interrupts = "superseded"


def owe_the_rest(story: Story) -> None:
    """Set since when an answer is owed, after one message was taken back."""
    mine = {"conversation": story.now.id}
    since = [story.tx.execute(_OWED_SINCE, mine).scalar()]
    since += [
        row["owed_at"] or row["created_at"]
        for row, _ in story.new_messages
        if row["owed"]
    ]
    owed_since = min((at for at in since if at is not None), default=None)
    story.change(owed_since=owed_since)
    left = owed_since is not None or story.now.wanted_status is not None
    if not left and not has_unsaid(story.tx, story.now.id):
        story.change(due_at=None)


def _bury(story: Story, arrival: Arrival, said: Said, result: Accepted) -> None:
    """Remember a message that was deleted before it came, so that it stays deleted."""
    row = story.row(arrival, said, owed=False)
    row.update(content=None, attachments=None, deleted_at=arrival.received_at)
    story.new_messages.append((row, result))


def _not_arrived(story: Story, arrival: Arrival, said: Said, result: Accepted) -> None:
    """Keep our reply as a dead letter, and call a human with a note."""
    reply = _our_reply(story, said)
    if reply is None or reply["state"] == "dead":
        return
    error = (said.error or "")[:500]
    change(
        story.tx,
        replies,
        {"key": reply["key"]},
        state="dead",
        error=error,
        external_id=said.external_id,
        in_doubt_until=None,
    )
    rules = story.rules.serving(story.now.inbox)
    note = {
        "key": f"{reply['key']}.undelivered.{said.external_id}",
        "conversation_id": story.now.id,
        "turn_id": reply["turn_id"],
        "position": 98,
        "kind": "note",
        "content": rules.say(UNDELIVERED).format(error=quoted(error)),
        "state": "open",
        "created_at": arrival.received_at,
    }
    story.tx.execute(insert_new(replies, story.tx.dialect.name), note)
    if story.now.state is State.AI:
        story.trigger(Trigger.HANDOVER_REQUESTED, result, reason="undelivered")
        story.show_to_humans(arrival.received_at)
        insert_routing(
            story.tx,
            story.now.id,
            reply["turn_id"],
            rules.routing,
            arrival.received_at,
        )
    story.change(due_at=arrival.received_at)
    result.undelivered = reply["key"]


def _our_reply(story: Story, said: Said) -> sa.RowMapping | None:
    """Return our reply that *said* shows, by its key or by Chatwoot's id."""
    row = None
    if said.reply_key is not None:
        row = story.tx.execute(_BY_KEY, {"reply": said.reply_key}).mappings().first()
    if row is None:
        # The key is gone when an agent has sent the message again.
        named = _named((story.now.account_id, said.external_id))
        row = story.tx.execute(_BY_MESSAGE, named).mappings().first()
    if row is None or row["conversation_id"] != story.now.id:
        return None
    # Sent again by `replay`, it is another message with the same key.
    return row if row["external_id"] in (None, said.external_id) else None


def _arriving(story: Story, said: Said | None) -> list[tuple[dict[str, Any], Accepted]]:
    """Return the row of a message that came in this very moment."""
    number = said.external_id if said is not None else None
    return [
        (row, result)
        for row, result in story.new_messages
        if row["external_id"] == number and row["account_id"] is not None
    ]


def _named(key: Key) -> dict[str, Any]:
    account_id, external_id = key
    return {"account": account_id, "external": external_id}


_NAMED = (
    messages.c.account_id == sa.bindparam("account"),
    messages.c.external_id == sa.bindparam("external"),
)
_IS_OWED = sa.select(messages.c.owed).where(*_NAMED)
_EMPTY: sa.Select[Any] = sa.select(messages.c.id).where(
    *_NAMED, messages.c.content == "", messages.c.deleted_at.is_(None)
)
_FILL = (
    sa.update(messages)
    .where(*_NAMED, messages.c.content == "", messages.c.deleted_at.is_(None))
    .values(
        content=sa.bindparam("content"),
        attachments=sa.bindparam("attachments", type_=sa.Text),
        owed=sa.bindparam("is_owed", type_=sa.Boolean),
        owed_at=sa.bindparam("now", type_=sa.Double),
        edited_at=sa.bindparam("now", type_=sa.Double),
    )
    .returning(messages.c.id)
)
_ATTACHED = sa.select(messages.c.attachments).where(*_NAMED)
_DELETE = (
    sa.update(messages)
    .where(*_NAMED, messages.c.deleted_at.is_(None))
    .values(
        content=None,
        attachments=None,
        owed=sa.false(),
        deleted_at=sa.bindparam("now"),
    )
)
_EDIT = (
    sa.update(messages)
    .where(
        *_NAMED,
        messages.c.deleted_at.is_(None),
        messages.c.content != sa.bindparam("content"),
    )
    .values(
        content=sa.bindparam("content"),
        attachments=sa.func.coalesce(
            sa.bindparam("attachments", type_=sa.Text), messages.c.attachments
        ),
        edited_at=sa.bindparam("now"),
    )
    .returning(messages.c.owed)
)
_OWED_SINCE = sa.select(
    sa.func.min(sa.func.coalesce(messages.c.owed_at, messages.c.created_at))
).where(messages.c.conversation_id == sa.bindparam("conversation"), messages.c.owed)
_REPLY = (
    replies.c.key,
    replies.c.conversation_id,
    replies.c.turn_id,
    replies.c.state,
    replies.c.external_id,
)
_BY_KEY = sa.select(*_REPLY).where(replies.c.key == sa.bindparam("reply"))
_BY_MESSAGE = (
    sa.select(*_REPLY)
    .join(messages, messages.c.turn_id == replies.c.turn_id)
    .where(*_NAMED, replies.c.external_id == messages.c.external_id)
)
