"""The fixed texts that a contact reads, one file for each language.

A file in `translations/` holds the texts, the words that ask for a human, and the
commonest words of the language, by which it is known. A new language is a new file and
nothing else.
"""

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources

from .core.phrases import Wish, Wishes

# The language when the contact's is unknown.
DEFAULT = "en"
# What is spoken, when it is none of ours.
OTHER = "other"
# Characters of a group that are looked at, the last ones: what was said last.
LOOKED_AT = 2_000
# Up to so many words, one that is known is enough; of more, this part has to be.
FEW = 4
SHARE = 0.2
# Of our own languages, a shorter word without its marks is one of many others.
BARE = 4
# Letters whose mark is a part of them.
UNMARKED = str.maketrans("\u0142\u0131\u0111\u00f8", "lido")
TOKEN = re.compile(r"[^\W_]+(?:[\u200c'’][^\W_]+)*")  # noqa: RUF001
ALPHABETS = {
    "latin": re.compile("[a-z\u00df-\u024f\u1e00-\u1eff]", re.IGNORECASE),
    "cyrillic": re.compile("[\u0400-\u052f]"),
    "arabic": re.compile("[\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f]"),
    "han": re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"),
}
KANA = re.compile("[\u3040-\u30ff]")
_ASCII = "abcdefghijklmnopqrstuvwxyz"
# The letters of each language; a word with another one is none of its words.
LETTERS = {
    code: frozenset(_ASCII + more)
    for code, more in {
        "de": "äöüßé",
        "en": "éèêëïöñç",
        "es": "áéíóúüñ",
        "fr": "àâæçéèêëîïôœùûüÿ",
        "it": "àèéìíîòóùú",
        "nl": "áéèëïíóöúüĳ",
        "pl": "ąćęłńóśźż",
        "pt": "áâãàçéêíóôõúü",
        "tr": "çğıöşüâîû",
    }.items()
} | {
    "ru": frozenset("абвгдеёжзийклмнопрстуфхцчшщъыьэюя"),
    "ar": frozenset("ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيـ"),
}
# The same characters in both ways of writing Chinese, in the same order.
TRADITIONAL = frozenset(
    "們這個來說時會對學過後還點經與將國問題開關愛買賣體為麼嗎請謝訂單貨裡沒見長門東車馬"
    "電話號處歡覺實讓幫幾換錢類費聯繫貼動應該無運總線網頁寫讀聽錯誤從備製變條項業務員"
)
SIMPLIFIED = frozenset(
    "们这个来说时会对学过后还点经与将国问题开关爱买卖体为么吗请谢订单货里没见长门东车马"
    "电话号处欢觉实让帮几换钱类费联系贴动应该无运总线网页写读听错误从备制变条项业务员"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The texts of one language.

    Attributes:
        code: ISO 639-1.
        words: the commonest ones, in lower case.
        handover: a colleague takes over.
        apology: the contact had to wait.
        out_of_hours: instead of `handover` outside business hours; one promise, with
            ``{opening}``, a day and a time.
        nobody_online: during business hours, but no agent is online.
        no_model: the bot cannot look anything up right now.
        wish: how contacts ask for a person.
        weekdays: from Monday on.
        traditional: the same texts in traditional characters; of Chinese only.
    """

    code: str
    words: frozenset[str]
    handover: str
    apology: str
    out_of_hours: str
    nobody_online: str
    no_model: str
    wish: Wish
    weekdays: tuple[str, ...]
    traditional: "Language | None" = None


@cache
def languages() -> Mapping[str, Language]:
    """Return all languages by code."""
    files = resources.files(__package__).joinpath("translations").iterdir()
    read = [_read(file.name, file.read_text("utf-8")) for file in files]
    return {one.code: one for one in sorted(read, key=lambda one: one.code)}


def _read(name: str, text: str) -> Language:
    content = tomllib.loads(text)
    traditional = content.pop("traditional", None)
    language = Language(
        code=name.removesuffix(".toml"),
        words=frozenset(content.pop("words")),
        wish=Wish(
            **{each.name: tuple(content.pop(each.name)) for each in fields(Wish)}
        ),
        weekdays=tuple(content.pop("weekdays")),
        **content,
    )
    if traditional is None:
        return language
    traditional["weekdays"] = tuple(traditional["weekdays"])
    return replace(language, traditional=replace(language, **traditional))


def language_of(*groups: Sequence[str], among: Sequence[str] = ()) -> Language:
    """Return the language of the first of *groups* of texts that shows one.

    One that has no texts here is never taken for its neighbour: a contact who writes
    Ukrainian reads the first of *among*, not Russian.

    Args:
        groups: texts in their order; the last `LOOKED_AT` characters of each count.
        among: codes of the only ones in question, the first for when none shows
            itself; all when empty.
    """
    ours = among or tuple(languages())
    default = languages()[among[0] if among else DEFAULT]
    for texts in groups:
        text = "\n".join(_last(texts))
        code = spoken(text, ours)
        if code == OTHER:
            return default
        if code is not None:
            language = languages()[code]
            traditional = language.traditional if _is_traditional(text) else None
            return traditional or language
    return default


def _last(texts: Sequence[str]) -> Iterator[str]:
    """Yield the last `LOOKED_AT` characters of *texts*, the last text first."""
    room = LOOKED_AT
    for text in reversed(texts):
        if room == 0:
            return
        end = text[-room:]
        room -= len(end)
        yield end


def spoken(text: str, among: Sequence[str]) -> str | None:
    """Return the code of the language of *text*, `OTHER`, or None when it is not clear.

    A language has to be ahead: of those in question by a word, of any other unless
    that has no word of its own in the text.
    """
    script = _script(text)
    if script is None:
        return None
    if script not in ALPHABETS:
        return OTHER
    tokens = [token for token in TOKEN.findall(_folded(text)) if not token.isdigit()]
    if script == "han":
        return "zh" if "zh" in among else OTHER
    evidence = {code: _hits(tokens, words) for code, words in _words().items()}
    odd = _own_letters(tokens, ALPHABETS[script])
    points = {
        code: len(hits)
        - sum(not letters <= LETTERS.get(code, letters) for letters in odd)
        for code, hits in evidence.items()
    }
    ranked = sorted(among, key=lambda code: points[code], reverse=True)
    best, *rest = ranked
    others = set(points) - set(among)
    if max((points[code] for code in others), default=0) > max(points[best], 0):
        return OTHER
    if rest and points[rest[0]] == points[best]:
        return None
    own = set(evidence[best])
    level = [code for code in others if points[code] == points[best]]
    is_weak = len(tokens) > FEW and points[best] < SHARE * len(tokens)
    if points[best] <= 0 or is_weak or any(set(evidence[c]) - own for c in level):
        return None
    return best


def _folded(text: str) -> str:
    # Turkish: Python folds this capital into two characters.
    return text.replace("İ", "i").casefold()


def _hits(tokens: Sequence[str], words: frozenset[str]) -> list[str]:
    return [token for token in tokens if token in words]


def _own_letters(
    tokens: Sequence[str], alphabet: re.Pattern[str]
) -> list[frozenset[str]]:
    """Return the letters of each word that has others than those of ASCII."""
    words = [token for token in tokens if not token.isascii()]
    return [frozenset(alphabet.findall(word)) for word in words]


def _script(text: str) -> str | None:
    """Return the script of most letters of *text*; "" for one that is none of ours."""
    counts = Counter({name: len(a.findall(text)) for name, a in ALPHABETS.items()})
    # A word in Chinese has two characters, in an alphabet five.
    counts["han"] *= 2
    letters = sum(character.isalpha() for character in text)
    known = counts.total() - counts["han"] // 2
    counts[""] = letters - known
    name, most = counts.most_common(1)[0]
    if not most:
        return None
    return "" if name == "han" and KANA.search(text) else name


def _is_traditional(text: str) -> bool:
    return sum(c in TRADITIONAL for c in text) > sum(c in SIMPLIFIED for c in text)


@cache
def _words() -> Mapping[str, frozenset[str]]:
    """Return the commonest words of our languages, and of those beside them."""
    folder = resources.files(__package__)
    stop = tomllib.loads(folder.joinpath("knowledge/stopwords.toml").read_text("utf-8"))
    words = tomllib.loads(folder.joinpath("neighbours.toml").read_text("utf-8"))
    found = {code: _also_bare(text.split()) for code, text in words.items()}
    for code, language in languages().items():
        own = language.words | frozenset(stop.get(code, "").split())
        found[code] = own | _also_bare([word for word in own if len(word) >= BARE])
    return found


def _also_bare(words: Sequence[str]) -> frozenset[str]:
    """Return *words*, and how they are typed on a keyboard without their marks."""
    bare = [unicodedata.normalize("NFD", word.translate(UNMARKED)) for word in words]
    return frozenset(words) | {
        "".join(c for c in word if not unicodedata.combining(c))
        for word in bare
        if word[:1] < "\u0250"
    }


@cache
def wishes() -> Wishes:
    """Return how contacts ask for a person, in every language."""
    return Wishes([language.wish for language in languages().values()])
