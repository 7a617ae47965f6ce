"""What a reader sees as one character: grapheme clusters. Pure.

The rules of Unicode's UAX #29 that matter to a text which has to be cut: a cut never
tears an emoji sequence, a flag, a syllable, or a letter and its signs.
"""

import unicodedata
from itertools import takewhile

# No cluster that means anything is longer; what is may be torn.
LONGEST = 64
JOINER = "\u200d"
SKIN_TONES = range(0x1F3FB, 0x1F400)
FLAG_LETTERS = range(0x1F1E6, 0x1F200)
# They form subdivision flags, such as Scotland's.
TAGS = range(0xE0020, 0xE0080)
# Letters to Unicode, signs to whoever reads: Thai and Lao AM, halfwidth voice marks.
SIGNS = "\u200c\u0e33\u0eb3\uff9e\uff9f"
INDIC = range(0x0900, 0x0D80)
VIRAMA = 9  # its combining class
LEADING = (range(0x1100, 0x1160), range(0xA960, 0xA980))
FOLLOWING = (range(0x1160, 0x1200), range(0xD7B0, 0xD7FC))
SYLLABLES = range(0xAC00, 0xD7A4)


def is_boundary(text: str, at: int) -> bool:
    """Return whether *text* can be cut at *at* without tearing a cluster."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    return not (
        before == JOINER
        or _is_extension(after)
        or (before == "\r" and after == "\n")
        or _is_flag(text, at)
        or _is_conjunct(before, after)
        or _is_syllable(ord(before), ord(after))
    )


def cluster_start(text: str, at: int) -> int:
    """Return *at*, or where the cluster begins that it would tear.

    A cluster longer than `LONGEST`, or one that begins the text, is torn.
    """
    for start in range(at, max(at - LONGEST, 0), -1):
        if is_boundary(text, start):
            return start
    return at


def _is_extension(character: str) -> bool:
    """Return whether it belongs to the character before it."""
    code = ord(character)
    return (
        unicodedata.category(character) in ("Mn", "Me", "Mc")
        or character == JOINER
        or character in SIGNS
        or code in SKIN_TONES
        or code in TAGS
    )


def _is_flag(text: str, at: int) -> bool:
    """Return whether *at* is between the two letters of a flag."""
    if ord(text[at]) not in FLAG_LETTERS:
        return False
    # Of a longer row of them than any cluster, only the parity is of interest.
    run = takewhile(lambda c: ord(c) in FLAG_LETTERS, reversed(text[:at]))
    return sum(1 for _ in run) % 2 == 1


def _is_conjunct(before: str, after: str) -> bool:
    """Return whether a virama joins the letter after it to the one before."""
    return (
        ord(before) in INDIC
        and unicodedata.combining(before) == VIRAMA
        and unicodedata.category(after) == "Lo"
    )


def _is_syllable(before: int, after: int) -> bool:
    """Return whether two letters of Korean are of one syllable."""
    leads = any(before in block for block in LEADING)
    follows = any(after in block for block in FOLLOWING)
    begun = leads or before in SYLLABLES or any(before in b for b in FOLLOWING)
    other = after in SYLLABLES or any(after in block for block in LEADING)
    return (begun and follows) or (leads and other)
