"""What agents read in private notes, in their language."""

import re

import pytest
from factories import message

from chatwoot_bot.core import notes, outgoing
from chatwoot_bot.core.conversation import Sender
from chatwoot_bot.core.notes import Done, note, undelivered, with_summary
from chatwoot_bot.handover import REASONS
from chatwoot_bot.language import languages
from chatwoot_bot.store import remote, updates
from chatwoot_bot.tools.booking_words import NOTED
from chatwoot_bot.wording import NAMES, texts, wording

# All that the service says to agents by itself.
SAID = [
    *REASONS.values(),
    *remote.NOTES.values(),
    remote.RESOLVED,
    remote.NOTHING_TO_RETRY,
    remote.SILENCED,
    remote.STILL_SILENT,
    remote.MISPLACED,
    notes.DONE,
    notes.NO_TEXT,
    notes.HAND_BACK,
    notes.NOT_DELIVERED,
    notes.NOT_ROUTED,
    *notes.REFUSALS.values(),
    notes.REFUSED,
    notes.OTHERWISE,
    *notes.SPEAKERS.values(),
    outgoing.CLOSED,
    outgoing.CLOSED_CHANNEL,
    outgoing.LATE,
    updates.UNDELIVERED,
    *NOTED.values(),
    "of one conversation",
    "of one day",
]


def test_note_begins_with_the_matter():
    """Chatwoot's list of conversations shows the first words of a note, and no more."""
    transcript = [
        message("Where is my order?"),
        message("Which one?", sender=Sender.BOT),
        message("Number 4711,\n\nof May."),
        message("Get notified by email", sender=Sender.SYSTEM),
    ]

    assert note("The\n\nreason.", transcript, command="/bot on") == (
        "Number 4711, of May.\n\n"
        "The reason. To hand the conversation back to the bot, write `/bot on` as a "
        "private note.\n\n"
        "- **Contact:** Where is my order?\n"
        "- **Bot:** Which one?\n"
        "- **Contact:** Number 4711, of May."
    )


def test_note_without_any_text_says_so():
    assert note("Why.", []) == "The contact has written no text.\n\nWhy."


def test_calls_that_were_made_stay_in_the_note_with_a_summary():
    """Agents must know what is booked, whatever the summary leaves out."""
    booked = Done("book_a_call", "Booked: b_1, Tue ![x](http://evil.example)")
    why = wording("de")
    before = note("Why.", [message("Hello")], done=[booked, booked], say=why)

    after = with_summary(before, "Wants a call.")

    assert after.startswith(
        "Wants a call.\n\nWhy.\n- erledigt: book_a_call → Booked: b_1"
    )
    assert after.count("book_a_call") == 1
    assert "![" not in after
    assert "Hello" not in after


def test_summary_takes_the_place_of_the_matter_and_the_messages():
    before = note("Why.", [message("Hello\n\nthere")], command="/bot on")

    after = with_summary(before, " Wants a lamp.\n\nIn red. ")

    assert after.startswith("Wants a lamp.\n\nIn red.\n\nWhy. To hand")
    assert "Hello" not in after


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            "POST /api/v1/accounts/1/messages answered 422: Validation failed",
            "Chatwoot refused it: Validation failed",
        ),
        (
            "POST /api/v1/x answered 401: Account is suspended",
            "Chatwoot refused it: Account is suspended",
        ),
        (
            "POST /x answered 404",
            "Chatwoot does not know the conversation any more.",
        ),
        ("POST /x answered 401", "Chatwoot does not accept the bot's access token."),
        ("POST /x answered 413", "The reason: POST /x answered 413"),
        ("it cannot be said (KeyError)", "The reason: it cannot be said (KeyError)"),
    ],
)
def test_note_on_a_refused_reply_has_its_text_and_the_reason(error, reason):
    """Agents want to know what the bot was about to say, not which request failed."""
    assert undelivered("It is\n\non its way.", error) == (
        f"This reply of the bot was not delivered:\n\nIt is\n\non its way.\n\n{reason}"
    )


@pytest.mark.parametrize("code", [code for code in languages() if code != "en"])
def test_every_text_for_agents_is_there_in_every_language(code):
    known = texts(code)

    assert set(known) == set(SAID)
    for english, text in known.items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(
            re.findall(r"{\w+}", text)
        )
        assert re.findall("`[^`]+`", english) == re.findall("`[^`]+`", text)


def test_every_language_of_agents_has_a_name_for_the_model():
    assert set(NAMES) == set(languages())


def test_text_that_is_not_translated_is_english():
    assert wording("de")("Contact") == "Kontakt"
    assert wording("de")("Something new") == "Something new"
    assert wording("en")("Contact") == "Contact"
