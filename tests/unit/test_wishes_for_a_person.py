# ruff: noqa: RUF001 - other languages, other letters
"""Who asks for a person, and who only uses such a word: in all twelve languages."""

import time
import tomllib
from pathlib import Path

import pytest

from chatwoot_bot.core.decision import Policy, asks_for_human
from chatwoot_bot.core.phrases import Wish, Wishes
from chatwoot_bot.language import languages, wishes

TABLE = tomllib.loads((Path(__file__).parent / "keywords.toml").read_text("utf-8"))
KEYWORDS = [
    (code, keyword, row)
    for code, rows in TABLE.items()
    for keyword, row in zip(languages()[code].wish.keywords, rows, strict=True)
]
SENTENCES = {
    "calls": [
        (code, keyword, s) for code, keyword, row in KEYWORDS for s in row["calls"]
    ],
    "leaves": [
        (code, keyword, s) for code, keyword, row in KEYWORDS for s in row["leaves"]
    ],
}
WRITTEN = tomllib.loads((Path(__file__).parent / "sentences.toml").read_text("utf-8"))
ALONE = [(code, word) for code in languages() for word in languages()[code].wish.alone]
DEFAULT = Policy(wishes=wishes())
# A sentence around a word, in which it asks for nobody.
AROUND = {
    "ar": "رأيت كلمة {} في العقد، ماذا تعني هنا؟",
    "de": "Im Vertrag steht das Wort {} gleich zweimal, warum?",
    "en": "The word {} is printed on my invoice, what does that mean?",
    "es": "En la factura aparece la palabra {}, ¿qué significa?",
    "fr": "Le mot {} figure sur ma facture, que signifie-t-il ?",
    "it": "Sulla fattura c'è scritto {}, che cosa significa?",
    "nl": "Op mijn factuur staat het woord {}, wat betekent dat?",
    "pl": "Na fakturze jest słowo {}, co ono znaczy?",
    "pt": "Na fatura aparece a palavra {}, o que significa?",
    "ru": "В договоре написано слово {}, что оно значит?",
    "tr": "Faturada {} kelimesi yazıyor, bu ne demek?",
    "zh": "发票上写着{}这个词是什么意思？",
}


def test_every_keyword_has_its_sentences():
    assert set(TABLE) == set(languages())
    for _, _, row in KEYWORDS:
        assert len(row["calls"]) == len(row["leaves"]) == 3


@pytest.mark.parametrize(("code", "keyword", "sentence"), SENTENCES["calls"])
def test_keyword_calls_a_person(code, keyword, sentence):
    """By this very keyword, not by another one."""
    alone = Wishes([Wish(keywords=(keyword,))])

    assert asks_for_human(sentence, DEFAULT), code
    assert alone.asks(sentence), code


@pytest.mark.parametrize(("code", "keyword", "sentence"), SENTENCES["leaves"])
def test_keyword_that_means_something_else_calls_nobody(code, keyword, sentence):
    assert not asks_for_human(sentence, DEFAULT), (code, keyword)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (kind == "calls", sentence)
        for kinds in WRITTEN.values()
        for kind in ("calls", "leaves")
        for sentence in kinds[kind]
    ],
)
def test_sentence_of_a_contact_is_understood(wanted, sentence):
    """Negation, doubt, compounds, customers of the contact's own, what was before."""
    assert asks_for_human(sentence, DEFAULT) is wanted


def test_sentences_are_in_every_language():
    assert set(WRITTEN) == set(languages())


@pytest.mark.parametrize(("code", "word"), ALONE)
def test_word_calls_a_person_where_it_is_all_that_is_said(code, word):
    polite = languages()[code].wish.polite[0]

    for said in (word, f"{word.upper()}!", f"{polite} {word}"):
        assert asks_for_human(said, DEFAULT)


@pytest.mark.parametrize(("code", "word"), ALONE)
def test_word_within_a_sentence_calls_nobody(code, word):
    said = AROUND[code].format(word)

    assert not asks_for_human(said, DEFAULT)
    assert not asks_for_human(f"{said} {said}", DEFAULT)


@pytest.mark.parametrize(
    "said",
    [
        "human",
        "A human, please!",
        "I want to talk to a\nhuman about my order",
        "Hi, please get me a human",
        "Why can’t I talk to a human?",
        "This does not work. Connect me to an agent.",
        "x" * 9_000 + " I want to talk to a human",
        "I want to talk to a human. " + "x " * 9_000,
        "İnsan",
        "CANLI DESTEK ISTIYORUM",
    ],
)
def test_who_means_it_gets_a_person(said):
    assert asks_for_human(said, DEFAULT)


@pytest.mark.parametrize(
    "said",
    [
        "Is this wig made of human hair?",
        "Who works in human resources?",
        "No, I do not need a human, just tell me the price.",
        "live agent not installed",
        "hablar con alguien en español",
        "你们的产品支持人工智能吗？",
        "人工费怎么算？",
        "Помогите разобраться с оператором связи: интернет не работает",
        "no human",
        "humanity",
        "Are you a human or a bot?",
        "",
    ],
)
def test_who_does_not_mean_it_gets_an_answer(said):
    assert not asks_for_human(said, DEFAULT)


def test_operators_own_keywords_count_wherever_they_stand():
    """In any case, as whole words; the built-in ones are off then."""
    policy = Policy(handover_keywords=("human",))

    assert asks_for_human("I do not need a HUMAN", policy)
    assert not asks_for_human("humanity", policy)
    assert not asks_for_human("talk to an agent", policy)


def test_long_text_takes_no_longer_than_a_short_one():
    """A contact may paste a book."""
    hostile = [
        "talk to " * 200_000,
        "转" * 900_000,
        "human human " * 90_000,
        "i'" * 400_000,
    ]

    def seconds(text):
        begun = time.perf_counter()
        asks_for_human(text, DEFAULT)
        return time.perf_counter() - begun

    assert max(min(seconds(text) for _ in range(3)) for text in hostile) < 0.5
