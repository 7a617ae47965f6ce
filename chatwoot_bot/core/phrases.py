"""Words and phrases in a contact's text: as whole words, in any case."""

import re
from functools import lru_cache

# Characters of a text that are looked at, the first ones: more than a visitor may
# write at once, and most of any mail.
LOOKED_AT = 20_000
# Chinese and Japanese write words unseparated.
UNSEPARATED = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


def holds_any(text: str, phrases: tuple[str, ...]) -> bool:
    """Return whether *text* holds one of *phrases* in its first `LOOKED_AT` characters.

    Args:
        phrases: a ``*`` at the end stands for any end of the word, as in ``refund*``.
    """
    pattern = _any_of(phrases)
    return pattern is not None and pattern.search(_folded(text[:LOOKED_AT])) is not None


@lru_cache
def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
    """Match any phrase as whole words; unseparated ones anywhere.

    The phrases stand in one group behind one look at the word's beginning, and at
    the letters they begin with: with a look of their own each, most of a turn's
    decision would be spent here.
    """
    folded = sorted({phrase for phrase in map(_folded, phrases) if phrase.strip("*")})
    begins = "".join(map(re.escape, sorted({phrase[:1] for phrase in folded})))
    whole = [_word(phrase) for phrase in folded if not UNSEPARATED.search(phrase)]
    anywhere = [re.escape(phrase) for phrase in folded if UNSEPARATED.search(phrase)]
    if whole:
        anywhere.append(rf"(?<!\w)(?:{'|'.join(whole)})(?!\w)")
    return re.compile(f"(?=[{begins}])(?:{'|'.join(anywhere)})") if anywhere else None


def _word(phrase: str) -> str:
    # Only at the end: in the middle, a long text could take it for minutes.
    begin = phrase.removesuffix("*")
    return re.escape(phrase) if begin == phrase else rf"{re.escape(begin)}\w*+"


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
