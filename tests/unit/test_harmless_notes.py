"""What a private note can do to agents who open it: tell them something."""

import re
import time

import pytest
from factories import message
from hypothesis import given, settings
from hypothesis import strategies as st

from chatwoot_bot.core.conversation import Sender
from chatwoot_bot.core.links import addresses_in
from chatwoot_bot.core.notes import SHOWN_CHARACTERS, harmless, note, quoted
from chatwoot_bot.core.text import without_controls

EVIL = re.compile(r"[\w.-]*evil\.com")
MENTION = "[@Boss](mention://user/1/Boss)"
PICTURE = "![t](https://evil.example/t.png)"


@pytest.mark.parametrize("sender", [Sender.CONTACT, Sender.BOT, Sender.AGENT])
def test_what_was_said_is_quoted_as_text(sender):
    """A bot repeats what it is told to, and an agent may quote a contact."""
    said = f"A human! {MENTION} {PICTURE} https://evil.com/a or www.evil.com \u202ecod"

    shown = note("Why.", [message(said, sender=sender)])

    assert shown.endswith(
        ":** A human! [@Boss] (mention[:]//user/1/Boss) ! [t] "
        "(https[:]//evil[.]example/t.png) https[:]//evil[.]com/a or www[.]evil[.]com "
        "cod"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[x]: https://evil.example/q", "[x] : https[:]//evil[.]example/q"),
        ("a.b.com.(c)", "a[.]b[.]com.(c)"),
        ("//evil.example/q https:evil.example", None),
        ("MENTION://team/1/x", "MENTION[:]//team/1/x"),
        ("ann@example.com, 1.5/2, z.B., it is 12.30 here. Yes", KEPT := ""),
        ("Hi **you** `code` <b> 100 %", KEPT),
        ("ann@evil.com/s", "ann@evil[.]com/s"),
    ],
)
def test_quoted_text_leads_nowhere_and_loses_nothing(text, shown):
    if shown is None:
        shown = text.replace(".", "[.]")

    assert quoted(text) == (shown or text)


@given(
    text=st.lists(
        st.one_of(
            st.sampled_from(
                [
                    *("mention://user/1/x", "![", "](", "]", "(", ")", "[", "]:"),
                    *("https", "evil.com", "/", "a", "\u202e", "\u200b", "[.", "."),
                    *("://", "&#58;"),
                ]
            ),
            st.text(max_size=2),
        ),
        max_size=15,
    ).map("".join)
)
@settings(max_examples=300, deadline=None)
def test_nothing_in_quoted_text_is_markup_that_acts(text):
    shown = quoted(text)

    assert "](" not in shown
    assert "![" not in shown
    assert "mention://" not in shown.lower()
    # What begins with another sign is no name of a host.
    assert not [each for each in addresses_in(shown) if EVIL.match(each)]


def test_note_of_the_bots_own_keeps_links_but_mentions_nobody():
    """What a model writes of its own accord, or a summary, comes here unquoted."""
    text = f"See [order](https://shop.example/1). {MENTION} {PICTURE}\x1b[2J\u2066"

    assert harmless(text) == (
        "See [order](https://shop.example/1). [@Boss](mention[:]//user/1/Boss) "
        "! [t](https://evil.example/t.png)[2J"
    )


def test_long_message_is_quoted_in_part_without_being_read_to_its_end():
    began = time.thread_time()

    shown = note("Why.", [message("[](" * 500_000), message(" " * 2_000_000 + "x")])

    assert time.thread_time() - began < 1.0
    assert len(shown) < 4 * SHOWN_CHARACTERS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ann\u202egpj.exe\u202c", "Anngpj.exe"),
        ("\u2067a\u2069\u200fb\u061c", "ab"),
        ("\x1b[2Ja\x00\x07\x7f\x9b", "[2Ja"),
        ("a\nb\tc", "a\nb\tc"),
        ("a\U000e0041b", "ab"),
        ("Zoë 👩\u200d🚀 نمی\u200cشود שלום", "Zoë 👩\u200d🚀 نمی\u200cشود שלום"),
    ],
)
def test_text_is_shown_as_what_it_says(text, shown):
    assert without_controls(text) == shown
