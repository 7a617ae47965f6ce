"""Every body that Chatwoot is known to send, and what comes of it.

A row says what the webhook answers, who holds the conversation afterwards, and what
is stored of it. A file that is put into the folder without a row fails.
"""

from dataclasses import dataclass

import pytest
from factories import DELIVERIES, compact, example
from test_webhook import HUMAN, SIGNED, post_signed, rows, serving

from chatwoot_bot.store import schema

pytestmark = pytest.mark.anyio

QUEUED = {"status": "ok", "route": "bot", "queued": True}
OWED = " (owed)"


@dataclass(frozen=True)
class Row:
    """What comes of one body.

    Attributes:
        answer: a route, or the reason why the body is ignored.
        held: who holds the conversation, and the status that Chatwoot showed; empty
            when nothing is kept of it.
        said: the transcript, and for each line who said it.
    """

    answer: str
    held: str = ""
    said: tuple[str, ...] = ()


NO_MESSAGE = Row("not_message_created")
KNOWN = Row("not_message_created", "ai pending")

# Each as the first thing that is ever heard of its conversation.
ALONE = {
    "automation_event.message_created": NO_MESSAGE,
    "contact_created": NO_MESSAGE,
    "contact_updated": NO_MESSAGE,
    "conversation_created": KNOWN,
    "conversation_opened": Row("not_message_created", "ai open"),
    "conversation_resolved": Row("not_message_created", "ai resolved"),
    "conversation_status_changed__open_to_resolved": Row(
        "not_message_created", "ai resolved"
    ),
    "conversation_status_changed__pending_to_open": Row(
        "not_message_created", "ai open"
    ),
    "conversation_status_changed__resolved_to_pending": KNOWN,
    "conversation_typing_off__agent": NO_MESSAGE,
    "conversation_typing_on__contact": NO_MESSAGE,
    "conversation_updated__assigned_to_human": Row("not_message_created", "ai open"),
    "conversation_updated__labels": KNOWN,
    "conversation_updated__status_handoff": Row("not_message_created", "ai open"),
    "macro.executed": NO_MESSAGE,
    "message_created__api_inbox_outgoing": Row(
        "agent_reply", "human open", ("agent: Thanks Priya, looking into it.",)
    ),
    "message_created__incoming_after_reopen": Row(
        "bot", "ai pending", (f"user: One more question about customs{OWED}",)
    ),
    "message_created__incoming_audio_whatsapp": Row(
        "bot", "ai pending", (f"user: [audio]{OWED}",)
    ),
    "message_created__incoming_button_reply_whatsapp": Row(
        "bot", "ai pending", (f"user: Refund{OWED}",)
    ),
    "message_created__incoming_contact_whatsapp": Row(
        "bot",
        "ai pending",
        (f"user: Dana Lee\n[contact: Dana Lee, +15550100144]{OWED}",),
    ),
    "message_created__incoming_email": Row(
        "bot",
        "ai pending",
        (
            "user: Hello,\nmy order #7781 arrived damaged. What can we do?\n\n"
            f"Lena{OWED}",
        ),
    ),
    "message_created__incoming_file_webwidget": Row(
        "bot", "ai pending", (f"user: [file: invoice.pdf]{OWED}",)
    ),
    "message_created__incoming_image_whatsapp": Row(
        "bot", "ai pending", (f"user: My parcel looks like this\n[image]{OWED}",)
    ),
    "message_created__incoming_location_whatsapp": Row(
        "bot",
        "ai pending",
        (
            "user: [location: Acme Pickup Point, Example Street 1, "
            f"52.520008, 13.404954]{OWED}",
        ),
    ),
    "message_created__incoming_reply_to_webwidget": Row(
        "bot", "ai pending", (f"user: and how long does it take?{OWED}",)
    ),
    "message_created__incoming_text_webwidget": Row(
        "bot", "ai pending", (f"user: Hi! Do you ship to Norway?{OWED}",)
    ),
    "message_created__incoming_unsupported_whatsapp": Row("unsupported", "ai pending"),
    "message_created__outgoing_agent_bot": Row(
        "bot_message", "ai pending", ("ai: Yes, we ship to Norway in 3-5 days.",)
    ),
    "message_created__outgoing_agent_bot_email": Row(
        "bot_message",
        "ai pending",
        ("ai: Sorry about that, Lena. I have opened a replacement request.",),
    ),
    "message_created__outgoing_external_echo_whatsapp": Row(
        "agent_reply", "human open", ("agent: I answered you from my phone",)
    ),
    "message_created__outgoing_human_agent": Row(
        "agent_reply",
        "human open",
        ("agent: Hello, Maria here. I can help with customs.",),
    ),
    "message_created__outgoing_input_select": Row(
        "bot_message", "ai pending", ("ai: What do you need help with?",)
    ),
    # Maria has answered before, as `first_reply_created_at` says.
    "message_created__private_note": Row("private", "human open"),
    "message_created__template_csat_webwidget": Row(
        "template", "ai resolved", ("system: Please rate the conversation",)
    ),
    "message_created__template_csat_whatsapp": Row(
        "template",
        "ai resolved",
        (
            "system: Please rate this conversation, https://chat.example.com/survey/"
            "responses/1e6f3370-43ab-47fa-b3a1-41d4c617b87b",
        ),
    ),
    "message_created__template_greeting": Row(
        "template", "ai pending", ("system: Welcome to Acme Store! How can we help?",)
    ),
    "message_created__template_input_email": Row(
        "template", "ai pending", ("system: Get notified by email",)
    ),
    "message_updated__audio_transcribed": KNOWN,
    "message_updated__csat_response": Row("not_message_created", "ai resolved"),
    "message_updated__deleted": Row("deleted", "ai pending"),
    "message_updated__delivered_whatsapp": KNOWN,
    "message_updated__delivery_failed_whatsapp": Row("undelivered", "ai pending"),
    "message_updated__form_response": Row(
        "bot", "ai pending", (f"user: order_number: ABC-778\ntopic: refund{OWED}",)
    ),
    "message_updated__input_email_response": KNOWN,
    "message_updated__input_select_response": Row(
        "bot", "ai pending", (f"user: Refund{OWED}",)
    ),
    "webwidget_triggered": NO_MESSAGE,
}

ASKED = "message_created__incoming_text_webwidget"
QUESTION = "user: Hi! Do you ship to Norway?"
MARIA = "agent: Hello, Maria here. I can help with customs."
TAKEN = (ASKED, "message_created__outgoing_human_agent")
OVER = (*TAKEN, "conversation_resolved")
LEFT_TO_HUMANS = Row("not_message_created", "human open", (QUESTION,))

# What came before, and then.
IN_CONTEXT = [
    ((ASKED,), "conversation_opened", LEFT_TO_HUMANS),
    ((ASKED,), "conversation_status_changed__pending_to_open", LEFT_TO_HUMANS),
    ((ASKED,), "conversation_updated__status_handoff", LEFT_TO_HUMANS),
    ((ASKED,), "conversation_updated__assigned_to_human", LEFT_TO_HUMANS),
    (
        (ASKED,),
        "conversation_updated__labels",
        Row("not_message_created", "ai pending", (QUESTION + OWED,)),
    ),
    (
        (ASKED,),
        "message_created__template_greeting",
        Row(
            "template",
            "ai pending",
            (QUESTION + OWED, "system: Welcome to Acme Store! How can we help?"),
        ),
    ),
    (
        (ASKED,),
        "message_created__outgoing_human_agent",
        Row("agent_reply", "human open", (QUESTION, MARIA)),
    ),
    (
        (ASKED, "message_created__outgoing_human_agent"),
        "message_created__private_note",
        Row("private", "human open", (QUESTION, MARIA)),
    ),
    # Late: Chatwoot's clock says that it was written before Maria came.
    (
        TAKEN,
        "message_created__incoming_reply_to_webwidget",
        Row(
            "human", "human open", (QUESTION, MARIA, "user: and how long does it take?")
        ),
    ),
    (
        TAKEN,
        "conversation_resolved",
        Row("not_message_created", "ai resolved", (QUESTION, MARIA, "---")),
    ),
    (
        OVER,
        "conversation_status_changed__resolved_to_pending",
        Row("not_message_created", "ai pending", (QUESTION, MARIA, "---")),
    ),
    (
        OVER,
        "message_created__incoming_after_reopen",
        Row(
            "bot",
            "ai pending",
            (QUESTION, MARIA, "---", f"user: One more question about customs{OWED}"),
        ),
    ),
    (
        ("message_created__outgoing_agent_bot",),
        "message_updated__deleted",
        Row("deleted", "ai pending", ("ai: None",)),
    ),
    (
        ("message_created__incoming_audio_whatsapp",),
        "message_updated__audio_transcribed",
        Row(
            "not_message_created",
            "ai pending",
            (f"user: [audio: Hi, I wanted to ask where my order is.]{OWED}",),
        ),
    ),
    # Somebody else's message did not arrive: that is for whoever wrote it.
    (
        ("message_created__incoming_image_whatsapp",),
        "message_updated__delivery_failed_whatsapp",
        Row(
            "undelivered",
            "ai pending",
            (f"user: My parcel looks like this\n[image]{OWED}",),
        ),
    ),
    (
        ("message_created__template_input_email",),
        "message_updated__input_email_response",
        Row("not_message_created", "ai pending", ("system: Get notified by email",)),
    ),
]


def changed(name, *, conversation=None, **changes):
    payload = example(name) | changes
    target = payload if "status" in payload else payload["conversation"]
    target |= conversation or {}
    return payload


META = example(ASKED)["conversation"]["meta"]
BOT_ANSWERS = Row("bot", "ai pending", (QUESTION + OWED,))

# Bodies of older and of later releases
# (docs/chatwoot/conversations.md and docs/chatwoot/releases.md#first-releases).
OTHER_RELEASES = {
    "before_4_14_2": (
        changed(ASKED, conversation={"account": None}),
        BOT_ANSWERS,
    ),
    "before_4_8": (
        changed(
            ASKED,
            conversation={"meta": {k: META[k] for k in ("sender", "assignee", "team")}},
        ),
        BOT_ANSWERS,
    ),
    "before_4_0_2": (changed(ASKED, conversation={"updated_at": None}), BOT_ANSWERS),
    "polymorphic_owner": (
        changed(
            ASKED,
            conversation={
                "meta": META
                | {
                    "assignee_type": "Captain::Assistant",
                    "assignee": {
                        "id": 1,
                        "name": "Captain",
                        "type": "captain_assistant",
                    },
                    "ai_assignee": {"id": 1},
                },
            },
        ),
        BOT_ANSWERS,
    ),
    "service_levels_and_companies": (
        changed(
            ASKED,
            conversation={
                "applied_sla": None,
                "sla_events": [],
                "sla_policy_id": None,
                "meta": META | {"sender": META["sender"] | {"company_id": 5}},
            },
        ),
        BOT_ANSWERS,
    ),
    "captain_answers": (
        changed(
            "message_created__outgoing_agent_bot",
            content_attributes={},
            sender={
                "id": 1,
                "name": "Captain",
                "avatar_url": "",
                "description": "",
                "created_at": "2026-07-20T09:15:14.183Z",
                "type": "captain_assistant",
            },
        ),
        Row("bot_message", "ai pending", ("ai: Yes, we ship to Norway in 3-5 days.",)),
    ),
    "a_status_nobody_knows": (
        changed(ASKED, conversation={"status": "archived"}),
        Row("bot", "ai None", (QUESTION + OWED,)),
    ),
    "an_event_nobody_knows": (
        changed("conversation_resolved", event="conversation_merged"),
        Row("not_message_created", "ai resolved"),
    ),
}


def test_every_known_body_has_a_row():
    files = {p.stem for p in DELIVERIES.glob("*.json")}

    assert {name for name in files if not name.startswith("rest_")} == set(ALONE)


@pytest.mark.parametrize(("name", "row"), ALONE.items())
async def test_body_alone(tmp_path, name, row):
    """The first that is heard of a conversation, delivered by two routes, and again."""
    async with serving(f"sqlite:///{tmp_path / 'b.db'}", worker=False, **SIGNED) as bot:
        answer = await deliver(bot, name)
        result = await stored(bot)
        twin = await deliver(bot, name, delivery="the-other-route")
        again = await deliver(bot, name, delivery=name)

        assert answer == in_full(row.answer)
        assert result == (row.held, row.said)
        assert await decided(bot, name) == (
            ("accepted", "", True)
            if row.answer == "bot"
            else ("ignored", row.answer, False)
        )
        assert await stored(bot) == (row.held, row.said)
        if row.said:
            assert twin["status"] in ("duplicate", "ignored")
        assert again == {"status": "duplicate"}


@pytest.mark.parametrize(("before", "name", "row"), IN_CONTEXT)
async def test_body_after_others(tmp_path, before, name, row):
    async with serving(f"sqlite:///{tmp_path / 'b.db'}", worker=False, **SIGNED) as bot:
        for each in before:
            await deliver(bot, each)
        answer = await deliver(bot, name)

        assert answer == in_full(row.answer)
        assert await stored(bot) == (row.held, row.said)


@pytest.mark.parametrize(
    ("body", "row"), OTHER_RELEASES.values(), ids=list(OTHER_RELEASES)
)
async def test_body_of_another_release(tmp_path, body, row):
    async with serving(f"sqlite:///{tmp_path / 'b.db'}", worker=False, **SIGNED) as bot:
        answer = (await post_signed(bot, compact(body))).json()

        assert answer == in_full(row.answer)
        assert await stored(bot) == (row.held, row.said)


async def deliver(bot, name, delivery=None):
    body = (DELIVERIES / f"{name}.json").read_bytes()
    answer = await post_signed(bot, body, delivery=delivery or name)
    assert answer.status_code == 200
    return answer.json()


def in_full(answer):
    ignored = {"status": "ignored", "reason": answer}
    return {"bot": QUEUED, "human": HUMAN}.get(answer, ignored)


async def stored(bot):
    """Return who holds the conversation, and the transcript, as a row has them."""
    conversations = await rows(bot, schema.conversations)
    said = [line for row in await rows(bot, schema.messages) for line in lines(row)]
    held = [f"{row['state']} {row['status']}" for row in conversations]
    return (held[0] if held else "", tuple(said))


def lines(message):
    owed = OWED if message["owed"] else ""
    yield f"{message['sender']}: {message['content']}{owed}"
    if message["closes"]:
        yield "---"


async def decided(bot, name):
    [row] = await rows(bot, schema.deliveries, schema.deliveries.c.delivery_id == name)
    return row["outcome"], row["reason"], row["body"] is not None
