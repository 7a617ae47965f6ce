"""Who holds a conversation, and what may change that.

`TRANSITIONS` is the whole rule: no other module assigns a state. The functions
below it translate what Chatwoot shows of a conversation (its *status*) into the
trigger that moves our *state*.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Who answers the contact next. Stored as its value."""

    AI = "ai"
    HANDOVER_PENDING = "handover_pending"
    HUMAN = "human"


class Trigger(StrEnum):
    """What happened to the conversation."""

    HANDOVER_REQUESTED = "handover_requested"  # the contact asked, or the bot gave up
    AGENT_JOINED = "agent_joined"  # an agent replied, took over, or opened it
    RELEASED = "released"  # an agent gave it back to the bot
    RESOLVED = "resolved"  # it was closed
    REOPENED = "reopened"  # the contact came back after it was closed


TRANSITIONS: dict[State, dict[Trigger, State]] = {
    State.AI: {
        Trigger.HANDOVER_REQUESTED: State.HANDOVER_PENDING,
        Trigger.AGENT_JOINED: State.HUMAN,
        Trigger.RELEASED: State.AI,
        Trigger.RESOLVED: State.AI,
        Trigger.REOPENED: State.AI,
    },
    State.HANDOVER_PENDING: {
        Trigger.HANDOVER_REQUESTED: State.HANDOVER_PENDING,
        Trigger.AGENT_JOINED: State.HUMAN,
        Trigger.RELEASED: State.AI,
        Trigger.RESOLVED: State.AI,
        Trigger.REOPENED: State.AI,
    },
    State.HUMAN: {
        # A late request must not take the conversation from the agent.
        Trigger.HANDOVER_REQUESTED: State.HUMAN,
        Trigger.AGENT_JOINED: State.HUMAN,
        Trigger.RELEASED: State.AI,
        Trigger.RESOLVED: State.AI,
        # Chatwoot keeps the old assignee; that is not somebody holding it now.
        Trigger.REOPENED: State.AI,
    },
}


def next_state(state: State, trigger: Trigger) -> State:
    """Return the state after *trigger*.

    Total: Chatwoot repeats and reorders deliveries, so no pair is an error.
    """
    return TRANSITIONS[state][trigger]


class Status(StrEnum):
    """Chatwoot's own word for a conversation; never our state."""

    OPEN = "open"
    PENDING = "pending"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Sender(StrEnum):
    """Who wrote a message; the values are the API's."""

    CONTACT = "user"
    AGENT = "agent"
    BOT = "ai"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What came with a message besides its text; see `core.attachments`.

    Attributes:
        kind: Chatwoot's `file_type`, or ``file``.
        line: it in words, as in its message's text.
        url: where it can be fetched; None for what is all said in its line.
        size: in bytes, as Chatwoot says.
        text: the words of a voice note, or the text of a file, once known.
        problem: why nobody can read it, once that is certain.
        image: a ``data:`` URL for the model; kept in memory for one turn only.
    """

    kind: str
    line: str
    url: str | None = None
    size: int | None = None
    text: str | None = None
    problem: str | None = None
    image: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, whichever channel it came through.

    Attributes:
        id: ours, in the order of arrival.
        external_id: Chatwoot's, in the order of writing; None in the web chat.
        content: text, with a line for each attachment at its end; None when the
            message was deleted.
        created_at: Unix seconds.
        owed: True while a contact's message waits for its answer.
        owed_at: Unix seconds since when; `created_at` unless an agent handed it back.
        handed_back: an agent has left it to the bot: by handing the conversation
            back, or by asking for another answer.
        closes: the conversation was resolved after it.
        edited_at: Unix seconds of the last edit; None for none.
    """

    id: int
    sender: Sender
    content: str | None
    created_at: float
    owed: bool = False
    external_id: int | None = None
    client_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    closes: bool = False
    owed_at: float = 0.0
    edited_at: float | None = None
    handed_back: bool = False


@dataclass(slots=True, kw_only=True)
class Conversation:
    """What the engine knows of one conversation at one moment.

    Not frozen, because `accept` changes it in place for every event, which is its
    hottest path; everybody else only reads.

    Attributes:
        id: ours, ``c_…``.
        channel: ``chatwoot`` or ``web``: where a reply goes.
        account_id: Chatwoot's; None in the web chat.
        display_id: Chatwoot's number within the account; None in the web chat.
        chatwoot_channel: Chatwoot's class, as in `core.outgoing`; None until shown.
        can_reply: the channel would still bring a reply to the contact.
        status: the newest status that Chatwoot showed; None before the first.
        status_at: Chatwoot's clock (Unix seconds) at that status.
        held_at: Chatwoot's clock when somebody last gave the bot the conversation, or
            resolved it.
        closed_at: Chatwoot's clock when somebody else than us last resolved it.
        began_pending: an agent bot's inbox made it: it was pending at first sight.
        ever_pending: Chatwoot has shown it as pending at some time; then somebody who
            opens it takes it from the bot.
        agent_replied: an agent's first reply has been seen, or is no news any more.
        wanted_status: what Chatwoot still has to be told, or None.
        told_status: what Chatwoot is being told now; its event, when it comes, is
            our own doing. None when nothing is under way.
        version: grows with every event that a running turn must know of.
        restarts: turns superseded since the last answer.
        attempts: claims since the last success; high when it kills its worker.
        failures: turns that failed since the last success.
        bot_turns: answers of the bot since a human or a resolve.
        switch: ``off`` while a label or an attribute asks for silence, or None.
        switch_at: Chatwoot's clock (Unix seconds) at that.
        hushed: a label or an attribute is all that keeps the bot silent, and it is
            still there.
        marks: what operators' rules heed of labels and attributes; see `core.rules`.
        contact: who writes, as a key to their other conversations; None for nobody
            that could be told from others.
        contact_name: None until it is known.
        attributes: JSON of those that the operator has named; "" for none.
        summary: what was said up to the message `summary_until`; None for nothing.
        spent: what the model has cost since a human or a resolve.
        released: an agent gave it to the bot, and it was not resolved since.
        touched: an agent has replied, given a command or taken it since the bot last
            got it, or the bot has called one; then the bot does not take it back by
            itself.
        stranded_at: Unix seconds since when Chatwoot shows it as open while the bot
            still owns it and is silent, so that no agent may find it; None otherwise.
        owed_since: Unix seconds of the oldest message without an answer.
        due_at: Unix seconds when somebody should look at it; None for never. While
            it is leased, the end of the lease.
        leased: a worker has it now.
    """

    id: str
    channel: str
    state: State
    account_id: int | None = None
    inbox_id: int | None = None
    display_id: int | None = None
    chatwoot_channel: str | None = None
    can_reply: bool = True
    status: Status | None = None
    status_at: float = 0.0
    held_at: float = 0.0
    closed_at: float = 0.0
    began_pending: bool = False
    ever_pending: bool = False
    agent_replied: bool = False
    wanted_status: Status | None = None
    told_status: Status | None = None
    version: int = 0
    restarts: int = 0
    attempts: int = 0
    failures: int = 0
    bot_turns: int = 0
    switch: str | None = None
    switch_at: float = 0.0
    hushed: bool = False
    marks: str = ""
    contact: str | None = None
    contact_name: str | None = None
    attributes: str = ""
    summary: str | None = None
    summary_until: int | None = None
    spent: float = 0.0
    released: bool = False
    touched: bool = False
    stranded_at: float | None = None
    owed_since: float | None = None
    due_at: float | None = None
    leased: bool = False

    @property
    def inbox(self) -> "Inbox":
        """Whose bot serves it; a web chat has no inbox of Chatwoot's."""
        return self.channel if self.inbox_id is None else self.inbox_id


# Chatwoot's id of an inbox, or the name of a channel without one, such as ``web``.
Inbox = int | str


def status_to_tell(conversation: Conversation, status: Status) -> Status | None:
    """Return *status* if Chatwoot has to be told it; None where it is so already.

    While another is on its way there, this one has to follow it, also where it is
    what Chatwoot shows at the moment.
    """
    settled = conversation.told_status in (None, status)
    return None if settled and status is conversation.status else status


def looks_pending(conversation: Conversation) -> bool:
    """Return whether Chatwoot hides the conversation from the team, or is about to."""
    shown = conversation.wanted_status or conversation.status
    return Status.PENDING in (shown, conversation.told_status)


def status_trigger(conversation: Conversation, seen: Status) -> Trigger | None:
    """Return what *seen* in a payload means for a conversation we know.

    Only a change says something: a payload that still shows `pending` does not
    undo an agent's reply, and a status we asked for ourselves is no news.
    """
    if conversation.status is None:
        return None
    ours = conversation.wanted_status, conversation.told_status
    if seen is conversation.status or seen in ours:
        return None
    match seen:
        case Status.RESOLVED:
            return Trigger.RESOLVED
        case Status.PENDING if conversation.status is Status.RESOLVED:
            return Trigger.REOPENED
        case Status.PENDING:
            return Trigger.RELEASED
        case Status.SNOOZED:
            return Trigger.AGENT_JOINED
        case Status.OPEN:  # pragma: no branch - there is no fifth
            return _opened(conversation)


def _opened(conversation: Conversation) -> Trigger | None:
    if conversation.status is Status.RESOLVED:
        # Without an agent bot in the inbox, open is where conversations start, and
        # where they go when the contact comes back.
        began_pending = conversation.began_pending
        return Trigger.AGENT_JOINED if began_pending else Trigger.REOPENED
    return Trigger.AGENT_JOINED if conversation.ever_pending else None


def first_state(
    status: Status | None, *, agent_replied: bool, inbox_has_bot: bool
) -> State:
    """Return who holds a conversation that we see for the first time.

    Args:
        status: Chatwoot's status in the payload; None in a body without one.
        agent_replied: an agent has already answered in it.
        inbox_has_bot: an agent bot serves the inbox, so new conversations would
            be pending and this one was opened by somebody.
    """
    if status is Status.SNOOZED:
        return State.HUMAN
    if status is Status.OPEN and (agent_replied or inbox_has_bot):
        return State.HUMAN
    return State.AI
