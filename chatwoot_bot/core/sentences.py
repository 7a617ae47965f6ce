"""The full sentences of a text that was cut off. Pure."""

import re

# The end of a sentence, and what closes behind it. No space follows in Chinese.
END = re.compile(
    r"[.!?\u2026\u061f\u0964]{1,3}[\"'\u201d\u2019\u00bb)\]*_]{0,4}(?=\s|$)"
    r"|[\u3002\uff01\uff1f][\u201d\u300d\u300f\uff09]{0,2}"
)
# What may stand before a full stop that ends no sentence: a number, an abbreviation.
NO_END = re.compile(r"(?:\d|(?:^|[\s(])\w|\.\w{1,3})\Z")


def full_sentences(text: str) -> str:
    """Return *text* as far as its last full sentence; "" when it has none."""
    last = 0
    for found in END.finditer(text):
        before = text[max(0, found.start() - 8) : found.start()]
        if found[0] != "." or not NO_END.search(before):
            last = found.end()
    return text[:last].strip()
