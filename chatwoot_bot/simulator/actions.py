"""What each call about a conversation does and answers (docs/chatwoot/api.md).

Plain functions from the world and one `Ask` to a JSON body. Who may call what is in
the table at the end.
"""

from collections.abc import Mapping
from typing import Any

from .answers import (
    agent_answer,
    bot_answer,
    conversation_answer,
    message_answer,
    message_list,
)
from .asks import Ask, Endpoint, NotFoundError, RailsError, number, truth
from .drafts import draft_from
from .records import Conversation, Message
from .wire import Json
from .world import STATUSES, World

LIST_PAGE = 25
MESSAGES_LATEST = 20
MESSAGES_AFTER = 100
MESSAGES_BETWEEN = 1000
COUNTS = {
    "mine": "me",
    "assigned": "assigned",
    "unassigned": "unassigned",
    "all": "all",
}
PRIORITIES = (None, "low", "medium", "high", "urgent")


def create_message(world: World, ask: Ask) -> Json:
    """Store a message; 200 means stored, not delivered."""
    bot_id = ask.bot.id if ask.bot else 0
    if ask.agent is not None and ask.params.get("sender_type") == "AgentBot":
        given = number(ask.params.get("sender_id"))
        bot_id = given if given in world.office.bots else world.bot.id
    draft = draft_from(
        world,
        ask.conversation,
        ask.params,
        sender="agent_bot" if bot_id else "user",
        sender_id=bot_id or ask.caller_id,
        files=ask.files,
    )
    store = world.receive if draft.message_type == "incoming" else world.post
    message = store(ask.conversation, draft)
    return message_answer(world, message, ask.params.get("echo_id"))


def list_messages(world: World, ask: Ask) -> Json:
    """List messages, ascending: the latest, those before, after or between ids."""
    messages = _chosen(ask.conversation.messages, ask.query)
    if ask.query.get("filter_internal_messages") == "true":
        messages = [
            message
            for message in messages
            if not message.private and message.message_type != "activity"
        ]
    return message_list(world, ask.conversation, messages)


def show_conversation(world: World, ask: Ask) -> Json:
    """Show one conversation; with a team it fails for bots.

    Source: docs/chatwoot/api.md#bot-tokens.
    """
    if ask.caller == "bot" and ask.conversation.team_id is not None:
        raise RailsError("the team partial asks the bot for its teams")
    return conversation_answer(world, ask.conversation)


def list_conversations(world: World, ask: Ask) -> Json:
    """List conversations, newest activity first, 25 to a page."""
    found = [
        conversation
        for conversation in world.conversations.values()
        if _is_listed(conversation, ask.query)
    ]
    counts = {
        f"{kind}_count": sum(is_assigned(world, each, ask, scope) for each in found)
        for kind, scope in COUNTS.items()
    }
    scope = ask.query.get("assignee_type")
    found = [each for each in found if is_assigned(world, each, ask, scope)]
    found.sort(key=lambda each: each.last_activity_at, reverse=True)
    start = (max(int(ask.query.get("page") or 1), 1) - 1) * LIST_PAGE
    page = found[start : start + LIST_PAGE]
    payload = [conversation_answer(world, conversation) for conversation in page]
    return {"data": {"meta": counts, "payload": payload}}


def toggle_status(world: World, ask: Ask) -> Json:
    """Set the status; a bot that opens a pending conversation hands it off."""
    conversation = ask.conversation
    status = ask.params.get("status") or _flipped(conversation.status)
    if status not in STATUSES:
        raise RailsError(f"'{status}' is not a valid status")
    success: bool | None = True
    snoozed_until = ask.params.get("snoozed_until") if status == "snoozed" else None
    if ask.bot is None:
        world.agent_sets_status(
            conversation, status, agent=ask.user, snoozed_until=snoozed_until
        )
    elif conversation.status == "pending" and status == "open":
        world.hand_off(conversation, ask.bot)
        success = None  # bot_handoff! is called for its effect only
    else:
        world.set_status(
            conversation, status, by=ask.bot.name, snoozed_until=snoozed_until
        )
    return {
        "payload": {
            "success": success,
            "conversation_id": conversation.id,
            "current_status": conversation.status,
            "snoozed_until": conversation.snoozed_until,
        }
    }


def toggle_typing_status(world: World, ask: Ask) -> None:
    """Show or hide the typing sign; other values do nothing."""
    state = ask.params.get("typing_status")
    if state in ("on", "off"):
        world.type(
            ask.conversation,
            state,
            by="agent_bot" if ask.caller == "bot" else "user",
            user_id=ask.caller_id,
            is_private=truth(ask.params.get("is_private")),
        )


def toggle_priority(world: World, ask: Ask) -> None:
    """Set the priority."""
    priority = ask.params.get("priority") or None
    if priority not in PRIORITIES:
        raise RailsError(f"'{priority}' is not a valid priority")
    world.save(ask.conversation, priority=priority)


def update_conversation(world: World, ask: Ask) -> Json:
    """Change the priority, the one thing this call can change."""
    if "priority" in ask.params:
        toggle_priority(world, ask)
    return conversation_answer(world, ask.conversation)


def set_custom_attributes(world: World, ask: Ask) -> Json:
    """Replace all custom attributes; since 4.17 `merge` keeps the others."""
    given = ask.params.get("custom_attributes")
    attributes = dict(given) if isinstance(given, dict) else {}
    if world.release.merges_attributes and truth(ask.params.get("merge")):
        attributes = ask.conversation.custom_attributes | attributes
    world.save(ask.conversation, custom_attributes=attributes)
    return {"custom_attributes": ask.conversation.custom_attributes}


def remove_custom_attributes(world: World, ask: Ask) -> Json:
    """Remove some custom attributes; there is no such call before 4.17."""
    if not world.release.merges_attributes:
        raise NotFoundError
    given = ask.params.get("custom_attributes")
    names = set(map(str, given)) if isinstance(given, list) else set()
    kept = {
        name: value
        for name, value in ask.conversation.custom_attributes.items()
        if name not in names
    }
    world.save(ask.conversation, custom_attributes=kept)
    return {"custom_attributes": ask.conversation.custom_attributes}


def list_labels(world: World, ask: Ask) -> Json:
    """List the labels."""
    return {"payload": list(ask.conversation.label_list)}


def set_labels(world: World, ask: Ask) -> Json:
    """Replace the set of labels."""
    given = ask.params.get("labels") or []
    titles = given if isinstance(given, list) else str(given).split(",")
    labels = tuple(dict.fromkeys(str(title).strip() for title in titles))
    world.save(ask.conversation, label_list=labels)
    return list_labels(world, ask)


def assign(world: World, ask: Ask) -> Any:
    """Assign an agent, a bot or a team; an assignee wins over a team.

    Source: docs/chatwoot/api.md#conversation-actions.
    """
    if "assignee_id" in ask.params or ask.params.get("assignee_type") == "AgentBot":
        return _assign_owner(world, ask)
    if "team_id" not in ask.params:
        return None
    team = world.teams.get(number(ask.params["team_id"]))
    if team is None and ask.params["team_id"] and world.release.checks_teams:
        raise NotFoundError
    world.save(ask.conversation, team_id=team.id if team else None)
    if team is None:
        return None
    return {
        "id": team.id,
        "name": team.name,
        "description": team.description,
        "allow_auto_assign": team.allow_auto_assign,
        "account_id": world.account.id,
    }


def _assign_owner(world: World, ask: Ask) -> Any:
    """Return the new owner; an unknown user unassigns, an unknown bot does nothing."""
    assignee_id = number(ask.params.get("assignee_id"))
    if ask.params.get("assignee_type") == "AgentBot":
        bot = world.office.bots.get(assignee_id)
        if bot is None:
            return None
        world.assign_bot(ask.conversation, bot, by=ask.name)
        return bot_answer(bot)
    agent = world.agents.get(assignee_id)
    world.assign_agent(ask.conversation, agent.id if agent else None, by=ask.name)
    return agent_answer(world, agent) if agent else None


def _chosen(messages: list[Message], query: Mapping[str, str]) -> list[Message]:
    """Return the page that `before` and `after` ask for.

    Source: docs/chatwoot/api.md#messages.
    """
    before, after = query.get("before"), query.get("after")
    if before and after:
        between = [m for m in messages if int(after) <= m.id < int(before)]
        return between[:MESSAGES_BETWEEN]
    if before:
        return [m for m in messages if m.id < int(before)][-MESSAGES_LATEST:]
    if after:
        return [m for m in messages if m.id > int(after)][:MESSAGES_AFTER]
    return messages[-MESSAGES_LATEST:]


def _is_listed(conversation: Conversation, query: Mapping[str, str]) -> bool:
    status = query.get("status") or "open"
    inbox_id, team_id = str(conversation.inbox.id), str(conversation.team_id)
    return (
        status in ("all", conversation.status)
        and (query.get("inbox_id") or inbox_id) == inbox_id
        and (query.get("team_id") or team_id) == team_id
    )


def is_assigned(
    world: World, conversation: Conversation, ask: Ask, scope: str | None
) -> bool:
    """Return whether *scope* (me, assigned, unassigned or all) has the conversation."""
    is_taken = conversation.assignee_id is not None or world.is_owned(conversation)
    match scope:
        case "me":
            return conversation.assignee_id == ask.user.id
        case "unassigned":
            return not is_taken
        case "assigned":
            return is_taken
    return True


def _flipped(status: str) -> str:
    return "resolved" if status == "open" else "open"


ONE = "/conversations/{conversation_id:int}"
ENDPOINTS = (
    Endpoint("list_conversations", "GET", "/conversations", list_conversations, False),
    Endpoint("show", "GET", ONE, show_conversation),
    Endpoint("update", "PATCH", ONE, update_conversation),
    Endpoint("list_messages", "GET", f"{ONE}/messages", list_messages, False),
    Endpoint("create_message", "POST", f"{ONE}/messages", create_message),
    Endpoint("toggle_status", "POST", f"{ONE}/toggle_status", toggle_status),
    Endpoint(
        "toggle_typing_status",
        "POST",
        f"{ONE}/toggle_typing_status",
        toggle_typing_status,
        empty=True,
    ),
    Endpoint(
        "toggle_priority",
        "POST",
        f"{ONE}/toggle_priority",
        toggle_priority,
        empty=True,
    ),
    Endpoint(
        "custom_attributes", "POST", f"{ONE}/custom_attributes", set_custom_attributes
    ),
    Endpoint(
        "remove_attributes",
        "POST",
        f"{ONE}/destroy_custom_attributes",
        remove_custom_attributes,
        bots=False,
    ),
    Endpoint("list_labels", "GET", f"{ONE}/labels", list_labels),
    Endpoint("set_labels", "POST", f"{ONE}/labels", set_labels),
    Endpoint("assign", "POST", f"{ONE}/assignments", assign),
)
