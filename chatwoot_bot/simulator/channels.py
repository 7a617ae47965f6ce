"""What each channel adds to contacts, conversations and messages.

Source: docs/chatwoot/payloads.md#channels and docs/chatwoot/conversations.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .records import Conversation, Draft, Inbox
from .wire import Json, iso

HOUR_S = 3600.0
WINDOWS_S = {
    "Channel::Whatsapp": 24 * HOUR_S,
    "Channel::FacebookPage": 24 * HOUR_S,
    "Channel::Instagram": 24 * HOUR_S,
    "Channel::Tiktok": 48 * HOUR_S,
}
"""How long after the contact's last message one may answer."""

LIMITS = {
    "Channel::Whatsapp": 4096,
    "Channel::Telegram": 4096,
    "Channel::FacebookPage": 2000,
    "Channel::Instagram": 1000,
    "Channel::Line": 2000,
    "Channel::Tiktok": 6000,
    "Channel::TwilioSms": 1600,
    "Channel::Sms": 1600,
}
"""Characters that the channel takes; Chatwoot's API takes more.

Source: docs/chatwoot/api.md#create-message.
"""

PICK_AS_TITLE = ("Channel::Whatsapp", "Channel::FacebookPage")
PICK_AS_VALUE = ("Channel::Telegram", "Channel::Line")
MAIL = "Channel::Email"
NO_CARRIER = ("Channel::WebWidget", "Channel::Api")
"""Nothing is sent out for these: the widget reads, the API client is called."""


@dataclass(slots=True, kw_only=True)
class Newcomer:
    """What a channel knows of a contact who writes for the first time."""

    contact: dict[str, Any] = field(default_factory=dict)
    conversation: Json = field(default_factory=dict)


def newcomer(
    inbox: Inbox, draw: Callable[[int], int], now: float, subject: str
) -> Newcomer:
    """Return the contact's and the conversation's fields for this channel."""
    if inbox.channel in NO_CARRIER:
        return Newcomer()
    number = draw(10_000)
    match inbox.channel:
        case "Channel::Whatsapp" | "Channel::TwilioSms" | "Channel::Sms":
            phone = f"1555010{number:04d}"
            return Newcomer(contact={"phone_number": f"+{phone}", "source_id": phone})
        case "Channel::Telegram":
            known = {
                "username": f"visitor{number}",
                "language_code": "en",
                "social_telegram_user_id": number,
                "social_telegram_user_name": f"visitor{number}",
            }
            return Newcomer(
                contact={"additional_attributes": known, "source_id": str(number)},
                conversation={"chat_id": number},
            )
        case "Channel::Email":
            return _mail_newcomer(f"visitor{number}@example.com", now, subject)
    return Newcomer()


def incoming(
    conversation: Conversation,
    content: str | None,
    *,
    number: int,
    subject: str,
    auto_reply: bool,
) -> Json:
    """Return the draft's fields that the channel decides."""
    match conversation.inbox.channel:
        case "Channel::WebWidget":
            return {"content_attributes": {"in_reply_to": None}}
        case "Channel::Whatsapp":
            return {"source_id": f"wamid.HBgLsimulated{number:08d}"}
        case "Channel::Telegram":
            return {"source_id": str(number)}
        case "Channel::Email":
            return _mail(conversation, content or "", number, subject, auto_reply)
    return {}


def outgoing(inbox: Inbox, draft: Draft, params: Json) -> Json:
    """Return the content attributes that an outgoing message gets by its channel."""
    if inbox.channel != MAIL or draft.message_type != "outgoing" or draft.private:
        return {}
    text = draft.content or ""
    html = str(params.get("email_html_content") or f"<p>{text}</p>")
    return {name: _addresses(params.get(name)) for name in MAIL_LISTS} | {
        "email": {
            "html_content": {"full": html, "reply": html},
            "text_content": {"full": text, "reply": text},
        }
    }


MAIL_LISTS = ("cc_emails", "bcc_emails", "to_emails")


def refusal(conversation: Conversation, draft: Draft, *, can_reply: bool) -> str:
    """Return why the channel would not take this message; empty when it would."""
    channel = conversation.inbox.channel
    if not can_reply and "template_params" not in draft.additional_attributes:
        if channel == "Channel::Whatsapp":
            return "Template not found or invalid template name"
        return "(#10) This message is sent outside of allowed window."
    if len(draft.content or "") > LIMITS.get(channel, 1_000_000):
        if channel == "Channel::Whatsapp":
            return "100: Invalid parameter"
        return "Bad Request: message is too long"
    return ""


def _mail_newcomer(address: str, now: float, subject: str) -> Newcomer:
    return Newcomer(
        contact={
            "email": address,
            "source_id": address,
            "additional_attributes": {"source_id": f"email:{address}"},
        },
        conversation={
            "source": "email",
            "auto_reply": False,
            "in_reply_to": None,
            "initiated_at": {"timestamp": iso(now)},
            "mail_subject": subject,
        },
    )


def _mail(
    conversation: Conversation,
    content: str,
    number: int,
    subject: str,
    auto_reply: bool,
) -> Json:
    """Return an incoming mail; `content` keeps what it quotes.

    Source: docs/chatwoot/payloads.md#channels.
    """
    own = content.split("\n>", 1)[0]
    own = own.rsplit("\nOn ", 1)[0].strip() if "\n>" in content else content
    message_id = f"simulated{number:08d}@mail.example.com"
    parts = {"full": content, "reply": content, "quoted": own}
    email = {
        "bcc": None,
        "cc": None,
        "content_type": "text/plain; charset=UTF-8",
        "date": iso(conversation.last_activity_at),
        "from": [conversation.contact.email],
        "headers": None,
        "html_content": parts | {"full": f'<div dir="ltr">{content}</div>'},
        "in_reply_to": None,
        "message_id": message_id,
        "multipart": False,
        "number_of_attachments": 0,
        "references": [],
        "subject": subject,
        "text_content": parts,
        "to": ["support@example.com"],
        "auto_reply": auto_reply,
    }
    return {
        "content_type": "incoming_email",
        "source_id": message_id,
        "content_attributes": {"email": email, "cc_email": None, "bcc_email": None},
    }


def _addresses(given: Any) -> list[str]:
    text = ",".join(map(str, given)) if isinstance(given, list) else str(given or "")
    return [each.strip() for each in text.split(",") if each.strip()]
