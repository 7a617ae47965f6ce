"""What a channel can carry: length limits, and options to choose from."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatwoot_bot.core.outgoing import (
    GENERAL_LIMIT,
    LIMITS,
    MENUS,
    TWILIO_WHATSAPP,
    Option,
    Part,
    compose,
    note_instead,
)
from chatwoot_bot.core.splitting import size

TOPICS = (Option("Order status", "order_status"), Option("Refund", "refund"))
CHANNELS = [
    None,
    "Channel::Api",
    "Channel::NewerThanThis",
    *LIMITS,
    "Channel::WebWidget",
]


@given(
    text=st.text(min_size=1, max_size=3_000).filter(str.strip),
    titles=st.lists(st.text(min_size=1, max_size=40).filter(str.strip), max_size=12),
    channel=st.sampled_from(CHANNELS),
)
@settings(max_examples=150, deadline=None)
def test_every_message_fits_its_channel(text, titles, channel):
    """Whatever the model writes and offers; a channel rejects the rest in silence."""
    parts = compose(text, [Option(title) for title in titles], channel)

    assert parts
    assert all(size(part.text) <= LIMITS.get(channel, GENERAL_LIMIT) for part in parts)
    assert not any(part.options for part in parts[:-1])
    if options := parts[-1].options:
        menu = MENUS[channel]
        assert len(options) == len(titles) <= menu.count
        assert size(parts[-1].text) <= (menu.text or LIMITS.get(channel, GENERAL_LIMIT))


@pytest.mark.parametrize(
    ("channel", "parts"),
    [
        ("Channel::WebWidget", 1),
        (None, 1),
        ("Channel::Email", 1),
        ("Channel::Whatsapp", 1),
        ("Channel::FacebookPage", 2),
        ("Channel::Instagram", 4),
        (TWILIO_WHATSAPP, 3),
        ("Channel::TwilioSms", 13),
        ("Channel::Sms", 25),
    ],
)
def test_length_limits_are_the_channels_own(channel, parts):
    """As in docs/chatwoot/api.md#create-message."""
    assert len(compose("It is so. " * 399, (), channel)) == parts


def test_options_go_with_the_last_part():
    """The contact has read everything when they choose."""
    parts = compose("It is so. " * 450, TOPICS, "Channel::Telegram")

    assert [bool(part.options) for part in parts] == [False, True]


def test_long_text_stands_before_whatsapps_buttons():
    """An interactive message carries 1024 characters, a plain one 4096."""
    parts = compose("It is so. " * 200, TOPICS, "Channel::Whatsapp")

    assert [size(part.text) <= 1_024 for part in parts] == [True, True]
    assert parts[-1].options == TOPICS


@pytest.mark.parametrize("channel", ["Channel::Telegram", "Channel::Line"])
def test_where_the_value_is_said_the_value_is_the_title(channel):
    """Chatwoot shows agents, and us, "Order status" instead of "order_status"."""
    [part] = compose("What is it about?", TOPICS, channel)

    assert part.options == (
        Option("Order status", "Order status"),
        Option("Refund", "Refund"),
    )


def test_an_option_without_a_value_says_its_title():
    [part] = compose("Sure?", [Option("Yes"), Option("No", "0")], "Channel::WebWidget")

    assert part.options == (Option("Yes", "Yes"), Option("No", "0"))


@pytest.mark.parametrize(
    "channel", [None, "Channel::Api", "Channel::Email", "Channel::Sms", TWILIO_WHATSAPP]
)
def test_options_are_lines_where_there_is_no_menu(channel):
    """So nobody is asked to choose from nothing."""
    assert compose("What is it about?\n", TOPICS, channel) == [
        Part("What is it about?\n\n1. Order status\n2. Refund")
    ]


def test_text_that_names_its_options_needs_no_lines():
    """The bot would say everything twice."""
    text = "Is it a refund, or your order status?"

    assert compose(text, TOPICS, "Channel::Sms") == [Part(text)]
    assert compose("Non-refundable.", [Option("Refund")], None) == [
        Part("Non-refundable.\n\n1. Refund")
    ]


@pytest.mark.parametrize(
    ("channel", "options"),
    [
        ("Channel::Whatsapp", [Option("More than twenty letters")]),
        ("Channel::Whatsapp", [Option(f"Topic {n}") for n in range(11)]),
        ("Channel::Whatsapp", [Option("Yes", "1"), Option("Yes", "2")]),
        ("Channel::FacebookPage", [Option(f"Topic {n}") for n in range(14)]),
        ("Channel::Telegram", [Option("ä" * 33)]),
    ],
)
def test_options_that_a_channel_would_reject_are_lines(channel, options):
    """Chatwoot does not shorten them, so the whole message would be lost."""
    [part] = compose("Which?", options, channel)

    assert part.options == ()
    assert part.text.startswith("Which?\n\n1. ")


@pytest.mark.parametrize(
    ("channel", "name", "is_late"),
    [
        (None, "The channel", False),
        ("Channel::Api", "The channel", False),
        ("Channel::Instagram", "Instagram", False),
        ("Channel::FacebookPage", "Facebook", False),
        ("Channel::Whatsapp", "WhatsApp", True),
        (TWILIO_WHATSAPP, "WhatsApp", True),
    ],
)
def test_note_names_the_channel_and_has_the_reply(channel, name, is_late):
    """An agent can call instead, and knows what the bot found out."""
    note = note_instead("Yes, we do.", channel)

    assert note.startswith(f"{name} accepts no reply")
    assert "\n\nYes, we do." in note
    assert ("24 hours" in note) is is_late
