"""Small parts of payloads: people, teams, files (facts 4.1 and 4.5).

A "webhook form" stands at the top of a body, a "push form" is nested in one.
"""

from .records import Contact, Conversation, Message, SenderType
from .wire import Json, iso
from .world import World


def account(world: World) -> Json:
    """Return `{id, name}` of the account."""
    return {"id": world.account.id, "name": world.account.name}


def attachments(world: World, message: Message) -> list[Json]:
    """Return the attachments with their ids; the rest is as they were given."""
    return [
        {
            "id": message.id * 100 + index,
            "message_id": message.id,
            "file_type": item.get("file_type", "file"),
            "account_id": world.account.id,
        }
        | _file_details(item)
        for index, item in enumerate(message.attachments)
    ]


def push_contact(contact: Contact) -> Json:
    """Return the nested form of a contact; it alone has a `type`."""
    return {
        "additional_attributes": {},
        "custom_attributes": {},
        "email": contact.email,
        "id": contact.id,
        "identifier": None,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "thumbnail": "",
        "blocked": False,
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
        "availability_status": "online",
        "thumbnail": "",
    }


def push_sender(
    world: World, conversation: Conversation, sender_type: SenderType | None
) -> Json | None:
    """Return the nested form of a sender; None for templates and echoes."""
    if sender_type == "contact":
        return push_contact(conversation.contact)
    if sender_type == "user":
        return push_agent(world, world.agent.id)
    if sender_type == "agent_bot":
        bot = world.bot
        return {"id": bot.id, "name": bot.name, "avatar_url": "", "type": "agent_bot"}
    return None


def webhook_sender(
    world: World, conversation: Conversation, sender_type: SenderType | None
) -> Json | None:
    """Return the top-level form of a sender; None for templates and echoes."""
    if sender_type == "contact":
        return webhook_contact(world, conversation.contact)
    if sender_type == "user":
        agent = world.agent
        fields = {"id": agent.id, "name": agent.name, "email": agent.email}
        return fields | {"type": "user"}
    if sender_type == "agent_bot":
        return {"id": world.bot.id, "name": world.bot.name, "type": "agent_bot"}
    return None


def webhook_contact(world: World, contact: Contact) -> Json:
    """Return the top-level form: it has `account` and no `type` (facts 4.1)."""
    return {
        "account": account(world),
        "additional_attributes": {},
        "avatar": "",
        "custom_attributes": {},
        "email": contact.email,
        "id": contact.id,
        "identifier": None,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "thumbnail": "",
        "blocked": False,
    }


def contact_inbox(world: World, contact: Contact) -> Json:
    """Return the raw record that ties a contact to the inbox."""
    return {
        "id": contact.contact_inbox_id,
        "contact_id": contact.id,
        "inbox_id": world.inbox.id,
        "source_id": contact.source_id,
        "created_at": iso(contact.created_at),
        "updated_at": iso(contact.created_at),
        "hmac_verified": False,
        "pubsub_token": contact.pubsub_token,
    }


def push_team(world: World, team_id: int | None) -> Json | None:
    """Return the nested form of a team."""
    if team_id is None:
        return None
    team = world.teams[team_id]
    return {"id": team.id, "name": team.name, "icon": None, "icon_color": None}


def _file_details(item: Json) -> Json:
    """Return the keys of a stored file, or those of a location as they are."""
    given = {key: value for key, value in item.items() if key != "file_type"}
    if item.get("file_type") in ("location", "contact", "fallback", "embed"):
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
