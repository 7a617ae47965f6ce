"""What a delivery means, for every body that Chatwoot is known to send."""

import dataclasses
import json

import pytest
from factories import DELIVERIES, compact, delivery, example
from hypothesis import example as also
from hypothesis import given, settings
from hypothesis import strategies as st

from chatwoot_bot.core.conversation import Sender, Status
from chatwoot_bot.core.events import (
    Event,
    Kind,
    from_rest,
    moment,
    parse,
    row_from_rest,
)
from chatwoot_bot.errors import PayloadError

CONTACT, AGENT, BOT = Kind.CONTACT_MESSAGE, Kind.AGENT_REPLY, Kind.BOT_MESSAGE
NOTHING = (Kind.OTHER, "not_message_created")

# Every webhook body in tests/deliveries -> what it is, and why.
DECIDED = {
    "automation_event.message_created": NOTHING,
    "contact_created": NOTHING,
    "contact_updated": NOTHING,
    "conversation_created": NOTHING,
    "conversation_opened": NOTHING,
    "conversation_resolved": NOTHING,
    "conversation_status_changed__open_to_resolved": NOTHING,
    "conversation_status_changed__pending_to_open": NOTHING,
    "conversation_status_changed__resolved_to_pending": NOTHING,
    "conversation_typing_off__agent": NOTHING,
    "conversation_typing_on__contact": NOTHING,
    "conversation_updated__assigned_to_human": NOTHING,
    "conversation_updated__labels": NOTHING,
    "conversation_updated__status_handoff": NOTHING,
    "macro.executed": NOTHING,
    "message_created__api_inbox_outgoing": (AGENT, "agent_reply"),
    "message_created__incoming_after_reopen": (CONTACT, ""),
    "message_created__incoming_audio_whatsapp": (CONTACT, ""),
    "message_created__incoming_button_reply_whatsapp": (CONTACT, ""),
    "message_created__incoming_contact_whatsapp": (CONTACT, ""),
    "message_created__incoming_email": (CONTACT, ""),
    "message_created__incoming_file_webwidget": (CONTACT, ""),
    "message_created__incoming_image_whatsapp": (CONTACT, ""),
    "message_created__incoming_location_whatsapp": (CONTACT, ""),
    "message_created__incoming_reply_to_webwidget": (CONTACT, ""),
    "message_created__incoming_text_webwidget": (CONTACT, ""),
    "message_created__incoming_unsupported_whatsapp": (
        Kind.UNSUPPORTED,
        "unsupported",
    ),
    "message_created__outgoing_agent_bot": (BOT, "bot_message"),
    "message_created__outgoing_agent_bot_email": (BOT, "bot_message"),
    "message_created__outgoing_external_echo_whatsapp": (AGENT, "agent_reply"),
    "message_created__outgoing_human_agent": (AGENT, "agent_reply"),
    "message_created__outgoing_input_select": (BOT, "bot_message"),
    "message_created__private_note": (Kind.AGENT_NOTE, "private"),
    "message_created__template_csat_webwidget": (BOT, "template"),
    "message_created__template_csat_whatsapp": (BOT, "template"),
    "message_created__template_greeting": (BOT, "template"),
    "message_created__template_input_email": (BOT, "template"),
    "message_updated__audio_transcribed": (Kind.EDITED, "not_message_created"),
    "message_updated__csat_response": NOTHING,
    "message_updated__deleted": (Kind.DELETED, "deleted"),
    "message_updated__delivered_whatsapp": NOTHING,
    "message_updated__delivery_failed_whatsapp": (Kind.UNDELIVERED, "undelivered"),
    "message_updated__form_response": (CONTACT, ""),
    "message_updated__input_email_response": (Kind.OTHER, "not_message_created"),
    "message_updated__input_select_response": (CONTACT, ""),
    "webwidget_triggered": NOTHING,
}
WEBHOOKS = sorted(
    path.stem for path in DELIVERIES.glob("*.json") if not path.stem.startswith("rest_")
)


def read(payload):
    return parse(compact(payload))


def refusal(body):
    with pytest.raises(PayloadError) as caught:
        parse(body)
    return str(caught.value)


# Every known body.


def test_every_known_body_is_decided():
    """A new example fails here until somebody says what the bot does with it."""
    assert set(WEBHOOKS) == set(DECIDED)


@pytest.mark.parametrize("name", WEBHOOKS)
def test_known_body(name):
    """Contacts are answered, agents silence the bot, everything else is noise."""
    event = read(example(name))

    assert (event.kind, event.reason) == DECIDED[name]
    assert name.startswith(event.name)


@pytest.mark.parametrize("name", WEBHOOKS)
def test_white_space_makes_no_difference(name):
    """A delivery that a proxy has re-formatted means the same."""
    path = DELIVERIES / f"{name}.json"

    assert parse(path.read_bytes()) == read(example(name))


def test_contacts_message_is_read_in_full():
    """All that the engine knows of a message comes from here."""
    event = read(example("message_created__incoming_after_reopen"))

    assert (event.account_id, event.inbox_id) == (1, 3)
    assert event.conversation.display_id == 150
    assert event.conversation.status is Status.PENDING
    assert event.conversation.updated_at == 1784556063.24
    assert event.conversation.agent_replied
    assert event.conversation.contact_name == "withered-glade-274"
    assert event.message.sender is Sender.CONTACT
    assert event.message.content == "One more question about customs"
    assert event.message.reply_key is None
    assert not event.message.private


@pytest.mark.parametrize(
    ("name", "status", "agent_replied"),
    [
        ("conversation_created", Status.PENDING, False),
        ("conversation_opened", Status.OPEN, False),
        ("conversation_resolved", Status.RESOLVED, True),
        ("conversation_status_changed__pending_to_open", Status.OPEN, False),
        ("conversation_status_changed__resolved_to_pending", Status.PENDING, True),
        ("conversation_updated__status_handoff", Status.OPEN, False),
        ("automation_event.message_created", Status.PENDING, False),
        ("macro.executed", Status.PENDING, False),
    ],
)
def test_conversation_events_show_the_status(name, status, agent_replied):
    """An agent who opens or resolves a conversation is seen at once."""
    event = read(example(name))

    assert (event.account_id, event.inbox_id) == (1, 3)
    assert event.conversation.display_id == 150
    assert event.conversation.status is status
    assert event.conversation.agent_replied is agent_replied
    assert event.message is None


def test_widget_shows_the_conversation_that_is_open_in_it():
    """`current_conversation` is null for a new visitor, and else a conversation."""
    opened = example("webwidget_triggered")

    assert read(opened).conversation is None
    opened["current_conversation"] = delivery()["conversation"]
    assert read(opened).conversation.display_id == 150


# What a message says.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("incoming_text_webwidget", "Hi! Do you ship to Norway?"),
        ("incoming_audio_whatsapp", "[audio]"),
        ("incoming_file_webwidget", "[file: invoice.pdf]"),
        ("incoming_image_whatsapp", "My parcel looks like this\n[image]"),
        ("incoming_contact_whatsapp", "Dana Lee\n[contact: Dana Lee, +15550100144]"),
        (
            "incoming_location_whatsapp",
            "[location: Acme Pickup Point, Example Street 1, 52.520008, 13.404954]",
        ),
    ],
)
def test_media_are_described_in_words(name, content):
    """Somebody who sends a photo is not met with silence."""
    event = read(example(f"message_created__{name}"))

    assert event.message.content == content


BLOBS = "https://chat.example.com/rails/active_storage/blobs/redirect"
CDN = f"https://cdn.example/{'x' * 200}.jpg"
PAGE = "https://example.com/news"


@pytest.mark.parametrize(
    ("attachment", "line"),
    [
        ({}, "[file]"),
        ({"file_type": None}, "[file]"),
        ({"file_type": 3}, "[file]"),
        ({"file_type": "location", "fallback_title": ""}, "[location]"),
        ({"file_type": "audio", "transcribed_text": "Hello"}, "[audio: Hello]"),
        ({"file_type": "audio", "transcribed_text": " "}, "[audio]"),
        ({"file_type": "contact", "fallback_title": 3}, "[contact]"),
        ({"file_type": "contact", "meta": {"firstName": "Dana"}}, "[contact: Dana]"),
        ({"file_type": "contact", "meta": [1]}, "[contact]"),
        ({"file_type": "video", "data_url": f"{BLOBS}/9/film.mp4"}, "[video]"),
        ({"file_type": "ig_story", "data_url": CDN}, "[Instagram story]"),
        ({"file_type": "ig_reel", "data_url": CDN}, "[Instagram reel]"),
        ({"file_type": "ig_post", "data_url": CDN}, "[Instagram post]"),
        ({"file_type": "story_mention", "data_url": CDN}, "[mention in a story]"),
        ({"file_type": "share", "data_url": CDN}, "[shared post]"),
        ({"file_type": "embed", "data_url": PAGE}, f"[embedded page: {PAGE}]"),
        (
            {"file_type": "fallback", "fallback_title": "News", "data_url": PAGE},
            f"[link: News, {PAGE}]",
        ),
        ({"file_type": "of_the_next_release"}, "[of_the_next_release]"),
    ],
)
def test_attachment_is_described_by_what_there_is(attachment, line):
    """Old releases and rare channels leave things out."""
    event = read(delivery(content=None, attachments=[attachment]))

    assert event.message.content == line
    assert [each.line for each in event.message.attachments] == [line]


@pytest.mark.parametrize(
    ("latitude", "longitude", "line"),
    [
        (52.5, 13, "[location: 52.5, 13]"),
        (0.0, 13.25, "[location: 0, 13.25]"),
        (0.0, 0.0, "[location]"),  # the columns' default
        (None, 13.25, "[location]"),
        (True, 13.25, "[location]"),
        ("52.5", "13.2", "[location]"),
        (10**400, 1, "[location]"),
    ],
    ids=repr,
)
def test_place_is_told_with_its_coordinates(latitude, longitude, line):
    """A bare pin has no title; the model can still name the town."""
    pin = {
        "file_type": "location",
        "coordinates_lat": latitude,
        "coordinates_long": longitude,
    }
    event = read(delivery(content=None, attachments=[pin]))

    assert (event.kind, event.message.content) == (CONTACT, line)


def test_sticker_is_no_address():
    """LINE's stickers come as the Markdown of a picture."""
    event = read(delivery(content="![sticker-1](https://x/1)", content_type="sticker"))

    assert event.message.content == "[sticker]"


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("incoming_audio_whatsapp", "audio", 20_914),
        ("incoming_file_webwidget", "file", 48_213),
        ("incoming_image_whatsapp", "image", 183_422),
    ],
)
def test_what_can_be_fetched_is_known_by_its_address(name, kind, size):
    """The turn fetches it; the webhook must not wait for that."""
    payload = example(f"message_created__{name}")

    [attachment] = read(payload).message.attachments

    assert (attachment.kind, attachment.size) == (kind, size)
    assert attachment.url == payload["attachments"][0]["data_url"]


@pytest.mark.parametrize("name", ["contact", "location"])
def test_what_says_all_in_words_is_not_fetched(name):
    """A link that a contact sends is never opened."""
    event = read(example(f"message_created__incoming_{name}_whatsapp"))

    assert [each.url for each in event.message.attachments] == [None]


@pytest.mark.parametrize(
    "url",
    [
        None,
        3,
        "",
        "/rails/active_storage/x",
        "file:///etc/passwd",
        "ftp://chat.example.com/x",
        "javascript:alert(1)",
        "https://",
        "https://[::1/x",
        "https://chat.example.com/" + "x" * 5_000,
    ],
    ids=repr,
)
def test_what_is_no_web_address_is_not_fetched(url):
    event = read(delivery(attachments=[{"file_type": "file", "data_url": url}]))

    assert [each.url for each in event.message.attachments] == [None]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("invoice.pdf", "[file: invoice.pdf]"),
        ("Rechnung%20M%C3%A4rz.pdf?disposition=inline", "[file: Rechnung März.pdf]"),
        ("a%00b%0Ac%ff.txt", "[file: abc\ufffd.txt]"),
        ("", "[file]"),
        ("x" * 300, f"[file: {'x' * 100}]"),
    ],
)
def test_file_has_the_name_of_its_address(path, line):
    """ "Here is my invoice" is easier to answer with a name."""
    sent = {"file_type": "file", "data_url": f"{BLOBS}/9--f/{path}"}

    assert read(delivery(content=None, attachments=[sent])).message.content == line


def test_transcript_of_chatwoot_is_used():
    """The enterprise edition has listened already; no need to pay twice."""
    event = read(example("message_updated__audio_transcribed"))

    assert event.message.content == "[audio: Hi, I wanted to ask where my order is.]"
    assert event.message.attachments[0].text == "Hi, I wanted to ask where my order is."


def test_every_attachment_has_a_line():
    """Three photos are three photos."""
    photos = [{"file_type": "image"}] * 3

    event = read(delivery(content=" Look: \n", attachments=photos))

    assert event.message.content == "Look:\n[image]\n[image]\n[image]"


def test_quoted_history_of_a_mail_is_cut():
    """The model reads what the contact wrote now, not the whole thread again."""
    mail = example("message_created__incoming_email")
    mail["content"] = "Thanks!\n\n> On Monday you wrote:\n> Hello"
    mail["content_attributes"]["email"]["text_content"]["quoted"] = "Thanks!"

    assert read(mail).message.content == "Thanks!"


@pytest.mark.parametrize(
    "email",
    [
        None,
        "x",
        {},
        {"text_content": None},
        {"text_content": {}},
        {"text_content": {"quoted": None}},
        {"text_content": {"quoted": "  "}},
        {"text_content": {"quoted": 3}},
    ],
)
def test_mail_without_a_cut_text_is_read_whole(email):
    """An HTML mail has no text part."""
    event = read(delivery(content="Hello", content_attributes={"email": email}))

    assert (event.kind, event.message.content) == (CONTACT, "Hello")


# What the bot must not answer.


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"private": True}, "private"),
        ({"content_attributes": {"deleted": True}}, "deleted"),
        ({"content_attributes": {"deleted_by_contact": True}}, "deleted"),
        ({"content_type": "voice_call"}, "voice_call"),
        ({"content": "", "content_attributes": {"is_reaction": True}}, "reaction"),
        ({"content_attributes": {"email": {"auto_reply": True}}}, "auto_reply"),
        ({"sender": {"id": 163, "blocked": True}}, "blocked_contact"),
        ({"message_type": "activity"}, "activity"),
        ({"message_type": 2}, "activity"),
        ({"message_type": "whisper"}, "unknown_message_type"),
        ({"message_type": ""}, "unknown_message_type"),
        ({"message_type": 4}, "unknown_message_type"),
        ({"message_type": -1}, "unknown_message_type"),
        ({"message_type": 10**4000}, "unknown_message_type"),
    ],
)
def test_what_is_never_answered(changes, reason):
    """Notes, machines and people who were shut out get no answer from a bot."""
    event = read(delivery(**changes))

    assert (event.kind, event.reason) == (Kind.OTHER, reason)
    assert event.message.sender is Sender.SYSTEM


@pytest.mark.parametrize(
    "changes",
    [{"content": None}, {"content": " \n\t"}, {"content": "", "attachments": []}],
)
def test_message_without_content_waits_for_its_update(changes):
    event = read(delivery(**changes))

    assert (event.kind, event.reason) == (Kind.EMPTY, "empty")
    assert (event.message.sender, event.message.content) == (Sender.CONTACT, "")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"content_type": "voice_call"}, Kind.OTHER),
        ({"content_type": "voice_call", "message_type": "outgoing"}, Kind.OTHER),
        (
            {
                "content": "👍",
                "content_attributes": {"is_reaction": True},
                "message_type": "outgoing",
                "sender": None,
            },
            Kind.OTHER,
        ),
        ({"content": "👍", "content_attributes": {"is_reaction": True}}, Kind.REACTION),
        (
            {
                "event": "message_updated",
                "content_attributes": {"deleted_by_contact": True},
            },
            Kind.DELETED,
        ),
    ],
)
def test_form_of_a_message_decides_before_its_text_does(changes, kind):
    """A call has a text, and a reaction on the paired phone no sender."""
    assert read(delivery(**changes)).kind is kind


def test_reaction_names_the_message_it_is_on():
    attributes = {"is_reaction": True, "in_reply_to": 1910}
    event = read(delivery(content="👍", content_attributes=attributes))

    assert event.message.reacts_to == 1910


@pytest.mark.parametrize("fields", [{"city": "Ulm"}, '{"city": "Ulm"}'], ids=repr)
def test_answer_to_a_whatsapp_flow_shows_its_fields(fields):
    """The text itself is a fixed sentence, the same for every answer."""
    flow = {"name": "flow", "body": "Sent", "response_json": fields}
    attributes = {"whatsapp_flow_response": flow}
    event = read(delivery(content="Flow submitted", content_attributes=attributes))

    assert event.message.content == "Flow submitted\ncity: Ulm"


@pytest.mark.parametrize(
    "name",
    [
        "message_created__template_csat_webwidget",
        "message_created__template_greeting",
        "message_created__template_input_email",
    ],
)
def test_template_is_nobodys_word(name):
    assert read(example(name)).message.sender is Sender.SYSTEM


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("no-reply@parcel.example.com", Kind.MACHINE_MESSAGE),
        ("lena@example.com", Kind.CONTACT_MESSAGE),
        (None, Kind.CONTACT_MESSAGE),
    ],
)
def test_mail_of_an_address_without_a_reader_is_a_machines(address, kind):
    mail = example("message_created__incoming_email")
    mail["sender"]["email"] = address

    assert read(mail).kind is kind


def test_contact_is_shown_with_all_addresses():
    sender = {
        "id": 163,
        "identifier": "120363041234567890@g.us",
        "email": None,
        "phone_number": "+4930123456",
    }
    shown = {"meta": {"sender": sender}, "contact_inbox": {"source_id": "4930123456"}}
    event = read(delivery(shown))

    assert event.conversation.addresses == (
        "120363041234567890@g.us",
        "+4930123456",
        "4930123456",
    )


def test_what_chatwoot_cannot_show_is_an_attachment_that_nobody_can_read():
    """It is ignored like those above, unless an operator's rule calls a human."""
    event = read(delivery(content_attributes={"is_unsupported": True}))

    assert (event.kind, event.reason) == (Kind.UNSUPPORTED, "unsupported")
    assert [each.kind for each in event.message.attachments] == ["unsupported"]
    assert event.message.content.endswith("[a message of unknown form]")


@pytest.mark.parametrize(
    "changes",
    [
        {"content_attributes": None},
        {"content_attributes": {}},
        {"content_attributes": {"deleted": False, "is_unsupported": False}},
        {"content_attributes": {"email": {"auto_reply": False}}},
        {"content_attributes": {"chatwoot_bot": {"reply_key": "k"}}},
        {"private": None},
        {"sender": None},
        {"sender": {}},
        {"sender": {"blocked": None}},
        {"message_type": 0},
        {"attachments": None},
        {"a_key_of_the_next_release": {"deep": [1]}},
    ],
)
def test_what_is_answered_all_the_same(changes):
    """A contact waits for an answer whatever else the body says."""
    assert read(delivery(**changes)).kind is CONTACT


USER = {"id": 12, "name": "Maria", "type": "user"}
ADA = {"id": 4, "name": "Ada", "type": "agent_bot"}
OURS = {"chatwoot_bot": {"reply_key": "r_1"}}


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"sender": USER}, AGENT, "agent_reply"),
        ({"sender": USER, "content": None}, AGENT, "agent_reply"),
        ({"sender": USER, "message_type": 1}, AGENT, "agent_reply"),
        ({"sender": USER, "private": True}, Kind.AGENT_NOTE, "private"),
        ({"sender": ADA}, BOT, "bot_message"),
        ({"sender": {"id": 1, "type": "captain_assistant"}}, BOT, "bot_message"),
        ({"sender": {"id": 163}}, BOT, "bot_message"),
        ({"sender": {}}, BOT, "bot_message"),
        # Nobody is named: a phone, unless a machine says that it was one.
        ({"sender": None}, AGENT, "agent_reply"),
        (
            {"sender": None, "content_attributes": {"external_echo": True}},
            AGENT,
            "agent_reply",
        ),
        (
            {"sender": None, "content_attributes": {"automation_rule_id": 3}},
            BOT,
            "automation",
        ),
        (
            {"sender": None, "additional_attributes": {"campaign_id": 3}},
            BOT,
            "campaign",
        ),
        (
            {"sender": None, "additional_attributes": {"campaign_id": None}},
            AGENT,
            "agent_reply",
        ),
        ({"sender": None, "additional_attributes": None}, AGENT, "agent_reply"),
        ({"sender": None, "private": True}, Kind.OTHER, "private"),
        ({"sender": None, "message_type": "template"}, BOT, "template"),
        ({"sender": None, "message_type": 3}, BOT, "template"),
        # Ours, whoever's token posted it.
        ({"sender": ADA, "content_attributes": OURS}, BOT, "own_echo"),
        ({"sender": USER, "content_attributes": OURS}, BOT, "own_echo"),
        ({"sender": None, "content_attributes": OURS}, BOT, "own_echo"),
        (
            {"sender": ADA, "private": True, "content_attributes": OURS},
            BOT,
            "own_echo",
        ),
        # Not ours, whatever it looks like.
        (
            {"sender": USER, "content_attributes": {"chatwoot_bot": "r_1"}},
            AGENT,
            "agent_reply",
        ),
        (
            {"sender": USER, "content_attributes": {"chatwoot_bot": {}}},
            AGENT,
            "agent_reply",
        ),
        (
            {"sender": USER, "content_attributes": {"chatwoot_bot": {"reply_key": 1}}},
            AGENT,
            "agent_reply",
        ),
        (
            {"sender": USER, "content_attributes": {"deleted": True}},
            Kind.OTHER,
            "deleted",
        ),
    ],
)
def test_who_wrote_an_outgoing_message(changes, kind, reason):
    """A human silences the bot; a machine must not, and the bot not itself."""
    event = read(delivery(**{"message_type": "outgoing"} | changes))

    assert (event.kind, event.reason) == (kind, reason)


def test_own_echo_carries_the_key_of_the_reply():
    """The key proves after a time-out that the reply was stored."""
    echo = read(
        delivery(
            id=811,
            message_type="outgoing",
            sender=ADA,
            content_attributes=OURS,
            private=True,
        )
    )

    assert echo.message.external_id == 811
    assert echo.message.reply_key == "r_1"
    assert echo.message.sender is Sender.BOT
    assert echo.message.private


# Older releases.


def without(payload, *names):
    return {name: value for name, value in payload.items() if name not in names}


def test_smallest_body_of_the_demo_is_a_contacts_message():
    """The README's first curl, and no more keys than that."""
    event = parse(
        b'{"event":"message_created","id":1,"content":"Hi",'
        b'"message_type":"incoming","content_type":"text"}'
    )

    assert (event.kind, event.message.content) == (CONTACT, "Hi")
    assert (event.account_id, event.inbox_id) == (None, None)
    assert event.conversation is None


@pytest.mark.parametrize("field", ["updated_at", "account", "meta", "status"])
def test_older_conversations_lack_some_fields(field):
    """Chatwoot 4.0 is still in use; what it does not say is unknown, not wrong."""
    payload = delivery()
    payload["conversation"] = without(payload["conversation"], field)

    event = read(payload)

    assert event.kind is CONTACT
    assert event.account_id == 1
    assert event.conversation.display_id == 150
    assert (event.conversation.status is None) == (field == "status")
    assert (event.conversation.updated_at == 0.0) == (field == "updated_at")
    assert (event.conversation.contact_name is None) == (field == "meta")


def test_before_4_8_nobody_says_who_is_assigned():
    """`assignee_type` is not read, so it may be missing."""
    payload = delivery()
    payload["conversation"]["meta"] = without(
        payload["conversation"]["meta"], "assignee", "assignee_type", "team"
    )

    assert read(payload).kind is CONTACT


def test_before_4_14_2_a_conversation_event_may_not_name_its_account():
    """One installation, one account: the settings say which."""
    event = read(without(example("conversation_opened"), "account"))

    assert event.account_id is None
    assert event.conversation.status is Status.OPEN


def test_account_of_the_conversation_is_better_than_none():
    """Messages name the account twice in newer releases."""
    assert read(without(delivery(), "account")).account_id == 1


def test_inbox_of_the_conversation_is_better_than_none():
    """The inbox filter works with either."""
    assert read(without(delivery(), "inbox")).inbox_id == 3
    assert read(delivery(inbox={"name": "Website"})).inbox_id == 3


@pytest.mark.parametrize("status", ["archived", "", "PENDING", None])
def test_unknown_status_is_no_status(status):
    """A status of the next release must not change who holds a conversation."""
    event = read(delivery(conversation={"status": status}))

    assert event.kind is CONTACT
    assert event.conversation.status is None


@pytest.mark.parametrize(
    ("value", "replied"),
    [("2026-07-20T09:15:14.179Z", True), (1784538914, True), (0, False), (None, False)],
)
def test_first_reply_is_text_in_webhooks_and_a_number_elsewhere(value, replied):
    """Either way it says whether an agent has answered before."""
    event = read(delivery(conversation={"first_reply_created_at": value}))

    assert event.conversation.agent_replied is replied


FOREVER = 1e11


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        (False, 0.0),
        ("", 0.0),
        (1784538914, 1784538914.0),
        ("2026-07-20T09:15:14Z", 1784538914.0),
        (0.5, 0.5),
        (FOREVER, FOREVER),
        # Nobody can read these, but there was a reply.
        (10**400, 1.0),
        (-(10**400), 1.0),
        (1e999, 1.0),
        (-1e999, 1.0),
        (float("nan"), 1.0),
        (-1, 1.0),
        (2 * FOREVER, 1.0),
        (True, 1.0),
        ("yesterday", 1.0),
        ("0001-01-01T00:00:00", 1.0),
        ("0001-01-01T00:00:00+23:59", 1.0),
        ("9999-12-31T23:59:59-23:59", 1.0),
        ("1900-01-01T00:00:00Z", 1.0),
        ("2026-07-20T09:15:14" + "9" * 5_000, 1.0),
        ([1], 1.0),
        ({"a": 1}, 1.0),
    ],
)
def test_moment_is_within_the_time_of_people(value, seconds):
    """One odd number must end neither a delivery nor the sweep."""
    assert moment(value) == seconds


def test_a_conversation_without_a_number_is_not_seen():
    """There would be no way to post into it."""
    assert read(delivery(conversation={"id": None})).conversation is None


@pytest.mark.parametrize("meta", [None, {}, {"sender": None}, {"sender": {}}])
def test_contact_without_a_name_has_none(meta):
    """Anonymous visitors of an API inbox."""
    event = read(delivery(conversation={"meta": meta}))

    assert event.conversation.contact_name is None


# Events we do not know.


@pytest.mark.parametrize("body", [b"{}", b'{"event":null}', b'{"id":"x"}'])
def test_object_without_event_is_ignored(body):
    """Somebody's health check, not an error of Chatwoot's."""
    event = parse(body)

    assert event == Event(name="", kind=Kind.OTHER, reason="no_event")


@pytest.mark.parametrize(
    "payload",
    [
        {"event": "inbox_created", "id": 3, "account": {"id": 1}},
        {"event": "invoice_paid", "account": "acme", "inbox": 3, "conversation": []},
        {"event": "", "id": "x"},
        {"event": "message_created_v2", "message_type": []},
        {"event": "contact_created", "account": {"id": "one"}},
    ],
)
def test_unknown_event_is_no_error(payload):
    """The next release may send what it likes, and mean something else by a name."""
    event = read(payload)

    assert (event.kind, event.reason) == NOTHING
    assert event.name == payload["event"]


# Bad input.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"hello",
        b"{",
        b'{"event":"message_created",}',
        b"{'event':'message_created'}",
        b'{"event":"message_created"} {}',
        b"event=message_created&id=1",
        b'{"id":NaN}',
        b'{"id":Infinity}',
        b'{"id":-Infinity}',
        b"NaN",
        b"\xef\xbb\xbf{}",  # a byte order mark
        '{"event":"message_created"}'.encode("utf-16"),
        b'{"content":"\xff"}',
        b'{"content":"\xed\xa0\x80"}',  # a surrogate as bytes is not UTF-8
        b'{"content":"\x00"}',  # nor may JSON hold a bare control character
        b'{"content":"a\nb"}',
        b'{"content":"\\x41"}',
        b'{"content":"\\ud8"}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"id":' + b"9" * 5_000 + b"}",
    ],
    ids=lambda body: ascii(body[:24]),
)
def test_what_is_not_json_is_refused(body):
    """Whatever arrives, the answer is 400 or quarantine and never 500."""
    assert refusal(body) == "the body is not JSON in UTF-8"


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b'"event"', b"1", b"true", b"null"])
def test_json_that_is_not_an_object_is_refused(body):
    """A delivery is an object."""
    assert refusal(body) == "the body is not a JSON object"


TEXT = [1, True, [], {}]
NUMBER = [0, -1, 2**63, 10**4000, 1.5, "1", True, [], {}]
OBJECT = ["SECRET", 1, True, [], [{}]]
CLOCK = ["SECRET", -1, 1e12, 10**400, [], {}]
WRONG = {
    "event": TEXT,
    "id": [None, *NUMBER],
    "message_type": [None, True, 1.5, [], {}],
    "content": TEXT,
    "content_type": TEXT,
    "content_attributes": OBJECT,
    "additional_attributes": OBJECT,
    "private": ["SECRET", "true", 1, 0, [], {}],
    "sender": OBJECT,
    "sender.id": NUMBER,
    "sender.name": TEXT,
    "sender.type": TEXT,
    "sender.blocked": ["true", 1, []],
    "attachments": ["SECRET", 1, {}, ["SECRET"], [None], [[]]],
    "account": OBJECT,
    "account.id": NUMBER,
    "inbox": OBJECT,
    "inbox.id": NUMBER,
    "conversation": OBJECT,
    "conversation.id": NUMBER,
    "conversation.inbox_id": NUMBER,
    "conversation.status": TEXT,
    "conversation.updated_at": CLOCK,
    "conversation.meta": OBJECT,
    "conversation.meta.sender": OBJECT,
    "conversation.meta.sender.name": TEXT,
    "conversation.account": OBJECT,
    "conversation.account.id": NUMBER,
}


def put(payload, path, value):
    *parents, name = path.split(".")
    for parent in parents:
        payload = payload[parent]
    payload[name] = value


@pytest.mark.parametrize("path", WRONG)
def test_a_field_of_the_wrong_type_is_named(path):
    """The operator sees which field; the contact's words stay out of the log."""
    for value in WRONG[path]:
        payload = delivery(content="SECRET")
        put(payload, path, value)

        told = refusal(compact(payload))

        assert told.startswith(path), value
        assert "SECRET" not in told


@pytest.mark.parametrize(
    "body",
    [
        b'{"event":"conversation_updated","id":1,"updated_at":1e999}',
        b'{"event":"conversation_updated","id":1,"updated_at":-1e999}',
    ],
)
def test_a_number_beyond_all_numbers_is_refused(body):
    """JSON may write it; as a clock it would be later than every other event."""
    assert refusal(body) == "updated_at: Input should be a finite number"


@pytest.mark.parametrize("path", ["id", "inbox_id", "status", "meta", "account"])
def test_conversation_events_are_checked_too(path):
    """Their conversation is the top level."""
    payload = example("conversation_opened")
    put(payload, path, 1.5)

    assert refusal(compact(payload)).startswith(path)


# What databases cannot store.


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (r"a\u0000b", "a\ufffdb"),
        (r"a\ud800b", "a\ufffdb"),
        (r"a\uDFFFb", "a\ufffdb"),
        (r"a\ude00\ud83db", "a\ufffd\ufffdb"),
        (r"a\ud83d\ude00b", "a😀b"),
        (r"a\uD83D\uDE00\u0000b", "a😀\ufffdb"),
        ("a😀b", "a😀b"),
        (r"a\\u0000b", r"a\u0000b"),
        (r"a\u0001b", "a\u0001b"),
        (r"\u0000", "\ufffd"),
    ],
)
def test_characters_that_postgresql_refuses_are_replaced(written, read_as):
    """One odd character must not cost a contact the answer."""
    body = """{"event":"message_created","id":1,"message_type":0,"content":"@",
        "conversation":{"id":150,"meta":{"sender":{"name":"@"}}},
        "attachments":[{"file_type":"image","fallback_title":"@"}]}"""

    event = parse(body.replace("@", written).encode())

    assert event.message.content == f"{read_as}\n[image: {read_as}]"
    # A name is shown to agents as what it says.
    assert event.conversation.contact_name == read_as.replace("\x01", "")


def test_name_of_a_contact_cannot_turn_the_text_around_it():
    body = r"""{"event":"message_created","id":1,"message_type":0,"content":"Hi",
        "conversation":{"id":150,"meta":{"sender":{"name":"Ann\u202egpj"}}}}"""

    assert parse(body.encode()).conversation.contact_name == "Anngpj"


# Whatever arrives.

# What is awkward in one way or the other; hypothesis's own text has no surrogates.
text = st.text("aé😀 \\\x00\ud83d\ude00\udfff", max_size=4)
leaf = text | st.sampled_from(
    [
        *(None, True, 0, 1, -1, 2**63, 10**400, 0.5, 1e300),
        *(float("nan"), float("inf"), "0001-01-01T00:00:00", "9999-12-31T23:59-23:59"),
    ]
)
anything = (
    leaf
    | st.lists(leaf, max_size=3)
    | st.dictionaries(text, leaf | st.dictionaries(text, leaf, max_size=2), max_size=3)
)


def paths(value, path=()):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    for name, inner in items:
        yield from paths(inner, (*path, name))


SHAPES = [delivery(), *map(example, WEBHOOKS)]


@st.composite
def bent(draw):
    """A real body in which some fields are gone, or something else."""
    payload = json.loads(json.dumps(draw(st.sampled_from(SHAPES))))
    for _ in range(draw(st.integers(1, 4))):
        *parents, name = draw(st.sampled_from(sorted(paths(payload))))
        place = payload
        for parent in parents:
            place = place[parent]
        if draw(st.booleans()):
            place[name] = draw(anything)
        else:
            del place[name]
    return payload


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from texts(getattr(value, field.name))


def check_storable(body):
    try:
        event = parse(body)
    except PayloadError as error:
        assert len(str(error)) < 300
        return
    for text in texts(event):
        text.encode()
        assert "\x00" not in text
    if event.message is not None:
        number = event.message.external_id or event.message.submitted_to
        assert 1 <= number < 2**63


often = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@often
@given(st.binary())
@also(b"\x00")
def test_any_bytes_are_read_or_refused(body):
    """A stranger's body never becomes a 500."""
    check_storable(body)


@often
@given(anything)
def test_any_json_is_read_or_refused(value):
    """Nor does any JSON, with text that no database takes."""
    check_storable(json.dumps(value).encode())


@often
@given(bent())
def test_any_bent_delivery_is_read_or_refused(payload):
    """Nor a release of Chatwoot that nobody has seen yet."""
    check_storable(json.dumps(payload).encode())


AWKWARD = [
    *(None, True, -1, 0.5, "", "x", [], {}, [None], {"id": {}}),
    *(10**400, -(10**400), 2**63, 1e300),
    "0001-01-01T00:00:00",
    "\ud83d",
]
# As JSON that no Python value becomes.
RAW = ["1e999", "-1e999", "NaN", "1" * 5_000, "[" * 900 + "]" * 900]


def field_names():
    """Yield each field of any known body, once, in a body that has it."""
    known = set()
    for payload in SHAPES:
        for path in paths(payload):
            if path[-2:] not in known:
                known.add(path[-2:])
                yield payload, path


def with_mark(payload, path):
    """Return *payload* as JSON with a mark in the place of a field."""
    payload = json.loads(json.dumps(payload))
    place = payload
    for parent in path[:-1]:
        place = place[parent]
    place[path[-1]] = "@@"
    return json.dumps(payload)


@pytest.mark.parametrize("depth", [120, 900, 100_000])
def test_deep_delivery_is_refused(depth):
    """What reads it later would have to go as deep."""
    marked = with_mark(delivery(), ("conversation", "custom_attributes"))
    body = marked.replace('"@@"', '{"a":' + "[" * depth + "]" * depth + "}")
    with pytest.raises(PayloadError, match=r"nested|JSON"):
        parse(body.encode())


def test_each_field_may_be_anything():
    """One field at a time, in every body that Chatwoot is known to send."""
    written = [*map(json.dumps, AWKWARD), *RAW]
    for payload, path in field_names():
        marked = with_mark(payload, path)
        for value in written:
            check_storable(marked.replace('"@@"', value).encode())


ROW = example("rest_list_conversations__response")["data"]["payload"][0]


def nested(depth):
    value = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [50, 120, 600, 900, 5_000])
def test_deep_row_of_a_list_is_read_or_refused(depth):
    """The decoder goes deeper than we do."""
    row = {**ROW, "custom_attributes": {"a": nested(depth)}}
    for fetch in (
        lambda: row_from_rest(row, 1),
        lambda: from_rest(row, ROW["last_non_activity_message"], 1),
    ):
        try:
            assert fetch().conversation.display_id == ROW["id"]
        except PayloadError as error:
            assert depth >= 120
            assert "nested" in str(error)


def test_fetched_message_is_read_like_a_delivered_one():
    """What the sweep finds must mean what its webhook would have meant."""
    shown = json.loads(
        (DELIVERIES / "rest_conversation_show__response.json").read_text()
    )
    message = shown["last_non_activity_message"]

    event = from_rest(shown, message, 1)

    assert event.account_id == 1
    assert event.inbox_id == shown["inbox_id"]
    assert event.conversation.display_id == shown["id"]
    assert event.conversation.status == shown["status"]
    assert event.message.external_id == message["id"]
    assert event.name == "message_created"
