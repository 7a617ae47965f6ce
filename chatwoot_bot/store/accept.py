"""What an event does to its conversation: `accept`, in one transaction.

    seen before? → lock the conversation → its status → the message → due_at

Control events (an agent replied, a status changed) take effect here, before the
200, and do not wait behind a turn. A contact's message only makes the conversation
due. Every function takes the open transaction and runs inside it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from ..core.conversation import (
    Conversation,
    Message,
    Sender,
    State,
    Status,
    Trigger,
    next_state,
    status_trigger,
)
from ..core.decision import Decision, Policy, Route, decide
from ..core.events import Event, Kind, Said, Sighting
from .conversations import (
    FIELDS,
    NO_ACCOUNT,
    drop_unsent,
    forget_owed,
    insert_new,
    new_id,
    open_conversation,
    state_at_first_sight,
    update_conversation,
)
from .schema import conversations, deliveries, messages, replies

# A talker is answered after this many turns have been superseded.
MAX_RESTARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The operator's choices that `accept` applies.

    Attributes:
        quiet_s: how long a conversation must be quiet before it is answered.
        max_wait_s: how long the oldest message waits at most.
        account_id: the account of bodies that name none; None when unknown.
    """

    policy: Policy
    quiet_s: float
    max_wait_s: float
    account_id: int | None = None

    def due_at(self, *, last: float, owed_since: float) -> float:
        """Return when messages, the last one of *last*, want their answer."""
        return min(last + self.quiet_s, owed_since + self.max_wait_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An event at our door.

    Attributes:
        channel: where an answer would go.
        received_at: Unix seconds.
        delivery_id: header ``X-Chatwoot-Delivery``; None before 4.13.
        body: as received, kept for replay.
        conversation_id: ours, for the web chat.
        inline: somebody waits for the answer, so it does not wait for quiet.
    """

    event: Event
    channel: str
    received_at: float
    delivery_id: str | None = None
    body: bytes | None = None
    conversation_id: str | None = None
    inline: bool = False


class Outcome(StrEnum):
    """What became of an arrival."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What the caller and the worker need to know of an arrival.

    Attributes:
        decision: for a contact's message: who answers it.
        reason: for an ignored arrival: the rule.
        due_at: when the conversation is to be looked at; None when nobody need.
        interrupts: a turn that runs now must stop: "superseded" or the reason why
            the bot may no longer speak; None when it may go on.
        changed: the conversation looks different to somebody who watches it.
    """

    outcome: Outcome
    reason: str = ""
    conversation_id: str | None = None
    message_id: int | None = None
    decision: Decision | None = None
    due_at: float | None = None
    interrupts: str | None = None
    changed: bool = False


def accept(tx: sa.Connection, arrival: Arrival, rules: Rules) -> Accepted:
    """Store *arrival* and let it take effect; once, however often it comes."""
    event = arrival.event
    if not _remember_delivery(tx, arrival):
        return Accepted(outcome=Outcome.DUPLICATE)
    if not _concerns_a_conversation(arrival):
        return Accepted(outcome=Outcome.IGNORED, reason=event.reason)
    story = open_story(tx, arrival, rules)
    if event.conversation is not None:
        story.take_status(event.conversation)
    new = True
    if event.message is not None and event.kind is not Kind.OTHER:
        new = story.take_message(event.message)
    accepted = story.close()
    if not new and event.kind is not Kind.BOT_MESSAGE:
        return replace(accepted, outcome=Outcome.DUPLICATE)
    return accepted


def _concerns_a_conversation(arrival: Arrival) -> bool:
    event = arrival.event
    if event.kind is not Kind.OTHER:
        return True
    about_status = event.conversation is not None and event.conversation.status
    # Typing and widget events come often and say nothing that others do not.
    return bool(about_status) and event.name.startswith(("message_", "conversation_"))


def open_story(tx: sa.Connection, arrival: Arrival, rules: Rules) -> "Story":
    """Lock the arrival's conversation, making it at first sight."""
    event = arrival.event
    where: dict[str, Any] = {"id": arrival.conversation_id or new_id()}
    if event.conversation is not None:
        where = {
            "account_id": event.account_id or rules.account_id or NO_ACCOUNT,
            "display_id": event.conversation.display_id,
        }
    before, human_mode = open_conversation(tx, where, lambda: _first_sight(tx, arrival))
    return Story(tx, arrival, rules, before, human_mode=human_mode)


def _first_sight(tx: sa.Connection, arrival: Arrival) -> dict[str, Any]:
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
            "state": state_at_first_sight(tx, seen, event.inbox_id),
            "status": seen.status,
            "status_at": seen.updated_at,
            "ever_pending": seen.status is Status.PENDING,
        }
    return row


class Story:
    """One conversation while one arrival changes it; written once, in `close`."""

    def __init__(
        self,
        tx: sa.Connection,
        arrival: Arrival,
        rules: Rules,
        before: Conversation,
        *,
        human_mode: bool,
    ) -> None:
        self.tx = tx
        self.arrival = arrival
        self.rules = rules
        self.now = before
        self.before = before
        self.human_mode = human_mode
        self.changes: dict[str, Any] = {}
        self.decision: Decision | None = None
        self.message_id: int | None = None
        self.interrupts: str | None = None

    def change(self, **values: Any) -> None:
        """Change the conversation, here and in the row that `close` writes."""
        self.now = replace(self.now, **{k: v for k, v in values.items() if k in FIELDS})
        self.changes |= values

    def trigger(self, trigger: Trigger) -> None:
        """Move the state; when the bot may no longer speak, forget what it owed."""
        state = next_state(self.now.state, trigger)
        self.change(state=state)
        if state is not State.AI or trigger is Trigger.RESOLVED:
            forget_owed(self.tx, self.now.id)
            drop_unsent(self.tx, self.now.id)
            self.change(owed_since=None, due_at=None)
            self.interrupts = str(trigger)
        if trigger in (Trigger.RELEASED, Trigger.REOPENED, Trigger.RESOLVED):
            self.change(held_at=self.now.status_at)

    def take_status(self, seen: Sighting) -> None:
        """Believe the status in a payload, unless a newer one has been seen."""
        if seen.status is None or (
            seen.updated_at and seen.updated_at < self.now.status_at
        ):
            return
        trigger = status_trigger(self.now, seen.status)
        wanted = self.now.wanted_status
        if seen.status == wanted or trigger is not None:
            # Either Chatwoot has done what we asked, or somebody decided otherwise.
            wanted = None
        self.change(
            status=seen.status,
            status_at=max(seen.updated_at, self.now.status_at),
            ever_pending=self.now.ever_pending or seen.status is Status.PENDING,
            wanted_status=wanted,
        )
        if trigger is not None:
            self.trigger(trigger)

    def take_message(self, said: Said) -> bool:
        """Record a message and what it means; return whether it is new."""
        if self.arrival.event.kind is Kind.CONTACT_MESSAGE:
            return self._take_question(said)
        if self.arrival.event.kind is Kind.AGENT_REPLY:
            new = self._record(said, owed=False) is not None
            if new and not self._is_history():
                self.agent_joined()
            return new
        if said.reply_key is not None:
            self._confirm_reply(said)
        return not said.private and self._record(said, owed=False) is not None

    def agent_joined(self) -> None:
        """Fall silent, and see that Chatwoot shows the conversation as open."""
        self.trigger(Trigger.AGENT_JOINED)
        if self.now.status is Status.PENDING:
            # Chatwoot leaves it pending in agent-bot inboxes, unseen by the team.
            self.want_status(Status.OPEN)

    def want_status(self, status: Status) -> None:
        """Have the worker tell Chatwoot, as soon as it can."""
        self.change(wanted_status=status, due_at=self.arrival.received_at)

    def _is_history(self) -> bool:
        """Return whether the agent spoke before giving the conversation back."""
        seen = self.arrival.event.conversation
        return seen is not None and 0 < seen.updated_at < self.now.held_at

    def _take_question(self, said: Said) -> bool:
        now = self.arrival.received_at
        question = Message(
            id=0, sender=Sender.CONTACT, content=said.content, created_at=now
        )
        self.decision = decide(
            [question],
            self.now,
            human_mode=self.human_mode,
            policy=self.rules.policy,
        )
        owed = self.decision.route in (Route.BOT, Route.HANDOVER)
        if self._record(said, owed=owed) is None:
            return False
        if owed:
            self._make_due(now)
        return True

    def _make_due(self, now: float) -> None:
        owed_since = self.now.owed_since or now
        due_at = self.rules.due_at(last=now, owed_since=owed_since)
        if self.arrival.inline:
            due_at = now
        self.changes |= {"owed_since": owed_since, "due_at": due_at}
        if self.now.leased and self.now.restarts < MAX_RESTARTS:
            self.interrupts = "superseded"

    def _record(self, said: Said, *, owed: bool) -> int | None:
        """Insert the message; return its id, or None when it is there already."""
        self.message_id = self.tx.execute(
            insert_new(messages, self.tx.dialect.name, returning="id"),
            {
                "conversation_id": self.now.id,
                "account_id": self.now.account_id if said.external_id else None,
                "external_id": said.external_id,
                "client_id": said.client_id,
                "sender": said.sender,
                "content": said.content,
                "owed": owed,
                "created_at": self.arrival.received_at,
            },
        ).scalar()
        return self.message_id

    def _confirm_reply(self, said: Said) -> None:
        """Note that our own message has come back: it is said."""
        confirmed = self.tx.execute(
            sa.update(replies)
            .where(replies.c.key == said.reply_key, replies.c.state == "open")
            .values(state="delivered", external_id=said.external_id)
        ).rowcount
        if confirmed:
            self.change(due_at=self.arrival.received_at)

    def close(self) -> Accepted:
        """Write the conversation and say what follows."""
        if self.message_id is not None or self.interrupts is not None:
            self.changes["version"] = self.before.version + 1
            self.changes["active_at"] = self.arrival.received_at
        if self.now.leased:
            # While leased, due_at is the end of the lease; its holder sets the next.
            self.changes.pop("due_at", None)
        if self.changes:
            update_conversation(self.tx, self.now.id, self.changes)
        event = self.arrival.event
        ignored = event.kind is not Kind.CONTACT_MESSAGE
        return Accepted(
            outcome=Outcome.IGNORED if ignored else Outcome.ACCEPTED,
            reason=event.reason,
            conversation_id=self.now.id,
            message_id=self.message_id,
            decision=self.decision,
            due_at=self.changes.get("due_at"),
            interrupts=self.interrupts,
            changed=self.message_id is not None or self.now.state != self.before.state,
        )


def _remember_delivery(tx: sa.Connection, arrival: Arrival) -> bool:
    """Keep the delivery; return False when its id has been seen before."""
    if arrival.delivery_id is None and arrival.body is None:
        return True
    ignored = arrival.event.kind is not Kind.CONTACT_MESSAGE
    return _keep_delivery(
        tx,
        {
            "delivery_id": arrival.delivery_id,
            "outcome": Outcome.IGNORED if ignored else Outcome.ACCEPTED,
            "reason": arrival.event.reason,
            "body": None if ignored else arrival.body,
            "received_at": arrival.received_at,
        },
    )


def quarantine(
    tx: sa.Connection,
    *,
    body: bytes,
    reason: str,
    delivery_id: str | None,
    received_at: float,
) -> bool:
    """Keep a delivery that cannot be understood; False when it is kept already."""
    return _keep_delivery(
        tx,
        {
            "delivery_id": delivery_id,
            "outcome": Outcome.QUARANTINED,
            "reason": reason,
            "body": body,
            "received_at": received_at,
        },
    )


def _keep_delivery(tx: sa.Connection, row: dict[str, Any]) -> bool:
    insert = insert_new(deliveries, tx.dialect.name, returning="id")
    return tx.execute(insert, row).scalar() is not None
