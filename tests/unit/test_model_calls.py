"""Calls of tools put together from the pieces in which servers send them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatwoot_bot.errors import ResponderError
from chatwoot_bot.responders.calls import MAX_ARGUMENTS, MAX_CALLS, Calls

SEARCH, ORDER = "search_knowledge", "order"


def piece(arguments=None, name=None, *, index=None, own=None, **more):
    """A piece of a call; what is None is not sent."""
    function = {"name": name, "arguments": arguments}
    fields = {"index": index, "id": own, "function": function} | more
    fields["function"] = {k: v for k, v in function.items() if v is not None}
    return {k: v for k, v in fields.items() if v is not None}


def together(*pieces):
    calls = Calls()
    for each in pieces:
        calls.take(each)
    return calls.all()


def called(*pieces):
    """Return name and arguments of each call."""
    functions = [call["function"] for call in together(*pieces)]
    return [(each["name"], each["arguments"]) for each in functions]


PIECES = {
    "OpenAI's": (
        [
            piece("", SEARCH, index=0, own="a"),
            piece('{"q": ', index=0),
            piece('"x"}', index=0),
            piece("", ORDER, index=1, own="b"),
            piece('{"n": 1}', index=1),
        ],
        [(SEARCH, '{"q": "x"}'), (ORDER, '{"n": 1}')],
    ),
    "Gemini's, one tool": (
        [
            piece('{"q":"x"}', SEARCH, index=0, own="a"),
            piece('{"q":"y"}', SEARCH, index=0, own="b"),
        ],
        [(SEARCH, '{"q":"x"}'), (SEARCH, '{"q":"y"}')],
    ),
    "Gemini's, two tools": (
        [
            piece('{"q":"x"}', SEARCH, index=0, own="a"),
            piece("{}", ORDER, index=0, own="b"),
        ],
        [(SEARCH, '{"q":"x"}'), (ORDER, "{}")],
    ),
    "without ids": (
        [piece('{"q":"x"}', SEARCH, index=0), piece('{"q":"y"}', SEARCH, index=0)],
        [(SEARCH, '{"q":"x"}'), (SEARCH, '{"q":"y"}')],
    ),
    "with one id": (
        [
            piece('{"q":"x"}', SEARCH, index=0, own="a"),
            piece('{"q":"y"}', SEARCH, index=0, own="a"),
        ],
        [(SEARCH, '{"q":"x"}'), (SEARCH, '{"q":"y"}')],
    ),
    "without an index": (
        [
            piece('{"q":', SEARCH, own="a"),
            piece('{"n":', ORDER, own="b"),
            piece('"x"}', own="a"),
            piece("1}", own="b"),
        ],
        [(SEARCH, '{"q":"x"}'), (ORDER, '{"n":1}')],
    ),
    "with nothing": (
        [piece('{"q":', SEARCH), piece('"x"}')],
        [(SEARCH, '{"q":"x"}')],
    ),
    "no arguments, then another tool": (
        [piece("", SEARCH, index=0), piece("", ORDER, index=0)],
        [(SEARCH, ""), (ORDER, "")],
    ),
    "an id in each piece": (
        [
            piece('{"q":', SEARCH, index=0, own="a"),
            piece('"x"}', index=0, own="b"),
        ],
        [(SEARCH, '{"q":"x"}')],
    ),
    "the name in each piece": (
        [
            piece('{"q":', SEARCH, index=0, own="a"),
            piece('"x"}', SEARCH, index=0, own="a"),
        ],
        [(SEARCH, '{"q":"x"}')],
    ),
    "the whole once more": (
        [
            piece('{"q":"x"}', SEARCH, index=0, own="a"),
            piece('{"q":"x"}', index=0, own="a"),
        ],
        [(SEARCH, '{"q":"x"}')],
    ),
    "an empty object first": (
        [
            piece("{}", SEARCH, index=0, own="a"),
            piece('{"q":', index=0),
            piece('"x"}', index=0),
        ],
        [(SEARCH, '{"q":"x"}')],
    ),
    "blanks behind": (
        [piece('{"q":"x"}', SEARCH, index=0), piece("\n", index=0)],
        [(SEARCH, '{"q":"x"}')],
    ),
    "brackets in a text": (
        [
            piece('{"q":"}', SEARCH, index=0, own="a"),
            piece("\\", index=0),
            piece('"}', index=0),
            piece('"}', index=0),
        ],
        [(SEARCH, '{"q":"}\\"}"}')],
    ),
    "an object": ([piece({"q": "x"}, SEARCH, index=0)], [(SEARCH, '{"q": "x"}')]),
}


@pytest.mark.parametrize("name", PIECES)
def test_pieces_make_the_calls_that_the_model_meant(name):
    pieces, calls = PIECES[name]

    assert called(*pieces) == calls


def test_call_keeps_what_the_server_put_on_it():
    """Gemini 3 refuses a history without its signatures."""
    signature = {"google": {"thought_signature": "CuQBAdHtim9=="}}
    first = piece('{"q":', SEARCH, index=0, own="a", extra_content=signature)
    first["function"]["strict"] = True
    first["type"] = "function"
    [call] = together(first, piece('"x"}', index=0, note="later"))

    assert call == {
        "id": "a",
        "type": "function",
        "extra_content": signature,
        "note": "later",
        "function": {"name": SEARCH, "arguments": '{"q":"x"}', "strict": True},
    }


def test_each_call_has_an_id_of_its_own():
    """Results are told apart by it; Mistral takes nine letters and digits."""
    same = [piece(f'{{"q":{n}}}', SEARCH, index=0, own="a") for n in range(3)]
    none = [piece(f'{{"q":{n}}}', SEARCH, index=n) for n in range(2)]

    assert [call["id"] for call in together(*same)] == ["a", "a-1", "a-2"]
    assert [call["id"] for call in together(*none)] == ["call00000", "call00001"]


def test_what_a_server_sends_is_bounded():
    many = [piece("{}", SEARCH, index=n) for n in range(MAX_CALLS + 5)]
    assert len(together(*many)) == MAX_CALLS
    with pytest.raises(ResponderError):
        together(piece("x" * (MAX_ARGUMENTS + 1), SEARCH, index=0))
    with pytest.raises(ResponderError):
        together(piece("{}", SEARCH, index=0, own="a", more="x" * MAX_ARGUMENTS))


def test_halves_of_a_character_do_no_harm():
    [call] = together(piece("{}", "a\ud83d", index=0, more={"x": "\ud83d"}))

    json.dumps(call, ensure_ascii=False).encode()


values = st.recursive(
    st.text('ab"\\{}[]', max_size=6) | st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('k"{', max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.dictionaries(st.text("q", max_size=2), values, max_size=3), max_size=4),
    st.integers(1, 5),
)
def test_calls_under_one_index_are_told_apart_however_they_are_cut(objects, size):
    texts = [json.dumps({"q": each}) for each in objects]
    pieces = [
        piece(text[at : at + size], SEARCH if at == 0 else None, index=0)
        for text in texts
        for at in range(0, len(text), size)
    ]
    distinct = [t for n, t in enumerate(texts) if n == 0 or t != texts[n - 1]]

    found = [arguments for _, arguments in called(*pieces)]

    assert found == texts or len(distinct) < len(texts)
