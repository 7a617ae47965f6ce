"""What a note, a label or an attribute asks of the bot."""

import pytest

from chatwoot_bot.core.remote import Command, Remote, Switch


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


@pytest.mark.parametrize(
    ("labels", "attributes", "switch"),
    [
        ((), {}, None),
        (("vip",), {"plan": "off"}, None),
        (("Bot-Off",), {}, Switch.OFF),
        ((), {"bot": "off"}, Switch.OFF),
        ((), {"bot": False}, Switch.OFF),
        ((), {"bot": "ON"}, Switch.ON),
        ((), {"bot": True}, Switch.ON),
        ((), {"bot": "maybe"}, None),
        ((), {"bot": ["off"]}, None),
        (("bot-off",), {"bot": "on"}, Switch.OFF),  # silence is the safer one
    ],
)
def test_label_and_attribute_switch(labels, attributes, switch):
    assert Remote().switch(labels, attributes) is switch


def test_empty_names_switch_nothing():
    remote = Remote(label="", attribute="")

    assert remote.switch(("",), {"": "off"}) is None
