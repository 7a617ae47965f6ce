"""The fixed texts that a contact reads, one file for each language.

A file in `translations/` holds the texts, the words that call a human, and the
commonest words of the language, by which it is known. A new language is a new file and
nothing else.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

# What is spoken when nobody can tell.
DEFAULT = "en"
# Characters of a group that are looked at, the last ones: what was said last.
LOOKED_AT = 2_000
# Chinese has no spaces: there each character counts as a word.
TOKEN = re.compile(r"[\u4e00-\u9fff]|\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The texts of one language.

    Attributes:
        code: ISO 639-1.
        words: the commonest ones, in lower case.
        handover: a colleague takes over.
        apology: the contact had to wait.
        out_of_hours: nobody is at work; holds ``{opening}``, a day and a time.
        nobody_online: it is working time, and yet nobody is there.
        no_model: the bot cannot look anything up right now.
        keywords: call a human, as whole words in any case.
        weekdays: from Monday on.
    """

    code: str
    words: frozenset[str]
    handover: str
    apology: str
    out_of_hours: str
    nobody_online: str
    no_model: str
    keywords: tuple[str, ...]
    weekdays: tuple[str, ...]


@cache
def languages() -> Mapping[str, Language]:
    """Return all languages by code."""
    files = resources.files(__package__).joinpath("translations").iterdir()
    read = [_read(file.name, file.read_text("utf-8")) for file in files]
    return {one.code: one for one in sorted(read, key=lambda one: one.code)}


def _read(name: str, text: str) -> Language:
    content = tomllib.loads(text)
    return Language(
        code=name.removesuffix(".toml"),
        words=frozenset(content.pop("words")),
        keywords=tuple(content.pop("keywords")),
        weekdays=tuple(content.pop("weekdays")),
        **content,
    )


def language_of(*groups: Sequence[str], among: Sequence[str] = ()) -> Language:
    """Return the language of the first of *groups* of texts that shows one.

    Args:
        groups: texts in their order; the last `LOOKED_AT` characters of each count.
        among: codes of the only ones in question, the first for when none shows
            itself; all when empty.
    """
    known = {code: languages()[code] for code in among or languages()}
    spoken = among[0] if among else DEFAULT
    for texts in groups:
        tokens = [
            token.casefold() for text in _last(texts) for token in TOKEN.findall(text)
        ]
        hits = Counter(
            {code: sum(t in known[code].words for t in tokens) for code in known}
        )
        (best, most), *others = hits.most_common(2)
        if most > max((count for _, count in others), default=0):
            return known[best]
    return known[spoken]


def _last(texts: Sequence[str]) -> Iterator[str]:
    """Yield the last `LOOKED_AT` characters of *texts*, the last text first."""
    room = LOOKED_AT
    for text in reversed(texts):
        if room == 0:
            return
        end = text[-room:]
        room -= len(end)
        yield end


def keywords() -> tuple[str, ...]:
    """Return the words that call a human, of every language."""
    return tuple(word for one in languages().values() for word in one.keywords)
