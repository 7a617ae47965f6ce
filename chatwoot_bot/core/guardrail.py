"""What must not leave in an answer, whatever the model was talked into. Pure.

Three things are looked for in every answer, also while it is being written:

- *Large parts of the instructions*, word for word; also backwards, in ROT13, with
  other spaces and signs between the letters, in Base64 or hexadecimal. A sentence or
  two is no leak: operators write into a prompt what the bot is to say.
- *Internal lines*: a line of the prompt that begins with ``Internal:`` is not said even
  in part, and neither are the codes in it. The prompt's own mark counts as such a code.
- *Ways out*: pictures, which a browser fetches by itself, and links with something in
  them that nobody has said before. They could carry what was said here to a stranger.
  They are not a reason to withhold an answer: only the host's name is left of them.

What is compared is letters and digits alone, in lower case and in one width.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Letters are compared in groups of this many.
GRAM = 8
# Shorter runs of groups that the instructions have too are chance, or good manners.
RUN = 28
# The part of a text whose verbatim repetition is a leak, in letters: at least, the
# share, and at most. A quarter of a page may be an answer from the prompt.
LEAST, SHARE, MOST = 120, 0.4, 1_500
# Of an internal line, in letters.
INTERNAL_RUN = 16
INTERNAL = re.compile(r"^\W*internal\s*:\s*(.+)$", re.IGNORECASE | re.MULTILINE)
# In an internal line: what is no word, such as ZEBRA-QUARTZ or k7-2041.
CODE = re.compile(r"[\w-]*\d[\w-]*|\b[A-Z]+(?:[_-][A-Z]+)+\b")
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
        hosts: those that pictures and links may lead to.
    """

    def __init__(
        self, parts: Sequence[str], *, mark: str = "", hosts: Iterable[str] = ()
    ) -> None:
        own = [found for part in parts for found in hosts_in(part)]
        self.hosts = frozenset(host.lower() for host in (*hosts, *own))
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
        #: So many letters at the end of an unfinished answer may begin a leak.
        self.tail = max([GRAM, *map(len, self._codes)]) - 1

    def reads(self) -> "Reading":
        """Return somebody who reads an answer as it comes."""
        return Reading(self._known, self._codes, self.tail)

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
        known: dict[str, list[_Text]],
        codes: Sequence[str],
        tail: int,
        *,
        decodes: bool = True,
    ) -> None:
        self.leaks = False
        self._known = known
        self._codes = codes
        self._decodes = decodes
        self._length = tail
        self._end = ""
        # Of the last letters: where they are in the answer.
        self._places: deque[int] = deque(maxlen=tail + 1)
        self._run: list[str] = []
        self._run_from = 0
        self._covered: dict[int, set[str]] = defaultdict(set)
        self._read = 0
        self._word = ""
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
        held = [self._places[0] if self._places else 0]
        if self._run:
            held.append(self._run_from)
        if len(self._word) >= GRAM:
            held.append(self._word_from)
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
        self._end = (self._end + letter)[-max(self._length + 1, GRAM) :]
        if any(self._end.endswith(code) for code in self._codes):
            self.leaks = True
        gram = self._end[-GRAM:]
        if gram not in self._known:
            self._run.clear()
            return
        if not self._run:
            self._run_from = self._places[max(len(self._places) - GRAM, 0)]
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
        if char.isascii() and (char.isalnum() or char in "+/_-="):
            if not self._word:
                self._word_from = self._read
            self._word += char
        elif self._word and char not in "\r\n":
            self._decode()

    def _decode(self) -> None:
        word, self._word = self._word, ""
        if not self._decodes or len(word) < GRAM or self.leaks:
            return
        for text in _decoded(word):
            inner = Reading(self._known, self._codes, self._length, decodes=False)
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


def _codes(lines: Sequence[str]) -> list[str]:
    """Return the codes of internal lines, in each form in which they could be said."""
    found = {"".join(_squashed(code)) for line in lines for code in CODE.findall(line)}
    plain = [code for code in found if len(code) >= SHORTEST_CODE]
    rot13 = [codecs.encode(code, "rot13") for code in plain]
    return sorted({*plain, *rot13, *(code[::-1] for code in plain)})


def _squashed(text: str) -> Iterator[str]:
    for char in text:
        yield from _letters(char)


def _letters(char: str) -> Iterator[str]:
    """Yield what of *char* is compared; one of Chinese says as much as three."""
    if char.isascii():
        if char.isalnum():
            yield char.lower()
        return
    for each in unicodedata.normalize("NFKC", char).casefold():
        if each.isalnum():
            yield from each * (3 if each >= "\u2e80" else 1)


def _decoded(word: str) -> Iterator[str]:
    """Yield what *word* may stand for."""
    plain = word.replace("-", "+").replace("_", "/").rstrip("=")
    for decode, text in (
        (base64.b64decode, plain + "=" * (-len(plain) % 4)),
        (binascii.unhexlify, plain[: len(plain) // 2 * 2]),
    ):
        try:
            yield decode(text).decode("utf-8", "ignore")
        except (binascii.Error, ValueError):
            continue


# Ways out.
IMAGE = re.compile(r"!\[([^\]\n]*)\]\(\s*<?([^\s)>]*)>?[^)\n]*\)")
LINK = re.compile(r"\[([^\]\n]*)\]\(\s*<?([^\s)>]*)>?[^)\n]*\)")
ADDRESS = re.compile(
    r"(?:https?:)?//[^\s<>()\[\]\"'`]+|"
    r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[^\s<>()\[\]\"'`?]*)?\?[^\s<>()\[\]\"'`]+",
    re.IGNORECASE,
)
HOST = re.compile(r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b", re.IGNORECASE)
END = ".,:;!?…*_~"
# Where a picture, a link or an address that is not finished yet may begin.
UNFINISHED = re.compile(
    r"(?:!?\[[^\]\n]*(?:\](?:\([^)\n]*)?)?|!|<[^>\n]*|[^\s<>()\[\]\"'`]+)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Where an answer may lead to.

    Attributes:
        hosts: of pictures and of links; their subdomains too.
        seen: what the model was shown; an address in it can carry nothing more away.
    """

    hosts: frozenset[str] = frozenset()
    seen: Sequence[str] = field(default=())

    def defused(self, text: str) -> str:
        """Return *text* without the pictures and links that lead elsewhere."""
        text = IMAGE.sub(self._image, text)
        text = LINK.sub(self._link, text)
        return ADDRESS.sub(self._address, text)

    def _image(self, match: re.Match[str]) -> str:
        name, address = match.groups()
        return match[0] if self._is_trusted(address) else name

    def _link(self, match: re.Match[str]) -> str:
        name, address = match.groups()
        if self._leads_nowhere_new(address):
            return match[0]
        host = host_of(address)
        # The name may be an address itself, which the next step looks at.
        return f"{name} ({host})" if "." in host and host not in name else name

    def _address(self, match: re.Match[str]) -> str:
        address = match[0].rstrip(END)
        if self._leads_nowhere_new(address):
            return match[0]
        return f"{host_of(address)}{match[0][len(address) :]}"

    def _leads_nowhere_new(self, address: str) -> bool:
        if address.startswith(("mailto:", "tel:")):
            return "?" not in address
        return self._is_trusted(address) or any(_holds(t, address) for t in self.seen)

    def _is_trusted(self, address: str) -> bool:
        if not address.startswith(("https://", "http://", "//")) and ":" in address:
            return False
        host = host_of(address)
        return any(host == each or host.endswith(f".{each}") for each in self.hosts)


def _holds(text: str, address: str) -> bool:
    """Return whether *address* stands in *text*, and does not only begin there."""
    pattern = rf"{re.escape(address)}(?![\w/?&=#%+-])"
    return address in text and re.search(pattern, text) is not None


def host_of(address: str) -> str:
    """Return the host that a browser would ask, in lower case; "" for none."""
    # Browsers take a backslash for a slash.
    text = address.replace("\\", "/")
    if "//" not in text:
        text = f"//{text}"
    try:
        return (urlsplit(text).hostname or "").lower()
    except ValueError:
        return ""


def hosts_in(text: str) -> set[str]:
    """Return the hosts that a text names."""
    named = {host_of(found) for found in ADDRESS.findall(text)} - {""}
    return named | {host.lower() for host in HOST.findall(text)}


def finished(text: str) -> int:
    """Return how many characters of an answer hold no unfinished way out."""
    found = UNFINISHED.search(text)
    return found.start() if found else len(text)
