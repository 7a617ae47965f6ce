"""Account webhooks, as administrators keep them (docs/chatwoot/api.md#administration).

Source: docs/chatwoot/deliveries.md#events; chatwoot/chatwoot app/models/webhook.rb.
"""

from urllib.parse import urlsplit

from .administration_forms import webhook_form
from .asks import Ask, InvalidError, MissingParameterError, NotFoundError, for_admins
from .records import AccountWebhook
from .routes import WEBHOOK_DEFAULT, WEBHOOK_EVENTS
from .wire import Json
from .world import World

WEBHOOK_FIELDS = ("url", "name", "inbox_id", "subscriptions")


def list_webhooks(world: World, ask: Ask) -> Json:
    """List the account webhooks."""
    webhooks = world.office.webhooks.values()
    return {"payload": {"webhooks": [webhook_form(world, each) for each in webhooks]}}


def create_webhook(world: World, ask: Ask) -> Json:
    """Create a webhook; the database's default when no subscriptions are given."""
    fields: Json = {"subscriptions": list(WEBHOOK_DEFAULT)}
    fields |= _webhook_fields(ask.params)
    _check_webhook(world, fields, None)
    webhook = world.office.add_webhook(
        **fields | {"subscriptions": tuple(fields["subscriptions"])}
    )
    return {"payload": {"webhook": webhook_form(world, webhook)}}


def update_webhook(world: World, ask: Ask) -> Json:
    """Change a webhook."""
    webhook = _webhook(world, ask.id)
    fields = _webhook_fields(ask.params)
    was = {"url": webhook.url, "subscriptions": list(webhook.subscriptions)}
    _check_webhook(world, was | fields, webhook)
    for name, value in fields.items():
        setattr(webhook, name, tuple(value) if name == "subscriptions" else value)
    return {"payload": {"webhook": webhook_form(world, webhook)}}


def delete_webhook(world: World, ask: Ask) -> None:
    """Delete a webhook; there is no other way to change its secret."""
    del world.office.webhooks[_webhook(world, ask.id).id]


def _webhook_fields(params: Json) -> Json:
    """Return the fields; Rails wraps a bare JSON body by itself."""
    given = params.get("webhook", params)
    if not isinstance(given, dict) or not given:
        raise MissingParameterError("webhook")
    return {name: given[name] for name in WEBHOOK_FIELDS if name in given}


def _check_webhook(world: World, fields: Json, this: AccountWebhook | None) -> None:
    url, subscriptions = fields.get("url"), fields.get("subscriptions")
    parts = urlsplit(str(url or ""))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidError("Url is invalid", "url")
    others = [each for each in world.office.webhooks.values() if each is not this]
    if any(each.url == url for each in others):
        raise InvalidError("Url has already been taken", "url")
    known = isinstance(subscriptions, list) and set(map(str, subscriptions)) <= set(
        WEBHOOK_EVENTS
    )
    if not known or not subscriptions:
        raise InvalidError("Subscriptions Invalid events", "subscriptions")


def _webhook(world: World, webhook_id: int) -> AccountWebhook:
    webhook = world.office.webhooks.get(webhook_id)
    if webhook is None:
        raise NotFoundError
    return webhook


ONE = "/webhooks/{id:int}"
ENDPOINTS = (
    for_admins("list_webhooks", "GET", "/webhooks", list_webhooks),
    for_admins("create_webhook", "POST", "/webhooks", create_webhook),
    for_admins("update_webhook", "PATCH", ONE, update_webhook),
    for_admins("delete_webhook", "DELETE", ONE, delete_webhook, empty=True),
)
