"""The form of messages that strict templates take."""

import pytest

from chatwoot_bot.core.strict import BEGUN, in_turns, without_system

SYSTEM = {"role": "system", "content": "p"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:"}}


def user(content):
    return {"role": "user", "content": content}


def bot(content, **more):
    return {"role": "assistant", "content": content, **more}


CALLS = {"tool_calls": [{"id": "1"}]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "Blue."}


@pytest.mark.parametrize(
    ("messages", "strict"),
    [
        ([SYSTEM], [SYSTEM]),
        ([SYSTEM, user("a")], [SYSTEM, user("a")]),
        ([SYSTEM, user("a"), user("b"), user("c")], [SYSTEM, user("a\n\nb\n\nc")]),
        (
            [SYSTEM, bot("Hi!"), user("a")],
            [SYSTEM, user(BEGUN), bot("Hi!"), user("a")],
        ),
        (
            [SYSTEM, bot("Hi!"), bot("Maria here."), user("a")],
            [SYSTEM, user(BEGUN), bot("Hi!\n\nMaria here."), user("a")],
        ),
        (
            [SYSTEM, user("a"), user([PICTURE])],
            [SYSTEM, user([{"type": "text", "text": "a"}, PICTURE])],
        ),
        (
            [user("a"), bot("b"), bot(None, **CALLS), RESULT, bot("c"), user("d")],
            [user("a"), bot("b", **CALLS), RESULT, bot("c"), user("d")],
        ),
        (
            [user("a"), bot(None, **CALLS), RESULT, bot(None, **CALLS), RESULT],
            [user("a"), bot(None, **CALLS), RESULT, bot(None, **CALLS), RESULT],
        ),
    ],
)
def test_sides_take_turns_and_the_contact_begins(messages, strict):
    assert in_turns(messages) == strict
    assert in_turns(strict) == strict


def test_system_prompt_becomes_the_beginning_of_the_contacts_words():
    """Some templates have no place for a system prompt."""
    assert without_system([SYSTEM, user("a")]) == [user("p\n\na")]
    assert without_system([SYSTEM, bot("Hi!")]) == [user("p"), bot("Hi!")]
    assert without_system([user("a")]) == [user("a")]
