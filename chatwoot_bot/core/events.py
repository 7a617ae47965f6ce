"""Turn the body of a Chatwoot delivery into one typed event.

Raw JSON stops here. `parse` checks what the engine reads and nothing else:
Chatwoot adds keys with every release, and leaves out newer ones in older releases.
`classify` then says what kind of event it is, by the rules of
Chatwoot's own source (`app/models/message.rb`, `app/presenters/conversations/`).
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NoReturn, TypeVar

import pydantic

from ..errors import PayloadError
from . import attachments, mail, updates
from .assignments import Assigned, assigned
from .conversation import Attachment, Sender, Status
from .outgoing import TWILIO_WHATSAPP
from .rules import UNSUPPORTED
from .text import without_controls


class Kind(StrEnum):
    """What an event is to the engine."""

    CONTACT_MESSAGE = "contact_message"  # may need an answer
    AGENT_REPLY = "agent_reply"  # a human spoke: the bot falls silent
    AGENT_NOTE = "agent_note"  # a human's private note: it may ask something of us
    BOT_MESSAGE = "bot_message"  # ours, a template, an automation: transcript only
    UNSUPPORTED = "unsupported"  # a contact sent what Chatwoot itself cannot show
    EMPTY = "empty"  # a contact's message whose content comes with an update
    REACTION = "reaction"  # a contact's emoji on a message
    MACHINE_MESSAGE = "machine_message"  # a mail that takes no reply: for the team
    EDITED = "edited"  # a contact's message has another text now, or a transcript
    DELETED = "deleted"  # a message was taken back
    UNDELIVERED = "undelivered"  # an outgoing message did not reach the contact
    OTHER = "other"  # at most a conversation's status


# Kinds that tell of a message which was there before.
UPDATES = frozenset((Kind.EDITED, Kind.DELETED, Kind.UNDELIVERED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a payload shows of its conversation.

    Attributes:
        display_id: Chatwoot's number, unique within the account.
        status: None when the payload has none, or one we do not know.
        updated_at: Chatwoot's clock, Unix seconds; 0 in releases before 4.0.2.
        first_reply_at: Chatwoot's clock when an agent first answered; 0 for never.
        contact_name: None until Chatwoot knows it.
        channel: Chatwoot's class, as in `core.outgoing`; None when not shown.
        can_reply: False when the channel's time for replies is over; None when not
            shown.
        labels: None when not shown.
        attributes: the custom ones; None when not shown.
        contact_attributes: the contact's custom ones; None when not shown.
        contact: see `contact_key`; None when not shown.
        addresses: the contact's identifier, e-mail address, telephone number and
            source, as far as they are shown.
        assigned: who has become its assignee with this change; None when nobody has.
        bot_owner: Chatwoot's id of the agent bot that owns it; 0 when none does, None
            when not shown.
    """

    display_id: int
    status: Status | None = None
    updated_at: float = 0.0
    first_reply_at: float = 0.0
    contact_name: str | None = None
    channel: str | None = None
    can_reply: bool | None = None
    labels: tuple[str, ...] | None = None
    attributes: Mapping[str, Any] | None = None
    contact_attributes: Mapping[str, Any] | None = None
    contact: str | None = None
    addresses: tuple[str, ...] = ()
    assigned: Assigned | None = None
    bot_owner: int | None = None

    @property
    def agent_replied(self) -> bool:
        """Whether an agent has answered in it at some time."""
        return self.first_reply_at > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message as the payload shows it.

    Attributes:
        external_id: Chatwoot's message id; None in the web chat, and for what a
            contact chose or filled in, which has none.
        content: text, with a line for each attachment; never None.
        reply_key: our own key, when the message is one of ours.
        private: a note that the contact does not see.
        by_user: posted with a user's token, ours for example, or by hand.
        by_bot: Chatwoot's id of the agent bot that posted it; None for others.
        submitted_to: Chatwoot's id of the message with the form or the options.
        reacts_to: Chatwoot's id of the message that a reaction is to.
        error: why an outgoing message did not reach the contact.
    """

    external_id: int | None
    sender: Sender
    content: str
    attachments: tuple[Attachment, ...] = ()
    reply_key: str | None = None
    client_id: str | None = None
    private: bool = False
    by_user: bool = False
    by_bot: int | None = None
    submitted_to: int | None = None
    reacts_to: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One delivery, understood.

    Attributes:
        name: Chatwoot's event name, or "" when the body has none.
        reason: the rule that keeps the bot from answering; "" for a contact's
            message that may be answered.
    """

    name: str
    kind: Kind
    reason: str = ""
    account_id: int | None = None
    inbox_id: int | None = None
    conversation: Sighting | None = None
    message: Said | None = None


# Characters of a message, as many as Chatwoot accepts; of a name, four times as many.
MAX_CONTENT = 150_000
MAX_NAME = 1_000
# PostgreSQL's bigint; an id above it would fail in the database, not here.
Id = Annotated[int, pydantic.Field(strict=True, ge=1, le=2**63 - 1)]
Text = Annotated[str, pydantic.Field(strict=True)]
Flag = Annotated[bool, pydantic.Field(strict=True)]
# Unix seconds; in the year 5138.
MAX_CLOCK = 1e11
Clock = Annotated[float, pydantic.Field(ge=0, le=MAX_CLOCK, allow_inf_nan=False)]
# Of a payload; Chatwoot's own are below 10, and attributes are the account's affair.
MAX_DEPTH = 100


class _Wire(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="ignore", frozen=True)


Model = TypeVar("Model", bound=_Wire)


class _Named(_Wire):
    id: Id | None = None
    name: Text | None = None
    type: Text | None = None
    blocked: Flag | None = None
    custom_attributes: Any = None
    # Read where they are as expected, like those of a conversation.
    identifier: Any = None
    email: Any = None
    phone_number: Any = None


class _Meta(_Wire):
    sender: _Named | None = None
    channel: Any = None  # only in REST
    # Who owns it; REST leaves both out when nobody does.
    assignee: Any = None
    assignee_type: Any = None


class _Conversation(_Wire):
    id: Id | None = None
    inbox_id: Id | None = None
    status: Text | None = None
    updated_at: Clock | None = None
    first_reply_created_at: Any = None  # ISO text in webhooks, Unix or 0 in REST
    meta: _Meta | None = None
    account: _Named | None = None
    # Read where they are as expected; not worth refusing a delivery for.
    channel: Any = None
    can_reply: Any = None
    labels: Any = None
    custom_attributes: Any = None
    contact_inbox: Any = None
    messages: Any = None
    changed_attributes: Any = None  # only in conversation_updated


class _Message(_Wire):
    id: Id
    message_type: Text | Annotated[int, pydantic.Field(strict=True)]
    content: Text | None = None
    content_type: Text | None = None
    content_attributes: dict[str, Any] | None = None
    additional_attributes: dict[str, Any] | None = None
    private: Flag | None = None
    sender: _Named | None = None
    attachments: list[dict[str, Any]] | None = None


class _Envelope(_Wire):
    account: _Named | None = None
    inbox: _Named | None = None
    conversation: _Conversation | None = None
    current_conversation: _Conversation | None = None


MAIL = "incoming_email"
AGENT_BOT = "AgentBot"
# Of a contact; e-mail addresses have up to 254 characters.
MAX_ADDRESS = 300

# Nested messages and REST show the type as a number.
MESSAGE_TYPES = ("incoming", "outgoing", "activity", "template")


def parse(body: bytes) -> Event:
    """Read *body*, a Chatwoot webhook body as received.

    Characters that PostgreSQL cannot store (NUL, lone surrogates) become U+FFFD.

    Raises:
        PayloadError: not JSON, not an object, or a field we read has the wrong
            type. The message names the field and never holds its value.
    """
    payload = _load(body)
    name = payload.get("event")
    if name is None:
        return Event(name="", kind=Kind.OTHER, reason="no_event")
    if not isinstance(name, str):
        raise PayloadError("event: Input should be a valid string")
    if name in ("message_created", "message_updated"):
        return _message_event(name, payload)
    if name.startswith(("conversation_", "automation_event.", "macro.executed")):
        return _conversation_event(name, payload)
    return _bare_event(name, payload)


def from_rest(
    conversation: Mapping[str, Any], message: Mapping[str, Any], account_id: int
) -> Event:
    """Read a message that was fetched, as if its webhook had come.

    Args:
        conversation: as in REST
        (docs/chatwoot/api.md#conversation), which names its parts alike.
        message: as in a conversation's `last_non_activity_message`, or in a list.

    Raises:
        PayloadError: a field we read has the wrong type.
    """
    inbox = {"id": conversation.get("inbox_id")}
    payload = {
        **message,
        "conversation": {**conversation, "account": None},
        "account": {"id": account_id},
        "inbox": inbox,
    }
    attributes = message.get("content_attributes")
    # A contact's choice shows only in the message that offered it.
    chosen = isinstance(attributes, dict) and updates.submission(attributes)
    name = "message_updated" if chosen else "message_created"
    return _message_event(name, _storable(payload))


def row_from_rest(conversation: Mapping[str, Any], account_id: int) -> Event:
    """Read a conversation that was fetched, without any of its messages.

    Raises:
        PayloadError: a field we read has the wrong type.
    """
    shown = _validated(_Conversation, _storable({**conversation, "account": None}))
    return Event(
        name="conversation_seen",
        kind=Kind.OTHER,
        reason="not_message_created",
        account_id=account_id,
        inbox_id=shown.inbox_id,
        conversation=_sighting(shown),
    )


def _load(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode()
        payload = DECODER.decode(text)
        # Looked at only where there may be something to find.
        if (
            UNSTORABLE_ESCAPED.search(text)
            or text.count("[") + text.count("{") > MAX_DEPTH
        ):
            payload = _storable(payload)
    except (ValueError, RecursionError) as error:
        raise PayloadError("the body is not JSON in UTF-8") from error
    if not isinstance(payload, dict):
        raise PayloadError("the body is not a JSON object")
    return payload


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
# What PostgreSQL cannot store, as it is and as JSON writes it.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
UNSTORABLE_ESCAPED = re.compile(r"\\u0000|\\u[dD][89a-fA-F]")


def _storable(value: Any, depth: int = 0) -> Any:
    """Return *value* with text that every database takes.

    Raises:
        PayloadError: it is deeper than whoever reads it later could go.
    """
    if depth > MAX_DEPTH:
        raise PayloadError("the body is nested too deeply")
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {
            _storable(key): _storable(item, depth + 1) for key, item in value.items()
        }
    return value


def _validated(model: type[Model], payload: Mapping[str, Any]) -> Model:
    try:
        return model.model_validate(payload)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise PayloadError(f"{field}: {first['msg']}") from None


def _bare_event(name: str, payload: Mapping[str, Any]) -> Event:
    """Read an event that is about a contact, an inbox or the widget."""
    try:
        envelope = _validated(_Envelope, payload)
    except PayloadError:
        # An event we do not know may use these names for something else.
        envelope = _Envelope()
    return Event(
        name=name,
        kind=Kind.OTHER,
        reason="not_message_created",
        account_id=_account_id(envelope, None),
        inbox_id=_inbox_id(envelope),
        conversation=_sighting(envelope.conversation or envelope.current_conversation),
    )


def _conversation_event(name: str, payload: Mapping[str, Any]) -> Event:
    """Read an event whose top level is the conversation itself.

    Typing has its conversation one level deeper; it tells the engine nothing.
    """
    conversation = _validated(_Conversation, payload)
    envelope = _validated(_Envelope, {"account": payload.get("account")})
    return Event(
        name=name,
        kind=Kind.OTHER,
        reason="not_message_created",
        account_id=_account_id(envelope, conversation),
        inbox_id=conversation.inbox_id,
        conversation=_sighting(conversation),
    )


def _message_event(name: str, payload: Mapping[str, Any]) -> Event:
    envelope = _validated(_Envelope, payload)
    message = _validated(_Message, payload)
    kind, reason = classify(message)
    attributes = message.content_attributes or {}
    attached = attachments.read(message.attachments or ())
    if kind is Kind.UNSUPPORTED:
        attached = (Attachment(kind=UNSUPPORTED, line="[a message of unknown form]"),)
    said = Said(
        external_id=message.id,
        # What Chatwoot says by itself is nobody's word, the bot's least of all.
        sender=Sender.SYSTEM if reason == "template" else SENDERS[kind],
        content=_content(message, attached),
        attachments=attached,
        reply_key=_reply_key(message),
        private=bool(message.private),
        by_user=message.sender is not None and message.sender.type == "user",
        reacts_to=_id(attributes.get("in_reply_to")),
        by_bot=_agent_bot(message.sender),
    )
    if name != "message_created":
        kind, reason, said = _updated(message, envelope.conversation, kind, said)
    return Event(
        name=name,
        kind=kind,
        reason=reason,
        account_id=_account_id(envelope, envelope.conversation),
        inbox_id=_inbox_id(envelope),
        conversation=_sighting(envelope.conversation),
        message=said,
    )


def _updated(
    message: _Message, conversation: _Conversation | None, kind: Kind, said: Said
) -> tuple[Kind, str, Said]:
    """Return what an update is, by which rule, and what it says.

    Args:
        kind: what the message would be if it were new.
    """
    attributes = message.content_attributes or {}
    type_ = _message_type(message)
    if _is_deleted(attributes):
        sender = Sender.CONTACT if type_ == "incoming" else Sender.BOT
        return Kind.DELETED, "deleted", replace(said, sender=sender)
    if kind is Kind.CONTACT_MESSAGE and _is_edited(message, said):
        return Kind.EDITED, "not_message_created", said
    # A template is Chatwoot's own question, for an address or a rating; the contact
    # who answers it waits for nothing.
    if type_ == "outgoing" and not message.private:
        if text := updates.submission(attributes):
            return _submitted(message, conversation, text)
        shown = conversation.messages if conversation else None
        error = updates.failure(attributes, message.id, shown)
        if error is not None:
            return Kind.UNDELIVERED, "undelivered", replace(said, error=error)
    return Kind.OTHER, "not_message_created", said


def _is_edited(message: _Message, said: Said) -> bool:
    """Return whether the text may be another: edited, or only now complete."""
    return bool(said.attachments or message.content)


def _submitted(
    message: _Message, conversation: _Conversation | None, text: str
) -> tuple[Kind, str, Said]:
    """Return a contact's choice as their message; repeated, it has the same name."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    said = Said(
        external_id=None,
        sender=Sender.CONTACT,
        content=text,
        client_id=f"submitted:{message.id}:{digest}",
        submitted_to=message.id,
    )
    contact = conversation.meta.sender if conversation and conversation.meta else None
    if contact and contact.blocked:
        return Kind.OTHER, "blocked_contact", said
    return Kind.CONTACT_MESSAGE, "", said


SENDERS = {
    Kind.CONTACT_MESSAGE: Sender.CONTACT,
    Kind.UNSUPPORTED: Sender.CONTACT,
    Kind.EMPTY: Sender.CONTACT,
    Kind.REACTION: Sender.CONTACT,
    Kind.MACHINE_MESSAGE: Sender.CONTACT,
    Kind.AGENT_REPLY: Sender.AGENT,
    Kind.AGENT_NOTE: Sender.AGENT,
    Kind.BOT_MESSAGE: Sender.BOT,
    Kind.OTHER: Sender.SYSTEM,
}


def classify(message: _Message) -> tuple[Kind, str]:
    """Return what *message* is, and the rule that says so.

    Its form decides before its sender and its text do: a call has a text too. The
    sender's class is read by shape: a contact in a webhook has no `type`.
    """
    attributes = message.content_attributes or {}
    if _is_deleted(attributes):
        return Kind.OTHER, "deleted"
    if message.content_type == "voice_call":
        return Kind.OTHER, "voice_call"  # it rings at the agents' desks
    match _message_type(message):
        case "incoming":
            return _classify_incoming(message, attributes)
        case "outgoing":
            return _classify_outgoing(message, attributes)
        case "template":
            return Kind.BOT_MESSAGE, "template"
        case "activity":
            return Kind.OTHER, "activity"
        case _:
            return Kind.OTHER, "unknown_message_type"


def _is_deleted(attributes: Mapping[str, Any]) -> bool:
    """Return whether the message was taken back; in forks its text stays."""
    return bool(attributes.get("deleted") or attributes.get("deleted_by_contact"))


def _classify_incoming(
    message: _Message, attributes: Mapping[str, Any]
) -> tuple[Kind, str]:
    if message.private:
        return Kind.OTHER, "private"
    if message.sender and message.sender.blocked:
        return Kind.OTHER, "blocked_contact"
    if attributes.get("is_reaction"):
        taken_back = not (message.content or "").strip()
        return Kind.OTHER if taken_back else Kind.REACTION, "reaction"
    if attributes.get("is_unsupported"):
        return Kind.UNSUPPORTED, "unsupported"
    email = attributes.get("email")
    if isinstance(email, dict) and email.get("auto_reply"):
        return Kind.OTHER, "auto_reply"
    if message.content_type == MAIL and mail.is_machine(_address(message.sender)):
        return Kind.MACHINE_MESSAGE, "no_reply_sender"
    if not (message.content or "").strip() and not (
        message.attachments or _content(message, ())
    ):
        return Kind.EMPTY, "empty"
    return Kind.CONTACT_MESSAGE, ""


def _classify_outgoing(
    message: _Message, attributes: Mapping[str, Any]
) -> tuple[Kind, str]:
    if _reply_key(message):
        # Known by the key, whatever token (bot's or user's) posted it.
        return Kind.BOT_MESSAGE, "own_echo"
    if attributes.get("is_reaction"):
        return Kind.OTHER, "reaction"  # nobody has answered anything with it
    if message.private:
        by_human = message.sender is not None and message.sender.type == "user"
        return Kind.AGENT_NOTE if by_human else Kind.OTHER, "private"
    if message.sender is None:
        if attributes.get("automation_rule_id"):
            return Kind.BOT_MESSAGE, "automation"
        if (message.additional_attributes or {}).get("campaign_id"):
            return Kind.BOT_MESSAGE, "campaign"
        # Somebody typed on the phone that is paired with the inbox.
        return Kind.AGENT_REPLY, "agent_reply"
    if message.sender.type == "user":
        return Kind.AGENT_REPLY, "agent_reply"
    return Kind.BOT_MESSAGE, "bot_message"


def _message_type(message: _Message) -> str:
    kind = message.message_type
    if isinstance(kind, str):
        return kind
    return MESSAGE_TYPES[kind] if 0 <= kind < len(MESSAGE_TYPES) else ""


def _content(message: _Message, attached: Sequence[Attachment]) -> str:
    """Return the text, and a line for each attachment."""
    text = (message.content or "")[:MAX_CONTENT]
    attributes = message.content_attributes or {}
    email = attributes.get("email")
    if isinstance(email, dict):
        text = mail.own_words(email, text)[:MAX_CONTENT]
    flow = attributes.get("whatsapp_flow_response")
    if isinstance(flow, dict):
        # The text is a fixed sentence.
        text = "\n".join((text.strip(), *updates.flow_lines(flow)))
    if message.content_type == "sticker":
        # LINE's: the text is the address of a picture.
        text = "[sticker]"
    lines = [text.strip(), attachments.lines(attached)]
    return "\n".join(line for line in lines if line)


def _agent_bot(sender: _Named | None) -> int | None:
    return sender.id if sender and sender.type == "agent_bot" else None


def _text(value: Any) -> str:
    return value[:MAX_CONTENT].strip() if isinstance(value, str) else ""


def _id(value: Any) -> int | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    return value if number and 0 < value < 2**63 else None


def _address(sender: _Named | None) -> str:
    return _text(sender.email) if sender else ""


def _reply_key(message: _Message) -> str | None:
    ours = (message.content_attributes or {}).get("chatwoot_bot")
    key = ours.get("reply_key") if isinstance(ours, dict) else None
    return key if isinstance(key, str) else None


def _account_id(envelope: _Envelope, conversation: _Conversation | None) -> int | None:
    """Return the account; before 4.14.2 a conversation does not name its own."""
    account = envelope.account or (conversation and conversation.account)
    return account.id if account else None


def _inbox_id(envelope: _Envelope) -> int | None:
    if envelope.inbox and envelope.inbox.id:
        return envelope.inbox.id
    return envelope.conversation.inbox_id if envelope.conversation else None


def _sighting(conversation: _Conversation | None) -> Sighting | None:
    if conversation is None or conversation.id is None:
        return None
    contact = conversation.meta.sender if conversation.meta else None
    return Sighting(
        display_id=conversation.id,
        status=_status(conversation.status),
        updated_at=conversation.updated_at or 0.0,
        first_reply_at=moment(conversation.first_reply_created_at),
        contact_name=(
            without_controls((contact.name or "")[:MAX_NAME]) or None
            if contact
            else None
        ),
        channel=_channel(conversation),
        can_reply=_flag(conversation.can_reply),
        labels=_labels(conversation.labels),
        attributes=_attributes(conversation.custom_attributes),
        contact_attributes=_attributes(contact.custom_attributes) if contact else None,
        contact=contact_key(contact.id if contact else None, conversation),
        addresses=_addresses(contact, conversation),
        assigned=assigned(conversation.changed_attributes),
        bot_owner=_owner(conversation.meta),
    )


def _owner(meta: _Meta | None) -> int | None:
    """Return `Sighting.bot_owner`; the type is absent before Chatwoot 4.8."""
    if meta is None:
        return None
    is_bot = meta.assignee_type == AGENT_BOT and isinstance(meta.assignee, dict)
    return _id(meta.assignee.get("id")) or 0 if is_bot else 0


def _addresses(contact: _Named | None, conversation: _Conversation) -> tuple[str, ...]:
    """Return what a contact may be known by to whoever wants to ignore them."""
    inbox = conversation.contact_inbox
    source = inbox.get("source_id") if isinstance(inbox, dict) else None
    shown = [source]
    if contact is not None:
        shown = [contact.identifier, contact.email, contact.phone_number, source]
    return tuple(text[:MAX_ADDRESS] for each in shown if (text := _text(each)))


def moment(value: Any) -> float:
    """Return Unix seconds of what webhooks write in ISO 8601, and REST as a number.

    0 for nothing, and the beginning of time for what nobody can read.
    """
    if not value:
        return 0.0
    seconds = value
    if isinstance(value, str):
        try:
            seconds = datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            return 1.0
    # Compared before it is converted: a float has no room for 400 digits.
    known = isinstance(seconds, int | float) and 0 <= seconds <= MAX_CLOCK
    return float(seconds) if known else 1.0


def contact_key(contact_id: int | None, conversation: _Conversation) -> str | None:
    """Return what is the same in all conversations of one contact in one inbox.

    The contact's id alone is not enough: Chatwoot takes a visitor who types somebody's
    e-mail address for that contact. So where they write from belongs to it too, be it
    a browser's secret or a telephone number; as a digest, because we need not know it.
    """
    inbox = conversation.contact_inbox
    source = _text(inbox.get("source_id")) if isinstance(inbox, dict) else ""
    if contact_id is None or not source or conversation.inbox_id is None:
        return None
    named = f"{conversation.inbox_id}/{contact_id}/{source}"
    return hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:32]


def _labels(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(label for label in value if isinstance(label, str))


def _attributes(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _channel(conversation: _Conversation) -> str | None:
    """Return the channel's class, and which of Twilio's two it is."""
    meta = conversation.meta
    channel = _text(conversation.channel) or _text(meta.channel if meta else None)
    contact = conversation.contact_inbox
    address = _text(contact.get("source_id")) if isinstance(contact, dict) else ""
    if channel == "Channel::TwilioSms" and address.startswith("whatsapp:"):
        return TWILIO_WHATSAPP
    return channel or None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _status(value: str | None) -> Status | None:
    return Status(value) if value in STATUSES else None


STATUSES = frozenset(Status)
