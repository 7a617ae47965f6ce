"""What events do to their conversations: `accept`, in one transaction for many.

    seen before? → lock the conversations → status, then message → due_at → save

Control events (an agent replied, a status changed) take effect here, before the
200, and do not wait behind a turn. A contact's message only makes the conversation
due. The rules run in memory, on a `Story` for each conversation; the statements
around them are for all arrivals at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    NO_ACCOUNT,
    Identity,
    drop_unsent,
    forget_owed,
    has_unsaid,
    new_id,
    open_all,
    save_all,
    state_at_first_sight,
)
from .deliveries import Delivery, Outcome, remember
from .schema import messages, replies
from .signals import Signal, notify

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


@dataclass(slots=True, kw_only=True)
class Accepted:
    """What the caller and the worker need to know of an arrival.

    Attributes:
        decision: for a contact's message: who answers it.
        reason: for an ignored arrival: the rule.
        due_at: when the conversation is to be looked at; None when nobody need.
        interrupts: a turn that runs now must stop: "superseded" or the reason why
            the bot may no longer speak; None when it may go on.
        changed: the conversation looks different to somebody who watches it.
        version: the conversation's after the arrival.
    """

    outcome: Outcome
    reason: str = ""
    conversation_id: str | None = None
    message_id: int | None = None
    decision: Decision | None = None
    due_at: float | None = None
    interrupts: str | None = None
    changed: bool = False
    version: int = 0

    def signal(self) -> Signal | None:
        """Return what the worker and whoever watches must be told, or None."""
        if self.conversation_id is None:
            return None
        if not self.changed and self.due_at is None and self.interrupts is None:
            return None
        return Signal(
            conversation_id=self.conversation_id,
            due_at=self.due_at,
            interrupts=self.interrupts,
            version=self.version,
        )


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
        identity: (lambda arrival=arrival: _first_sight(tx, arrival))
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


Key = tuple[Any, ...]


def _key(conversation: Conversation, said: Said) -> Key | None:
    """Return what a message is known by: Chatwoot's id, or its sender's own.

    Without a conversation in the body (the demo's curl) an id says nothing.
    """
    if said.external_id is not None and conversation.account_id is not None:
        return conversation.account_id, said.external_id
    return (conversation.id, said.client_id) if said.client_id else None


def _known_messages(
    tx: sa.Connection,
    stories: Sequence["Story"],
    effective: Sequence[tuple[Arrival, Accepted]],
) -> set[Key]:
    """Return the keys of those messages that are stored already.

    Their conversations are locked, so nobody stores another one meanwhile.
    """
    keys = [
        _key(story.now, arrival.event.message)
        for story, (arrival, _) in zip(stories, effective, strict=True)
        if arrival.event.message is not None
    ]
    external = [key[1] for key in keys if key and isinstance(key[1], int)]
    client = [key[1] for key in keys if key and isinstance(key[1], str)]
    m = messages.c
    known: set[Key] = set()
    if external:
        query = sa.select(m.account_id, m.external_id).where(
            m.external_id.in_(external)
        )
        known |= {tuple(row) for row in tx.execute(query)}
    if client:
        query = sa.select(m.conversation_id, m.client_id).where(m.client_id.in_(client))
        known |= {tuple(row) for row in tx.execute(query)}
    return known


class Story:
    """One conversation while arrivals change it; written once, by `close_stories`."""

    def __init__(
        self,
        tx: sa.Connection,
        rules: Rules,
        conversation: Conversation,
        *,
        human_mode: bool,
    ) -> None:
        self.tx = tx
        self.rules = rules
        self.now = conversation
        self.human_mode = human_mode
        self.new_messages: list[tuple[dict[str, Any], Accepted]] = []
        self.changed = False
        self.active_at: float | None = None

    def take(self, arrival: Arrival, result: Accepted, known: set[Key]) -> None:
        """Let one arrival take effect, and say in *result* what follows."""
        event = arrival.event
        before = self.now.state, self.now.due_at
        if event.conversation is not None:
            # The first conversations may date from before Chatwoot was configured.
            self.now.channel = arrival.channel
            self.take_status(event.conversation, arrival.received_at, result)
        if event.message is not None and event.kind is not Kind.OTHER:
            key = _key(self.now, event.message)
            if key is None or key not in known:
                self._take_message(arrival, event.message, result)
            elif event.kind is not Kind.BOT_MESSAGE:
                result.outcome = Outcome.DUPLICATE
            if key is not None:
                known.add(key)
        self.finish(before, arrival, result)

    def finish(
        self,
        before: tuple[State, float | None],
        arrival: Arrival,
        result: Accepted,
    ) -> None:
        """Number the change, and pass on what the worker must know.

        Args:
            before: the state and `due_at` that the arrival has met.
        """
        state, due_at = before
        if result.changed:
            self.active_at = arrival.received_at
        if result.decision is not None or result.interrupts is not None:
            # A turn need not know of its own echo, or of a template.
            self.change(version=self.now.version + 1)
        if self.now.leased:
            # Then due_at is the end of the lease; its holder sets the next.
            self.now.due_at = due_at
        else:
            result.due_at = self.now.due_at
        result.conversation_id = self.now.id
        result.version = self.now.version
        result.changed = result.changed or self.now.state != state

    def change(self, **values: Any) -> None:
        """Change the conversation; `close_stories` writes it."""
        for name, value in values.items():
            setattr(self.now, name, value)
        self.changed = True

    def trigger(self, trigger: Trigger, result: Accepted) -> None:
        """Move the state; when the bot may no longer speak, forget what it owed."""
        state = next_state(self.now.state, trigger)
        self.change(state=state)
        if state is not State.AI or trigger is Trigger.RESOLVED:
            self._fall_silent()
            result.interrupts = str(trigger)
        if trigger in (Trigger.RELEASED, Trigger.REOPENED, Trigger.RESOLVED):
            self.change(held_at=self.now.status_at)

    def _fall_silent(self) -> None:
        for row, _ in self.new_messages:
            row["owed"] = False
        forget_owed(self.tx, self.now.id)
        drop_unsent(self.tx, self.now.id)
        # Notes are said all the same, and a status may have to be told.
        left = has_unsaid(self.tx, self.now.id) or self.now.wanted_status is not None
        self.change(
            owed_since=None, due_at=self.now.due_at if left else None, bot_turns=0
        )

    def take_status(self, seen: Sighting, now: float, result: Accepted) -> None:
        """Believe the status in a payload, unless a newer one has been seen."""
        if seen.status is None or (
            seen.updated_at and seen.updated_at < self.now.status_at
        ):
            return
        trigger = status_trigger(self.now, seen.status)
        first = self.now.status is None
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
            self.trigger(trigger, result)
        if first and self.now.state is State.HUMAN:
            # An operator gave it to humans before it appeared; they must see it.
            self.show_to_humans(now)

    def _take_message(self, arrival: Arrival, said: Said, result: Accepted) -> None:
        """Record a new message, and let it mean what it means."""
        match arrival.event.kind:
            case Kind.CONTACT_MESSAGE:
                self._take_question(arrival, said, result)
            case Kind.AGENT_REPLY:
                self._record(arrival, said, result)
                if not self._is_history(arrival):
                    self._agent_joined(arrival, result)
            case _:
                if said.reply_key is not None:
                    self._confirm_reply(arrival, said)
                if not said.private:
                    self._record(arrival, said, result)

    def _agent_joined(self, arrival: Arrival, result: Accepted) -> None:
        """Fall silent, and see that Chatwoot shows the conversation as open."""
        self.trigger(Trigger.AGENT_JOINED, result)
        self.show_to_humans(arrival.received_at)

    def show_to_humans(self, now: float) -> None:
        """Have a pending conversation opened: pending, the team does not see it."""
        shown = self.now.wanted_status or self.now.status
        if shown is Status.PENDING:
            self.want_status(Status.OPEN, now)

    def want_status(self, status: Status, now: float) -> None:
        """Have the worker tell Chatwoot, as soon as it can."""
        wanted = None if status is self.now.status else status
        self.change(wanted_status=wanted, due_at=now)

    def _is_history(self, arrival: Arrival) -> bool:
        """Return whether the agent spoke before giving the conversation back."""
        seen = arrival.event.conversation
        return seen is not None and 0 < seen.updated_at < self.now.held_at

    def _take_question(self, arrival: Arrival, said: Said, result: Accepted) -> None:
        now = arrival.received_at
        question = Message(
            id=0, sender=Sender.CONTACT, content=said.content, created_at=now
        )
        result.outcome = Outcome.ACCEPTED
        result.decision = decide(
            [question],
            self.now,
            human_mode=self.human_mode,
            policy=self.rules.policy,
        )
        owed = result.decision.route in (Route.BOT, Route.HANDOVER)
        self._record(arrival, said, result, owed=owed)
        if owed:
            self._make_due(arrival, result)

    def _make_due(self, arrival: Arrival, result: Accepted) -> None:
        now = arrival.received_at
        owed_since = self.now.owed_since or now
        due_at = self.rules.due_at(last=now, owed_since=owed_since)
        self.change(owed_since=owed_since, due_at=now if arrival.inline else due_at)
        if self.now.leased and self.now.restarts < MAX_RESTARTS:
            result.interrupts = "superseded"

    def _record(
        self, arrival: Arrival, said: Said, result: Accepted, *, owed: bool = False
    ) -> None:
        row = {
            "conversation_id": self.now.id,
            "account_id": self.now.account_id if said.external_id else None,
            "external_id": said.external_id,
            "client_id": said.client_id,
            "sender": said.sender,
            "content": said.content,
            "owed": owed,
            "created_at": arrival.received_at,
        }
        self.new_messages.append((row, result))
        result.changed = True

    def _confirm_reply(self, arrival: Arrival, said: Said) -> None:
        """Note that our own message has come back: it is said."""
        confirmed = self.tx.execute(
            sa.update(replies)
            .where(
                replies.c.key == said.reply_key,
                replies.c.state.in_(("open", "dropped")),
            )
            .values(state="delivered", external_id=said.external_id)
        ).rowcount
        if confirmed:
            self.change(due_at=arrival.received_at)


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
