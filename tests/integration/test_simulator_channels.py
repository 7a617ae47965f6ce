"""The simulator's channels, files and failures: what differs from the web widget."""

import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from test_simulator import assert_same_shape

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.samples import KINDS, PIXEL
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

DELIVERIES = Path(__file__).parents[1] / "deliveries"


def example(name):
    return json.loads((DELIVERIES / f"{name}.json").read_text())


class Hook:
    """A bot that keeps what it was sent."""

    def __init__(self):
        self.bodies = []
        self.status = 200

    async def take(self, request):
        self.bodies.append(json.loads(await request.body()))
        return Response("no", self.status)

    def last(self, event="message_created"):
        return next(body for body in self.bodies[::-1] if body["event"] == event)

    def clear(self):
        self.bodies.clear()


@pytest.fixture
async def hook():
    hook = Hook()
    app = Starlette(routes=[Route("/hook", hook.take, methods=["POST"])])
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    hook.url = f"http://127.0.0.1:{server.port}/hook"
    yield hook
    await server.stop()


@pytest.fixture
def on(hook):
    """Return a simulator whose one inbox is of that channel."""

    def start(channel, **options):
        return Simulator(
            webhook_url=hook.url, channel=f"Channel::{channel}", retry_s=0.01, **options
        )

    return start


async def post(sim, cid, token="bot-token", **request):
    async with httpx.AsyncClient(headers={"api_access_token": token}) as client:
        return await client.post(
            f"{sim.base_url}/api/v1/accounts/1/conversations/{cid}/messages", **request
        )


# What comes in.


@pytest.mark.parametrize(
    ("channel", "says", "wanted"),
    [
        ("Whatsapp", {"kind": "image", "caption": "x"}, "incoming_image_whatsapp"),
        ("Whatsapp", {"kind": "audio"}, "incoming_audio_whatsapp"),
        ("Whatsapp", {"kind": "location"}, "incoming_location_whatsapp"),
        ("Whatsapp", {"kind": "contact"}, "incoming_contact_whatsapp"),
        ("WebWidget", {"kind": "file"}, "incoming_file_webwidget"),
    ],
)
async def test_attachments_have_the_example_shapes(on, hook, channel, says, wanted):
    """Keys differ from kind to kind."""
    async with on(channel) as sim:
        await sim.contact_sends(**says)
        await sim.settled()

    body, shape = hook.last(), example(f"message_created__{wanted}")
    assert_same_shape(body, shape)
    assert list(body["attachments"][0]) == list(shape["attachments"][0])
    assert (body["content"] is None) == (shape["content"] is None)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_attachment_can_be_sent(on, hook, kind):
    """All thirteen of docs/chatwoot/payloads.md#attachments."""
    async with on("Instagram") as sim:
        await sim.contact_sends(kind)
        await sim.settled()

    assert hook.last()["attachments"][0]["file_type"] == kind


async def test_mail_has_the_example_shape(on, hook):
    """The content keeps the quoted history; processed content does not."""
    async with on("Email") as sim:
        said = await sim.contact_says("Yes.\n\nOn Monday Ada wrote:\n> Do you?")
        await sim.contact_says("Away", subject="Re", auto_reply=True)
        await sim.settled()

    first, second = hook.bodies
    shape = example("message_created__incoming_email")
    assert_same_shape(first, shape)
    attributes = first["content_attributes"]["email"]
    assert list(attributes) == list(shape["content_attributes"]["email"])
    assert (first["content_type"], said.source_id) == (
        "incoming_email",
        first["source_id"],
    )
    assert "> Do you?" in first["content"]
    nested = first["conversation"]["messages"][0]
    assert nested["processed_message_content"] == "Yes."
    assert second["content_attributes"]["email"]["auto_reply"] is True


async def test_mail_answer_carries_its_addresses(on, hook):
    """Chatwoot adds them; the caller's own key stays."""
    async with on("Email") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        body = {"content": "Sorry", "content_attributes": {"bot_turn_id": "t"}}
        await post(sim, cid, json=body | {"cc_emails": "a@example.com, b@example.com"})
        await sim.settled()

    attributes = hook.last()["content_attributes"]
    shape = example("message_created__outgoing_agent_bot_email")["content_attributes"]
    assert attributes.keys() == shape.keys()
    assert attributes["cc_emails"] == ["a@example.com", "b@example.com"]


async def test_telegram_knows_the_chat(on, hook):
    """The contact has a user name, the conversation a chat."""
    async with on("Telegram") as sim:
        await sim.contact_says("Hi")
        await sim.settled()

    conversation = hook.last()["conversation"]
    assert "chat_id" in conversation["additional_attributes"]
    sender = conversation["meta"]["sender"]["additional_attributes"]
    assert sender["language_code"] == "en"


async def test_unsupported_message_says_so(on, hook):
    """Not a word of the contact's own."""
    async with on("Whatsapp") as sim:
        await sim.contact_sends_unsupported()
        await sim.settled()

    assert_same_shape(
        hook.last(), example("message_created__incoming_unsupported_whatsapp")
    )
    assert hook.last()["content_attributes"] == {"is_unsupported": True}


# Files.


async def test_file_is_behind_a_redirect_that_expires(on, hook):
    """data_url stays; what it leads to does not."""
    async with on("WebWidget") as sim:
        await sim.contact_sends("image")
        await sim.settled()
        url = hook.last()["attachments"][0]["data_url"]
        async with httpx.AsyncClient() as client:
            first = await client.get(url)
            found = await client.get(first.headers["location"])
            sim.faults.files.lifetime_s = -1
            again = await client.get(url)
            gone = await client.get(again.headers["location"])

    assert (first.status_code, found.content) == (302, PIXEL)
    assert found.headers["content-type"] == "image/png"
    assert (again.status_code, gone.status_code) == (302, 404)


async def test_file_may_be_late(on, hook):
    """404 to the first requests, as when the event was faster than the upload."""
    async with on("WebWidget") as sim:
        sim.faults.files.missing_requests = 2
        await sim.contact_sends("file")
        await sim.settled()
        url = hook.last()["attachments"][0]["data_url"]
        async with httpx.AsyncClient() as client:
            codes = [(await client.get(url)).status_code for _ in range(3)]

    assert codes == [404, 404, 302]


async def test_bot_uploads_files(on, hook):
    """multipart/form-data; the attributes come as a JSON string then."""
    async with on("WebWidget") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        answer = await post(
            sim,
            cid,
            data={"content": "Here", "content_attributes": '{"key": "k"}'},
            files=[
                ("attachments[]", ("a.png", PIXEL, "image/png")),
                ("attachments[]", ("é.pdf", b"%PDF", "application/pdf")),
            ],
        )
        await sim.settled()
        async with httpx.AsyncClient(follow_redirects=True) as client:
            got = await client.get(answer.json()["attachments"][0]["data_url"])
        empty = await post(sim, cid, files=[("attachments[]", ("a.png", PIXEL))])

    attachments = hook.last()["attachments"]
    assert answer.json()["attachments"] == attachments or len(attachments) == 1
    kinds = [each["file_type"] for each in answer.json()["attachments"]]
    assert kinds == ["image", "file"]
    assert answer.json()["content_attributes"] == {"key": "k"}
    assert got.content == PIXEL
    assert (empty.status_code, empty.json()["content"]) == (200, None)


async def test_sixteen_files_are_too_many(on):
    """Fifteen is the limit."""
    async with on("WebWidget") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        files = [("attachments[]", ("a.png", PIXEL, "image/png"))] * 16
        answer = await post(sim, cid, data={"content": "x"}, files=files)

    assert answer.status_code == 422


# What goes out.


async def test_sent_message_gets_a_source_id_later(on, hook):
    """200 means stored; the channel's own id comes with a message_updated."""
    async with on("Whatsapp") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        answer = await post(sim, cid, json={"content": "Yes."})
        await sim.settled()
        await sim.channel_reports(answer.json()["id"], "delivered")
        await sim.settled()
        carried = sim.carried(cid)

    assert answer.json()["source_id"] is None
    assert [message.content for message in carried] == ["Yes."]
    body = hook.last("message_updated")
    assert_same_shape(body, example("message_updated__delivered_whatsapp"))
    assert body["conversation"]["messages"][0]["status"] == "delivered"


async def test_message_with_a_source_id_is_never_sent(on):
    """The trap of using it as an idempotency key."""
    async with on("Whatsapp") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        await post(sim, cid, json={"content": "Yes.", "source_id": "mine"})
        await sim.settled()

        assert len(sim.replies(cid)) == 1
        assert sim.carried(cid) == []


async def test_closed_window_fails_later(on, hook):
    """can_reply is false, the call is a 200, and the failure an event."""
    async with on("Whatsapp") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        await sim.window_closes(cid)
        answer = await post(sim, cid, json={"content": "Late"})
        await sim.settled()
        failed = hook.last("message_updated")
        template = {"content": "Late", "template_params": {"name": "hello"}}
        await post(sim, cid, json=template)
        await sim.settled()
        carried = len(sim.carried(cid))
        await sim.contact_says("Back", conversation=cid)
        await sim.settled()

    assert answer.status_code == 200
    assert_same_shape(failed, example("message_updated__delivery_failed_whatsapp"))
    assert failed["conversation"]["can_reply"] is False
    assert failed["content_attributes"]["external_error"].startswith("Template not")
    assert failed["conversation"]["messages"][0]["status"] == "failed"
    assert carried == 1
    assert hook.last()["conversation"]["can_reply"] is True


async def test_channel_refuses_what_is_too_long(on, hook):
    """Chatwoot takes 150,000 characters, WhatsApp 4,096."""
    async with on("Whatsapp") as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        await post(sim, cid, json={"content": "x" * 4097})
        await sim.settled()
        carried = sim.carried(cid)

    attributes = hook.last("message_updated")["content_attributes"]
    assert (carried, attributes["external_error"]) == ([], "100: Invalid parameter")


async def test_channel_fails_on_request(on, hook):
    """For a while, or later than anybody thinks."""
    async with on("Telegram") as sim:
        sim.faults.channel.error = "Forbidden: bot was blocked by the user"
        sim.faults.channel.times = 1
        cid = (await sim.contact_says("Hi")).conversation_id
        for text in ("one", "two"):
            last = await post(sim, cid, json={"content": text})
            await sim.settled()
        carried = [message.content for message in sim.carried(cid)]
        await sim.channel_fails(last.json()["id"])
        await sim.settled()

    assert carried == ["two"]
    attributes = hook.last("message_updated")["content_attributes"]
    assert attributes == {"external_error": "131026: Message undeliverable"}


@pytest.mark.parametrize(
    ("channel", "content"),
    [
        ("Whatsapp", "Refund"),
        ("FacebookPage", "Refund"),
        ("Telegram", "refund_7"),
        ("Line", "refund_7"),
    ],
)
async def test_pick_comes_back_as_the_channel_has_it(on, hook, channel, content):
    """As the title or as the value, and always as an incoming message."""
    async with on(channel) as sim:
        cid = (await sim.contact_says("Hi")).conversation_id
        items = {"items": [{"title": "Refund", "value": "refund_7"}]}
        body = {"content": "What?", "content_type": "input_select"}
        asked = await post(sim, cid, json=body | {"content_attributes": items})
        await sim.settled()
        hook.clear()
        await sim.contact_picks(asked.json()["id"], "Refund", "refund_7")
        await sim.settled()

    assert hook.last()["content"] == content
    assert not [body for body in hook.bodies if body["event"] == "message_updated"]
    if channel == "Whatsapp":
        shape = example("message_created__incoming_button_reply_whatsapp")
        assert_same_shape(hook.last(), shape)
        replied = hook.last()["content_attributes"]["in_reply_to"]
        assert replied == asked.json()["id"]


async def test_api_inbox_is_called_back_and_failure_marks_the_message(hook):
    """Not retried, not opened: the message itself is failed.

    Source: docs/chatwoot/deliveries.md#failure.
    """
    async with Simulator(webhook_url="") as sim:
        inbox = sim.world.office.add_inbox(
            "App", "Channel::Api", webhook_url=hook.url, reply_window_s=None
        )
        said = await sim.contact_says("Hi", inbox=inbox.id)
        await sim.settled()
        assert [body["event"] for body in hook.bodies] == [
            "conversation_created",
            "message_created",
        ]
        hook.status = 500
        answer = await post(
            sim, said.conversation_id, json={"content": "x"}, token="user-token"
        )
        await sim.settled()
        failed = sim.world.ledger.message(answer.json()["id"])

    assert (failed.status, sim.status(said.conversation_id)) == ("failed", "open")
    assert failed.content_attributes["external_error"] == "500 no"
    assert {each.number for each in sim.delivery_log} == {1}
