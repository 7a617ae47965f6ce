"""How bots, inboxes and webhooks look in REST (docs/chatwoot/api.md#administration).

Source: chatwoot/chatwoot app/views/api/v1/models/{_agent_bot,_inbox,_webhook}
.json.jbuilder, key order included.
"""

from .asks import Ask
from .records import AccountWebhook, Bot, Inbox
from .wire import Json, iso
from .world import World

PRE_CHAT = (
    ("emailAddress", "email", "Email Id", True),
    ("fullName", "text", "Full name", False),
    ("phoneNumber", "text", "Phone number", False),
)
WIDGET_KEYS = (
    "allowed_domains",
    "widget_color",
    "website_url",
    "hmac_mandatory",
    "welcome_title",
    "welcome_tagline",
    "web_widget_script",
    "website_token",
    "selected_feature_flags",
    "reply_time",
)
WIDGET_SCRIPT = """
    <script>
      (function(d,t) {{
        var BASE_URL="{base_url}";
        var g=d.createElement(t),s=d.getElementsByTagName(t)[0];
        g.src=BASE_URL+"/packs/js/sdk.js";
        g.async = true;
        s.parentNode.insertBefore(g,s);
        g.onload=function(){{
          window.chatwootSDK.run({{
            websiteToken: '{token}',
            baseUrl: BASE_URL
          }})
        }}
      }})(document,"script");
    </script>
    """


def bot_form(bot: Bot, ask: Ask) -> Json:
    """Return a bot; token and secret only for administrators, of own bots."""
    body: Json = {
        "id": bot.id,
        "name": bot.name,
        "description": bot.description,
        "thumbnail": bot.avatar_url,
        "outgoing_url": bot.outgoing_url,
        "bot_type": "webhook",
        "bot_config": bot.bot_config,
        "account_id": bot.account_id,
    }
    if ask.is_admin and bot.account_id is not None:
        body |= {"access_token": bot.access_token, "secret": bot.secret}
    return body | {"system_bot": bot.account_id is None}


def inbox_bot_form(bot: Bot, ask: Ask) -> Json:
    """Return the bot of an inbox; to administrators its token is a whole record.

    The view passes the record where the list passes the token's text.
    """
    body = bot_form(bot, ask)
    if "access_token" in body:
        body["access_token"] = {
            "id": bot.id,
            "owner_type": "AgentBot",
            "owner_id": bot.id,
            "token": bot.access_token,
            "created_at": iso(bot.created_at),
            "updated_at": iso(bot.created_at),
        }
    return body


def inbox_form(world: World, inbox: Inbox, ask: Ask) -> Json:
    """Return an inbox with what its channel adds."""
    body: Json = {
        "id": inbox.id,
        "avatar_url": "",
        "channel_id": inbox.id,
        "name": inbox.name,
        "channel_type": inbox.channel,
        "greeting_enabled": inbox.greeting_enabled,
        "greeting_message": inbox.greeting_message,
        "working_hours_enabled": inbox.working_hours_enabled,
        "enable_email_collect": inbox.enable_email_collect,
        "csat_survey_enabled": inbox.csat_survey_enabled,
        "csat_config": {},
        "enable_auto_assignment": inbox.enable_auto_assignment,
        "auto_assignment_config": {},
        "out_of_office_message": inbox.out_of_office_message,
        "working_hours": _working_hours(inbox),
        "timezone": inbox.timezone,
        "callback_webhook_url": None,
        "allow_messages_after_resolved": inbox.allow_messages_after_resolved,
        "lock_to_single_conversation": inbox.lock_to_single_conversation,
        "sender_name_type": "friendly",
        "business_name": None,
    }
    return body | _channel_form(world, inbox, ask) | {"provider": None}


def webhook_form(world: World, webhook: AccountWebhook) -> Json:
    """Return an account webhook; only administrators ever see one."""
    body: Json = {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "account_id": world.account.id,
        "subscriptions": list(webhook.subscriptions),
        "secret": webhook.secret,
    }
    inbox = world.office.inboxes.get(webhook.inbox_id or 0)
    return body | ({"inbox": {"id": inbox.id, "name": inbox.name}} if inbox else {})


def _channel_form(world: World, inbox: Inbox, ask: Ask) -> Json:
    """Return what the channels add: most keys are there for all, null for others."""
    widget = _widget_form(world, inbox) if inbox.is_widget else {}
    body: Json = {name: widget.get(name) for name in WIDGET_KEYS}
    body["hmac_mandatory"] = False
    if inbox.is_widget:
        body |= {"hmac_token": inbox.hmac_token} if ask.is_admin else {}
        body |= {
            "pre_chat_form_enabled": False,
            "pre_chat_form_options": {
                "pre_chat_fields": [_pre_chat_field(*each) for each in PRE_CHAT],
                "pre_chat_message": "Share your queries or comments here.",
            },
            "continuity_via_email": True,
        }
    body |= {"messaging_service_sid": None, "phone_number": None}
    if inbox.is_api:
        secrets = {"hmac_token": inbox.hmac_token, "secret": inbox.secret}
        body |= secrets if ask.is_admin else {}
        body |= {
            "webhook_url": inbox.webhook_url,
            "inbox_identifier": inbox.identifier,
            "additional_attributes": {},
        }
    return body


def _pre_chat_field(name: str, kind: str, label: str, required: bool) -> Json:
    return {
        "name": name,
        "type": kind,
        "label": label,
        "enabled": False,
        "required": required,
        "field_type": "standard",
    }


def _widget_form(world: World, inbox: Inbox) -> Json:
    return {
        "allowed_domains": "",
        "widget_color": "#1f93ff",
        "website_url": "https://shop.example.com",
        "web_widget_script": WIDGET_SCRIPT.format(
            base_url=world.frontend_url, token=inbox.identifier
        ),
        "website_token": inbox.identifier,
        "selected_feature_flags": ["attachments", "emoji_picker", "end_conversation"],
        "reply_time": "in_a_few_minutes",
    }


def _working_hours(inbox: Inbox) -> list[Json]:
    """Return the week; the stand-in is closed when it is told so, not by the clock."""
    names = ("open_hour", "open_minutes", "close_hour", "close_minutes")
    week = []
    for day in range(7):
        is_closed = inbox.is_closed or day in (0, 6)
        hours = (None, None, None, None) if is_closed else (9, 0, 17, 0)
        body: Json = {"day_of_week": day, "closed_all_day": is_closed}
        body |= dict(zip(names, hours, strict=True))
        week.append(body | {"open_all_day": False})
    return week
