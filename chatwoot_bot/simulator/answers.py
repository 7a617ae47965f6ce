"""REST bodies as Chatwoot 4.16.2 builds them (docs/chatwoot/api.md).

They differ from webhook bodies on purpose: REST shows activity and private
messages, leaves absent keys out, and dates the first reply as a number.
"""

from .forms import attachments, push_agent, push_contact, push_sender
from .nested import (
    MESSAGE_TYPES,
    additional_attributes,
    can_reply,
    nested_message,
    unread_count,
)
from .records import Agent, Bot, Conversation, Message, Team
from .wire import Json, epoch, iso_or_none
from .world import World


def message_answer(world: World, message: Message, echo_id: str | None = None) -> Json:
    """Return a message as the create call and the list call show it."""
    conversation = world.conversations[message.conversation_id]
    sender = push_sender(world, message)
    body: Json = {"id": message.id, "content": message.content}
    body["inbox_id"] = conversation.inbox.id
    if echo_id is not None:
        body["echo_id"] = echo_id
    body |= {
        "conversation_id": conversation.id,
        "message_type": MESSAGE_TYPES[message.message_type],
        "content_type": message.content_type,
        "status": message.status,
        "content_attributes": message.content_attributes,
        "created_at": epoch(message.created_at),
        "private": message.private,
        "source_id": message.source_id,
    }
    if sender:
        body["sender"] = sender
    if message.attachments:
        body["attachments"] = attachments(world, message)
    return body


def message_list(
    world: World, conversation: Conversation, messages: list[Message]
) -> Json:
    """Return one page of messages with its `meta`."""
    seen_at = iso_or_none(conversation.agent_last_seen_at)
    meta: Json = {
        "labels": list(conversation.label_list),
        "additional_attributes": additional_attributes(conversation),
        "contact": push_contact(conversation.contact),
    }
    if conversation.assignee_id is not None:
        meta["assignee"] = push_agent(world, conversation.assignee_id)
    meta |= {"agent_last_seen_at": seen_at, "assignee_last_seen_at": seen_at}
    return {
        "meta": meta,
        "payload": [message_answer(world, message) for message in messages],
    }


def conversation_answer(world: World, conversation: Conversation) -> Json:
    """Return the conversation object (docs/chatwoot/api.md#conversation)."""
    last = conversation.messages[-1:]
    return {
        "meta": _meta(world, conversation),
        "id": conversation.id,
        "messages": [nested_message(world, message) for message in last],
        "account_id": world.account.id,
        "uuid": conversation.uuid,
        "additional_attributes": additional_attributes(conversation),
        "agent_last_seen_at": epoch(conversation.agent_last_seen_at),
        "assignee_last_seen_at": epoch(conversation.agent_last_seen_at),
        "can_reply": can_reply(world, conversation),
        "contact_last_seen_at": epoch(conversation.contact_last_seen_at),
        "custom_attributes": conversation.custom_attributes,
        "inbox_id": conversation.inbox.id,
        "labels": list(conversation.label_list),
        "muted": conversation.muted,
        "snoozed_until": iso_or_none(conversation.snoozed_until),
        "status": conversation.status,
        "created_at": epoch(conversation.created_at),
        "updated_at": round(conversation.updated_at, 6),
        "timestamp": epoch(conversation.last_activity_at),
        "first_reply_created_at": epoch(conversation.first_reply_created_at),
        "unread_count": unread_count(conversation),
        "last_non_activity_message": _last_non_activity(world, conversation),
        "last_activity_at": epoch(conversation.last_activity_at),
        "priority": conversation.priority,
        "waiting_since": epoch(conversation.waiting_since),
        "sla_policy_id": None,
    }


def bot_answer(bot: Bot) -> Json:
    """Return the slim form of a bot, as owner and as new assignee."""
    return {
        "id": bot.id,
        "name": bot.name,
        "description": bot.description,
        "thumbnail": bot.avatar_url,
        "outgoing_url": bot.outgoing_url,
        "bot_type": "webhook",
    }


def agent_answer(world: World, agent: Agent) -> Json:
    """Return an agent as the list and the assignment call show it."""
    return {
        "id": agent.id,
        "account_id": world.account.id,
        "availability_status": agent.availability_status,
        "auto_offline": True,
        "confirmed": True,
        "email": agent.email,
        "provider": "email",
        "available_name": agent.available_name,
        "name": agent.name,
        "role": agent.role,
        "thumbnail": "",
        "custom_role_id": None,
    }


def team_answer(world: World, team: Team) -> Json:
    """Return a team as lists and conversations show it."""
    return {
        "id": team.id,
        "name": team.name,
        "description": team.description,
        "allow_auto_assign": team.allow_auto_assign,
        "account_id": world.account.id,
        "is_member": True,
    }


def _meta(world: World, conversation: Conversation) -> Json:
    """Return `meta`: absent keys instead of null for assignee and team."""
    meta: Json = {
        "sender": _contact(conversation),
        "channel": conversation.inbox.channel,
    }
    if bot := world.office.bots.get(conversation.assignee_agent_bot_id or 0):
        meta |= {"assignee": bot_answer(bot), "assignee_type": "AgentBot"}
    elif agent := world.agents.get(conversation.assignee_id or 0):
        meta |= {"assignee": agent_answer(world, agent), "assignee_type": "User"}
    if team := world.teams.get(conversation.team_id or 0):
        meta["team"] = team_answer(world, team)
    return meta | {"hmac_verified": False}


def _contact(conversation: Conversation) -> Json:
    contact = conversation.contact
    return {
        "additional_attributes": contact.additional_attributes,
        "availability_status": "offline",
        "email": contact.email,
        "id": contact.id,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "blocked": contact.blocked,
        "identifier": contact.identifier,
        "thumbnail": "",
        "custom_attributes": contact.custom_attributes,
        "last_activity_at": epoch(conversation.contact_last_seen_at),
        "created_at": epoch(contact.created_at),
    }


def _last_non_activity(world: World, conversation: Conversation) -> Json | None:
    for message in reversed(conversation.messages):
        if message.message_type != "activity":
            return nested_message(world, message)
    return None
