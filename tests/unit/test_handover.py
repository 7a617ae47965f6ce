"""What the contact and the agents read when the bot calls a human."""

from datetime import UTC, datetime

import pytest
from factories import message

from chatwoot_bot.core.conversation import Sender
from chatwoot_bot.core.hours import parse_hours
from chatwoot_bot.core.notes import SHOWN, with_summary
from chatwoot_bot.core.routing import Routing
from chatwoot_bot.handover import (
    APOLOGIZED,
    REASONS,
    WITHOUT_MODEL,
    Handover,
)
from chatwoot_bot.language import languages
from chatwoot_bot.store.replies import ReplyKind
from chatwoot_bot.wording import wording

ENGLISH = [message("Hello, where is my order? I want a human.")]
GERMAN = [message("Guten Tag, wo ist meine Bestellung? Ich habe sie bezahlt.")]
HOURS = parse_hours("Mon-Fri 09:00-17:00", "UTC")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


FRIDAY_NOON = at("2026-11-20 12:00")
SATURDAY = at("2026-11-21 12:00")


def tell(transcript=ENGLISH, reason="asked_for_human", now=FRIDAY_NOON, **choices):
    online = choices.pop("someone_online", None)
    handover = Handover(**choices)
    return handover.tell(transcript, reason, now=now, someone_online=online)


def test_contact_is_told_in_the_language_of_the_conversation():
    assert tell().startswith("I am passing you on")
    assert tell(GERMAN).startswith("Ich gebe Sie an einen Kollegen weiter")


def test_operators_own_message_is_sent_as_it_is():
    """It may be in one language on purpose."""
    assert tell(GERMAN, message="Hold on!") == "Hold on!"


@pytest.mark.parametrize("reason", REASONS)
def test_contact_who_had_to_wait_reads_an_apology(reason):
    assert ("Sorry that you had to wait." in tell(reason=reason)) == (
        reason in APOLOGIZED
    )


@pytest.mark.parametrize(
    ("now", "online", "says"),
    [
        (FRIDAY_NOON, None, ""),
        (FRIDAY_NOON, True, ""),
        (FRIDAY_NOON, False, "Nobody of our team is at their desk right now"),
        (SATURDAY, None, "when our team is back on Monday, 09:00"),
        # One message about being away is enough.
        (SATURDAY, False, "when our team is back on Monday, 09:00"),
    ],
)
def test_contact_learns_when_to_expect_somebody(now, online, says):
    text = tell(hours=HOURS, now=now, someone_online=online)

    assert says in text
    assert ("desk" in text) == (says.startswith("Nobody"))
    assert ("back on" in text) == (says.startswith("when"))


def test_agents_read_why_and_the_last_messages():
    transcript = [message(f"Message {n}") for n in range(10)]
    transcript += [
        message("I do not know.", sender=Sender.BOT),
        message("x" * 400),
        message(None, sender=Sender.CONTACT),
    ]

    [(kind, note, _)] = Handover().for_agents(transcript, "turn_limit")

    assert kind is ReplyKind.HANDOVER_NOTE
    matter, why, _ = note.split("\n\n")
    assert matter == "x" * 159 + "…"
    assert why.startswith("The bot has answered as often as it may")
    assert note.count("\n- ") == SHOWN
    assert "- **Bot:** I do not know." in note
    assert note.endswith("x…")


def test_model_that_calls_a_human_says_why():
    [(_, note, _)] = Handover().for_agents(ENGLISH, "model_asked", "wants a refund")

    assert "\n\nThe bot's model called a human: wants a refund\n\n" in note


@pytest.mark.parametrize("reason", REASONS)
def test_model_that_failed_is_not_asked_for_a_summary(reason):
    [(kind, _, _)] = Handover().for_agents(ENGLISH, reason)

    assert (kind is ReplyKind.NOTE) == (reason in WITHOUT_MODEL)


def test_summary_takes_the_place_of_the_last_messages():
    [(_, note, _)] = Handover().for_agents(ENGLISH, "asked_for_human")

    assert with_summary(note, "Wants a refund.") == (
        "Wants a refund.\n\nThe contact asked for a human, so the bot has stepped back."
    )


def test_routing_comes_before_the_note_and_survives_the_database():
    """Whoever is notified finds the conversation in the right place."""
    routing = Routing(team_id=3, labels=("bot", "vip"), attributes={"topic": "refund"})

    [*kept, note] = Handover(routing=routing).for_agents(ENGLISH, "asked_for_human")

    assert [draft.kind for draft in kept] == [ReplyKind.ROUTING] * 2
    assert [Routing.from_json(draft.content) for draft in kept] == [
        Routing(labels=("bot", "vip"), attributes={"topic": "refund"}),
        Routing(team_id=3),
    ]
    assert note.kind is ReplyKind.HANDOVER_NOTE


def test_no_routing_is_nothing_to_do():
    assert not Routing()
    assert all(
        kind is not ReplyKind.ROUTING
        for kind, _, _ in Handover().for_agents([], "turn_limit")
    )


@pytest.mark.parametrize("language", languages().values(), ids=languages())
def test_out_of_hours_the_contact_reads_one_promise(language):
    """Not "as soon as possible" and a day beside it."""
    text = tell([], hours=HOURS, now=SATURDAY, languages=(language.code,))

    day = f"{language.weekdays[0]}, 09:00"
    assert text == language.out_of_hours.format(opening=day)
    assert language.handover not in text


def test_operators_own_message_stays_beside_the_day():
    text = tell(message="Hold on!", hours=HOURS, now=SATURDAY)

    assert text.startswith("Hold on! A colleague will answer you here")


def test_note_ends_its_reason_with_how_to_hand_back():
    [(_, note, _)] = Handover(command="/bot on").for_agents(ENGLISH, "turn_limit")
    _, why, _ = note.split("\n\n")

    assert why.endswith("write `/bot on` as a private note.")


def test_note_is_in_the_agents_language_whatever_the_contact_speaks():
    handover = Handover(command="/bot on", say=wording("de"))
    [(_, note, _)] = handover.for_agents(ENGLISH, "spend_limit", "of one day")

    assert "die Grenze eines Tages. Um das Gespräch an den Bot zurückzugeben" in note
    assert "- **Kontakt:** Hello" in note
