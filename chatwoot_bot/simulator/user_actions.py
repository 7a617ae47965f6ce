"""What only humans may call about conversations and messages (docs/chatwoot/api.md)."""

from typing import Any

from .actions import COUNTS, is_assigned
from .agent_side import DELETED
from .answers import agent_answer, conversation_answer, message_answer
from .asks import (
    Ask,
    Endpoint,
    MissingParameterError,
    NotFoundError,
    RefusedError,
    for_users,
    number,
)
from .drafts import draft_from
from .records import Contact, Message
from .wire import Json
from .world import STATUSES, World


def create_conversation(world: World, ask: Ask) -> Json:
    """Begin a conversation; an active bot makes it pending, whatever was asked.

    The contact is named by `contact_id` or by the `source_id` of an earlier one.
    """
    inbox = world.office.inboxes.get(number(ask.params.get("inbox_id")))
    contact = _contact(world, ask.params)
    latest = world.latest_of(contact) if contact else None
    inbox = inbox or (latest.inbox if latest else None)
    if inbox is None or contact is None:
        raise NotFoundError
    attributes = ask.params.get("additional_attributes")
    conversation = world.new_conversation(
        contact,
        inbox,
        additional_attributes=attributes if isinstance(attributes, dict) else {},
        custom_attributes=ask.params.get("custom_attributes") or {},
    )
    status = ask.params.get("status")
    if status in STATUSES and not world.is_bot_active(conversation):
        conversation.status = str(status)
    world.announce(conversation)
    message = ask.params.get("message")
    if isinstance(message, dict):
        draft = draft_from(
            world,
            conversation,
            message,
            sender="agent_bot" if ask.bot else "user",
            sender_id=ask.caller_id,
        )
        world.post(conversation, draft)
    return conversation_answer(world, conversation)


def show_counts(world: World, ask: Ask) -> Json:
    """Count the open conversations, as the dashboard's tabs do."""
    status = ask.query.get("status") or "open"
    found = [
        each for each in world.conversations.values() if status in ("all", each.status)
    ]
    meta = {
        f"{kind}_count": sum(is_assigned(world, each, ask, scope) for each in found)
        for kind, scope in COUNTS.items()
    }
    return {"meta": meta}


def mute(world: World, ask: Ask) -> None:
    """Mute the contact: resolved, and no reopening."""
    ask.conversation.muted = True
    world.agent_sets_status(ask.conversation, "resolved", agent=ask.user)


def unmute(world: World, ask: Ask) -> None:
    """Let the contact be heard again; the status stays."""
    ask.conversation.muted = False


def mark_seen(world: World, ask: Ask) -> Json:
    """Note that the agent looked, without sending an event.

    Source: docs/chatwoot/deliveries.md#updates.
    """
    ask.conversation.unread = 0
    world.save(ask.conversation, agent_last_seen_at=world.ledger.now())
    return conversation_answer(world, ask.conversation)


def mark_unread(world: World, ask: Ask) -> Json:
    """Note that the newest incoming message is not seen any more."""
    ask.conversation.unread = max(ask.conversation.unread, 1)
    world.save(ask.conversation, agent_last_seen_at=None)
    return conversation_answer(world, ask.conversation)


def send_transcript(world: World, ask: Ask) -> None:
    """Accept the request to mail the conversation; send nothing."""
    if not ask.params.get("email"):
        raise MissingParameterError("email")


def delete_message(world: World, ask: Ask) -> Json:
    """Delete a message: its text and all its attributes are gone.

    Source: docs/chatwoot/payloads.md#deleted-messages.
    """
    message = world.update_message(
        _message(world, ask),
        content=DELETED,
        content_type="text",
        content_attributes={"deleted": True},
        attachments=(),
    )
    return message_answer(world, message)


def update_message(world: World, ask: Ask) -> Json:
    """Set the delivery status, as the program behind an API inbox does."""
    message = _message(world, ask)
    if not ask.conversation.inbox.is_api:
        text = "Message status update is only allowed for API inboxes"
        raise RefusedError(403, text)
    error = ask.params.get("external_error")
    added = {"external_error": error} if error else {}
    message = world.update_message(
        message,
        status=str(ask.params.get("status") or message.status),
        content_attributes=message.content_attributes | added,
    )
    return message_answer(world, message)


def retry_message(world: World, ask: Ask) -> Json:
    """Send a failed message again; **all** its content attributes are lost."""
    return message_answer(world, world.retry_message(_message(world, ask)))


def upload(world: World, ask: Ask) -> Json:
    """Keep a file for a later message (docs/chatwoot/api.md#read-helpers)."""
    if not ask.files:
        raise MissingParameterError("attachment")
    given = ask.files[0]
    blob = world.files.keep(given.name, given.content, given.content_type)
    return {"file_url": world.files.data_url(blob), "blob_id": blob.key}


def list_assignable(world: World, ask: Ask) -> Json:
    """List who may be assigned: here, everybody."""
    return {"payload": [agent_answer(world, each) for each in world.agents.values()]}


def _contact(world: World, params: Json) -> Contact | None:
    contact_id, source_id = number(params.get("contact_id")), params.get("source_id")
    for contact in world.contacts.values():
        if contact.id == contact_id or (source_id and contact.source_id == source_id):
            return contact
    return None


def _message(world: World, ask: Ask) -> Message:
    for message in ask.conversation.messages:
        if message.id == ask.id:
            return message
    raise NotFoundError


def _about(name: str, action: str, act: Any, *, empty: bool = False) -> Endpoint:
    path = f"{ONE}/{action}"
    return Endpoint(name, "POST", path, act, bots=False, empty=empty)


ONE = "/conversations/{conversation_id:int}"
MESSAGE = f"{ONE}/messages/{{id:int}}"
ENDPOINTS = (
    Endpoint("create_conversation", "POST", "/conversations", create_conversation),
    for_users("counts", "GET", "/conversations/meta", show_counts),
    _about("mute", "mute", mute, empty=True),
    _about("unmute", "unmute", unmute, empty=True),
    _about("update_last_seen", "update_last_seen", mark_seen),
    _about("unread", "unread", mark_unread),
    _about("transcript", "transcript", send_transcript, empty=True),
    for_users("delete_message", "DELETE", MESSAGE, delete_message),
    for_users("update_message", "PATCH", MESSAGE, update_message),
    for_users("retry_message", "POST", f"{MESSAGE}/retry", retry_message),
    for_users("upload", "POST", "/upload", upload),
    for_users("assignable_agents", "GET", "/assignable_agents", list_assignable),
)
