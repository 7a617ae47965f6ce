"""Make the terms of a text: what both databases index, and what a query asks for.

Words are folded (case, width, marks of vowels), cut to their stem in their language,
and freed of what only says how something is asked. Scripts without spaces become pairs
of characters. A query does not guess its language: each of its words stands for its
stems in every language that is there to be found.
"""

import re
import threading
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Protocol

from ..core.ranking import Asked

# Snowball's names; a language that is not here keeps its words as they are.
STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "fi": "finnish",
    "fr": "french",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "tr": "turkish",
}
UNKNOWN = ""
MAX_WORD = 40
# Of a document; the rest says nothing new about its language.
LOOKED_AT = 4_000

HAN = r"\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HIRAGANA = r"\u3041-\u309f"
KATAKANA = r"\u30a0-\u30ff"
HANGUL = r"\uac00-\ud7af"
# Thai, Lao, Burmese, Khmer.
SOUTHEAST = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# Vowel signs, which are no letters to Python, belong to their word.
SIGNS = r"\u0300-\u036f\u0900-\u0dff"
RUN = re.compile(
    rf"(?P<han>[{HAN}]+)|(?P<kana>[{HIRAGANA}]+)"
    rf"|(?P<pairs>[{KATAKANA}]+|[{HANGUL}]+|[{SOUTHEAST}]+)"
    rf"|(?P<word>(?:(?![{HAN}{HIRAGANA}{KATAKANA}{HANGUL}{SOUTHEAST}])"
    rf"(?:[^\W_]|[{SIGNS}]))+)"
)
# Two of these together ask, and name nothing.
EMPTY = frozenset(
    "的了吗呢吧是在我你您他她们这那和与或也都就还要会能有没不很请怎么什哪个可如何"
)
HYPHENED = re.compile(r"(?<!\w)(?:[^\W_]+-)+[^\W_]+(?!\w)")
# Marks of short vowels, and what stretches a line in Arabic; soft and no-break marks.
SILENT = re.compile(r"[\u00ad\u0640\u064b-\u065f\u0670\u200b-\u200f\u2060]")
ADDRESS = re.compile(r"https?://\S++|\]\((?:[^)\]\s]|\](?!\())*+\)|<[^<>\s]++>")


def terms_of(text: str, language: str) -> list[str]:
    """Return the terms of a document's *text*, in order, with repetitions.

    Args:
        language: as `language_of` says; decides stems and what is left out.
    """
    stop = stopwords(language)
    return [
        stem(run, language) if kind == "word" else run
        for kind, run in _runs(ADDRESS.sub(" ", text))
        if run not in stop
    ]


def asked(query: str, languages: Collection[str]) -> Asked:
    """Return a question as it is looked for.

    Args:
        languages: of the documents that are searched.
    """
    runs = list(_runs(query))
    spoken = _spoken(runs, languages)
    if any(kind not in ("kana", "word") for kind, _ in runs):
        # Beside Han and katakana, what is in hiragana is mostly grammar.
        runs = [(kind, run) for kind, run in runs if kind != "kana"]
    stop = stopwords(spoken) if spoken else frozenset()
    words: dict[tuple[str, ...], None] = {}
    for kind, run in runs:
        if run in stop:
            continue
        if kind != "word":
            words[(run,)] = None
            continue
        stems = {
            stem(run, each): None for each in languages if run not in stopwords(each)
        }
        words[tuple(stems) if languages else (run,)] = None
    return Asked(tuple(filter(None, words)), spoken or UNKNOWN)


def language_of(text: str, hint: str | None = None) -> str:
    """Return the code of the language of *text*; `UNKNOWN` when nothing shows it.

    Args:
        hint: what somebody has said it is, such as ``pt_BR``.
    """
    said = (hint or "").lower().replace("_", "-").partition("-")[0]
    if said in STEMMERS or said in _stopwords():
        return said
    return _spoken(list(_runs(text[:LOOKED_AT])), list(_stopwords())) or UNKNOWN


def _spoken(runs: Sequence[tuple[str, str]], languages: Collection[str]) -> str | None:
    """Return the one of *languages* whose commonest words are there most often."""
    if "ja" in languages and any(kind == "kana" for kind, _ in runs):
        return "ja"
    found = Counter(
        language
        for _, run in runs
        for language in languages
        if run in stopwords(language)
    )
    (best, most), *others = [*found.most_common(2), ("", 0)]
    return best if most > max(count for _, count in [*others, ("", 0)]) else None


def stopwords(language: str) -> frozenset[str]:
    """Return what is no term in *language*, folded."""
    return _stopwords().get(language, frozenset())


@cache
def _stopwords() -> dict[str, frozenset[str]]:
    text = resources.files(__package__).joinpath("stopwords.toml").read_text("utf-8")
    return {
        language: frozenset(_folded(words).split())
        for language, words in tomllib.loads(text).items()
    }


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, folded) of words, and of pairs in scripts without spaces."""
    text = _folded(text)
    for found in RUN.finditer(text):
        kind, run = str(found.lastgroup), found[0]
        if kind == "word":
            # One Latin letter is what is left of an elision.
            if len(run) > 1 or run.isdigit():
                yield kind, run[:MAX_WORD]
            continue
        if kind == "han" or len(run) == 1:
            # Alone too: two words for the same often share one character.
            yield from ((kind, each) for each in run)
        pairs = (run[k : k + 2] for k in range(len(run) - 1))
        yield from ((kind, pair) for pair in pairs if not EMPTY.issuperset(pair))
    for found in HYPHENED.finditer(text):
        yield "word", found[0].replace("-", "")[:MAX_WORD]


def _folded(text: str) -> str:
    return SILENT.sub("", unicodedata.normalize("NFKC", text)).casefold()


@lru_cache(20_000)
def stem(word: str, language: str) -> str:
    """Return the stem of a folded *word*, without marks such as accents."""
    if language in STEMMERS and word.isalpha():
        with _STEMMING:
            word = _stemmer(STEMMERS[language]).stemWord(word) or word
    if word.isascii():
        return word
    # After the stem: the marks are part of what an ending is known by.
    parts = unicodedata.normalize("NFD", word)
    bare = "".join(part for part in parts if not "\u0300" <= part <= "\u036f")
    return unicodedata.normalize("NFC", bare)


# A stemmer keeps the word it works on, and the database's readers are threads.
_STEMMING = threading.Lock()


class Stemmer(Protocol):
    """What Snowball gives."""

    def stemWord(self, word: str) -> str:
        """Return the stem."""
        ...


@cache
def _stemmer(name: str) -> Stemmer:
    # Here, because a service that knows nothing needs none of it.
    import snowballstemmer  # type: ignore[import-untyped]

    return snowballstemmer.stemmer(name)  # type: ignore[no-any-return]
