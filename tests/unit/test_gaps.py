"""What is summed up, and when: what the model is not shown, of this request."""

import pytest
from factories import message

from chatwoot_bot.core.conversation import Sender
from chatwoot_bot.memory import AT_ONCE, MESSAGES, gap_in
from chatwoot_bot.store.memory import Past


def said(count, *, first=1, closes=(), length=40):
    return [
        message(
            "x" * length,
            id=number,
            owed=False,
            closes=number in closes,
            sender=Sender.CONTACT if number % 2 else Sender.BOT,
        )
        for number in range(first, first + count)
    ]


def gap(messages, *, summary="", closed=False, budget=1_000_000, **how):
    past = Past(summary=summary, until=None, closed=closed, messages=messages)
    options = {"history": 10, "budget": budget, "remembers": False} | how
    found = gap_in(past, **options)
    return found and ([m.id for m in found.messages], found.so_far)


@pytest.mark.parametrize(
    ("count", "cut"), [(10, 0), (9 + MESSAGES, 0), (10 + MESSAGES, MESSAGES)]
)
def test_messages_are_summed_up_when_enough_have_been_cut(count, cut):
    assert gap(said(count)) == ((list(range(1, cut + 1)), "") if cut else None)


def test_tokens_count_too():
    """A long message that is not shown is soon worth a summary."""
    assert gap(said(4, length=6_000), budget=100) == ([1, 2, 3, 4], "")


def test_summary_goes_on_from_the_one_before():
    ids, so_far = gap(said(20), summary="Blue.")

    assert (ids, so_far) == (list(range(1, 11)), "Blue.")


@pytest.mark.parametrize("closes", [(), (5,)])
def test_request_that_was_closed_is_dropped(closes):
    """The next one begins afresh, unless contacts are remembered."""
    messages = said(30, closes=closes)
    ids, so_far = gap(messages, summary="Old.", closed=not closes)

    assert (ids[0], ids[-1], so_far) == (6 if closes else 1, 20, "")


def test_closed_request_is_summed_up_whole_where_contacts_are_remembered():
    assert gap(said(4, closes=(4,)), remembers=True) == ([1, 2, 3, 4], "")
    assert gap(said(6, closes=(4,)), remembers=True) == ([1, 2, 3, 4], "")
    assert gap(said(4), remembers=True) is None


def test_no_summary_is_longer_than_a_model_takes():
    ids, _ = gap(said(40, length=4_000), budget=100)

    assert 1 < len(ids) <= AT_ONCE // 1_000
    assert ids[0] == 1


def test_nothing_is_summed_up_where_the_contact_said_nothing():
    [only] = said(1, first=2, closes=(2,))

    assert gap([only], remembers=True) is None
