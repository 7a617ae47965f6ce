"""Words and phrases in a contact's text: as whole words, in any case."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How one language asks for a person.

    In its phrases ``{a|b}`` stands for either.

    Attributes:
        keywords: ask wherever they stand.
        alone: ask where nothing else is said than what is `polite`.
        negations: up to `NEAR` words before a keyword, undo it. A ``^`` stands for
            the beginning of a clause, where some verbs ask a question.
        doubts: likewise, but in a question only.
        undone: up to `NEAR` words after it.
        others: have a keyword in them and mean something else.
    """

    keywords: tuple[str, ...]
    alone: tuple[str, ...] = ()
    polite: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


# Words between a keyword and what undoes it; of an unseparated language characters.
NEAR = 4
# Within a clause, and no further than this.
REACH = 80
# Of a long text its beginning and its end are read.
READ = 2_000
# A message with a word alone in it is no longer.
SHORT = 60
CLAUSE = re.compile(
    "[.,;:!?\u2026\u060c\u061b\u061f\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]"
)
QUESTION = "?\u061f\uff1f"
BRACES = re.compile(r"[{}]")
# Behind a keyword: a longer word, "human-readable", "the agent's licence".
COMPOUND = r"\w|['-]\w"
SAID = re.compile(r"[^\W_]")
WORD = re.compile(r"\w+")


class Wishes:
    """Find out whether a text asks for a person, in any of several languages.

    The patterns have no repetition, so the work grows with the text and no faster.
    """

    def __init__(self, wishes: Sequence[Wish]) -> None:
        self._wishes = [_Compiled(wish) for wish in wishes]
        phrases = [p for wish in wishes for p in (*wish.keywords, *wish.alone)]
        self._any = _either(phrases, COMPOUND)
        spelled = [each for phrase in phrases for each in _spelled(phrase)]
        self._first_words = {word[0] for each in spelled if (word := WORD.search(each))}

    def asks(self, text: str) -> bool:
        """Return whether *text* asks for a person, and means it."""
        if len(text) > 2 * READ:
            text = f"{text[:READ]}\n{text[-READ:]}"
        text = _plain(text)
        return self._may_ask(text) and any(wish.asks(text) for wish in self._wishes)

    def _may_ask(self, text: str) -> bool:
        """Tell in a few microseconds of most messages that they do not ask.

        A keyword between word boundaries can only be where its first word is; of an
        unseparated language there are no words to look for.
        """
        if self._first_words.isdisjoint(WORD.findall(text)):
            return bool(UNSEPARATED.search(text) and self._any.search(text))
        return bool(self._any.search(text))


class _Compiled:
    """The patterns of one language."""

    def __init__(self, wish: Wish) -> None:
        self._keywords = _either(wish.keywords, COMPOUND)
        self._alone = _either(wish.alone, COMPOUND)
        self._polite = _either(wish.polite)
        self._negations, self._undone = _either(wish.negations), _either(wish.undone)
        self._doubts, self._others = _either(wish.doubts), _either(wish.others)

    def asks(self, text: str) -> bool:
        if self._stands_alone(text):
            return True
        return any(
            self._is_meant(text, *m.span()) for m in self._keywords.finditer(text)
        )

    def _stands_alone(self, text: str) -> bool:
        if len(text) > SHORT or not self._alone.search(text):
            return False
        rest = self._polite.sub(" ", self._alone.sub(" ", text))
        return not SAID.search(rest)

    def _is_meant(self, text: str, start: int, end: int) -> bool:
        before = _last(CLAUSE.split(text[max(start - REACH, 0) : start])[-1])
        if self._negations.search(before):
            return False
        after = text[end : end + REACH]
        sign = CLAUSE.search(after)
        clause = after[: sign.start()] if sign else after
        if self._undone.search(_first(clause)):
            return False
        if sign and sign[0] in QUESTION and self._doubts.search(before):
            return False
        from_ = max(start - REACH, 0)
        around = self._others.finditer(text, from_, end + REACH)
        return not any(m.start() < end and start < m.end() for m in around)


def _last(clause: str) -> str:
    if UNSEPARATED.search(clause):
        return clause[-NEAR:]
    words = clause.split()
    return " ".join(["^", *words] if len(words) <= NEAR else words[-NEAR:])


def _first(text: str) -> str:
    if UNSEPARATED.search(text):
        return text[: 2 * NEAR]
    return " ".join(text.split()[:NEAR])


@lru_cache(maxsize=512)
def _either_of(phrases: tuple[str, ...], behind: str) -> re.Pattern[str]:
    plain = [_plain(phrase) for phrase in phrases]
    apart = [_alternatives(each) for each in plain if not UNSEPARATED.search(each)]
    found = [_alternatives(each) for each in plain if UNSEPARATED.search(each)]
    if apart:
        found.append(rf"(?<!\w)(?:{'|'.join(apart)})(?!{behind})")
    return re.compile("|".join(found) or r"(?!)")


def _either(phrases: Iterable[str], behind: str = r"\w") -> re.Pattern[str]:
    """Match any of *phrases*, the longest first.

    Args:
        behind: what makes another word of the last one.
    """
    return _either_of(tuple(sorted(phrases, key=len, reverse=True)), behind)


def _alternatives(phrase: str) -> str:
    """Return the pattern of a phrase with ``{a|b}`` in it."""
    parts = BRACES.split(phrase)
    for number, part in enumerate(parts):
        either = "|".join(map(re.escape, part.split("|")))
        parts[number] = f"(?:{either})" if number % 2 else re.escape(part)
    return "".join(parts)


def _spelled(phrase: str) -> list[str]:
    """Return every text that a phrase with ``{a|b}`` in it stands for."""
    parts = BRACES.split(_plain(phrase))
    choices = [part.split("|") if n % 2 else [part] for n, part in enumerate(parts)]
    return ["".join(each) for each in product(*choices)]


def _plain(text: str) -> str:
    """Fold *text* as `_folded` does, and what is typed in several ways."""
    if text.isascii():
        return _folded(text)
    return _folded(text.translate(TYPED)).replace("\u0307", "")


# Apostrophes; and Turkish has two letters i, in either case.
TYPED = str.maketrans("\u2019\u02bc\u0130\u0131", "''ii")
