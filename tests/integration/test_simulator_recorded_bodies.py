"""Single bodies of a running Chatwoot beside those of the simulator.

The bodies of the recorded story are in `test_simulator_recorded.py`; here are those
that it lacks, and the answers of REST. Each is brought about once, and keys, their
order and types are compared. What differs is in `LEFT`, with its reason.
"""

import asyncio
import json
from collections import defaultdict

import httpx
import pytest
import recorded
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from test_simulator_recorded import differences

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.routes import WEBHOOK_EVENTS
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

OURS = {"chatwoot_bot": {"reply_key": "t_1.0"}}
AGENT, ADMIN, BOT = "user-token", "admin-token", "bot-token"


class Desk:
    """One simulated Chatwoot, and the last body that it sent of each event."""

    def __init__(self, sim, http, bodies):
        self.sim, self.http, self.bodies = sim, http, bodies
        self.api = next(
            inbox.id for inbox in sim.world.office.inboxes.values() if inbox.is_api
        )

    async def ask(self, method, path, token, **body):
        return await self.http.request(
            method,
            f"/api/v1/accounts/1/{path}",
            json=body or None,
            headers={"api_access_token": token},
        )

    async def rest(self, method, path, token, **body):
        return (await self.ask(method, path, token, **body)).json()

    async def post(self, cid, content, token=BOT, **body):
        path = f"conversations/{cid}/messages"
        body = {"content_attributes": OURS, "content": content} | body
        return (await self.rest("POST", path, token, **body))["id"]

    async def asked(self, **options):
        return (await self.sim.contact_says("Hi", **options)).conversation_id

    def clear(self):
        """Undo what a body needed of the inbox."""
        inbox = self.sim.world.inbox
        inbox.greeting_enabled = inbox.enable_email_collect = False
        inbox.csat_survey_enabled = False

    async def last(self, event, back=1):
        await self.sim.settled()
        return [body for body in self.bodies if body["event"] == event][-back]


async def sends(desk, kind, *, in_api=False, **differs):
    inbox = desk.api if in_api else None
    await desk.sim.contact_sends(kind, inbox=inbox, **differs)
    return await desk.last("message_created")


async def replies_to(desk):
    cid = await desk.asked()
    mid = await desk.post(cid, "Hello")
    await desk.sim.contact_replies_to(mid, "about this")
    return await desk.last("message_created")


async def offers(desk, content_type, *items):
    cid = await desk.asked()
    await desk.post(
        cid,
        content_type.capitalize(),
        content_type=content_type,
        content_attributes={"items": items},
    )
    return await desk.last("message_created")


FORM = {"type": "text", "name": "order", "label": "Order", "placeholder": "1042"}
CHOICE = {
    "type": "select",
    "name": "kind",
    "label": "Kind",
    "options": [{"label": "A", "value": "a"}],
}
CARD = {
    "title": "Lamp",
    "description": "A lamp",
    "media_url": "https://shop.example.com/lamp.png",
    "actions": [
        {"type": "postback", "text": "More", "payload": "more"},
        {"type": "link", "text": "Buy", "uri": "https://shop.example.com"},
    ],
}
ARTICLE = {
    "title": "Shipping",
    "description": "How",
    "link": "https://shop.example.com/shipping",
}


async def automation(desk):
    await desk.sim.automation_says(await desk.asked(), "automatic text")
    return await desk.last("message_created")


async def greeting(desk):
    await desk.sim.set_inbox(greeting_enabled=True, greeting_message="Welcome!")
    await desk.asked()
    return await desk.last("message_created")


async def rated(desk, event):
    await desk.sim.set_inbox(csat_survey_enabled=True)
    cid = await desk.asked()
    await desk.sim.set_status(cid, "resolved")
    survey = desk.sim.messages(cid)[-1]
    await desk.sim.settled()
    if event == "message_updated":
        await desk.sim.contact_rates(survey.id, 5, "fine")
    return await desk.last(event)


async def filled_in(desk):
    body = await offers(desk, "form", FORM, CHOICE)
    await desk.sim.contact_submits(body["id"], {"order": "1042", "kind": "a"})
    return await desk.last("message_updated")


async def address_given(desk):
    await desk.sim.set_inbox(enable_email_collect=True)
    cid = await desk.asked()
    box = desk.sim.messages(cid)[-1]
    await desk.post(cid, "Hello")
    await desk.sim.contact_gives_email(box.id, "vera@example.com")
    return await desk.last("message_updated")


async def not_delivered(desk):
    cid = await desk.asked(inbox=desk.api)
    mid = await desk.post(cid, "Hello")
    await desk.sim.channel_fails(mid, "500 Internal Server Error")
    return await desk.last("message_updated")


async def retried(desk):
    await desk.sim.retry_message((await not_delivered(desk))["id"])
    return await desk.last("message_updated")


async def merged(desk):
    base, mergee = await desk.asked(), await desk.asked()
    await desk.post(mergee, "Hello")
    contacts = [desk.sim.world.conversations[cid].contact.id for cid in (base, mergee)]
    await desk.sim.merge_contacts(*contacts)
    return await desk.last("message_updated")


async def opened(desk, back):
    await desk.sim.set_status(await desk.asked(), "open")
    return await desk.last("conversation_updated", back)


async def snooze_ended(desk):
    cid = await desk.asked()
    await desk.sim.set_status(cid, "snoozed", snoozed_until=1_900_000_000.0)
    await desk.sim.snooze_ends(cid)
    return await desk.last("conversation_updated")


async def agent_typed(desk):
    cid = await desk.asked()
    await desk.post(cid, "Hello")
    await desk.sim.agent_types(cid, "off")
    return await desk.last("conversation_typing_off")


async def rule_fired(desk):
    url = desk.sim.webhook_url
    await desk.sim.set_inbox(enable_email_collect=True)
    await desk.sim.automation_sends(await desk.asked(), url)
    return await desk.last("automation_event.message_created")


async def shown(desk):
    cid = await desk.asked()
    await desk.rest("POST", f"conversations/{cid}/toggle_status", BOT, status="open")
    await desk.post(cid, "Hello")
    return await desk.rest("GET", f"conversations/{cid}", BOT)


async def shown_with_a_team(desk):
    cid = await desk.asked()
    await desk.sim.set_team(cid)
    answer = await desk.ask("GET", f"conversations/{cid}", BOT)
    return {"status": answer.status_code, "error": answer.reason_phrase}


async def created(desk):
    cid = await desk.asked()
    path = f"conversations/{cid}/messages"
    return await desk.rest("POST", path, BOT, content="Hi", content_attributes=OURS)


async def handed_over(desk):
    path = f"conversations/{await desk.asked()}/toggle_status"
    return await desk.rest("POST", path, BOT, status="open")


async def labelled(desk):
    return await desk.rest("GET", f"conversations/{await desk.asked()}/labels", BOT)


async def listed_messages(desk):
    cid = await desk.asked()
    await desk.post(cid, "Hello")
    return await desk.rest("GET", f"conversations/{cid}/messages", AGENT)


async def listed_conversations(desk):
    cid = await desk.asked()
    await desk.post(cid, "Hello")
    return await desk.rest("GET", "conversations?status=all", AGENT)


BODIES = {
    "message_created__incoming_audio_webwidget": lambda desk: sends(desk, "audio"),
    "message_created__incoming_image_webwidget": lambda desk: sends(desk, "image"),
    "message_created__incoming_file_webwidget": lambda desk: sends(desk, "file"),
    "message_created__incoming_contact_api": lambda desk: sends(
        desk, "contact", in_api=True
    ),
    "message_created__incoming_location_api": lambda desk: sends(
        desk, "location", in_api=True, data_url=None
    ),
    "message_created__incoming_fallback_api": lambda desk: sends(
        desk, "fallback", in_api=True, caption="look"
    ),
    "message_created__incoming_reply_to_webwidget": replies_to,
    "message_created__outgoing_form": lambda desk: offers(desk, "form", FORM, CHOICE),
    "message_created__outgoing_cards": lambda desk: offers(desk, "cards", CARD),
    "message_created__outgoing_article": lambda desk: offers(desk, "article", ARTICLE),
    "message_created__outgoing_automation": automation,
    "message_created__template_greeting": greeting,
    "message_created__template_csat_webwidget": lambda desk: rated(
        desk, "message_created"
    ),
    "message_updated__csat_response": lambda desk: rated(desk, "message_updated"),
    "message_updated__form_response": filled_in,
    "message_updated__input_email_response": address_given,
    "message_updated__delivery_failed_api": not_delivered,
    "message_updated__retried_api": retried,
    "message_updated__contact_merged": merged,
    "conversation_updated__opened_by_agent_first_save": lambda desk: opened(desk, 2),
    "conversation_updated__opened_by_agent_second_save": lambda desk: opened(desk, 1),
    "conversation_updated__snooze_ended_bot_owner": snooze_ended,
    "conversation_typing_off__agent": agent_typed,
    "automation_event.message_created": rule_fired,
    "rest_conversation_show__response": shown,
    "rest_conversation_show__with_team_error": shown_with_a_team,
    "rest_create_message__response": created,
    "rest_toggle_status__handoff_response": handed_over,
    "rest_labels__response": labelled,
    "rest_inbox_agent_bot__response_admin": lambda desk: desk.rest(
        "GET", "inboxes/3/agent_bot", ADMIN
    ),
    "rest_inbox_agent_bot__response_agent": lambda desk: desk.rest(
        "GET", "inboxes/3/agent_bot", AGENT
    ),
    "rest_agent_bots__response_admin": lambda desk: desk.rest(
        "GET", "agent_bots", ADMIN
    ),
    "rest_list_messages__response": listed_messages,
    "rest_list_conversations__response": listed_conversations,
    "rest_webhooks__response": lambda desk: desk.rest("GET", "webhooks", ADMIN),
    "rest_inboxes__response": lambda desk: desk.rest("GET", "inboxes", ADMIN),
}


def comparable(name, body):
    """Return *body* with one item of each kind where Chatwoot lists many."""
    match name:
        case "rest_inboxes__response":
            return {item["channel_type"]: item for item in reversed(body["payload"])}
        case "rest_agent_bots__response_admin":
            return body[0]
        case "rest_webhooks__response":
            return body["payload"]["webhooks"][0] | {"subscriptions": []}
        case "rest_list_messages__response":
            kinds = {item["message_type"]: item for item in body["payload"]}
            return body | {"payload": [kinds[kind] for kind in (0, 1)]}
        case "rest_list_conversations__response":
            # What differs from one conversation to the next is compared in "show".
            item = body["data"]["payload"][0]
            free = ("additional_attributes", "messages", "last_non_activity_message")
            return {
                "counts": body["data"]["meta"],
                "keys": dict.fromkeys(item),
                **{key: value for key, value in item.items() if key not in free},
            }
    return body


BROWSER = "the recorder's browser named no language"
CONTACT = "the recorder's contacts had an identifier, an address, an attribute"
NO_BOT = "recorded where no bot owned the conversation"
# The difference (ours / theirs), and why it is left.
LEFT = {
    ".additional_attributes.browser_language: str / null": BROWSER,
    ".meta.additional_attributes.browser_language: str / null": BROWSER,
    ".agent_bot.description: str / null": "the recorder's bot had no description",
    ".description: str / null": "the recorder's bot had no description",
    ".meta.assignee.description: str / null": "the recorder's bot had no description",
    ".first_reply_created_at: null / str": "an agent had replied before",
    ".Channel::WebWidget.greeting_message: str / null": "the recorder set none",
    ".meta.assignee: dict / null": NO_BOT,
    ".meta.assignee_type: str / null": NO_BOT,
    ".meta.sender.custom_attributes.plan: there only": CONTACT,
    ".meta.sender.email: null / str": CONTACT,
    ".meta.sender.identifier: null / str": CONTACT,
    ".messages[].sender.identifier: null / str": CONTACT,
    ".sender.email: null / str": CONTACT,
    ".sender.identifier: null / str": CONTACT,
}
# In the recorded story, and compared there.
IN_THE_STORY = {
    "contact_created",
    "contact_updated",
    "conversation_created",
    "conversation_opened",
    "conversation_opened__bot_failure",
    "conversation_resolved",
    "conversation_status_changed__open_to_resolved",
    "conversation_status_changed__pending_to_open",
    "conversation_status_changed__snoozed",
    "conversation_status_changed__to_pending",
    "conversation_typing_on__agent_bot",
    "conversation_typing_on__contact",
    "conversation_updated__assigned_to_bot",
    "conversation_updated__assigned_to_human",
    "conversation_updated__custom_attributes",
    "conversation_updated__first_bot_reply",
    "conversation_updated__first_human_reply",
    "conversation_updated__labels",
    "conversation_updated__priority",
    "conversation_updated__resolved_to_pending",
    "conversation_updated__snoozed",
    "conversation_updated__status_handoff",
    "conversation_updated__team",
    "conversation_updated__waiting_since_set",
    "message_created__incoming_after_reopen",
    "message_created__incoming_text_api",
    "message_created__incoming_text_webwidget",
    "message_created__outgoing_agent_bot",
    "message_created__outgoing_human_agent",
    "message_created__outgoing_input_select",
    "message_created__private_note",
    "message_created__private_note_agent_bot",
    "message_created__template_email_collect",
    "message_created__template_input_email",
    "message_updated__deleted",
    "message_updated__input_select_response",
    "message_updated__read_webwidget",
    "webwidget_triggered",
}


@pytest.fixture
async def desk(request):
    bodies = []

    async def take(message):
        bodies.append(json.loads(await message.body()))
        return Response()

    front = LocalServer(
        Starlette(routes=[Route("/{who}", take, methods=["POST"])]),
        host="127.0.0.1",
        port=0,
    )
    await front.start()
    url = f"http://127.0.0.1:{front.port}"
    async with Simulator(webhook_url=f"{url}/bot", release=request.param) as sim:
        sim._deliveries._slots = asyncio.Semaphore(1)
        office = sim.world.office
        typing = tuple(each for each in WEBHOOK_EVENTS if "typing" in each)
        office.add_webhook(f"{url}/account", typing)
        office.add_inbox("App", "Channel::Api", agent_bot_id=4, webhook_url="")
        async with httpx.AsyncClient(base_url=sim.base_url, timeout=5) as http:
            yield Desk(sim, http, bodies)
    await front.stop()


def test_every_recorded_body_is_compared():
    for server in recorded.RELEASES:
        names = recorded.names(server) + recorded.names(server, rest=True)
        assert set(names) == BODIES.keys() | IN_THE_STORY


@pytest.mark.parametrize(
    ("server", "desk"), recorded.RELEASES.items(), indirect=["desk"]
)
async def test_bodies_have_the_shape_of_the_recorded_ones(desk, server):
    left = defaultdict(list)
    for name, act in BODIES.items():
        ours = await act(desk)
        theirs = recorded.body(server, name)
        for difference in differences(comparable(name, ours), comparable(name, theirs)):
            left[difference.removeprefix(".conversation")].append(name)
        desk.clear()

    assert {each: left[each] for each in left if each not in LEFT} == {}
    assert LEFT.keys() <= left.keys()
