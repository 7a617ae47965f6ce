"""A long answer in parts: nothing lost, nothing too long, no code block torn open."""

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatwoot_bot.core.splitting import size, split
from chatwoot_bot.core.transcript import escape_liquid

WORDS = st.text(
    st.sampled_from("abcäß😀.!?{%}[]()*_`~#-1"), min_size=1, max_size=12
).filter(lambda word: "```" not in word and "~~~" not in word)
PROSE = st.lists(WORDS, min_size=1, max_size=30).map(" ".join)
LINES = st.lists(
    st.sampled_from(["a = 1", "", "    b = {{ x }}", "c" * 70]), max_size=9
)
CODE = st.tuples(st.sampled_from(["", "py", "json"]), LINES).map(
    lambda block: "\n".join([f"```{block[0]}", *block[1], "```"])
)
TEXTS = st.lists(
    st.one_of(
        PROSE,
        CODE,
        st.sampled_from(
            ["`some code`", "[a link](https://x.example/a_(b))", "**bold words**"]
        ),
    ),
    min_size=1,
    max_size=12,
).flatmap(
    lambda blocks: st.sampled_from(["\n", "\n\n", "\n \n"]).map(
        lambda gap: gap.join(blocks)
    )
)
LIMITS = st.integers(min_value=32, max_value=400)
FENCE_LINE = re.compile(r"^[ \t]*```[^\n`]*$", re.MULTILINE)


def said(text):
    """*text* without white space, and without what closes and opens code and bold."""
    return re.sub(r"[\s`*]", "", FENCE_LINE.sub("", text))


@given(text=TEXTS, limit=LIMITS)
@example(text="```py\n" + "x" * 100 + "\n```", limit=32)
@example(text="{{" * 100, limit=32)
@settings(max_examples=100, deadline=None)
def test_every_part_fits_and_none_is_blank(text, limit):
    """As it goes over the wire: escaped, and counted as JavaScript counts."""
    for part in split(text, limit):
        assert size(part) <= limit
        assert len(escape_liquid(part).encode("utf-16-le")) // 2 <= limit
        assert part.strip()


@given(text=TEXTS, limit=LIMITS)
@settings(max_examples=100, deadline=None)
def test_nothing_is_lost(text, limit):
    """Every character comes, once, in order; only white space may go."""
    assert "".join(map(said, split(text, limit))) == said(text)


@given(text=TEXTS, limit=LIMITS)
@settings(max_examples=100, deadline=None)
def test_fences_are_closed_in_every_part(text, limit):
    """Otherwise the rest of a chat is shown as code."""
    for part in split(text, limit):
        assert len(FENCE_LINE.findall(part)) % 2 == 0


@given(text=PROSE, limit=LIMITS)
@settings(deadline=None)
def test_what_fits_is_said_as_it_is(text, limit):
    """Markdown, indents and blank lines included."""
    if size(text) <= limit:
        assert split(text, limit) == [text]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        # Paragraphs are kept together,
        (
            "The first one. It is short.\n\nThe second one.\n\nThe third one.",
            ["The first one. It is short.", "The second one.\n\nThe third one."],
        ),
        # then lines,
        (
            "- one item of it\n- another item\n- a third",
            ["- one item of it\n- another item", "- a third"],
        ),
        # then sentences,
        (
            "This is one sentence. And this one is another!",
            ["This is one sentence.", "And this one is another!"],
        ),
        (
            "“Is it so?” he asked me then. No, it is not.",
            ["“Is it so?” he asked me then.", "No, it is not."],
        ),
        ("你好" * 12 + "。" + "再见" * 12, ["你好" * 12 + "。", "再见" * 12]),
        # then words,
        (
            "one two three four five six seven eight nine",
            ["one two three four five six seven", "eight nine"],
        ),
        # and a word that is too long goes anywhere.
        ("x" * 40, ["x" * 36, "x" * 4]),
        # A number with a full stop begins an item and ends no sentence.
        (
            "see that this is all good, say 1. then go",
            ["see that this is all good, say 1.", "then go"],
        ),
    ],
)
def test_a_text_is_cut_where_it_hurts_least(text, parts):
    """A reader should not notice more than they must."""
    assert split(text, 36) == parts


@pytest.mark.parametrize(
    "whole",
    [
        "`a code span of it`",
        "[some text](https://x.example/)",
        '![a picture](pic.png "its title")',
        "**bold words are here**",
        "```\nshort code\n```",
    ],
)
def test_what_belongs_together_stays_together(whole):
    """Code, a link, bold text: half of one is none."""
    parts = split(f"Some words before it stand\n{whole} and.\n\nMore.", 40)

    assert any(whole in part for part in parts)


def test_a_fence_that_is_too_long_is_closed_and_opened_again():
    """With its language, so that both halves are coloured."""
    text = "Look:\n```python\nfirst = 1\nsecond = 2\nthird = 3\nfourth = 4\n```\nDone."

    assert split(text, 40) == [
        "Look:",
        "```python\nfirst = 1\nsecond = 2\n```",
        "```python\nthird = 3\nfourth = 4\n```\nDone.",
    ]


def test_no_empty_code_block_is_left_behind():
    """The cut may fall right before the closing line."""
    text = "````\n" + "a" * 20 + "\n``````````"

    assert split(text, 32) == ["````\n" + "a" * 20 + "\n````"]


def test_a_long_code_span_or_link_is_cut_as_it_must_be():
    """A span is closed and opened again; of a link nothing can be saved."""
    code = split("`" + "x = 1; " * 9 + "`", 36)
    link = split("[text](https://x.example/" + "a" * 60 + ")", 36)
    bold = split("Word**" + "ab" * 30 + "** x**" + "cd" * 30 + "**", 36)

    assert [part.count("`") for part in code] == [2, 2]
    assert "".join(link).startswith("[text](https://x.example/aaa")
    assert len(bold) > 2


def test_a_span_that_begins_late_goes_to_the_next_part():
    """Even when no blank stands before it."""
    assert split("x" * 20 + "`some code here`" + "y" * 9, 32) == [
        "x" * 20,
        "`some code here`" + "y" * 9,
    ]


def test_marks_too_long_to_repeat_are_plain_text():
    """Nobody means a fence with a line of three hundred characters."""
    fence = split("```" + "a" * 50 + "\nx\n```", 40)
    ticks = split("`" * 30 + "x y" + "`" * 30, 40)

    assert "".join(fence).replace("\n", "") == "```" + "a" * 50 + "x```"
    assert "".join(ticks).count("`") == 60


def test_a_fence_without_an_end_goes_to_the_end():
    """A model that ran out of tokens."""
    parts = split("```\n" + "line of it\n" * 9, 40)

    assert all(part.startswith("```\n") for part in parts)
    assert all(part.endswith("\n```") for part in parts[:-1])


def test_blank_text_is_left_alone():
    assert split(" " * 50, 40) == [" " * 50]


def test_a_long_answer_is_split_in_no_time():
    """The event loop does it, so nobody else is served meanwhile."""
    text = "Some words, `code` and {{ braces }}. [x](y) **b** " * 3_000
    started = time.perf_counter()
    split(text, 160)
    split("`[**{{" * 10_000, 160)

    assert time.perf_counter() - started < 5
