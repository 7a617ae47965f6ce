"""What `message_updated` means: answers, failures, edits, deletions, or nothing."""

import copy
import json

import pytest
from factories import delivery, example

from chatwoot_bot.core.conversation import Sender
from chatwoot_bot.core.events import Kind, parse
from chatwoot_bot.core.outgoing import TWILIO_WHATSAPP
from chatwoot_bot.core.updates import flow_lines, reaction


def read(payload):
    return parse(json.dumps(payload).encode())


def updated(name, *, attributes=None, status=None, **changes):
    """The example `message_updated__<name>`, changed."""
    payload = copy.deepcopy(example(f"message_updated__{name}"))
    payload["content_attributes"] |= attributes or {}
    if status is not None:
        payload["conversation"]["messages"][0]["status"] = status
    return payload | changes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("input_select_response", "Refund"),
        ("form_response", "order_number: ABC-778\ntopic: refund"),
    ],
)
def test_what_the_contact_chose_is_their_message(name, content):
    """The widget sends no other: without this the bot would wait for ever."""
    payload = updated(name)
    said = read(payload).message

    assert (said.sender, said.content) == (Sender.CONTACT, content)
    assert (said.external_id, said.submitted_to) == (None, payload["id"])


def test_address_that_chatwoot_itself_has_asked_for_is_no_message():
    """A bot that answers it would talk to a contact who has said nothing."""
    assert read(updated("input_email_response")).kind is Kind.OTHER


def test_same_choice_has_the_same_name_and_another_one_has_another():
    """A read receipt carries the choice again; that is not a second message."""
    first = read(updated("input_select_response")).message.client_id
    receipt = read(updated("input_select_response", status="read")).message.client_id
    changed = {"submitted_values": [{"title": "Order status", "value": "x"}]}
    second = read(updated("input_select_response", attributes=changed)).message

    assert first.startswith("submitted:830:")
    assert first == receipt
    assert first != second.client_id


@pytest.mark.parametrize(
    ("values", "content"),
    [
        ([{"title": "Yes", "value": "1"}, {"title": "No", "value": "0"}], "Yes\nNo"),
        ([{"value": "only"}], "only"),
        ([{"name": "count", "value": 3}], "count: 3"),
        ([{"name": "left out", "value": ""}, {"name": "x", "value": True}], None),
        ([{}], None),
        (["text"], None),
        ([], None),
        ({"csat_survey_response": {"rating": 5}}, None),
        ("text", None),
        (None, None),
    ],
    ids=repr,
)
def test_submitted_values_of_every_shape(values, content):
    """Browsers send what they like; a rating is no message."""
    event = read(
        updated("input_select_response", attributes={"submitted_values": values})
    )

    if content is None:
        assert (event.kind, event.reason) == (Kind.OTHER, "not_message_created")
    else:
        assert event.message.content == content


def test_blocked_contacts_choice_is_not_answered():
    payload = updated("input_select_response")
    payload["conversation"]["meta"]["sender"]["blocked"] = True

    assert read(payload).reason == "blocked_contact"


def test_choice_without_a_known_contact_counts():
    """Older payloads leave things out."""
    payload = updated("input_select_response")
    payload["conversation"]["meta"] = None
    without = {**payload, "conversation": None}

    assert read(payload).kind is Kind.CONTACT_MESSAGE
    assert read(without).kind is Kind.CONTACT_MESSAGE


@pytest.mark.parametrize("private", [True, False])
def test_values_in_a_note_or_a_contacts_own_message_are_no_choice(private):
    """Only what the bot or Chatwoot asked can be answered."""
    payload = updated("input_select_response", private=private)
    if not private:
        payload["message_type"] = "incoming"
        payload["content"] = None

    assert read(payload).kind is Kind.OTHER


@pytest.mark.parametrize(
    ("attributes", "status", "error"),
    [
        ({}, "failed", "131026: Message undeliverable"),
        ({"external_error": ""}, "failed", "no reason given"),
        ({"external_error": None}, "failed", "no reason given"),
        # It may not be the newest any more, so that its status is not shown.
        ({}, "sent", "131026: Message undeliverable"),
        # The agent sent it again, and it arrived.
        ({}, "delivered", None),
        ({}, "read", None),
        ({"external_error": None}, "sent", None),
    ],
)
def test_reply_that_did_not_arrive(attributes, status, error):
    """The API said 200; only this event tells the truth."""
    event = read(
        updated("delivery_failed_whatsapp", attributes=attributes, status=status)
    )

    assert event.message.error == error
    assert (event.kind is Kind.UNDELIVERED) == (error is not None)


@pytest.mark.parametrize("shown", [None, [], ["x"], [{"id": 1, "status": "read"}], 3])
def test_failure_is_known_by_its_error_alone(shown):
    payload = updated("delivery_failed_whatsapp")
    payload["conversation"]["messages"] = shown

    assert read(payload).kind is Kind.UNDELIVERED


@pytest.mark.parametrize("changes", [{"message_type": "template"}, {"private": True}])
def test_failure_of_what_is_no_reply_is_not_ours(changes):
    """A greeting that failed is Chatwoot's business; a note cannot fail."""
    payload = updated("delivery_failed_whatsapp") | changes

    assert read(payload).kind is Kind.OTHER


def test_failure_outside_a_conversation_is_read():
    payload = updated("delivery_failed_whatsapp") | {"conversation": None}

    assert read(payload).kind is Kind.UNDELIVERED


@pytest.mark.parametrize(
    ("type_", "sender"), [("incoming", Sender.CONTACT), ("outgoing", Sender.BOT)]
)
def test_message_taken_back(type_, sender):
    event = read(updated("deleted", message_type=type_))

    assert (event.kind, event.message.sender) == (Kind.DELETED, sender)


def test_contacts_new_text_is_an_edit():
    """Telegram lets them; the answer should be to what they meant."""
    event = read(delivery(event="message_updated", content="I meant Tuesday"))

    assert (event.kind, event.message.content) == (Kind.EDITED, "I meant Tuesday")


@pytest.mark.parametrize(
    "changes",
    [
        {"content": None},
        {"private": True},
        {"message_type": "outgoing"},
    ],
    ids=repr,
)
def test_update_of_something_else_is_nothing(changes):
    event = read(delivery(event="message_updated") | changes)

    assert event.kind is Kind.OTHER


# What carries a reply.


@pytest.mark.parametrize(
    ("conversation", "channel", "can_reply"),
    [
        (
            {"channel": "Channel::Whatsapp", "can_reply": False},
            "Channel::Whatsapp",
            False,
        ),
        ({"channel": None, "can_reply": None}, None, None),
        ({"channel": {"x": 1}, "can_reply": "yes"}, None, None),
        (
            {
                "channel": "Channel::TwilioSms",
                "contact_inbox": {"source_id": "whatsapp:+15550100123"},
            },
            TWILIO_WHATSAPP,
            True,
        ),
        (
            {
                "channel": "Channel::TwilioSms",
                "contact_inbox": {"source_id": "+15550100123"},
            },
            "Channel::TwilioSms",
            True,
        ),
        (
            {"channel": "Channel::TwilioSms", "contact_inbox": 3},
            "Channel::TwilioSms",
            True,
        ),
        # REST has it elsewhere (docs/chatwoot/api.md#conversation).
        (
            {"channel": None, "meta": {"channel": "Channel::Line"}},
            "Channel::Line",
            True,
        ),
        ({"channel": None, "meta": None}, None, True),
    ],
    ids=repr,
)
def test_channel_and_its_window_are_read(conversation, channel, can_reply):
    """Length limits and quick replies hang on it; nothing is refused for it."""
    seen = read(delivery(conversation)).conversation

    assert (seen.channel, seen.can_reply) == (channel, can_reply)


# What a contact filled in in a WhatsApp Flow, and reacted to.


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"flow_token": "x", "city": " Ulm ", "age": 7}, ["city: Ulm", "age: 7"]),
        ({"topics": ["a", {"b": 1}, "c"], "news": True}, ["topics: a, c", "news: yes"]),
        ({"news": False, "nested": {"a": 1}, "empty": ""}, ["news: no"]),
        ('{"city": "Ulm"}', ["city: Ulm"]),
        ('{"city": ', []),
        ("[" * 40_000, []),
        ('{"a": "' + "b" * 60_000 + '"}', []),
        ([1], []),
        (None, []),
        ({"long": "b" * 9_000}, [f"long: {'b' * 500}"]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_fields_of_a_flow_are_lines(fields, lines):
    """Whatever a form sends: Meta's own fields and empty ones are left out."""
    assert list(flow_lines({"response_json": fields})) == lines


def test_form_without_an_end_is_cut():
    fields = {f"field {number}": "x" for number in range(500)}

    assert len(list(flow_lines({"response_json": fields}))) == 60


@pytest.mark.parametrize(
    ("to", "line"),
    [
        ("Do you\nlike it?", "[reaction 👍 to: Do you like it?]"),
        ("x" * 300, f"[reaction 👍 to: {'x' * 99}…]"),
        ("", "[reaction 👍]"),
    ],
)
def test_reaction_is_told_in_words(to, line):
    assert reaction("👍", to) == line
