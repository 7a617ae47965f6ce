"""What the simulated Chatwoot stores: people, conversations, messages, events.

The words are Chatwoot's own. Times are Unix seconds as floats; `payloads.py`
writes them in the several forms that Chatwoot uses on the wire.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

MessageType = Literal["incoming", "outgoing", "template", "activity"]
SenderType = Literal["contact", "user", "agent_bot"]
Change = tuple[Any, Any]
"""The value before and the value after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The company that runs Chatwoot."""

    id: int
    name: str = "Acme Store"


@dataclass(slots=True, kw_only=True)
class Inbox:
    """One channel of the account, with the settings that change what is sent.

    Attributes:
        agent_bot_id: The connected bot; one at most (docs/chatwoot/deliveries.md#bots).
        webhook_url: The callback of an API inbox; others have none.
        secret: Signs those callbacks.
        identifier: What the public API calls an API inbox.
        is_closed: It is outside business hours now; a real Chatwoot has a clock.
        reply_window_s: How long after the contact's last message one may answer.
    """

    id: int
    name: str = "Website"
    channel: str = "Channel::WebWidget"
    agent_bot_id: int | None = None
    webhook_url: str | None = None
    secret: str = ""
    hmac_token: str = ""
    identifier: str = ""
    greeting_enabled: bool = False
    greeting_message: str | None = None
    working_hours_enabled: bool = False
    out_of_office_message: str | None = None
    is_closed: bool = False
    enable_email_collect: bool = True
    csat_survey_enabled: bool = False
    enable_auto_assignment: bool = False
    lock_to_single_conversation: bool = False
    allow_messages_after_resolved: bool = True
    timezone: str = "UTC"
    reply_window_s: float | None = None

    @property
    def is_widget(self) -> bool:
        """Whether visitors write in a web page."""
        return self.channel == "Channel::WebWidget"

    @property
    def is_api(self) -> bool:
        """Whether a program writes for the contacts."""
        return self.channel == "Channel::Api"


@dataclass(slots=True, kw_only=True)
class Bot:
    """An agent bot: what a service under test speaks as.

    Attributes:
        outgoing_url: Where its events go; a bot without one gets nothing.
        account_id: None is a system bot.
        avatar_url: Where its picture is; empty for none.
    """

    id: int
    name: str
    description: str | None = None
    avatar_url: str = ""
    outgoing_url: str = ""
    bot_config: dict[str, Any] = field(default_factory=dict)
    account_id: int | None = 1
    access_token: str = ""
    secret: str = ""
    created_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class AccountWebhook:
    """One of Settings > Integrations > Webhooks."""

    id: int
    url: str
    subscriptions: tuple[str, ...]
    name: str | None = None
    inbox_id: int | None = None
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A human who works in Chatwoot."""

    id: int
    name: str
    available_name: str
    email: str
    role: Literal["agent", "administrator"] = "agent"
    access_token: str = ""
    availability_status: Literal["online", "busy", "offline"] = "online"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A group of agents."""

    id: int
    name: str
    description: str | None = None
    allow_auto_assign: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactInbox:
    """The record that ties a contact to an inbox."""

    id: int
    source_id: str
    pubsub_token: str
    created_at: float
    updated_at: float


@dataclass(slots=True, kw_only=True)
class Contact:
    """The person who asks, with the record that ties them to the inbox."""

    id: int
    name: str
    email: str | None
    phone_number: str | None
    contact_inbox_id: int
    source_id: str
    pubsub_token: str
    created_at: float
    updated_at: float
    is_announced: bool = False
    identifier: str | None = None
    additional_attributes: dict[str, Any] = field(default_factory=dict)
    custom_attributes: dict[str, Any] = field(default_factory=dict)
    blocked: bool = False

    @property
    def contact_inbox(self) -> ContactInbox:
        """The record of the inbox that they first wrote to."""
        return ContactInbox(
            id=self.contact_inbox_id,
            source_id=self.source_id,
            pubsub_token=self.pubsub_token,
            created_at=self.created_at,
            updated_at=self.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message before it is stored: all that its author decides."""

    content: str | None
    message_type: MessageType = "outgoing"
    sender_type: SenderType | None = None
    sender_id: int | None = None
    private: bool = False
    content_type: str = "text"
    content_attributes: dict[str, Any] = field(default_factory=dict)
    source_id: str | None = None
    status: str = "sent"
    additional_attributes: dict[str, Any] = field(default_factory=dict)
    attachments: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Draft):
    """A stored message; ids ascend over the whole account."""

    id: int
    conversation_id: int
    created_at: float
    updated_at: float

    @property
    def is_reply(self) -> bool:
        """Whether the contact sees this as an answer: public and outgoing."""
        return self.message_type == "outgoing" and not self.private

    @property
    def is_shown(self) -> bool:
        """Whether the contact sees it come in: an answer, or a template."""
        return self.message_type in ("outgoing", "template") and not self.private


@dataclass(slots=True, kw_only=True)
class Conversation:
    """One conversation; `id` is what Chatwoot calls the display id.

    Only `World` changes it, so that each change sends the events it must.
    """

    id: int
    uuid: str
    inbox: Inbox
    contact: Contact
    status: str
    created_at: float
    updated_at: float
    last_activity_at: float
    waiting_since: float | None
    status_changed_at: float
    assignee_agent_bot_id: int | None = None
    assignee_id: int | None = None
    team_id: int | None = None
    label_list: tuple[str, ...] = ()
    priority: str | None = None
    custom_attributes: dict[str, Any] = field(default_factory=dict)
    additional_attributes: dict[str, Any] = field(default_factory=dict)
    muted: bool = False
    window_closed: bool = False
    is_announced: bool = False
    snoozed_until: float | None = None
    first_reply_created_at: float | None = None
    agent_last_seen_at: float | None = None
    contact_last_seen_at: float | None = None
    unread: int = 0
    messages: list[Message] = field(default_factory=list)
    typing: list[str] = field(default_factory=list)
    carried: list[Message] = field(default_factory=list)
    """What the channel took: what the contact has on the phone."""
    merged_inbox: ContactInbox | None = None
    """Of the contact who was merged into this one; it stays as it was."""
    recent: deque[float] = field(default_factory=deque)
    """When the messages of the last minute were stored, for the flood guard."""

    @property
    def contact_inbox(self) -> ContactInbox:
        """The record that ties the contact to the inbox."""
        return self.merged_inbox or self.contact.contact_inbox

    @property
    def last_public(self) -> Message | None:
        """The newest message that is neither private nor an activity."""
        for message in reversed(self.messages):
            if not message.private and message.message_type != "activity":
                return message
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that Chatwoot may tell a webhook about.

    Attributes:
        name: Chatwoot's event name, such as `message_created`.
        conversation: Where it happened; changes on after the event.
        message: The message of a message event.
        changes: Field to (before, after); None where Chatwoot sends no diff.
        user: Who types, in typing events.
        url: The only one who is told, for automation rules and macros.
    """

    name: str
    conversation: Conversation
    message: Message | None = None
    changes: dict[str, Change] | None = None
    user: SenderType | None = None
    user_id: int | None = None
    is_private: bool = False
    url: str = ""
