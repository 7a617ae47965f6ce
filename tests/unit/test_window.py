"""How much of a conversation the model is shown."""

import pytest
from factories import message

from chatwoot_bot.core.conversation import Attachment
from chatwoot_bot.core.window import IMAGE, LEAST, fit, tokens, weight


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("a", 1), ("four", 1), ("Where is it?", 3), ("你好", 2), ("你好 you", 3)],
)
def test_tokens_are_counted_about_right(text, count):
    assert tokens(text) == count


def said(*lengths, owed=1):
    last = len(lengths) - owed
    return [
        message("x" * 4 * length, id=number, owed=number >= last)
        for number, length in enumerate(lengths)
    ]


def ids(messages):
    return [message.id for message in messages]


def test_newest_messages_are_shown():
    window = fit(said(10, 10, 10, 10), 45)

    assert (ids(window.cut), ids(window.shown)) == ([0], [1, 2, 3])


def test_no_older_message_slips_into_what_a_long_one_has_left():
    """A conversation with holes reads wrong."""
    window = fit(said(1, 100, 10, 10), 40)

    assert ids(window.shown) == [2, 3]


def test_whatever_is_owed_an_answer_is_shown():
    window = fit(said(10, 500, 500, owed=2), 100)

    assert ids(window.shown) == [1, 2]


def test_what_came_with_a_message_counts():
    file = Attachment(kind="file", line="[file]", text="x" * 400)
    picture = Attachment(kind="image", line="[image]", image="data:")

    assert weight(message("", attachments=(file, picture))) == 4 + 100 + IMAGE


def test_one_huge_message_is_cut_in_the_middle():
    """150,000 characters would be paid for, or refused; the model is told."""
    [huge] = fit([message("x" * 75_000 + "y" * 75_000)], 6_000).shown

    assert huge.content.startswith("x" * 12_000 + "\n[… 126000 characters")
    assert huge.content.endswith("…]\n" + "y" * 12_000)


@pytest.mark.parametrize("letter", ["x", "你"])
def test_messages_that_wait_share_the_room(letter):
    short = message("Where is it?")
    shown = fit([message(letter * 20_000), short, message(letter * 20_000)], 600).shown

    assert shown[1] is short
    assert all(tokens(each.content) < 250 for each in shown)


def test_many_messages_that_wait_keep_something_each():
    shown = fit([message("x" * 4_000) for _ in range(50)], 100).shown

    assert all(tokens(each.content) > LEAST for each in shown)
