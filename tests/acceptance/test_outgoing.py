"""What the contact gets, by channel: parts, quick replies, or a note to the agents."""

import httpx
import pytest
from service import Service

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.server import Simulator

pytestmark = pytest.mark.anyio

TOKEN = "bot-token"
PERSON = "Talk to a person"
PARAGRAPHS = [
    f"Parcel {n} goes out today and arrives on Friday. " * 6 for n in range(12)
]
CODE = "```python\n" + "print('one line of code')\n" * 40 + "```"
ANSWER = "\n\n".join([*map(str.strip, PARAGRAPHS), CODE])


def simulated(**options):
    return Simulator(webhook_url="http://127.0.0.1:9/", bot_token=TOKEN, **options)


def connected(folder, chatwoot, **settings):
    """Return the service, not yet started, connected to a simulated Chatwoot."""
    if "OPENAI_BASE_URL" not in settings:
        settings = {"RESPONDER": "mock"} | settings
    return Service(
        folder,
        CHATWOOT_BASE_URL=chatwoot.base_url,
        CHATWOOT_API_TOKEN=TOKEN,
        CHATWOOT_ALLOW_UNSIGNED="true",
        CHATWOOT_ACCOUNT_ID=1,
        **settings,
    )


def with_model(folder, chatwoot, model, **settings):
    return connected(
        folder,
        chatwoot,
        OPENAI_BASE_URL=model.base_url,
        OPENAI_API_KEY="k",
        **settings,
    )


def attach(chatwoot, service):
    chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"


def metric(service, line):
    return line in httpx.get(f"{service.url}/metrics", headers=service.agent).text


@pytest.mark.parametrize(
    ("channel", "limit"),
    [
        ("Channel::Whatsapp", 4_096),
        ("Channel::FacebookPage", 2_000),
        ("Channel::Instagram", 1_000),
        ("Channel::TwilioSms", 320),
    ],
)
async def test_long_answer_reaches_the_contact_in_parts(tmp_path, channel, limit):
    """In order, whole, and each as long as the channel takes."""
    async with ModelStandIn(reply=ANSWER) as model, simulated(channel=channel) as sim:
        with with_model(tmp_path, sim, model) as service:
            attach(sim, service)
            said = await sim.contact_says("Where is my parcel?")
            cid = said.conversation_id
            await sim.until(lambda: sim.typing(cid) == ["on", "off"], timeout=30)
            await sim.settled()

    parts = [reply.content for reply in sim.replies(cid)]
    assert len(parts) > 1
    assert max(map(len, parts)) <= limit
    assert all(part.count("```") in (0, 2) for part in parts)
    words = [w for part in parts for w in part.split() if not w.startswith("```")]
    assert words == [w for w in ANSWER.split() if not w.startswith("```")]
    assert sim.status(cid) == "pending"
    assert len(model.requests) == 1


async def test_kill_between_two_parts_says_each_once(tmp_path):
    """The rest is said after the restart; nothing is said twice."""
    async with (
        ModelStandIn(reply=ANSWER) as model,
        # Or it would open the conversation while the service is away.
        simulated(
            channel="Channel::FacebookPage", keep_pending_on_bot_failure=True
        ) as sim,
    ):
        service = with_model(tmp_path, sim, model)
        with service:
            attach(sim, service)
            sim.faults.api("delay", call="show", delay_s=0.3, times=None)
            said = await sim.contact_says("Where is my parcel?")
            cid = said.conversation_id
            await sim.wait_for_replies(cid, 1)
            service.kill()
        before = len(sim.replies(cid))
        with service:
            attach(sim, service)
            await sim.until(lambda: len(sim.replies(cid)) == 3, timeout=40)
            await sim.settled()

    parts = [reply.content for reply in sim.replies(cid)]
    assert before < 3
    assert len(parts) == len(set(parts)) == 3
    words = [w for part in parts for w in part.split() if not w.startswith("```")]
    assert words == [w for w in ANSWER.split() if not w.startswith("```")]


@pytest.mark.parametrize(
    "channel", ["Channel::WebWidget", "Channel::Whatsapp", "Channel::Telegram"]
)
async def test_contact_picks_a_human_from_the_quick_replies(tmp_path, channel):
    """However the channel says so: as an update, as the title, as the value."""
    async with simulated(channel=channel) as sim:
        with connected(tmp_path, sim) as service:
            attach(sim, service)
            said = await sim.contact_says("Hi")
            cid = said.conversation_id
            [offer] = await sim.wait_for_replies(cid, 1)
            await sim.contact_picks(offer.id, PERSON, PERSON)
            await sim.until(lambda: sim.status(cid) == "open")
            await sim.wait_for_replies(cid, 2)
            await sim.settled()

    assert offer.content_type == "input_select"
    items = offer.content_attributes["items"]
    assert items[-1] == {"title": PERSON, "value": PERSON}
    assert len(sim.replies(cid)) == 2


@pytest.mark.parametrize("channel", ["Channel::Api", "Channel::Sms", "Channel::Email"])
async def test_channel_without_quick_replies_gets_text(tmp_path, channel):
    """The choices are lines of the text, and nothing is said twice."""
    async with simulated(channel=channel) as sim:
        with connected(tmp_path, sim) as service:
            attach(sim, service)
            said = await sim.contact_says("Hi")
            cid = said.conversation_id
            await sim.until(lambda: sim.typing(cid) == ["on", "off"])
            await sim.contact_says("Human", conversation=cid)
            await sim.until(lambda: sim.status(cid) == "open")

    assert {reply.content_type for reply in sim.replies(cid)} == {"text"}
    told = " ".join(reply.content for reply in sim.replies(cid))
    assert told.lower().count(PERSON.lower()) == 1


async def test_choice_is_answered_once_however_often_it_is_told(tmp_path):
    """A read receipt carries the values again, and the sweep sees them too."""
    async with simulated() as sim, ModelStandIn() as model:
        with connected(tmp_path, sim) as service:
            attach(sim, service)
            said = await sim.contact_says("Hi")
            cid = said.conversation_id
            [offer] = await sim.wait_for_replies(cid, 1)
            await sim.until(lambda: sim.typing(cid) == ["on", "off"])
            await sim.settled()
        with with_model(tmp_path, sim, model, SWEEP_INTERVAL_SECONDS=1) as service:
            attach(sim, service)
            await sim.contact_picks(offer.id, "something else", "x")
            await sim.wait_for_replies(cid, 2)
            await sim.channel_reports(offer.id, "read")
            await sim.contact_reads(cid)
            await sim.settled()

    assert [reply.content for reply in sim.replies(cid)][1:] == [
        "Answer to: something else"
    ]
    assert len(model.requests) == 1


@pytest.mark.parametrize("token", ["", "user-token"])
async def test_choice_whose_webhook_was_lost_is_answered(tmp_path, token):
    """The sweep sees it in the message that offered it, with either token."""
    user = {"CHATWOOT_USER_TOKEN": token} if token else {}
    async with simulated(keep_pending_on_bot_failure=True) as sim, ModelStandIn() as m:
        with connected(tmp_path, sim) as service:
            attach(sim, service)
            said = await sim.contact_says("Hi")
            cid = said.conversation_id
            [offer] = await sim.wait_for_replies(cid, 1)
            await sim.until(lambda: sim.typing(cid) == ["on", "off"])
            await sim.settled()
        await sim.contact_picks(offer.id, "something else", "x")
        await sim.settled(timeout=20)
        with with_model(tmp_path, sim, m, SWEEP_INTERVAL_SECONDS=1, **user) as service:
            attach(sim, service)
            replies = await sim.wait_for_replies(cid, 2)

    assert replies[1].content == "Answer to: something else"


async def test_rating_is_no_question(tmp_path):
    """Nobody wants to be answered for five stars."""
    async with simulated() as sim:
        with connected(tmp_path, sim) as service:
            attach(sim, service)
            said = await sim.contact_says("Hi")
            [offer] = await sim.wait_for_replies(said.conversation_id, 1)
            await sim.contact_rates(offer.id, 5, "Quick and clear")
            await sim.settled()

    assert len(sim.replies(said.conversation_id)) == 1
    assert '"ignored"' in sim.delivery_log[-1].body


async def test_reply_after_the_window_is_a_note(tmp_path):
    """WhatsApp would take it and throw it away; a human sees what to do."""
    async with (
        ModelStandIn(delay_s=1.0, reply="It is on its way.") as model,
        simulated(channel="Channel::Whatsapp") as sim,
    ):
        with with_model(tmp_path, sim, model) as service:
            attach(sim, service)
            said = await sim.contact_says("Where is my parcel?")
            cid = said.conversation_id
            await model.until(lambda: model.started == 1)
            await sim.window_closes(cid)
            await sim.until(lambda: sim.status(cid) == "open")
            await sim.until(lambda: len(sim.notes(cid)) >= 2)
            await sim.settled()
            counted = metric(
                service, 'chatwoot_bot_handovers_total{reason="cannot_reply"} 1.0'
            )

    assert sim.replies(cid) == []
    assert any("It is on its way." in note.content for note in sim.notes(cid))
    assert counted


async def test_window_that_closes_during_an_outage(tmp_path):
    """The reply was kept for Chatwoot to come back; by then it is too late."""
    async with simulated(channel="Channel::Whatsapp") as sim:
        with connected(tmp_path, sim) as service:
            attach(sim, service)
            sim.faults.api("status", status=503)
            said = await sim.contact_says("Hi")
            cid = said.conversation_id
            await sim.until(lambda: any(call.status == 503 for call in sim.calls))
            await sim.window_closes(cid)
            await sim.until(lambda: sim.status(cid) == "open", timeout=30)
            await sim.until(lambda: sim.notes(cid))
            await sim.settled()

    assert sim.replies(cid) == []
    assert any("Hello" in note.content for note in sim.notes(cid))


async def test_reply_that_the_channel_refuses_calls_a_human_once(tmp_path):
    """200 meant stored. The failure is counted, logged, noted, and told to humans."""
    async with simulated(channel="Channel::Whatsapp") as sim:
        with connected(tmp_path, sim) as service:
            attach(sim, service)
            said = await sim.contact_says("Hi")
            cid = said.conversation_id
            [reply] = await sim.wait_for_replies(cid, 1)
            await sim.settled()
            await sim.channel_fails(reply.id)
            await sim.until(lambda: sim.status(cid) == "open" and sim.notes(cid))
            await sim.channel_fails(reply.id)
            await sim.settled()
            counted = metric(
                service, 'chatwoot_bot_replies_total{outcome="undelivered"} 1.0'
            )
            service.stop()

    [note] = sim.notes(cid)
    assert "131026: Message undeliverable" in note.content
    assert counted
    assert service.output.count("channel delivery failed") == 1


async def test_receipts_call_nobody(tmp_path):
    """Sent, delivered, read: three updates for every reply on WhatsApp."""
    async with simulated(channel="Channel::Whatsapp") as sim:
        with connected(tmp_path, sim) as service:
            attach(sim, service)
            said = await sim.contact_says("Hi")
            cid = said.conversation_id
            [reply] = await sim.wait_for_replies(cid, 1)
            for status in ("sent", "delivered", "read"):
                await sim.channel_reports(reply.id, status)
            await sim.settled()

    assert (sim.status(cid), sim.notes(cid)) == ("pending", [])


async def test_message_taken_back_in_time_is_not_answered(tmp_path):
    """Neither its text nor an apology: it was never there."""
    async with simulated() as sim:
        with connected(tmp_path, sim, QUIET_SECONDS=1) as service:
            attach(sim, service)
            said = await sim.contact_says("my password is hunter2")
            cid = said.conversation_id
            await sim.settled()
            await sim.agent_deletes(said.id)
            await sim.settled()
            await sim.contact_says("Hi", conversation=cid)
            replies = await sim.wait_for_replies(cid, 1)

    assert len(replies) == 1
    assert "all 2 messages" not in replies[0].content
