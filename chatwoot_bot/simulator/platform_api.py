"""The two APIs that have a base of their own: platform apps, and API clients.

`/platform/api/v1/agent_bots`
(docs/chatwoot/api.md#administration) is for platform apps; `/public/api/v1/inboxes`
is the customer's side of an API inbox and needs no token.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import message_answer
from .asks import NotFoundError
from .bodies import parse_body
from .channels import incoming
from .ledger import MessageRefusedError
from .records import Contact, Conversation, Draft, Inbox
from .refusals import NOT_FOUND, json_response
from .wire import Json
from .world import World

BAD_PLATFORM_TOKEN = {"error": "Invalid access_token"}
PUBLIC = "/public/api/v1/inboxes/{identifier}"
CONTACT = PUBLIC + "/contacts/{source_id}"
CONVERSATION = CONTACT + "/conversations/{id:int}"
Act = Callable[[World, Request, Json], Any]


def routes(world: World) -> list[Route]:
    """Return the routes of both."""

    async def list_bots(request: Request) -> Response:
        if request.headers.get("api_access_token") != world.office.platform_token:
            return json_response(BAD_PLATFORM_TOKEN, 401)
        bots = world.office.bots.values()
        names = ("id", "name", "description", "outgoing_url", "account_id")
        return json_response(
            [
                {name: getattr(bot, name) for name in names}
                | {"access_token": bot.access_token}
                for bot in bots
            ]
        )

    table: tuple[tuple[str, str, Act], ...] = (
        ("POST", PUBLIC + "/contacts", _create_contact),
        ("POST", CONTACT + "/conversations", _create_conversation),
        ("GET", CONVERSATION + "/messages", _list_messages),
        ("POST", CONVERSATION + "/messages", _create_message),
        ("POST", CONVERSATION + "/toggle_typing", _type),
        ("POST", CONVERSATION + "/update_last_seen", _read),
    )
    public = [
        Route(path, _handler(world, act), methods=[method])
        for method, path, act in table
    ]
    return [Route("/platform/api/v1/agent_bots", list_bots), *public]


def _handler(world: World, act: Act) -> Callable[[Request], Any]:
    async def handle(request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        params, _ = parse_body(await request.body(), kind)
        try:
            return json_response(act(world, request, params))
        except NotFoundError:
            return json_response(NOT_FOUND, 404)
        except MessageRefusedError as error:
            return json_response({"error": str(error)}, 422)

    return handle


def _create_contact(world: World, request: Request, params: Json) -> Json:
    inbox = _inbox(world, request)
    names = ("source_id", "email", "phone_number", "identifier", "custom_attributes")
    known = {name: params[name] for name in names if params.get(name)}
    contact = world.ledger.new_contact(params.get("name"), **known)
    world.introduce(contact, inbox)
    return {
        "source_id": contact.source_id,
        "pubsub_token": contact.pubsub_token,
        "id": contact.id,
        "name": contact.name,
        "email": contact.email,
        "phone_number": contact.phone_number,
    }


def _create_conversation(world: World, request: Request, params: Json) -> Json:
    contact = _contact(world, request)
    attributes = params.get("custom_attributes")
    conversation = world.new_conversation(
        contact,
        _inbox(world, request),
        custom_attributes=attributes if isinstance(attributes, dict) else {},
    )
    world.announce(conversation)
    return {
        "id": conversation.id,
        "uuid": conversation.uuid,
        "inbox_id": conversation.inbox.id,
        "contact_last_seen_at": 0,
        "status": conversation.status,
        "agent_last_seen_at": 0,
        "messages": [],
        "contact": {"id": contact.id, "name": contact.name},
    }


def _list_messages(world: World, request: Request, params: Json) -> list[Json]:
    messages = _conversation(world, request).messages
    return [message_answer(world, each) for each in messages if _is_public(each)]


def _create_message(world: World, request: Request, params: Json) -> Json:
    conversation = _conversation(world, request)
    content = str(params.get("content") or "")
    fields = incoming(
        conversation,
        content,
        number=world.ledger.next_message,
        subject="",
        auto_reply=False,
    )
    draft = Draft(
        content=content, message_type="incoming", sender_type="contact", **fields
    )
    message = world.receive(conversation, draft)
    return message_answer(world, message, params.get("echo_id"))


def _type(world: World, request: Request, params: Json) -> Json:
    state = str(params.get("typing_status") or "")
    if state in ("on", "off"):
        world.type(_conversation(world, request), state, by="contact")
    return {}


def _read(world: World, request: Request, params: Json) -> Json:
    conversation = _conversation(world, request)
    conversation.contact_last_seen_at = world.ledger.now()
    for message in list(conversation.messages):
        if message.is_shown and message.status not in ("read", "failed"):
            world.update_message(message, status="read")
    return {}


def _is_public(message: Draft) -> bool:
    return not message.private and message.message_type != "activity"


def _inbox(world: World, request: Request) -> Inbox:
    wanted = request.path_params["identifier"]
    for inbox in world.office.inboxes.values():
        if inbox.is_api and inbox.identifier == wanted:
            return inbox
    raise NotFoundError


def _contact(world: World, request: Request) -> Contact:
    _inbox(world, request)
    for contact in world.contacts.values():
        if contact.source_id == request.path_params["source_id"]:
            return contact
    raise NotFoundError


def _conversation(world: World, request: Request) -> Conversation:
    contact = _contact(world, request)
    conversation = world.conversations.get(request.path_params["id"])
    if conversation is None or conversation.contact.id != contact.id:
        raise NotFoundError
    return conversation
