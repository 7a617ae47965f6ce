"""Webhook bodies as Chatwoot 4.16.2 builds them (docs/chatwoot/payloads.md).

The key order is that of Chatwoot's serialisers. The objects within are in
`nested.py`; REST has forms of its own, in `answers.py`.
"""

from typing import Any

from .forms import account, attachments, webhook_contact, webhook_sender
from .nested import BROWSER, REFERER, conversation_payload
from .records import Change, Event, Message
from .wire import Json, iso, javascript_date
from .world import World

# The column order of Chatwoot's conversations table, as recorded; a gem adds
# `label_list` after all columns.
COLUMNS = (
    "id",
    "status",
    "assignee_id",
    "updated_at",
    "team_id",
    "snoozed_until",
    "custom_attributes",
    "first_reply_created_at",
    "priority",
    "waiting_since",
    "cached_label_list",
    "assignee_agent_bot_id",
    "status_changed_at",
    "ai_assignee_type",
    "label_list",
)
CONTACT_COLUMNS = (
    "name",
    "email",
    "phone_number",
    "updated_at",
    "additional_attributes",
    "identifier",
    "custom_attributes",
    "last_activity_at",
    "blocked",
)
TIME_COLUMNS = (
    "updated_at",
    "last_activity_at",
    "snoozed_until",
    "first_reply_created_at",
    "waiting_since",
    "status_changed_at",
)


def webhook_body(world: World, event: Event) -> Json:
    """Return the whole body for *event*, as the conversation is now."""
    if event.message is not None:
        return message_event(world, event.message, event.name)
    if event.name == "webwidget_triggered":
        return _widget_event(world, event)
    if event.name.startswith("conversation_typing"):
        return _typing_event(world, event)
    if event.name.startswith("contact_"):
        return _contact_event(world, event)
    body = conversation_payload(world, event.conversation) | {"event": event.name}
    if event.name == "conversation_status_changed":
        # The code asks for pending changes after they were saved
        # (docs/chatwoot/deliveries.md#changed-attributes).
        body["changed_attributes"] = None
    elif event.changes is not None:
        body["changed_attributes"] = changed_attributes(event.changes)
    return body


def old_shape(body: Json, *, account: bool = True, assignee: bool = True) -> Json:
    """Return *body* without what older releases did not send.

    Source: docs/chatwoot/releases.md#first-releases.

    Args:
        body: A body of today.
        account: Take the conversation's `account` away (before 4.14.2).
        assignee: Take `assignee_type` away (before 4.8).
    """
    conversation = body.get("conversation") or body
    if "meta" not in conversation:
        return body
    if account:
        conversation.pop("account", None)
    if assignee:
        conversation["meta"].pop("assignee_type", None)
    return body


def message_event(world: World, message: Message, name: str) -> Json:
    """Return the body of `message_created` or `message_updated`."""
    conversation = world.conversations[message.conversation_id]
    body: Json = {
        "account": account(world),
        "additional_attributes": message.additional_attributes,
        "content_attributes": message.content_attributes,
        "content_type": message.content_type,
        "content": _content(world, message),
        "conversation": conversation_payload(world, conversation),
        "created_at": iso(message.created_at),
        "id": message.id,
        "inbox": {"id": conversation.inbox.id, "name": conversation.inbox.name},
        "message_type": message.message_type,
        "private": message.private,
        "sender": webhook_sender(
            world, conversation, message.sender_type, message.sender_id
        ),
        "source_id": message.source_id,
    }
    if message.attachments:
        body["attachments"] = attachments(world, message)
    return body | {"event": name}


def changed_attributes(changes: dict[str, Change]) -> list[Json]:
    """Return the diff as Chatwoot sends it: one object per column."""
    if "label_list" in changes:
        before, after = (", ".join(labels) for labels in changes["label_list"])
        changes = changes | {"cached_label_list": (before, after)}
    return [
        {column: _diff_values(column, changes[column])}
        for column in COLUMNS
        if column in changes
    ]


def _content(world: World, message: Message) -> str | None:
    """Return the top-level text; outside of widgets a survey has its link in it."""
    conversation = world.conversations[message.conversation_id]
    if message.content_type != "input_csat" or conversation.inbox.is_widget:
        return message.content
    link = f"{world.frontend_url}/survey/responses/{conversation.uuid}"
    return f"Please rate this conversation, {link}"


def _widget_event(world: World, event: Event) -> Json:
    """Return the body of `webwidget_triggered`.

    Source: docs/chatwoot/payloads.md#other-bodies.
    """
    conversation = event.conversation
    is_real = conversation.id in world.conversations
    return {
        "id": conversation.contact_inbox.id,
        "contact": webhook_contact(world, conversation.contact),
        "inbox": {"id": conversation.inbox.id, "name": conversation.inbox.name},
        "account": account(world),
        "current_conversation": conversation_payload(world, conversation)
        if is_real
        else None,
        "source_id": conversation.contact_inbox.source_id,
        "event": event.name,
        "event_info": {
            "initiated_at": {"timestamp": javascript_date(conversation.created_at)},
            "referer": REFERER,
            "widget_language": "en",
            "browser_language": "en",
            "browser": dict(sorted(BROWSER.items())),
        },
    }


def _typing_event(world: World, event: Event) -> Json:
    return {
        "event": event.name,
        "user": webhook_sender(world, event.conversation, event.user, event.user_id),
        "conversation": conversation_payload(world, event.conversation),
        "is_private": event.is_private,
    }


def _contact_event(world: World, event: Event) -> Json:
    body = webhook_contact(world, event.conversation.contact) | {"event": event.name}
    if event.changes is not None:
        body["changed_attributes"] = [
            {column: _diff_values(column, event.changes[column])}
            for column in CONTACT_COLUMNS
            if column in event.changes
        ]
    return body


def _diff_values(column: str, change: Change) -> Json:
    before, after = (_diff_value(column, value) for value in change)
    return {"previous_value": before, "current_value": after}


def _diff_value(column: str, value: Any) -> Any:
    if value is not None and column in TIME_COLUMNS:
        return iso(value)
    return list(value) if isinstance(value, tuple) else value
