"""What is left of an answer that was cut off."""

import pytest

from chatwoot_bot.core.sentences import full_sentences


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("", ""),
        ("You get it back, unless you", ""),
        ("It is free. You get it back, unless", "It is free."),
        ("It is free.", "It is free."),
        ("Is it? Yes! And", "Is it? Yes!"),
        ('He said "yes." And', 'He said "yes."'),
        ("It is **free.** And", "It is **free.**"),
        ("See (page two). And", "See (page two)."),
        ("Wait... And", "Wait..."),
        ("It is free.\n\n- One is", "It is free."),
        ("It is free. See https://a.example/x.html and", "It is free."),
        ("It is free. We close at 5 p.m. and", "It is free."),
        ("Es ist frei. Am 3. Mai kommt", "Es ist frei."),
        ("Es ist frei. Das ist z.B. bei", "Es ist frei."),
        ("It is free. 1. One 2. Tw", "It is free."),
        ("It costs 12.50 eur", ""),
        ("可以退货。如果您", "可以退货。"),
        ("可以吗\uff1f可以", "可以吗\uff1f"),
        ("هل هو مجاني؟ نعم", "هل هو مجاني؟"),
        ("यह मुफ़्त है। और", "यह मुफ़्त है।"),
    ],
)
def test_full_sentences_remain(text, full):
    assert full_sentences(text) == full
