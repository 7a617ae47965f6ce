"""Bots and inboxes: what `setup` commands call (docs/chatwoot/api.md#administration).

Source: chatwoot/chatwoot app/controllers/api/v1/accounts/
{agent_bots,inboxes}_controller.rb and their policies.
"""

from .administration_forms import bot_form, inbox_bot_form, inbox_form
from .asks import (
    Ask,
    InvalidError,
    MissingParameterError,
    NotFoundError,
    for_admins,
    for_users,
    number,
)
from .records import Bot, Inbox
from .wire import Json
from .world import World

BOT_FIELDS = ("name", "description", "outgoing_url", "bot_config")
INBOX_FIELDS = (
    "name",
    "greeting_enabled",
    "greeting_message",
    "working_hours_enabled",
    "out_of_office_message",
    "enable_email_collect",
    "csat_survey_enabled",
    "enable_auto_assignment",
    "lock_to_single_conversation",
    "allow_messages_after_resolved",
    "timezone",
)
CHANNELS = {
    "api": "Channel::Api",
    "web_widget": "Channel::WebWidget",
    "email": "Channel::Email",
    "telegram": "Channel::Telegram",
    "whatsapp": "Channel::Whatsapp",
    "line": "Channel::Line",
    "sms": "Channel::Sms",
}
URL_MAX = 2048  # characters


# Agent bots.


def list_bots(world: World, ask: Ask) -> list[Json]:
    """List the account's own bots and those of the system."""
    return [bot_form(each, ask) for each in world.office.bots.values()]


def show_bot(world: World, ask: Ask) -> Json:
    """Show one bot."""
    return bot_form(_bot(world, ask.id), ask)


def create_bot(world: World, ask: Ask) -> Json:
    """Create a bot with a token and a secret of its own."""
    fields = _bot_fields(ask.params)
    if not str(fields.get("name") or "").strip():
        raise InvalidError("Name can't be blank", "name")
    return bot_form(world.office.add_bot(**fields), ask)


def update_bot(world: World, ask: Ask) -> Json:
    """Change a bot; its next event already goes to the new URL."""
    bot = _own_bot(world, ask.id)
    for name, value in _bot_fields(ask.params).items():
        setattr(bot, name, value)
    for picture in ask.files:
        blob = world.files.keep(picture.name, picture.content, picture.content_type)
        bot.avatar_url = world.files.data_url(blob)
    return bot_form(bot, ask)


def delete_bot(world: World, ask: Ask) -> None:
    """Delete a bot; what it owned has no bot any more, its token opens nothing."""
    bot = _own_bot(world, ask.id)
    world.office.remove_bot(bot)
    for conversation in world.conversations.values():
        if conversation.assignee_agent_bot_id == bot.id:
            conversation.assignee_agent_bot_id = None


def reset_bot_token(world: World, ask: Ask) -> Json:
    """Give a bot a new access token; the old one is dead at once."""
    bot = _own_bot(world, ask.id)
    bot.access_token = world.office.token()
    return bot_form(bot, ask)


def reset_bot_secret(world: World, ask: Ask) -> Json:
    """Give a bot a new secret; the next event is signed with it."""
    bot = _own_bot(world, ask.id)
    bot.secret = world.office.token()
    return bot_form(bot, ask)


def _bot_fields(params: Json) -> Json:
    fields = {name: params[name] for name in BOT_FIELDS if name in params}
    url = fields.get("outgoing_url")
    if url is None:
        fields.pop("outgoing_url", None)
    elif len(str(url)) > URL_MAX:
        raise InvalidError(
            "Outgoing url is too long (maximum is 2048 characters)", "outgoing_url"
        )
    if params.get("bot_type") not in (None, "webhook", 0):
        raise InvalidError("Bot type is not included in the list", "bot_type")
    return fields


def _bot(world: World, bot_id: int) -> Bot:
    bot = world.office.bots.get(bot_id)
    if bot is None:
        raise NotFoundError
    return bot


def _own_bot(world: World, bot_id: int) -> Bot:
    """Return a bot that the account may change; system bots are not its own."""
    bot = _bot(world, bot_id)
    if bot.account_id is None:
        raise NotFoundError
    return bot


# Inboxes.


def list_inboxes(world: World, ask: Ask) -> Json:
    """List the inboxes by name."""
    inboxes = sorted(world.office.inboxes.values(), key=lambda each: each.name.lower())
    return {"payload": [inbox_form(world, each, ask) for each in inboxes]}


def show_inbox(world: World, ask: Ask) -> Json:
    """Show one inbox."""
    return inbox_form(world, _inbox(world, ask.id), ask)


def create_inbox(world: World, ask: Ask) -> Json:
    """Create an inbox; of the channel's settings only those of API inboxes matter."""
    channel = ask.params.get("channel")
    if not isinstance(channel, dict) or channel.get("type") not in CHANNELS:
        raise MissingParameterError("channel")
    if not str(ask.params.get("name") or "").strip():
        raise InvalidError("Name can't be blank", "name")
    kind = CHANNELS[channel["type"]]
    inbox = world.office.add_inbox(
        channel=kind,
        webhook_url=channel.get("webhook_url") if kind == "Channel::Api" else None,
        **_inbox_fields(ask.params),
    )
    return inbox_form(world, inbox, ask)


def update_inbox(world: World, ask: Ask) -> Json:
    """Change an inbox's settings."""
    inbox = _inbox(world, ask.id)
    for name, value in _inbox_fields(ask.params).items():
        setattr(inbox, name, value)
    channel = ask.params.get("channel")
    if inbox.is_api and isinstance(channel, dict) and "webhook_url" in channel:
        inbox.webhook_url = channel["webhook_url"]
    return inbox_form(world, inbox, ask)


def set_agent_bot(world: World, ask: Ask) -> None:
    """Connect a bot, or disconnect it with null; pending ones stay pending."""
    inbox = _inbox(world, ask.id)
    given = ask.params.get("agent_bot")
    inbox.agent_bot_id = _bot(world, number(given)).id if given else None


def show_agent_bot(world: World, ask: Ask) -> Json:
    """Show the connected bot; without one the empty block renders nothing."""
    bot = world.office.bots.get(_inbox(world, ask.id).agent_bot_id or 0)
    return {"agent_bot": inbox_bot_form(bot, ask)} if bot else {}


def reset_inbox_secret(world: World, ask: Ask) -> Json:
    """Give an API inbox a new secret."""
    inbox = _inbox(world, ask.id)
    if not inbox.is_api:
        raise NotFoundError
    inbox.secret = world.office.token()
    return inbox_form(world, inbox, ask)


def _inbox_fields(params: Json) -> Json:
    return {name: params[name] for name in INBOX_FIELDS if name in params}


def _inbox(world: World, inbox_id: int) -> Inbox:
    inbox = world.office.inboxes.get(inbox_id)
    if inbox is None:
        raise NotFoundError
    return inbox


BOT, INBOX = ("/agent_bots/{id:int}", "/inboxes/{id:int}")
ENDPOINTS = (
    for_users("list_bots", "GET", "/agent_bots", list_bots),
    for_admins("create_bot", "POST", "/agent_bots", create_bot),
    for_users("show_bot", "GET", BOT, show_bot),
    for_admins("update_bot", "PATCH", BOT, update_bot),
    for_admins("delete_bot", "DELETE", BOT, delete_bot, empty=True),
    for_admins("reset_token", "POST", f"{BOT}/reset_access_token", reset_bot_token),
    for_admins("reset_bot_secret", "POST", f"{BOT}/reset_secret", reset_bot_secret),
    for_users("list_inboxes", "GET", "/inboxes", list_inboxes),
    for_admins("create_inbox", "POST", "/inboxes", create_inbox),
    for_users("show_inbox", "GET", INBOX, show_inbox),
    for_admins("update_inbox", "PATCH", INBOX, update_inbox),
    for_admins(
        "set_agent_bot", "POST", f"{INBOX}/set_agent_bot", set_agent_bot, empty=True
    ),
    for_users("show_agent_bot", "GET", f"{INBOX}/agent_bot", show_agent_bot),
    for_admins("reset_inbox", "POST", f"{INBOX}/reset_secret", reset_inbox_secret),
)
