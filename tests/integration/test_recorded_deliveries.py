"""What running Chatwoot servers delivered, and what the service makes of each body.

`READ` has a row for each recorded body and `TOLD` one for each step of the recorded
story. A server that did something else has a row of its own in `EXCEPT`.
"""

import re
from dataclasses import dataclass
from itertools import groupby

import pytest
import recorded
from factories import compact
from test_webhook import SIGNED, post_signed, rows, serving

from chatwoot_bot.core.events import Kind, parse
from chatwoot_bot.store import schema

pytestmark = pytest.mark.anyio

SERVERS = tuple(recorded.RELEASES)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one body means.

    Attributes:
        kind: what the event is to the engine.
        rule: the reason why the bot does not answer; empty for a contact's message.
        content: the text of the message, with a line for each attachment.
        alone: state and status when this is the first event of the conversation;
            empty when nothing is stored.
    """

    kind: Kind = Kind.OTHER
    rule: str = "not_message_created"
    content: str | None = None
    alone: str = ""


def asks(content, alone="ai pending"):
    return Row(kind=Kind.CONTACT_MESSAGE, rule="", content=content, alone=alone)


def says(rule, content, alone="ai pending"):
    return Row(kind=Kind.BOT_MESSAGE, rule=rule, content=content, alone=alone)


def updates(content, alone="ai pending"):
    return Row(content=content, alone=alone)


NOTHING = Row()
OPEN, PENDING, RESOLVED = (
    Row(alone=f"ai {status}") for status in ("open", "pending", "resolved")
)
# An agent has replied before: the body dates the first reply.
SNOOZED = Row(alone="human snoozed")
# The bot owns it, and something has opened it.
STRANDED = Row(alone="human open")

READ = {
    "automation_event.message_created": NOTHING,
    "contact_created": NOTHING,
    "contact_updated": NOTHING,
    "conversation_created": OPEN,
    "conversation_opened": OPEN,
    "conversation_opened__bot_failure": STRANDED,
    "conversation_resolved": RESOLVED,
    "conversation_status_changed__open_to_resolved": RESOLVED,
    "conversation_status_changed__pending_to_open": OPEN,
    "conversation_status_changed__snoozed": SNOOZED,
    "conversation_status_changed__to_pending": PENDING,
    "conversation_typing_off__agent": NOTHING,
    "conversation_typing_on__agent_bot": NOTHING,
    "conversation_typing_on__contact": NOTHING,
    "conversation_updated__assigned_to_bot": PENDING,
    "conversation_updated__assigned_to_human": OPEN,
    # The attribute `bot` is "off", the label is "bot-off".
    "conversation_updated__custom_attributes": Row(alone="human pending"),
    "conversation_updated__labels": Row(alone="human pending"),
    "conversation_updated__first_bot_reply": PENDING,
    "conversation_updated__first_human_reply": Row(alone="human open"),
    "conversation_updated__opened_by_agent_first_save": STRANDED,
    "conversation_updated__opened_by_agent_second_save": OPEN,
    "conversation_updated__priority": PENDING,
    "conversation_updated__resolved_to_pending": PENDING,
    "conversation_updated__snooze_ended_bot_owner": STRANDED,
    "conversation_updated__snoozed": SNOOZED,
    "conversation_updated__status_handoff": OPEN,
    "conversation_updated__team": PENDING,
    "conversation_updated__waiting_since_set": PENDING,
    "message_created__incoming_after_reopen": asks("me again: another question"),
    "message_created__incoming_audio_webwidget": asks("[audio]"),
    "message_created__incoming_contact_api": asks(
        "Max Example\n[contact: Max Example, +491700000000]"
    ),
    "message_created__incoming_fallback_api": asks(
        "look\n[link: A page, https://example.com/page]"
    ),
    "message_created__incoming_file_webwidget": asks("[file: invoice.pdf]"),
    "message_created__incoming_image_webwidget": asks("[image]"),
    "message_created__incoming_location_api": asks(
        "[location: Example Square, Berlin, 52.52, 13.405]"
    ),
    "message_created__incoming_reply_to_webwidget": asks("about this"),
    "message_created__incoming_text_api": asks("where"),
    "message_created__incoming_text_webwidget": asks(
        "Hello there, where is my parcel 1042?"
    ),
    "message_created__outgoing_agent_bot": says(
        "own_echo", "Answer N to: Hello there, where is my parcel 1042?"
    ),
    "message_created__outgoing_article": says("bot_message", "Article"),
    "message_created__outgoing_automation": says("automation", "automatic text"),
    "message_created__outgoing_cards": says("bot_message", "Cards"),
    "message_created__outgoing_form": says("bot_message", "Form"),
    "message_created__outgoing_human_agent": Row(
        kind=Kind.AGENT_REPLY,
        rule="agent_reply",
        content="Gus here",
        alone="human open",
    ),
    "message_created__outgoing_input_select": says("own_echo", "Choose"),
    "message_created__private_note": Row(
        kind=Kind.AGENT_NOTE, rule="private", content="/bot off", alone="human pending"
    ),
    "message_created__private_note_agent_bot": says(
        "own_echo",
        "The contact asked for a human, so the bot has stepped back.\n\n"
        "**Summary:** Summary: the contact wrote.",
        "ai open",
    ),
    "message_created__template_csat_webwidget": says(
        "template", "Please rate the conversation", "ai resolved"
    ),
    "message_created__template_email_collect": says(
        "template", "Give the team a way to reach you."
    ),
    "message_created__template_greeting": says("template", "Welcome Vera!", "ai open"),
    "message_created__template_input_email": says("template", "Get notified by email"),
    # The same text as before: nothing comes of it.
    "message_updated__contact_merged": Row(
        kind=Kind.EDITED, content="Hi", alone="ai pending"
    ),
    "message_updated__csat_response": updates(
        "Please rate the conversation", "ai resolved"
    ),
    "message_updated__deleted": Row(
        kind=Kind.DELETED,
        rule="deleted",
        content="This message was deleted",
        alone="ai pending",
    ),
    "message_updated__delivery_failed_api": Row(
        kind=Kind.UNDELIVERED,
        rule="undelivered",
        content="Answer N to: hi",
        alone="ai pending",
    ),
    "message_updated__form_response": asks("order: 1042\nkind: a"),
    "message_updated__input_email_response": updates("Get notified by email"),
    "message_updated__input_select_response": asks("Blue"),
    "message_updated__read_webwidget": updates("Answer N to: Hi"),
    "message_updated__retried_api": updates("Answer N to: hi", "ai open"),
    "webwidget_triggered": NOTHING,
}
EXCEPT = {
    # 4.16.2 changes nothing but the assignee, so the bot sets the status itself.
    ("4.16.2", "conversation_updated__assigned_to_bot"): Row(alone="ai open"),
}
BODIES = [(server, name) for server in SERVERS for name in recorded.names(server)]


@pytest.mark.parametrize("server", SERVERS)
def test_every_recorded_body_has_a_row(server):
    assert set(recorded.names(server)) == set(READ)


@pytest.mark.parametrize(("server", "name"), BODIES)
async def test_recorded_body_is_read_and_has_its_effect(tmp_path, server, name):
    body = recorded.body(server, name)
    row = EXCEPT.get((server, name), READ[name])

    event = parse(compact(body))
    async with service(tmp_path, event.account_id) as bot:
        answer = await delivered(bot, body, "alone")
        alone = await state(bot)

    content = event.message and re.sub(r"Answer \d+", "Answer N", event.message.content)
    assert Row(kind=event.kind, rule=event.reason, content=content, alone=alone) == row
    assert answer == (event.reason or "bot")


@pytest.mark.parametrize("server", SERVERS)
def test_recorded_body_shows_the_conversation_that_it_is_about(server):
    """Number, status and clock come from every body that has a conversation."""
    for name in recorded.names(server):
        body = recorded.body(server, name)
        shown = body.get("conversation") or body.get("current_conversation") or body
        event = parse(compact(body))
        if "status" not in shown or name.startswith("conversation_typing"):
            assert event.conversation is None, name
            continue
        assert event.conversation is not None, name
        assert event.conversation.display_id == shown["id"], name
        assert event.conversation.status == shown["status"], name
        assert event.conversation.updated_at == shown["updated_at"], name
        assert event.inbox_id == shown["inbox_id"], name


# What comes of each step: the answers to its messages, and the state at its end. The
# steps "bot …" are a program of the recorder, so its replies carry no key of ours.
TOLD = {
    "visitor opens the widget": "",
    "first message": "bot template template | ai pending",
    "bot replies": "bot_message | ai pending",
    "bot replies with liquid": "bot_message | ai pending",
    "bot input_select": "bot_message | ai pending",
    "visitor chooses": "bot | ai pending",
    "next message": "bot | ai pending",
    # The last of the five shows the choice once more.
    "visitor reads (update_last_seen)": " ".join(
        [*4 * ["not_message_created"], "duplicate | ai pending"]
    ),
    "private note by bot": "private | ai pending",
    "bot sets labels": "| ai pending",
    "bot sets custom attributes a": "| ai pending",
    "bot sets custom attributes b": "| ai pending",
    "bot sets priority": "| ai pending",
    "bot assigns team": "| ai pending",
    "bot hands off (open)": "| human open",
    "human assigned": "| human open",
    "human replies": "agent_reply | human open",
    "human resolves": "| ai resolved",
    "customer writes after resolve": "bot | ai pending",
    "assign the bot": "| ai pending",
    "human snoozes": "| human snoozed",
    "customer writes while snoozed": "human | human open",
    "human sets pending": "| ai pending",
    "assign human while pending": "| human open",
    "human replies while pending": "agent_reply | human open",
    "back to pending": "| ai pending",
    # One delivery and its two repeats; a delivery that the recorder refused.
    "bot answers 500": "bot duplicate duplicate | ai pending",
    "bot answers 503": "bot | human open",
    "delete a message": "deleted | human open",
    "api: incoming": "bot | ai pending",
    "api: bot replies": "bot_message | ai pending",
    "api: callback fails": "bot not_message_created | ai pending",
    "api: source_id on create": "bot_message | ai pending",
    "GET agent_bots (agent)": "bot_message | ai pending",
}
TOLD_EXCEPT = {
    # 4.16.2 leaves the conversation pending, and the step after it too.
    ("4.16.2", "assign human while pending"): "| human pending",
    ("4.16.2", "human replies while pending"): "agent_reply | human pending",
    ("4.16.2", "bot answers 500"): "human duplicate duplicate | ai pending",
}
# In the story of 4.16.2 the agent did not take this step.
SKIPPED = {"4.16.2": {"back to pending"}, "2026-08-develop": set()}


@pytest.mark.parametrize("server", SERVERS)
async def test_recorded_story_is_followed(tmp_path, server):
    """The agent bot's deliveries in their order, each repeat under its own id."""
    deliveries = [each for each in recorded.story(server) if each.route == "bot"]
    account = deliveries[0].body["account"]["id"]
    told = {}

    async with service(tmp_path, account) as bot:
        for step, steps in groupby(deliveries, key=lambda each: each.step):
            answers = [
                await delivered(bot, each.body, str(each.n))
                if each.body["event"].startswith("message_")
                else await delivered(bot, each.body, str(each.n)) and ""
                for each in steps
            ]
            told[step] = f"{' '.join(filter(None, answers))} | {await state(bot)}"

    expected = {
        step: TOLD_EXCEPT.get((server, step), row)
        for step, row in TOLD.items()
        if step not in SKIPPED[server]
    }
    assert {step: row.strip(" |") for step, row in told.items()} == {
        step: row.strip(" |") for step, row in expected.items()
    }


def service(tmp_path, account):
    return serving(
        f"sqlite:///{tmp_path / 'b.db'}",
        worker=False,
        **SIGNED | {"CHATWOOT_ACCOUNT_ID": str(account or 1)},
    )


async def delivered(bot, body, delivery):
    """Return the route, or the rule, or `duplicate`."""
    answer = await post_signed(bot, compact(body), delivery=delivery)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return said.get("route") or said.get("reason") or said["status"]


async def state(bot):
    """Return state and status of the newest conversation; empty for none."""
    conversations = await rows(bot, schema.conversations)
    return (
        f"{conversations[-1]['state']} {conversations[-1]['status']}"
        if conversations
        else ""
    )
