"""Replies in the database: kept before they are sent, and never sent blindly again.

A reply is *open* until it is known to be *delivered*, was *dropped* because it no
longer fits who holds the conversation, or is *dead* because it can never be said.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..core.conversation import (
    Conversation,
    Sender,
    State,
    Status,
    Trigger,
    looks_pending,
    next_state,
    status_to_tell,
)
from ..core.notes import Say
from ..core.outgoing import Option, note_instead
from ..core.routing import Routing
from .conversations import drop_unsent, forget_owed, insert_new
from .leases import Lease, held
from .schema import IS_OPEN, conversations, messages, replies
from .signals import Signal, notify
from .statements import change
from .states import note_change

# Chatwoot's own request limit (rack-timeout) is about 15 s; its echo comes sooner.
IN_DOUBT_S = 15.0
NOWHERE = Routing()


class ReplyKind(StrEnum):
    """What a reply is for, and so when it may still be said."""

    ANSWER = "answer"  # while the bot holds the conversation
    HANDOVER = "handover"  # until an agent has joined
    NOTE = "note"  # private, for agents: always
    HANDOVER_NOTE = "handover_note"  # likewise; a summary may take its text's place
    ROUTING = "routing"  # no message: where the conversation goes; see `Routing`
    LABELS = "labels"  # no message: a `Routing` of labels that the model chose
    RESOLVE = "resolve"  # no message: it is over, unless somebody says more
    RELEASE = "release"  # no message: our bot must own it no more; see `ownership`
    REPLAY = "replay"  # an operator said so: always


class Draft(NamedTuple):
    """What is to be said, and what the contact may choose from."""

    kind: ReplyKind
    content: str
    options: Sequence[Option] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message to be said, kept before it is sent.

    Attributes:
        key: travels with the message, so that it is known when it comes back.
        attempts: sendings begun.
        attempted_at: Unix seconds of the last one.
        in_doubt_until: until then a sending may still be under way, so that not
            finding the reply proves nothing; None when it was certainly not sent.
        after_external_id: the newest message of the conversation when this was
            kept; the reply, if said, comes after it. None in the web chat.
        options: quick replies, which the channel has; else they are in the content.
    """

    key: str
    turn_id: str
    kind: ReplyKind
    content: str
    attempts: int = 0
    attempted_at: float = 0.0
    in_doubt_until: float | None = None
    after_external_id: int | None = None
    created_at: float = 0.0
    options: tuple[Option, ...] = ()

    @property
    def is_message(self) -> bool:
        """Whether it is something to be said, rather than to be done."""
        return self.kind not in (
            ReplyKind.ROUTING,
            ReplyKind.LABELS,
            ReplyKind.RESOLVE,
            ReplyKind.RELEASE,
        )

    @property
    def follows_status(self) -> bool:
        """Whether Chatwoot must have the wanted status before this is done."""
        if self.kind is not ReplyKind.ROUTING:
            return False
        return Routing.from_json(self.content).names_owner

    @property
    def is_slow(self) -> bool:
        """Whether a summary has still to be written before it can be said."""
        return self.kind is ReplyKind.HANDOVER_NOTE and not self.attempts


def unsaid(tx: sa.Connection, conversation_id: str) -> list[Reply]:
    """Return the open replies of a conversation, in the order to say them."""
    rows = tx.execute(_UNSAID, {"conversation": conversation_id})
    return [_reply_of(row) for row in rows.mappings()]


_UNSAID = (
    sa.select(replies)
    .where(replies.c.conversation_id == sa.bindparam("conversation"), IS_OPEN)
    .order_by(replies.c.created_at, replies.c.position)
)


def insert_drafts(
    tx: sa.Connection,
    lease: Lease,
    turn_id: str,
    drafts: Sequence[Draft],
    now: float,
) -> list[Reply]:
    """Keep *drafts* as replies; the first counts as being sent from now on."""
    mine = {"conversation": lease.conversation_id}
    newest = tx.execute(_NEWEST, mine).scalar()
    rows = [
        {
            "key": f"{turn_id}.{position}",
            "conversation_id": lease.conversation_id,
            "turn_id": turn_id,
            "position": position,
            "kind": kind,
            "content": content,
            "options": _dumped(options),
            "state": "open",
            "attempts": 1 if position == 0 else 0,
            "attempted_at": now if position == 0 else 0.0,
            "in_doubt_until": now + IN_DOUBT_S if position == 0 else None,
            "after_external_id": newest,
            "created_at": now,
        }
        for position, (kind, content, options) in enumerate(
            Draft(*draft) for draft in drafts
        )
    ]
    tx.execute(_INSERT, rows)
    return [_reply_of(row) for row in rows]


_NEWEST = sa.select(sa.func.max(messages.c.external_id)).where(
    messages.c.conversation_id == sa.bindparam("conversation")
)
_INSERT = sa.insert(replies)


def begin_attempt(tx: sa.Connection, lease: Lease, reply: Reply, *, now: float) -> bool:
    """Count a sending that follows at once; False when it may not be said any more.

    Its text is kept as it is sent now.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, human_mode = held(tx, lease)
    allowed = may_say(reply.kind, conversation.state, human_mode=human_mode)
    values: dict[str, Any] = {"state": "dropped"}
    if allowed:
        values = {
            "content": reply.content,
            "attempts": reply.attempts + 1,
            "attempted_at": now,
            "in_doubt_until": now + IN_DOUBT_S,
        }
    begun = change(tx, replies, {"key": reply.key, "state": "open"}, **values)
    unheard = not allowed and begun and reply.kind is ReplyKind.ANSWER
    if unheard and human_mode and conversation.state is State.AI:
        # The contact has got no answer, and must not wait for one that nobody writes.
        drop_unsent(tx, conversation.id)
        call_human(tx, conversation, reason="human_mode", now=now)
    return allowed and begun == 1


def may_say(kind: ReplyKind, state: State, *, human_mode: bool) -> bool:
    """Return whether a kept reply still fits who holds the conversation."""
    match kind:
        case ReplyKind.ANSWER | ReplyKind.RESOLVE:
            return state is State.AI and not human_mode
        case ReplyKind.HANDOVER | ReplyKind.ROUTING:
            # An agent who has joined is not to lose the conversation to a team.
            return state is State.HANDOVER_PENDING
        case ReplyKind.RELEASE:
            return state is not State.AI
        case _:
            return True


NOTES = (ReplyKind.NOTE, ReplyKind.HANDOVER_NOTE)
# The contact does not see these.
FOR_AGENTS = (
    ReplyKind.NOTE,
    ReplyKind.HANDOVER_NOTE,
    ReplyKind.ROUTING,
    ReplyKind.LABELS,
    ReplyKind.RESOLVE,
    ReplyKind.RELEASE,
)


def delivered(
    tx: sa.Connection,
    conversation: Conversation,
    reply: Reply,
    *,
    external_id: int | None,
    now: float,
) -> None:
    """Note that *reply* has been said. A fact, so no lease is asked for."""
    said = reply.kind not in FOR_AGENTS
    if said:
        # Locks the conversation too: the echo may be on its way in.
        change(tx, conversations, {"id": conversation.id}, active_at=now)
    first = tx.execute(
        _DELIVERED, {"reply": reply.key, "external": external_id}
    ).rowcount
    if not said or not first:
        return  # the echo was faster, and recorded the message
    tx.execute(
        insert_new(messages, tx.dialect.name),
        {
            "conversation_id": conversation.id,
            "account_id": conversation.account_id if external_id else None,
            "external_id": external_id,
            "sender": Sender.BOT,
            "content": reply.content,
            "options": _dumped(reply.options),
            "turn_id": reply.turn_id,
            "created_at": now,
        },
    )
    notify(tx, [Signal(conversation_id=conversation.id)])


_DELIVERED = (
    sa.update(replies)
    # Not a dead one: its failure may be known before the answer to our request.
    .where(
        replies.c.key == sa.bindparam("reply"),
        replies.c.state.in_(("open", "dropped")),
    )
    .values(state="delivered", external_id=sa.bindparam("external"))
)


def not_delivered(
    tx: sa.Connection, reply: Reply, *, in_doubt_until: float | None, error: str
) -> None:
    """Note that a sending failed.

    Args:
        in_doubt_until: see `Reply`.
    """
    change(
        tx,
        replies,
        {"key": reply.key, "state": "open"},
        in_doubt_until=in_doubt_until,
        error=error[:500],
    )


def refused(
    tx: sa.Connection,
    lease: Lease,
    reply: Reply,
    *,
    error: str,
    in_doubt: bool,
    note: str,
    now: float,
    routing: Routing = NOWHERE,
) -> None:
    """Note that *reply* can never be said, and call a human instead.

    Args:
        error: what went wrong.
        in_doubt: whether it may have been said all the same.
        note: tells the agents; it is tried once, like any reply.
        routing: where the conversation goes then.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = held(tx, lease)
    values: dict[str, Any] = {"state": "dead", "error": error[:500]}
    if not in_doubt:
        values["in_doubt_until"] = None
    change(tx, replies, {"key": reply.key, "state": "open"}, **values)
    if reply.kind in FOR_AGENTS:
        return
    if conversation.state is State.AI:
        call_human(tx, conversation, reason="refused", now=now)
        insert_routing(tx, conversation.id, reply.turn_id, routing, now)
        # The parts that follow would be dropped now; so they can be replayed with it.
        tx.execute(_REFUSE_REST, {"turn": reply.turn_id})
    _insert_note(tx, reply, conversation.id, "refused", note, now)


_REFUSE_REST = (
    sa.update(replies)
    .where(
        replies.c.turn_id == sa.bindparam("turn"), IS_OPEN, replies.c.kind == "answer"
    )
    .values(state="dead", error="an earlier part was refused")
)


def not_routed(
    tx: sa.Connection, lease: Lease, reply: Reply, *, note: str, now: float
) -> None:
    """Keep a note on what of a routing Chatwoot has refused.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = held(tx, lease)
    _insert_note(tx, reply, conversation.id, "not_routed", note, now)


def drop(tx: sa.Connection, reply: Reply, *, error: str) -> None:
    """Note that *reply* will never be said or done, and that nobody misses it.

    Args:
        error: why.
    """
    change(
        tx,
        replies,
        {"key": reply.key, "state": "open"},
        state="dropped",
        in_doubt_until=None,
        error=error[:500],
    )


def forget(tx: sa.Connection, lease: Lease) -> None:
    """Drop everything that was to be said or done: the conversation is deleted.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = held(tx, lease)
    tx.execute(_DROP_ALL, {"conversation": conversation.id})
    forget_owed(tx, conversation.id)
    change(
        tx,
        conversations,
        {"id": conversation.id},
        wanted_status=None,
        told_status=None,
    )


_DROP_ALL = (
    sa.update(replies)
    .where(replies.c.conversation_id == sa.bindparam("conversation"), IS_OPEN)
    .values(state="dropped", in_doubt_until=None)
)


def withdraw(
    tx: sa.Connection,
    lease: Lease,
    reply: Reply,
    *,
    now: float,
    routing: Routing = NOWHERE,
    say: Say = str,
) -> bool:
    """Tell agents what cannot be said any more, *reply* and the parts after it.

    Returns:
        Whether that calls a human; else humans have it already.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, _ = held(tx, lease)
    parts = [
        part
        for part in unsaid(tx, conversation.id)
        if part.turn_id == reply.turn_id
        and part.kind in (ReplyKind.ANSWER, ReplyKind.HANDOVER)
    ]
    for part in parts:
        change(tx, replies, {"key": part.key, "state": "open"}, state="dropped")
    text = "\n\n".join(part.content for part in parts)
    note = note_instead(text, conversation.chatwoot_channel, say)
    _insert_note(tx, reply, conversation.id, "withdrawn", note, now)
    if conversation.state is not State.AI:
        return False
    call_human(tx, conversation, reason="cannot_reply", now=now)
    insert_routing(tx, conversation.id, reply.turn_id, routing, now)
    return True


def insert_routing(
    tx: sa.Connection, conversation_id: str, turn_id: str, routing: Routing, now: float
) -> None:
    """Keep where a conversation goes whose turn called a human after it had ended."""
    for number, part in enumerate(routing.in_parts()):
        row = {
            "key": f"{turn_id}.routing{number or ''}",
            "conversation_id": conversation_id,
            "turn_id": turn_id,
            "position": 100 + number,
            "kind": ReplyKind.ROUTING,
            "content": part.to_json(),
            "state": "open",
            "created_at": now,
        }
        tx.execute(insert_new(replies, tx.dialect.name), row)


def _insert_note(
    tx: sa.Connection,
    reply: Reply,
    conversation_id: str,
    what: str,
    note: str,
    now: float,
) -> None:
    """Keep a note on what became of *reply*; it is said after all else of its turn."""
    row = {
        "key": f"{reply.key}.{what}",
        "conversation_id": conversation_id,
        "turn_id": reply.turn_id,
        "position": 99,
        "kind": ReplyKind.NOTE,
        "content": note,
        "state": "open",
        "created_at": now,
    }
    tx.execute(insert_new(replies, tx.dialect.name), row)


def call_human(
    tx: sa.Connection, conversation: Conversation, *, reason: str, now: float
) -> None:
    """Put a locked conversation into the humans' queue.

    Args:
        reason: the rule; see `states.note_change`.
    """
    # Whatever else Chatwoot was to be told, it may not have been told yet.
    hidden = looks_pending(conversation) or conversation.wanted_status is not None
    state = next_state(conversation.state, Trigger.HANDOVER_REQUESTED)
    change(
        tx,
        conversations,
        {"id": conversation.id},
        state=state,
        wanted_status=status_to_tell(conversation, Status.OPEN) if hidden else None,
        version=conversation.version + 1,
    )
    note_change(tx, conversation.id, state, reason=reason, now=now)
    notify(tx, [Signal(conversation_id=conversation.id)])


def _reply_of(row: Any) -> Reply:
    return Reply(
        key=row["key"],
        turn_id=row["turn_id"],
        kind=ReplyKind(row["kind"]),
        content=row["content"],
        attempts=row["attempts"],
        attempted_at=row["attempted_at"],
        in_doubt_until=row["in_doubt_until"],
        after_external_id=row["after_external_id"],
        created_at=row["created_at"],
        options=_loaded(row["options"]),
    )


def _dumped(options: Sequence[Option]) -> str | None:
    if not options:
        return None
    return json.dumps([option._asdict() for option in options], ensure_ascii=False)


def _loaded(stored: str | None) -> tuple[Option, ...]:
    if stored is None:
        return ()
    return tuple(Option(row["title"], row["value"]) for row in json.loads(stored))
