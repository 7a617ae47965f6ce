"""Human mode, and what operators and visitors do to a conversation by hand."""

import secrets
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from ..core.conversation import State, Status, Trigger
from ..core.events import Event, Kind, Sighting
from .accept import close_stories, open_stories, tell
from .arrivals import Accepted, Arrival, Rules
from .conversations import insert_new
from .deliveries import Outcome
from .schema import conversations, replies, service
from .story import Story


def set_human_mode(tx: sa.Connection, *, enabled: bool) -> None:
    """Switch the bot off, or on again, for all conversations."""
    set_value(tx, "human_mode", "1" if enabled else "0")


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
        trigger = Trigger.AGENT_JOINED if enabled else Trigger.RELEASED
        story.trigger(trigger, result)
        if enabled and story.now.status is not None:
            story.want_status(Status.OPEN, now)
        elif not enabled and story.now.ever_pending:
            story.want_status(Status.PENDING, now)

    return _operate(tx, conversation_id, sighting, now, rules, change)


def escalate(
    tx: sa.Connection,
    *,
    conversation_id: str,
    message: str,
    now: float,
    rules: Rules,
) -> Accepted:
    """Call a human for a conversation that the bot holds; *message* tells so."""

    def change(story: Story, result: Accepted) -> None:
        if story.now.state is not State.AI:
            return
        story.trigger(Trigger.HANDOVER_REQUESTED, result)
        turn_id = f"t_{secrets.token_hex(8)}"
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

    return _operate(tx, conversation_id, None, now, rules, change)


def _operate(
    tx: sa.Connection,
    conversation_id: str | None,
    sighting: Sighting | None,
    now: float,
    rules: Rules,
    change: Callable[[Story, Accepted], None],
) -> Accepted:
    event = Event(name="", kind=Kind.OTHER, reason="operator", conversation=sighting)
    arrival = Arrival(
        event=event,
        channel="web" if sighting is None else "chatwoot",
        received_at=now,
        conversation_id=conversation_id,
    )
    result = Accepted(outcome=Outcome.ACCEPTED, reason="operator")
    [story] = open_stories(tx, [arrival], rules)
    before = story.now.state, story.now.due_at
    change(story, result)
    story.finish(before, arrival, result)
    close_stories(tx, [story])
    tell(tx, [result])
    return result


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
