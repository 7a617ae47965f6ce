"""Webhook bodies as Chatwoot 4.16.2 builds them (facts section 4).

The key order is that of Chatwoot's serialisers. REST has forms of its own, in
`answers.py`.
"""

from typing import Any

from .forms import (
    account,
    attachments,
    contact_inbox,
    push_agent,
    push_contact,
    push_sender,
    push_team,
    webhook_contact,
    webhook_sender,
)
from .records import Change, Conversation, Event, Message
from .wire import Json, epoch, iso, iso_or_none
from .world import World

MESSAGE_TYPES = {"incoming": 0, "outgoing": 1, "activity": 2, "template": 3}
SENDER_CLASSES = {"contact": "Contact", "user": "User", "agent_bot": "AgentBot"}
UNREAD_MAX = 10  # Chatwoot counts no further
BROWSER = {
    "device_name": "Unknown",
    "browser_name": "Chrome",
    "platform_name": "macOS",
    "browser_version": "138.0.0.0",
    "platform_version": "10.15.7",
}
# Roughly the column order of Chatwoot's conversations table; labels come from a
# gem that puts its own two around it.
COLUMNS = (
    "label_list",
    "id",
    "status",
    "updated_at",
    "assignee_id",
    "team_id",
    "snoozed_until",
    "custom_attributes",
    "assignee_agent_bot_id",
    "first_reply_created_at",
    "priority",
    "waiting_since",
)
TIME_COLUMNS = (
    "updated_at",
    "last_activity_at",
    "snoozed_until",
    "first_reply_created_at",
    "waiting_since",
)


def webhook_body(world: World, event: Event) -> Json:
    """Return the whole body for *event*, as the conversation is now."""
    if event.message is not None:
        return message_event(world, event.message, event.name)
    if event.name.startswith("conversation_typing"):
        return _typing_event(world, event)
    if event.name.startswith("contact_"):
        return _contact_event(world, event)
    body = conversation_payload(world, event.conversation) | {"event": event.name}
    if event.name == "conversation_status_changed":
        # The code asks for pending changes after they were saved (facts 3.2).
        body["changed_attributes"] = None
    elif event.changes is not None:
        body["changed_attributes"] = changed_attributes(event.changes)
    return body


def old_shape(body: Json) -> Json:
    """Return *body* without what older releases did not send (facts section 8)."""
    conversation = body.get("conversation", body)
    conversation.pop("account", None)
    conversation["meta"].pop("assignee_type", None)
    return body


def message_event(world: World, message: Message, name: str) -> Json:
    """Return the body of `message_created` or `message_updated`."""
    conversation = world.conversations[message.conversation_id]
    body: Json = {
        "account": account(world),
        "additional_attributes": {},
        "content_attributes": message.content_attributes,
        "content_type": message.content_type,
        "content": message.content,
        "conversation": conversation_payload(world, conversation),
        "created_at": iso(message.created_at),
        "id": message.id,
        "inbox": {"id": world.inbox.id, "name": world.inbox.name},
        "message_type": message.message_type,
        "private": message.private,
        "sender": webhook_sender(world, conversation, message.sender_type),
        "source_id": message.source_id,
    }
    if message.attachments:
        body["attachments"] = attachments(world, message)
    return body | {"event": name}


def conversation_payload(world: World, conversation: Conversation) -> Json:
    """Return the conversation object of facts 4.3."""
    last = conversation.last_public
    return {
        "additional_attributes": additional_attributes(world, conversation),
        "can_reply": True,
        "channel": world.inbox.channel,
        "contact_inbox": contact_inbox(world, conversation.contact),
        "id": conversation.id,
        "inbox_id": world.inbox.id,
        "messages": [nested_message(world, last)] if last else [],
        "labels": list(conversation.label_list),
        "meta": _meta(world, conversation),
        "status": conversation.status,
        "custom_attributes": conversation.custom_attributes,
        "snoozed_until": iso_or_none(conversation.snoozed_until),
        "unread_count": unread_count(conversation),
        "first_reply_created_at": iso_or_none(conversation.first_reply_created_at),
        "priority": conversation.priority,
        "waiting_since": epoch(conversation.waiting_since),
        "agent_last_seen_at": epoch(conversation.agent_last_seen_at),
        "contact_last_seen_at": epoch(conversation.contact_last_seen_at),
        "last_activity_at": epoch(conversation.last_activity_at),
        "timestamp": epoch(conversation.last_activity_at),
        "created_at": epoch(conversation.created_at),
        "updated_at": round(conversation.updated_at, 6),
        "account": account(world),
    }


def nested_message(world: World, message: Message) -> Json:
    """Return the message form of facts 4.4; without a sender the key is absent."""
    conversation = world.conversations[message.conversation_id]
    sender = push_sender(world, conversation, message.sender_type)
    body: Json = {
        "id": message.id,
        "content": message.content,
        "account_id": world.account.id,
        "inbox_id": world.inbox.id,
        "conversation_id": conversation.id,
        "message_type": MESSAGE_TYPES[message.message_type],
        "created_at": epoch(message.created_at),
        "updated_at": iso(message.updated_at),
        "private": message.private,
        "status": message.status,
        "source_id": message.source_id,
        "content_type": message.content_type,
        "content_attributes": message.content_attributes,
        "sender_type": SENDER_CLASSES[message.sender_type]
        if message.sender_type
        else None,
        "sender_id": sender["id"] if sender else None,
        "external_source_ids": {},
        "additional_attributes": {},
        "processed_message_content": message.content,
        "sentiment": {},
        "conversation": {
            "assignee_id": conversation.assignee_id,
            "unread_count": unread_count(conversation),
            "last_activity_at": epoch(conversation.last_activity_at),
            "contact_inbox": {"source_id": conversation.contact.source_id},
        },
    }
    if message.attachments:
        body["attachments"] = attachments(world, message)
    return body | ({"sender": sender} if sender else {})


def changed_attributes(changes: dict[str, Change]) -> list[Json]:
    """Return the diff as Chatwoot sends it: one object per column."""
    diff = [
        {column: _diff_values(column, changes[column])}
        for column in COLUMNS
        if column in changes
    ]
    if "label_list" in changes:
        before, after = (", ".join(labels) for labels in changes["label_list"])
        cached = {"previous_value": before, "current_value": after}
        diff.append({"cached_label_list": cached})
    return diff


def additional_attributes(world: World, conversation: Conversation) -> Json:
    """Return what the channel knows about the visit; the widget tells the browser."""
    if world.inbox.channel != "Channel::WebWidget":
        return {}
    return {
        "browser": BROWSER,
        "referer": "https://shop.example.com/pricing",
        "initiated_at": {"timestamp": iso(conversation.created_at)},
        "browser_language": "en",
    }


def unread_count(conversation: Conversation) -> int:
    """Return how many messages of the contact no agent has seen, at most 10."""
    return min(conversation.unread, UNREAD_MAX)


def _meta(world: World, conversation: Conversation) -> Json:
    assignee, assignee_type = None, None
    if conversation.assignee_id is not None:
        assignee, assignee_type = push_agent(world, conversation.assignee_id), "User"
    elif conversation.assignee_agent_bot_id is not None:
        assignee = push_sender(world, conversation, "agent_bot")
        assignee_type = "AgentBot"
    return {
        "sender": push_contact(conversation.contact),
        "assignee": assignee,
        "assignee_type": assignee_type,
        "team": push_team(world, conversation.team_id),
        "hmac_verified": False,
    }


def _typing_event(world: World, event: Event) -> Json:
    return {
        "event": event.name,
        "user": webhook_sender(world, event.conversation, event.user),
        "conversation": conversation_payload(world, event.conversation),
        "is_private": event.is_private,
    }


def _contact_event(world: World, event: Event) -> Json:
    body = webhook_contact(world, event.conversation.contact) | {"event": event.name}
    if event.changes is not None:
        body["changed_attributes"] = [
            {name: _diff_values(name, change)} for name, change in event.changes.items()
        ]
    return body


def _diff_values(column: str, change: Change) -> Json:
    before, after = (_diff_value(column, value) for value in change)
    return {"previous_value": before, "current_value": after}


def _diff_value(column: str, value: Any) -> Any:
    if value is not None and column in TIME_COLUMNS:
        return iso(value)
    return list(value) if isinstance(value, tuple) else value
