"""The conversation and message objects that webhook bodies contain.

Source: docs/chatwoot/payloads.md.

The key order is that of Chatwoot's serialisers.
"""

from .forms import (
    account,
    attachments,
    contact_inbox,
    push_agent,
    push_bot,
    push_contact,
    push_sender,
    push_team,
)
from .records import Conversation, Message
from .wire import Json, epoch, iso, iso_or_none, javascript_date
from .world import World

MESSAGE_TYPES = {"incoming": 0, "outgoing": 1, "activity": 2, "template": 3}
SENDER_CLASSES = {"contact": "Contact", "user": "User", "agent_bot": "AgentBot"}
UNREAD_MAX = 10  # Chatwoot counts no further
REFERER = "https://shop.example.com/pricing"
BROWSER = {
    "device_name": "Unknown",
    "browser_name": "Chrome",
    "platform_name": "macOS",
    "browser_version": "138.0.0.0",
    "platform_version": "10.15.7",
}


def conversation_payload(world: World, conversation: Conversation) -> Json:
    """Return the conversation object (docs/chatwoot/payloads.md#conversation)."""
    last = conversation.last_public
    return {
        "additional_attributes": additional_attributes(conversation),
        "can_reply": can_reply(world, conversation),
        "channel": conversation.inbox.channel,
        "contact_inbox": contact_inbox(conversation),
        "id": conversation.id,
        "inbox_id": conversation.inbox.id,
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
    """Return the nested form of a message; without a sender the key is absent.

    Source: docs/chatwoot/payloads.md#nested-message.
    """
    conversation = world.conversations[message.conversation_id]
    sender = push_sender(world, message)
    body: Json = {
        "id": message.id,
        "content": message.content,
        "account_id": world.account.id,
        "inbox_id": conversation.inbox.id,
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
        "additional_attributes": message.additional_attributes,
        "processed_message_content": _processed(message),
        "sentiment": {},
        "conversation": {
            "assignee_id": conversation.assignee_id,
            "unread_count": unread_count(conversation),
            "last_activity_at": epoch(conversation.last_activity_at),
            "contact_inbox": {"source_id": conversation.contact_inbox.source_id},
        },
    }
    if message.attachments:
        body["attachments"] = attachments(world, message)
    return body | ({"sender": sender} if sender else {})


def additional_attributes(conversation: Conversation) -> Json:
    """Return what the channel knows about the visit; the widget tells the browser."""
    if conversation.additional_attributes or not conversation.inbox.is_widget:
        return conversation.additional_attributes
    return {
        "browser": BROWSER,
        "referer": REFERER,
        "initiated_at": {"timestamp": javascript_date(conversation.created_at)},
        "browser_language": "en",
    }


def unread_count(conversation: Conversation) -> int:
    """Return how many messages of the contact no agent has seen, at most 10."""
    return min(conversation.unread, UNREAD_MAX)


def can_reply(world: World, conversation: Conversation) -> bool:
    """Return whether the channel would still take an answer.

    Source: docs/chatwoot/conversations.md.

    False outside of the channel's window, and where nothing ever came in.
    """
    if conversation.window_closed:
        return False
    window_s = conversation.inbox.reply_window_s
    if window_s is None:
        return True
    incoming = [m for m in conversation.messages if m.message_type == "incoming"]
    return bool(incoming) and incoming[-1].created_at > world.ledger.now() - window_s


def _processed(message: Message) -> str | None:
    """Return the text without quoted history, for mails; else the text."""
    email = message.content_attributes.get("email")
    if message.message_type == "incoming" and isinstance(email, dict):
        quoted = email.get("text_content", {}).get("quoted")
        return quoted if isinstance(quoted, str) else message.content
    return message.content


def _meta(world: World, conversation: Conversation) -> Json:
    assignee, assignee_type = None, None
    if conversation.assignee_agent_bot_id in world.office.bots:
        assignee = push_bot(world, conversation.assignee_agent_bot_id)
        assignee_type = "AgentBot"
    elif conversation.assignee_id is not None:
        assignee, assignee_type = push_agent(world, conversation.assignee_id), "User"
    return {
        "sender": push_contact(conversation.contact),
        "assignee": assignee,
        "assignee_type": assignee_type,
        "team": push_team(world.teams.get(conversation.team_id or 0)),
        "hmac_verified": False,
    }
