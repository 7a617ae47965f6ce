"""From the parameters of "create message" to a draft, with Chatwoot's refusals.

Source: docs/chatwoot/api.md#create-message;
chatwoot/chatwoot app/builders/messages/message_builder.rb and
app/models/concerns/content_attribute_validator.rb.
"""

import json
from dataclasses import replace
from typing import Any, Literal

from .asks import Upload
from .channels import outgoing
from .files import FileStore
from .ledger import MessageRefusedError
from .liquid import render
from .records import Conversation, Draft, SenderType
from .samples import stored
from .wire import Json
from .world import World

CONTENT_MAX = 150_000  # characters
ATTACHMENTS_MAX = 15
CONTENT_TYPES = frozenset(
    {
        "text",
        "input_text",
        "input_textarea",
        "input_email",
        "input_select",
        "cards",
        "form",
        "article",
        "incoming_email",
        "input_csat",
        "integrations",
        "sticker",
        "voice_call",
    }
)
ITEM_KEYS = {
    "input_select": {"title", "value"},
    "cards": {"title", "description", "media_url", "actions"},
    "form": {
        "type",
        "placeholder",
        "label",
        "name",
        "options",
        "default",
        "required",
        "pattern",
        "title",
        "pattern_error",
    },
    "article": {"title", "description", "link"},
}
ACTION_KEYS = {"text", "type", "payload", "uri"}


def draft_from(
    world: World,
    conversation: Conversation,
    params: Json,
    *,
    sender: SenderType,
    sender_id: int,
    files: tuple[Upload, ...] = (),
) -> Draft:
    """Return what the caller wants stored, rendered as Liquid.

    Raises:
        MessageRefusedError: Chatwoot answers 422 with this text.
    """
    message_type = _message_type(conversation, params)
    content_type = _content_type(params)
    attributes = _attributes(params.get("content_attributes"))
    _check_items(content_type, attributes)
    _find_replied(conversation, attributes)
    attachments = _attachments(world.files, params, files)
    content = _content(params)
    if message_type == "outgoing" and content is not None:
        content = render(content, _variables(world, conversation))
    draft = Draft(
        content=content,
        message_type=message_type,
        sender_type=sender if message_type == "outgoing" else "contact",
        sender_id=sender_id if message_type == "outgoing" else None,
        private=str(params.get("private")).lower() in ("true", "1"),
        content_type=content_type,
        content_attributes=attributes,
        source_id=params.get("source_id"),
        attachments=attachments,
        additional_attributes=_additional(params),
    )
    added = outgoing(conversation.inbox, draft, params)
    return replace(draft, content_attributes=added | attributes)


def _message_type(
    conversation: Conversation, params: Json
) -> Literal["incoming", "outgoing"]:
    given = params.get("message_type") or "outgoing"
    if given == "outgoing":
        return "outgoing"
    if given != "incoming":
        raise MessageRefusedError(f"'{given}' is not a valid message_type")
    if not conversation.inbox.is_api:
        raise MessageRefusedError("Incoming messages are only allowed in Api inboxes")
    return "incoming"


def _additional(params: Json) -> Json:
    """Return what Chatwoot keeps for its channels, such as a template's name."""
    names = ("template_params", "campaign_id")
    return {name: params[name] for name in names if params.get(name)}


def _attachments(
    store: FileStore, params: Json, files: tuple[Upload, ...]
) -> tuple[Json, ...]:
    """Store the uploaded files; signed blob ids name files that are there already."""
    given = params.get("attachments")
    keys = [str(each) for each in given] if isinstance(given, list) else []
    blobs = [store.keep(each.name, each.content, each.content_type) for each in files]
    for key in keys:
        blob = store.find(key)
        if blob is None:
            raise MessageRefusedError("mismatched digest")
        blobs.append(blob)
    if len(blobs) > ATTACHMENTS_MAX:
        raise MessageRefusedError(
            "Validation failed: Attachments exceeded maximum allowed"
        )
    return tuple(stored(store, blob) for blob in blobs)


def _find_replied(conversation: Conversation, attributes: Json) -> None:
    """Set both ids of the message that is replied to, when either is found."""
    wanted = attributes.get("in_reply_to")
    external = attributes.get("in_reply_to_external_id")
    for message in conversation.messages:
        if str(message.id) == str(wanted) or (
            external and message.source_id == external
        ):
            attributes["in_reply_to"] = message.id
            attributes["in_reply_to_external_id"] = message.source_id
            return


def _content(params: Json) -> str | None:
    """Return the text; a message without one is stored all the same (recorded)."""
    content = str(params.get("content") or "")
    if len(content) > CONTENT_MAX:
        raise MessageRefusedError(
            f"Validation failed: Content is too long (maximum is {CONTENT_MAX} "
            "characters)"
        )
    return content if content.strip() else None


def _content_type(params: Json) -> str:
    content_type = str(params.get("content_type") or "text")
    if content_type not in CONTENT_TYPES:
        raise MessageRefusedError(f"'{content_type}' is not a valid content_type")
    return content_type


def _attributes(given: Any) -> Json:
    """Return the attributes; multipart callers send them as a JSON string."""
    if isinstance(given, str) and given:
        try:
            given = json.loads(given)
        except ValueError:
            raise MessageRefusedError("content_attributes is not JSON") from None
    return dict(given) if isinstance(given, dict) else {}


def _check_items(content_type: str, attributes: Json) -> None:
    """Refuse items that the content type does not know."""
    allowed = ITEM_KEYS.get(content_type)
    if allowed is None:
        return
    items = attributes.get("items")
    if not items or not isinstance(items, list):
        raise _bad_attributes("At least one item is required.")
    if not all(isinstance(item, dict) for item in items):
        raise _bad_attributes("Items should be a hash.")
    _check_keys(items, allowed, "items")
    if content_type == "cards":
        _check_actions(items)


def _check_actions(cards: list[Json]) -> None:
    for card in cards:
        actions = card.get("actions")
        if not actions or not all(isinstance(action, dict) for action in actions):
            raise _bad_attributes("contains items missing actions")
        _check_keys(actions, ACTION_KEYS, "actions")


def _check_keys(items: list[Json], allowed: set[str], what: str) -> None:
    unknown = sorted({key for item in items for key in item} - allowed)
    if unknown:
        raise _bad_attributes(f"contains invalid keys for {what} : {unknown}")


def _bad_attributes(reason: str) -> MessageRefusedError:
    return MessageRefusedError(f"Validation failed: Content attributes {reason}")


def _variables(world: World, conversation: Conversation) -> dict[str, str]:
    """Return what Liquid knows; a contact's names come capitalised."""
    contact = conversation.contact
    names = [part.capitalize() for part in contact.name.split()]
    return {
        "contact.name": " ".join(names),
        "contact.first_name": names[0] if names else "",
        "contact.last_name": names[-1] if len(names) > 1 else "",
        "contact.email": contact.email or "",
        "contact.phone_number": contact.phone_number or "",
        "inbox.name": conversation.inbox.name,
        "conversation.display_id": str(conversation.id),
        "account.name": world.account.name,
    }
