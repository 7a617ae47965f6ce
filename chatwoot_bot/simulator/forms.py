"""Small parts of payloads: people, teams, files.

Source: docs/chatwoot/payloads.md#parts and docs/chatwoot/payloads.md#attachments.

A "webhook form" stands at the top of a body, a "push form" is nested in one.
"""

from .records import Contact, Conversation, Message, SenderType, Team
from .wire import Json, iso
from .world import World


def account(world: World) -> Json:
    """Return `{id, name}` of the account."""
    return {"id": world.account.id, "name": world.account.name}


def attachments(world: World, message: Message) -> list[Json]:
    """Return the attachments with their ids; the rest is as they were given."""
    return [
        {
            "id": item["id"],
            "message_id": message.id,
            "file_type": item.get("file_type", "file"),
            "account_id": world.account.id,
        }
        | _file_details(item)
        for item in message.attachments
    ]


def push_contact(contact: Contact) -> Json:
    """Return the nested form of a contact; it alone has a `type`."""
    return {
        "additional_attributes": contact.additional_attributes,
        "custom_attributes": contact.custom_attributes,
        "email": contact.email,
        "id": contact.id,
        "identifier": contact.identifier,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "thumbnail": "",
        "blocked": contact.blocked,
        "type": "contact",
    }


def push_agent(world: World, agent_id: int) -> Json:
    """Return the nested form of a human agent."""
    agent = world.agents[agent_id]
    return {
        "id": agent.id,
        "name": agent.name,
        "available_name": agent.available_name,
        "avatar_url": "",
        "type": "user",
        "availability_status": agent.availability_status,
        "thumbnail": "",
    }


def push_bot(world: World, bot_id: int) -> Json | None:
    """Return the nested form of a bot; None when it was deleted."""
    bot = world.office.bots.get(bot_id)
    if bot is None:
        return None
    return {
        "id": bot.id,
        "name": bot.name,
        "avatar_url": bot.avatar_url,
        "type": "agent_bot",
    }


def push_sender(world: World, message: Message) -> Json | None:
    """Return the nested form of a sender; None for templates and echoes."""
    if message.sender_type == "contact":
        return push_contact(world.conversations[message.conversation_id].contact)
    if message.sender_type == "user":
        return push_agent(world, message.sender_id or world.agent.id)
    if message.sender_type == "agent_bot":
        return push_bot(world, message.sender_id or world.bot.id)
    return None


def webhook_sender(
    world: World,
    conversation: Conversation,
    sender_type: SenderType | None,
    sender_id: int | None,
) -> Json | None:
    """Return the top-level form of a sender; None for templates and echoes."""
    if sender_type == "contact":
        return webhook_contact(world, conversation.contact)
    if sender_type == "user":
        agent = world.agents[sender_id or world.agent.id]
        fields = {"id": agent.id, "name": agent.name, "email": agent.email}
        return fields | {"type": "user"}
    bot = world.office.bots.get(sender_id or world.bot.id)
    if sender_type == "agent_bot" and bot is not None:
        return {"id": bot.id, "name": bot.name, "type": "agent_bot"}
    return None


def webhook_contact(world: World, contact: Contact) -> Json:
    """Return the top-level form: it has `account` and no `type`.

    Source: docs/chatwoot/payloads.md#parts.
    """
    return {
        "account": account(world),
        "additional_attributes": contact.additional_attributes,
        "avatar": "",
        "custom_attributes": contact.custom_attributes,
        "email": contact.email,
        "id": contact.id,
        "identifier": contact.identifier,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "thumbnail": "",
        "blocked": contact.blocked,
    }


def contact_inbox(conversation: Conversation) -> Json:
    """Return the raw record that ties the contact to the inbox."""
    record = conversation.contact_inbox
    return {
        "id": record.id,
        "contact_id": conversation.contact.id,
        "inbox_id": conversation.inbox.id,
        "source_id": record.source_id,
        "created_at": iso(record.created_at),
        "updated_at": iso(record.updated_at),
        "hmac_verified": False,
        "pubsub_token": record.pubsub_token,
    }


def push_team(team: Team | None) -> Json | None:
    """Return the nested form of a team."""
    if team is None:
        return None
    return {"id": team.id, "name": team.name, "icon": "", "icon_color": ""}


def _file_details(item: Json) -> Json:
    """Return the keys of a stored file, or those of a location as they are."""
    given = {
        key: value for key, value in item.items() if key not in ("file_type", "id")
    }
    is_stored = item.get("file_type", "file") in ("image", "audio", "video", "file")
    if not is_stored:
        return given
    stored: Json = {
        "extension": None,
        "content_type": None,
        "data_url": None,
        "thumb_url": "",
        "file_size": 0,
        "width": None,
        "height": None,
    }
    if item.get("file_type") == "audio":
        stored["transcribed_text"] = ""
    return stored | given
