"""An event at our door, the rules it is met with, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core.conversation import Inbox, State
from ..core.decision import Decision, Policy
from ..core.events import Event
from ..core.notes import Say
from ..core.remote import Remote
from ..core.routing import Routing
from .deliveries import Outcome
from .signals import Signal

# A talker is answered after this many turns have been superseded.
MAX_RESTARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The operator's choices that `accept` applies, for one bot.

    Attributes:
        quiet_s: how long a conversation must be quiet before it is answered.
        max_wait_s: how long the oldest message waits at most.
        account_id: the account of bodies that name none; None when unknown.
        remote: how agents steer the bot from within Chatwoot.
        routing: where a conversation goes when a human is called.
        attributes: the custom ones that the model may know.
        remembers: whether it may know of the contact's earlier requests.
        recovers: whether the bot takes back what Chatwoot has opened by itself.
        say: says an English text in the agents' language.
        bots: the rules of the inboxes that have a bot of their own.
    """

    policy: Policy
    quiet_s: float
    max_wait_s: float
    account_id: int | None = None
    remote: Remote = field(default_factory=Remote)
    routing: Routing = field(default_factory=Routing)
    attributes: tuple[str, ...] = ()
    remembers: bool = False
    recovers: bool = True
    say: Say = str
    bots: Mapping[Inbox, "Rules"] = field(default_factory=dict)

    def serving(self, inbox: Inbox) -> "Rules":
        """Return the rules of the bot that serves *inbox*."""
        return self.bots.get(inbox, self)

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
        moved: the state that the conversation has now, and the rule that moved it
            there; None when it holds the one it had.
        changed: the conversation looks different to somebody who watches it.
        undelivered: the key of our reply that did not reach the contact, or None.
        version: the conversation's after the arrival.
    """

    outcome: Outcome
    reason: str = ""
    conversation_id: str | None = None
    message_id: int | None = None
    decision: Decision | None = None
    due_at: float | None = None
    interrupts: str | None = None
    moved: tuple[State, str] | None = None
    changed: bool = False
    undelivered: str | None = None
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
