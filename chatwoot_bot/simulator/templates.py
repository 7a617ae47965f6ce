"""What Chatwoot itself says: greeting, out of office, e-mail box, survey.

They come in agent-bot inboxes too, between the bot's own answers
(docs/chatwoot/conversations.md).

Source: chatwoot/chatwoot app/services/message_templates/hook_execution_service.rb.
"""

from .records import Conversation, Draft
from .saving import Saving

QUIET_S = 300  # no out-of-office text so soon after a public answer
DAY_S = 86_400
EMAIL_ASK = "Give the team a way to reach you."
EMAIL_BOX = "Get notified by email"
CSAT = "Please rate the conversation"


def welcome(world: Saving, conversation: Conversation) -> None:
    """Say what is due after a message of the contact."""
    inbox = conversation.inbox
    if _is_away(world, conversation) and inbox.out_of_office_message:
        _say(world, conversation, inbox.out_of_office_message)
    if inbox.greeting_enabled and inbox.greeting_message and _is_first(conversation):
        _say(world, conversation, inbox.greeting_message)
    if inbox.enable_email_collect and inbox.is_widget and _lacks_email(conversation):
        _say(world, conversation, EMAIL_ASK)
        _say(world, conversation, EMAIL_BOX, content_type="input_email")


def survey(world: Saving, conversation: Conversation) -> None:
    """Ask for a rating after resolve, once per conversation."""
    asked = any(m.content_type == "input_csat" for m in conversation.messages)
    if conversation.inbox.csat_survey_enabled and not asked:
        draft = Draft(
            content=CSAT,
            message_type="template",
            content_type="input_csat",
            content_attributes={"display_type": "emoji"},
        )
        _store(world, conversation, draft)


def _is_away(world: Saving, conversation: Conversation) -> bool:
    """Return whether the out-of-office text is due."""
    inbox = conversation.inbox
    if not (inbox.working_hours_enabled and inbox.is_closed):
        return False
    now = world.ledger.now()
    for message in conversation.messages:
        is_text = message.content == inbox.out_of_office_message
        if message.message_type == "template" and is_text:
            if message.created_at > now - DAY_S:
                return False
        elif message.is_reply and message.created_at > now - QUIET_S:
            return False
    return True


def _is_first(conversation: Conversation) -> bool:
    """Return whether the contact has not been answered before."""
    kinds = {message.message_type for message in conversation.messages}
    return kinds.isdisjoint({"outgoing", "template"})


def _lacks_email(conversation: Conversation) -> bool:
    asked = any(m.content_type == "input_email" for m in conversation.messages)
    return not asked and not conversation.contact.email


def _say(
    world: Saving,
    conversation: Conversation,
    content: str,
    content_type: str = "text",
) -> None:
    draft = Draft(content=content, message_type="template", content_type=content_type)
    _store(world, conversation, draft)


def _store(world: Saving, conversation: Conversation, draft: Draft) -> None:
    world.emit_message("message_created", world.ledger.store(conversation, draft))
