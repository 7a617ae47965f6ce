"""Contacts in REST: list, search, show, create, change.

Source: docs/chatwoot/api.md#contacts.
"""

from .answers import conversation_answer
from .asks import Ask, InvalidError, NotFoundError, for_users, number
from .forms import push_contact
from .records import Contact
from .wire import Json, epoch
from .world import World

PAGE = 15
FIELDS = ("name", "email", "phone_number", "identifier", "blocked")


def list_contacts(world: World, ask: Ask) -> Json:
    """List the contacts, 15 to a page."""
    return _page(list(world.contacts.values()), ask)


def search_contacts(world: World, ask: Ask) -> Json:
    """Find contacts by name, e-mail, phone number or identifier."""
    wanted = str(ask.query.get("q") or "").lower()
    found = [
        each
        for each in world.contacts.values()
        if wanted
        in " ".join(
            filter(None, (each.name, each.email, each.phone_number, each.identifier))
        ).lower()
    ]
    return _page(found, ask)


def show_contact(world: World, ask: Ask) -> Json:
    """Show one contact."""
    return {"payload": _form(_contact(world, ask.id))}


def create_contact(world: World, ask: Ask) -> Json:
    """Create a contact, in an inbox when one is named."""
    fields = _fields(world, ask.params, None)
    inbox = world.office.inboxes.get(number(ask.params.get("inbox_id")))
    if ask.params.get("source_id"):
        fields["source_id"] = str(ask.params["source_id"])
    name = fields.pop("name", None)
    contact = world.add_contact(world.ledger.new_contact(name, **fields))
    place = (
        {
            "source_id": contact.source_id,
            "inbox": {
                "id": inbox.id,
                "name": inbox.name,
                "channel_type": inbox.channel,
            },
        }
        if inbox
        else None
    )
    return {"payload": {"contact": _form(contact), "contact_inbox": place}}


def update_contact(world: World, ask: Ask) -> Json:
    """Change a contact; custom attributes are merged here."""
    contact = _contact(world, ask.id)
    fields = _fields(world, ask.params, contact)
    for name in ("custom_attributes", "additional_attributes"):
        if name in fields:
            fields[name] = getattr(contact, name) | fields[name]
    latest = world.latest_of(contact)
    if latest is not None:
        world.update_contact(latest, **fields)
    for name, value in fields.items():
        setattr(contact, name, value)
    return {"payload": _form(contact)}


def merge_contacts(world: World, ask: Ask) -> Json:
    """Merge one contact into another; the second is gone afterwards."""
    base = _contact(world, number(ask.params.get("base_contact_id")))
    mergee = _contact(world, number(ask.params.get("mergee_contact_id")))
    world.merge_contacts(base, mergee)
    return _form(base)


def list_conversations(world: World, ask: Ask) -> Json:
    """List a contact's conversations."""
    contact = _contact(world, ask.id)
    found = [
        each for each in world.conversations.values() if each.contact.id == contact.id
    ]
    return {"payload": [conversation_answer(world, each) for each in found]}


def _fields(world: World, params: Json, this: Contact | None) -> Json:
    """Return the given fields; phone numbers are E.164, and none is used twice."""
    fields = {name: params[name] for name in FIELDS if name in params}
    phone = fields.get("phone_number")
    if phone and not (str(phone).startswith("+") and str(phone)[1:].isdecimal()):
        raise InvalidError("Phone number should be in e164 format", "phone_number")
    for name in ("email", "phone_number", "identifier"):
        value = fields.get(name)
        others = [each for each in world.contacts.values() if each is not this]
        if value and any(getattr(each, name) == value for each in others):
            label = name.replace("_", " ").capitalize()
            raise InvalidError(f"{label} has already been taken", name)
    for name in ("custom_attributes", "additional_attributes"):
        if isinstance(params.get(name), dict):
            fields[name] = params[name]
    return fields


def _page(contacts: list[Contact], ask: Ask) -> Json:
    page = max(number(ask.query.get("page")), 1)
    shown = contacts[(page - 1) * PAGE : page * PAGE]
    meta = {"count": len(contacts), "current_page": page}
    return {"meta": meta, "payload": [_form(each) for each in shown]}


def _form(contact: Contact) -> Json:
    body = push_contact(contact)
    del body["type"]
    return body | {
        "availability_status": "offline",
        "created_at": epoch(contact.created_at),
    }


def _contact(world: World, contact_id: int) -> Contact:
    if contact_id not in world.contacts:
        raise NotFoundError
    return world.contacts[contact_id]


ONE = "/contacts/{id:int}"
ENDPOINTS = (
    for_users("list_contacts", "GET", "/contacts", list_contacts),
    for_users("search_contacts", "GET", "/contacts/search", search_contacts),
    for_users("create_contact", "POST", "/contacts", create_contact),
    for_users("show_contact", "GET", ONE, show_contact),
    for_users("update_contact", "PATCH", ONE, update_contact),
    for_users("replace_contact", "PUT", ONE, update_contact),
    for_users("merge_contacts", "POST", "/actions/contact_merge", merge_contacts),
    for_users(
        "contact_conversations", "GET", f"{ONE}/conversations", list_conversations
    ),
)
