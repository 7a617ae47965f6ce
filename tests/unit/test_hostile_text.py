"""What a stranger sends is cut before it is looked at, however it is made.

Each of these holds the event loop while it runs, and several expressions may follow
one another; alone each of them is timed in `test_patterns.py`.
"""

import json

import hostile
import pytest
from factories import message

from chatwoot_bot.core import attachments
from chatwoot_bot.core.context import quoted
from chatwoot_bot.core.events import MAX_CONTENT, parse
from chatwoot_bot.core.notes import note
from chatwoot_bot.core.outgoing import Option, compose
from chatwoot_bot.core.phrases import LOOKED_AT, holds_any
from chatwoot_bot.core.splitting import split
from chatwoot_bot.core.window import fit
from chatwoot_bot.envfile import updated
from chatwoot_bot.handover import Handover
from chatwoot_bot.knowledge.documents import Kind, Raw
from chatwoot_bot.knowledge.documents import parse as take_apart
from chatwoot_bot.knowledge.terms import terms_of
from chatwoot_bot.language import language_of, wishes
from chatwoot_bot.media import kinds, reading
from chatwoot_bot.simulator.liquid import render
from chatwoot_bot.simulator.llm import WORD

LENGTH = 64_000
# For a whole function on 64,000 characters; what is quadratic takes ten times as long.
LIMIT_S = 0.4
UNITS = [
    *(" ", "\n", "\t", " \n", "\n\n", "\r\n", "a", "a ", "1", "漢", "カ", "é"),
    *(
        "`",
        "``a",
        "`a``a",
        "```\n",
        "~~~\n",
        "[",
        "](",
        "[](",
        "[a](x",
        "*",
        "**a",
        "_",
    ),
    *("#", "# a\n", "- a\n", "{{", "{%", "{% ", "{#", "<", "</", "< file", "&#", "|"),
    *("!", "a.", "a-", "a@", "http://", "--- ", "---\n", "title: a\n", "'", '"', "\\"),
]


def long(unit, length=LENGTH):
    return (unit * (length // len(unit) + 1))[:length]


USES = {
    "a text for a channel of 160": lambda text: split(text, 160),
    "a text for a channel of 10,000": lambda text: split(text, 10_000),
    "a mail": lambda text: split(text, 25_000),
    "a link and blanks": lambda text: split(f"[a](x{text}", 25_000),
    "a file": reading._tidy,
    "a wish for a person": lambda text: wishes().asks(text),
    "the terms of a document": lambda text: terms_of(text, "en"),
    "options": lambda text: compose(text, [Option(text[:100])], None),
    "a template": lambda text: render(text, {}),
    "a scripted answer": WORD.findall,
    "a text document": lambda text: take_apart(Raw(uri="a", kind=Kind.TEXT, text=text)),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_hostile_text_holds_nobody_up(use):
    slow = {}
    for unit in UNITS:
        took = hostile.best(use, long(unit), limit_s=LIMIT_S)
        if took > LIMIT_S:
            slow[unit] = took

    assert not slow


@pytest.mark.parametrize("unit", UNITS)
def test_markdown_document_is_taken_apart_in_time(unit):
    """In a process of its own, but others wait for theirs."""
    raw = Raw(uri="a", kind=Kind.MARKDOWN, text=long(unit))

    assert hostile.best(take_apart, raw, limit_s=3) < 3


@pytest.mark.parametrize(
    "unit", [b" ", b"\n", b"<", b"\xef\xbb\xbf", b"%", b"%PDF", b"a"]
)
def test_large_file_is_known_at_once(unit):
    """Ten megabytes of blanks once stood the service still for days."""
    data = unit * (10 * 2**20 // len(unit))

    assert hostile.best(kinds.kind_of, data) < 0.05


def test_only_the_beginning_of_a_file_is_decoded():
    data = b"a" * kinds.HEAD + b"\x00" * 100

    assert kinds.kind_of(data) == kinds.TEXT
    assert kinds.text_of(data, most=10) == "a" * 10
    assert kinds.text_of(data) is None


def test_character_that_is_cut_is_left_out():
    assert kinds.text_of("aé".encode(), most=2) == "a"


def test_line_of_an_env_file_is_changed_in_time():
    text = f"A={long(' ')}x\nB=1\n"

    took = hostile.best(lambda: updated(text, {"A": "b"}), limit_s=1)

    assert took < 1


def test_language_is_that_of_the_last_words():
    """40 messages of 20,000 characters once took 0.6 s, at every call for a human."""
    english = ["where is my order and when is it here " * 500] * 40
    german = (
        "Wo ist meine Bestellung? Ich habe sie bezahlt und das ist nicht gut. " * 40
    )

    assert language_of([*english, german]).code == "de"
    assert hostile.best(language_of, english) < 0.02


def test_handover_of_a_long_conversation_is_cheap():
    transcript = [message("a " * 10_000) for _ in range(200)]
    handover = Handover()

    assert hostile.best(tell, handover, transcript) < 0.05
    assert hostile.best(note, "Why.", transcript) < 0.05


def tell(handover, transcript):
    handover.tell(transcript, "asked_for_human", now=1_800_000_000.0)


def test_note_shows_the_last_messages_cut():
    text = note(
        "Why.", [message(f"{number} " + "word " * 40_000) for number in range(9)]
    )

    assert text.startswith("8 word")
    assert "\n\nWhy.\n\n- **Contact:** 3 word" in text
    assert len(text) < 2_500


def test_history_that_is_not_shown_is_not_weighed():
    """A model's window holds a few thousand words, a conversation may hold millions."""
    old = [message("漢" * 20_000, owed=False) for _ in range(400)]

    window = fit([*old, message("Hello")], 2_000)

    assert len(window.cut) == 400
    assert hostile.best(fit, old, 2_000) < 0.05


def test_keyword_is_looked_for_in_a_limited_text():
    text = "a " * LOOKED_AT

    assert holds_any("human " + text, ("human",))
    assert not holds_any(text + " human", ("human",))


def test_quoted_value_is_cut_before_it_is_tidied():
    assert hostile.best(quoted, " a" * 2_000_000) < 0.01


def test_message_is_as_long_as_chatwoot_takes_it():
    event = parse(body(content="a" * 400_000))

    assert len(event.message.content) == MAX_CONTENT


def test_name_of_a_contact_is_cut():
    sender = {"id": 1, "name": "n" * 100_000, "type": "contact"}
    conversation = {"id": 1, "inbox_id": 1, "meta": {"sender": sender}}

    event = parse(body(content="a", conversation=conversation))

    assert len(event.conversation.contact_name) == 1_000


def body(**changes):
    payload = {
        "event": "message_created",
        "id": 1,
        "message_type": "incoming",
        "sender": {"id": 1, "type": "contact"},
        "conversation": {"id": 1, "inbox_id": 1},
        **changes,
    }
    return json.dumps(payload).encode()


def test_attachments_are_limited_in_number_and_length():
    one = {"file_type": "fallback", "fallback_title": "t" * 100_000}

    found = attachments.read([one] * 500)

    assert len(found) == attachments.MAX_ATTACHMENTS
    assert all(len(each.line) < attachments.MAX_SAID + 100 for each in found)


def test_code_span_ends_before_a_blank_line():
    """As in Markdown; what looks for its end looks once."""
    assert split("`a\n\n" + "b " * 20 + "c` d", 40)[0] == "`a"
