"""Human mode, and what operators and visitors do to a conversation by hand."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from ..core.conversation import State, Status, Trigger
from ..core.decision import Route
from ..core.events import Event, Kind, Sighting
from . import remote
from .accept import close_stories, open_stories, tell
from .arrivals import Accepted, Arrival, Rules
from .chat import why
from .conversations import has_pressing, insert_new
from .deliveries import Outcome
from .leases import Lease, held
from .replies import Reply, may_say
from .schema import conversations, replies, service
from .signals import Signal, notify
from .statements import change
from .story import Story
from .turns import TurnRecord, insert_record, owes

# Every turn that is thinking must stop, in whichever process it runs.
SILENCE = Signal(conversation_id=None, interrupts="human_mode")
# Conversations that one transaction hands back.
AT_ONCE = 50


def set_human_mode(tx: sa.Connection, *, enabled: bool) -> None:
    """Switch the bot off, or on again, for all conversations.

    To hand back what waits because of it is `end_human_mode`'s.
    """
    set_value(tx, "human_mode", "1" if enabled else "0")
    if enabled:
        notify(tx, [SILENCE])


def end_human_mode(
    tx: sa.Connection, *, now: float, rules: Rules, limit: int = AT_ONCE
) -> list[Accepted]:
    """Hand back what waits for a human because of human mode alone.

    Returns:
        What changed in up to *limit* conversations; empty when there are no more. One
        that a label or an attribute silences stays with the agents.
    """
    if human_mode(tx):
        return []  # it is on again
    waiting = tx.execute(_WAITING_FOR_MODE, {"limit": limit}).scalars()
    return _operate(
        tx, [_by_operator(now, one) for one in waiting], _hand_back_waiting, rules
    )


def _hand_back_waiting(story: Story, result: Accepted) -> None:
    if story.now.state is State.HANDOVER_PENDING:  # still
        remote.hand_back(story, story.at, result)


_REASON, _ = why()
_WAITING_FOR_MODE = (
    sa.select(conversations.c.id)
    .where(
        # As the partial index has it.
        sa.text("state <> 'ai'"),
        conversations.c.state == State.HANDOVER_PENDING,
        _REASON.element == "human_mode",
        conversations.c.switch.is_distinct_from(remote.OFF),
    )
    .order_by(conversations.c.active_at)
    .limit(sa.bindparam("limit"))
)


def human_mode(tx: sa.Connection) -> bool:
    """Return the switch above all conversations."""
    return value(tx, "human_mode") == "1"


def is_held(tx: sa.Connection, where: dict[str, Any]) -> bool | None:
    """Return whether humans hold a conversation; None when there is no such one.

    Args:
        where: column → value; see `identity`.
    """
    query = sa.select(conversations.c.state).filter_by(**where)
    states = tx.execute(query.order_by(conversations.c.active_at.desc())).scalars()
    state = states.first()
    return None if state is None else state != State.AI


def hold(
    tx: sa.Connection,
    *,
    conversation_id: str | None,
    display_id: int | None,
    enabled: bool,
    now: float,
    rules: Rules,
) -> Accepted:
    """Give a conversation to humans, or back to the bot.

    One that Chatwoot has not shown us yet is remembered for when it appears.
    """
    if conversation_id is None and display_id is not None:
        conversation_id = _newest(tx, display_id, rules)
    sighting = None
    if conversation_id is None and display_id is not None:
        sighting = Sighting(display_id=display_id)

    def change(story: Story, result: Accepted) -> None:
        if not enabled:
            remote.hand_back(story, now, result)
            return
        story.trigger(Trigger.AGENT_JOINED, result)
        story.change(touched=True)
        # A switch reopens nothing; who comes back after a resolve is the bot's.
        if story.now.status not in (None, Status.RESOLVED):
            story.want_status(Status.OPEN, now)

    return operate(tx, conversation_id, change, now=now, rules=rules, sighting=sighting)


def escalate(
    tx: sa.Connection,
    *,
    conversation_id: str,
    message: str,
    reason: str | None,
    now: float,
    rules: Rules,
) -> Accepted:
    """Call a human for a conversation that the bot holds.

    Args:
        message: tells the visitor so.
        reason: the visitor's own words, for the agents.
    """

    def change(story: Story, result: Accepted) -> None:
        if story.now.state is not State.AI:
            return
        story.trigger(
            Trigger.HANDOVER_REQUESTED,
            result,
            reason="asked_for_human",
            detail=reason,
        )
        turn_id = f"t_{secrets.token_hex(8)}"
        insert_record(story.tx, _asked_for_human(turn_id, conversation_id, now))
        story.change(due_at=now)
        story.tx.execute(
            sa.insert(replies).values(
                key=f"{turn_id}.0",
                conversation_id=story.now.id,
                turn_id=turn_id,
                position=0,
                kind="handover",
                content=message,
                state="open",
                created_at=now,
            )
        )

    return operate(tx, conversation_id, change, now=now, rules=rules)


def _asked_for_human(turn_id: str, conversation_id: str, now: float) -> TurnRecord:
    return TurnRecord(
        id=turn_id,
        conversation_id=conversation_id,
        decision=Route.HANDOVER,
        reason="asked_for_human",
        outcome="kept",
        started_at=now,
        latency_ms=0,
    )


def resolve(
    tx: sa.Connection, *, conversation_id: str, now: float, rules: Rules
) -> Accepted:
    """Close a conversation: what comes next is a new request, and the bot's."""

    def change(story: Story, result: Accepted) -> None:
        story.trigger(Trigger.RESOLVED, result)
        if story.now.status is not None:
            story.want_status(Status.RESOLVED, now)

    return operate(tx, conversation_id, change, now=now, rules=rules)


def resolve_when_quiet(
    tx: sa.Connection, lease: Lease, reply: Reply, rules: Rules, *, now: float
) -> float | None:
    """Close a conversation that the bot took for finished, or let it be.

    The contact has as long to say more as the engine waits for people who write in
    pieces; whoever has said more is answered instead.

    Returns:
        When to try again, Unix seconds, or None.

    Raises:
        LeaseLostError: the conversation is another worker's.
    """
    conversation, human_mode = held(tx, lease)
    fits = may_say(reply.kind, conversation.state, human_mode=human_mode)
    if not fits or owes(tx, conversation.id):
        change(tx, replies, {"key": reply.key}, state="dropped")
        return None
    if has_pressing(tx, conversation.id):
        return now + rules.max_wait_s  # what belongs to it has not been said yet
    said_at = tx.execute(_ACTIVE_AT, {"conversation": conversation.id}).scalar_one()
    quiet_at: float = max(reply.created_at, said_at) + rules.max_wait_s
    if now < quiet_at:
        return quiet_at
    change(tx, replies, {"key": reply.key}, state="delivered")
    resolve(tx, conversation_id=conversation.id, now=now, rules=rules)
    return None


_ACTIVE_AT = sa.select(conversations.c.active_at).where(
    conversations.c.id == sa.bindparam("conversation")
)


def operate(
    tx: sa.Connection,
    conversation_id: str | None,
    change: Callable[[Story, Accepted], None],
    *,
    now: float,
    rules: Rules,
    sighting: Sighting | None = None,
) -> Accepted:
    """Lock a conversation, let *change* act on it, and tell of what follows.

    Args:
        sighting: names a Chatwoot conversation that is not there yet.
    """
    arrival = _by_operator(now, conversation_id, sighting)
    [result] = _operate(tx, [arrival], change, rules)
    return result


def _by_operator(
    now: float, conversation_id: str | None, sighting: Sighting | None = None
) -> Arrival:
    event = Event(name="", kind=Kind.OTHER, reason="operator", conversation=sighting)
    return Arrival(
        event=event,
        channel="web" if sighting is None else "chatwoot",
        received_at=now,
        conversation_id=conversation_id,
    )


def _operate(
    tx: sa.Connection,
    arrivals: Sequence[Arrival],
    change: Callable[[Story, Accepted], None],
    rules: Rules,
) -> list[Accepted]:
    """Let *change* act on each arrival's conversation, one arrival for each."""
    results = [Accepted(outcome=Outcome.ACCEPTED, reason="operator") for _ in arrivals]
    stories = open_stories(tx, arrivals, rules)
    for story, arrival, result in zip(stories, arrivals, results, strict=True):
        before = story.now.state, story.now.due_at
        story.at = arrival.received_at
        change(story, result)
        story.finish(before, arrival, result)
    close_stories(tx, stories)
    tell(tx, results)
    return results


def _newest(tx: sa.Connection, display_id: int, rules: Rules) -> str | None:
    """Return our id of a Chatwoot number; it is unique only within its account."""
    query = sa.select(conversations.c.id).where(
        conversations.c.display_id == display_id
    )
    if rules.account_id is not None:
        query = query.where(conversations.c.account_id == rules.account_id)
    newest: str | None = (
        tx.execute(query.order_by(conversations.c.active_at.desc())).scalars().first()
    )
    return newest


def value(tx: sa.Connection, name: str) -> str | None:
    """Return one value of the service's own, or None."""
    query = sa.select(service.c.value).where(service.c.name == name)
    found: str | None = tx.execute(query).scalar()
    return found


def set_value(tx: sa.Connection, name: str, new: str) -> None:
    """Set one value of the service's own."""
    tx.execute(insert_new(service, tx.dialect.name), {"name": name, "value": new})
    tx.execute(sa.update(service).where(service.c.name == name).values(value=new))


def secret_key(tx: sa.Connection) -> str:
    """Return the key that signs visitors' tokens, made at the first start."""
    fresh = {"name": "secret_key", "value": secrets.token_urlsafe(32)}
    tx.execute(insert_new(service, tx.dialect.name), fresh)
    return value(tx, "secret_key") or fresh["value"]
