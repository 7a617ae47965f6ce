"""What must not leave in an answer, whatever the model was talked into. Pure.

Two things are looked for in every answer, also while it is being written:

- *Large parts of the instructions*, word for word; also backwards, in ROT13, with
  other spaces and signs between the letters, in Base64, Base32 or hexadecimal, as
  percent signs, HTML entities or invisible tags. A sentence or two is no leak:
  operators write into a prompt what the bot is to say.
- *Internal lines*: a line of the prompt that begins with ``Internal:`` is not said even
  in part, and neither are the codes in it. The prompt's own mark counts as such a code.

What is compared is letters and digits alone, in lower case and in one width.

This is a best effort. Whoever has the model translate, spell out or encode its
instructions in a way of their own gets them, so no prompt should hold a secret. The
work is bounded: each character is read once, and what a word stands for once more.
"""

import base64
import binascii
import codecs
import html
import re
import string
import unicodedata
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import unquote

from .links import addresses_in, hosts_in

# What Base64, percent signs and entities are written with, besides letters and digits.
SPELLING = "+/_-=%&#;"
# Tags (U+E0000), which are not shown, mirror ASCII.
TAGS = range(0xE0020, 0xE007F)
# Letters are compared in groups of this many.
GRAM = 8
# Shorter runs of groups that the instructions have too are chance, or good manners.
RUN = 28
# The part of a text whose verbatim repetition is a leak, in letters: at least, the
# share, and at most. A quarter of a page may be an answer from the prompt.
LEAST, SHARE, MOST = 120, 0.4, 1_500
# Of an internal line, in letters.
INTERNAL_RUN = 16
INTERNAL = re.compile(r"^[^\w\n]*+internal\s*+:\s*+(.+)$", re.IGNORECASE | re.MULTILINE)
# In an internal line: what may be no word, such as ZEBRA-QUARTZ or k7-2041.
WORD = re.compile(r"[\w-]+")
CAPITALS = frozenset(string.ascii_uppercase)
SHORTEST_CODE = 5


@dataclass(frozen=True, slots=True)
class _Text:
    """A text to be kept.

    Attributes:
        run: letters in a row that count.
        enough: groups of letters in such runs that are a leak.
    """

    grams: frozenset[str]
    run: int
    enough: int


class Guardrail:
    """What one bot must not say.

    Args:
        parts: of the instructions; a large part of any of them is a leak.
        mark: see `prompt.mark_of`.
        addresses: the operator's own, besides those in *parts*.

    Attributes:
        hosts: of all these; pictures come from there.
        shown: all these, as `addresses_in` returns them.
    """

    def __init__(
        self, parts: Sequence[str], *, mark: str = "", addresses: Iterable[str] = ()
    ) -> None:
        own = (*addresses, *parts)
        self.hosts = frozenset(host for text in own for host in hosts_in(text))
        self.shown = frozenset(each for text in own for each in addresses_in(text))
        internal = [line for part in parts for line in INTERNAL.findall(part)]
        self._codes = _codes([*internal, mark])
        self._texts = [
            *(_text(part, INTERNAL_RUN, share=0) for part in internal),
            *(_text(part, RUN, share=SHARE) for part in parts),
        ]
        self._known: dict[str, list[_Text]] = defaultdict(list)
        for text in self._texts:
            for gram in text.grams:
                self._known[gram].append(text)

    def reads(self) -> "Reading":
        """Return somebody who reads an answer as it comes."""
        return Reading(self._known, self._codes)

    def withholds(self, answer: str, before: Sequence[str] = ()) -> bool:
        """Return whether *answer* must not be said.

        Args:
            before: what was said already; who asks for a page a day gets no book.
        """
        alone = self.reads()
        alone.hear(answer)
        alone.end()
        if alone.leaks or not alone.covered:
            return alone.leaks
        together = self.reads()
        for text in before:
            together.hear(f"{text}\n")
        known = together.covered
        together.hear(answer)
        return together.leaks and together.covered > known


class Reading:
    """An answer, read letter by letter.

    Attributes:
        leaks: it holds what must not be said.
    """

    def __init__(
        self,
        known: Mapping[str, Sequence[_Text]],
        codes: Collection[str],
        *,
        decodes: bool = True,
    ) -> None:
        self.leaks = False
        self._known = known
        self._codes = codes
        self._decodes = decodes
        self._length = max([GRAM, *map(len, codes)])
        # The last letters, and where they are in the answer.
        self._end = ""
        self._places: deque[int] = deque(maxlen=self._length)
        self._run: list[str] = []
        self._run_from = 0
        self._covered: dict[int, set[str]] = defaultdict(set)
        self._read = 0
        self._word: list[str] = []
        self._word_from = 0

    @property
    def covered(self) -> int:
        """How much of what must be kept has been said, in groups of letters."""
        return sum(len(grams) for grams in self._covered.values())

    @property
    def safe(self) -> int:
        """How many characters can be shown: what follows may begin a leak."""
        if self.leaks:
            return 0
        held = [self._read]
        if self._run:
            held.append(self._run_from)
        if len(self._word) >= GRAM:
            held.append(self._word_from)
        # The longest end of what was heard that a code begins with.
        for count in range(len(self._end), 0, -1):
            if any(code.startswith(self._end[-count:]) for code in self._codes):
                held.append(self._places[-count])
                break
        return min(held)

    def hear(self, piece: str) -> None:
        """Read the next piece."""
        for char in piece:
            for letter in _letters(char):
                self._take(letter)
            self._spell(char)
            self._read += 1

    def end(self) -> None:
        """Read what was unfinished."""
        self._decode()

    def _take(self, letter: str) -> None:
        self._places.append(self._read)
        self._end = (self._end + letter)[-self._length :]
        if any(self._end.endswith(code) for code in self._codes):
            self.leaks = True
        gram = self._end[-GRAM:]
        if gram not in self._known:
            self._run.clear()
            return
        if not self._run:
            self._run_from = self._places[-GRAM]
        self._run.append(gram)
        self._weigh(gram)

    def _weigh(self, gram: str) -> None:
        """Count the run that goes on with *gram*."""
        length = len(self._run) + GRAM - 1
        for text in self._known[gram]:
            if length < text.run:
                continue
            mine = self._covered[id(text)]
            mine |= text.grams.intersection(self._run[-text.run :])
            if len(mine) >= text.enough:
                self.leaks = True

    def _spell(self, char: str) -> None:
        """Gather what looks like an encoding of something else."""
        if char.isascii() and (char.isalnum() or char in SPELLING):
            if not self._word:
                self._word_from = self._read
            self._word.append(char)
        elif self._word and char not in "\r\n":
            self._decode()

    def _decode(self) -> None:
        word, self._word = "".join(self._word), []
        if not self._decodes or len(word) < GRAM or self.leaks:
            return
        for text in _decoded(word):
            inner = Reading(self._known, self._codes, decodes=False)
            inner.hear(text)
            if inner.leaks:
                self.leaks = True


def _text(part: str, run: int, *, share: float) -> _Text:
    """Return *part* as it is looked for.

    Args:
        share: of it that may not be said; 0 for none of it.
    """
    letters = "".join(_squashed(part))
    forms = letters, letters[::-1], codecs.encode(letters, "rot13")
    plain, *others = (
        {form[at : at + GRAM] for at in range(len(form) - GRAM + 1)} for form in forms
    )
    enough = min(max(LEAST, int(share * len(plain))), MOST) if share else 1
    return _Text(frozenset(plain.union(*others)), run, enough)


def _codes(lines: Sequence[str]) -> Collection[str]:
    """Return the codes of internal lines, in each form in which they could be said."""
    found = {"".join(_squashed(code)) for line in lines for code in _codes_in(line)}
    plain = [code for code in found if len(code) >= SHORTEST_CODE]
    rot13 = [codecs.encode(code, "rot13") for code in plain]
    return sorted({*plain, *rot13, *(code[::-1] for code in plain)})


def _codes_in(line: str) -> Iterator[str]:
    """Yield words with a digit, and words in capitals that are joined by signs."""
    for word in WORD.findall(line):
        if any(map(str.isdigit, word)):
            yield word
            continue
        parts = word.replace("_", "-").split("-")
        for in_capitals, run in groupby(parts, key=_is_in_capitals):
            joined = "-".join(run)
            if in_capitals and "-" in joined:
                yield joined


def _is_in_capitals(word: str) -> bool:
    return bool(word) and CAPITALS.issuperset(word)


def _squashed(text: str) -> Iterator[str]:
    for char in text:
        yield from _letters(char)


def _letters(char: str) -> Iterator[str]:
    """Yield what of *char* is compared; one of Chinese says as much as three."""
    if char.isascii():
        if char.isalnum():
            yield char.lower()
        return
    if ord(char) in TAGS:
        char = chr(ord(char) - 0xE0000)
    for each in unicodedata.normalize("NFKC", char).casefold():
        if each.isalnum():
            yield from each * (3 if each >= "\u2e80" else 1)


def _decoded(word: str) -> Iterator[str]:
    """Yield what *word* may stand for."""
    if "%" in word:
        yield unquote(word)
    if "&#" in word:
        yield html.unescape(word)
    plain = word.strip("&#;%").replace("-", "+").replace("_", "/").rstrip("=")
    for decode, text in (
        (base64.b64decode, plain + "=" * (-len(plain) % 4)),
        (base64.b32decode, plain + "=" * (-len(plain) % 8)),
        (binascii.unhexlify, plain[: len(plain) // 2 * 2]),
    ):
        try:
            yield decode(text).decode("utf-8", "ignore")
        except (binascii.Error, ValueError):
            continue
