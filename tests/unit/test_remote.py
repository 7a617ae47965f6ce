"""What a note, a label or an attribute asks of the bot."""

import pytest

from chatwoot_bot.core.remote import Command, Remote


@pytest.mark.parametrize(
    ("note", "command"),
    [
        ("/bot on", Command.ON),
        ("/bot off", Command.OFF),
        ("/BOT  Off please", Command.OFF),
        ("/bot retry", Command.RETRY),
        ("/bot summary\nthanks", Command.SUMMARY),
        ("/bot", Command.HELP),
        ("/bot dance", Command.HELP),
        ("/bottle off", None),
        ("please /bot off", None),
        ("", None),
    ],
)
def test_note_that_begins_with_the_prefix_is_a_command(note, command):
    assert Remote().command(note) is command


def test_prefix_is_the_operators():
    assert Remote(prefix="@Otto").command("@otto off") is Command.OFF
    assert Remote(prefix="@Otto").command("/bot off") is None
    assert Remote(prefix="").command("/bot off") is None


LABEL, ATTRIBUTE = "bot-off", "bot"


@pytest.mark.parametrize(
    ("labels", "attributes", "silencer"),
    [
        ((), {}, None),
        (("vip",), {"plan": "off"}, None),
        (("Bot-Off",), {}, LABEL),
        ((), {"bot": "off"}, ATTRIBUTE),
        ((), {"bot": False}, ATTRIBUTE),
        ((), {"bot": "maybe"}, None),
        ((), {"bot": ["off"]}, None),
        # "On" asks for nothing: a visitor could say it as well as an agent.
        ((), {"bot": "ON"}, None),
        ((), {"bot": True}, None),
        (("bot-off",), {"bot": "on"}, LABEL),
    ],
)
def test_label_and_attribute_ask_for_silence_and_for_nothing_else(
    labels, attributes, silencer
):
    assert Remote().silencer(labels, attributes) == silencer


def test_empty_names_silence_nothing():
    remote = Remote(label="", attribute="")

    assert remote.silencer(("",), {"": "off"}) is None


@pytest.mark.parametrize(
    ("text", "is_command"),
    [
        ("/bot", True),
        ("/bot off", True),
        (" /BOT  Retry\n", True),
        # Chatwoot adds the agent's signature, below it or above it.
        ("/bot off\n\n--\n\nNina, Support", True),
        ("Nina, Support\n\n--\n\n/bot off", True),
        ("See below.\n\n--\n\nNina -- /bot off", False),
        ("/bot dance", False),
        ("/bot off please", False),
        ("Write /bot off in a note.", False),
        ("/bottle", False),
        ("", False),
    ],
)
def test_public_message_is_a_command_only_if_it_is_nothing_else(text, is_command):
    """Whatever else it says may be meant for the contact."""
    assert Remote().is_command(text) is is_command


def test_command_is_named_without_the_signature():
    assert Remote().sole_command(" /Bot  off\n\n--\n\nNina") == "/Bot off"


def test_without_a_prefix_no_public_message_is_a_command():
    assert not Remote(prefix="").is_command("/bot off")
