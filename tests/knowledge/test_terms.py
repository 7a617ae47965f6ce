"""What of a text is indexed, in any script, and what a question asks for."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from chatwoot_bot.knowledge.terms import asked, language_of, stem, terms_of


@pytest.mark.parametrize(
    ("text", "language", "terms"),
    [
        ("Returning parcels, returned parcel", "en", "return parcel return parcel"),
        ("Die Rechnungen für Größe", "de", "rechnung gross"),
        ("l'abonnement résilié", "fr", "abon resili"),
        ("e-mail", "en", "mail email"),
        ("\uff21\uff22\uff23 \uff11\uff12", "en", "abc 12"),
        ("返金", "ja", "返 金 返金"),
        ("パス", "ja", "パス"),
        ("see [here](https://x.example/path?q=1)", "en", "see here"),
        ("الكِتَاب", "ar", "كتاب"),
        ("what is this", "en", ""),
    ],
)
def test_terms_of_a_text(text, language, terms):
    assert " ".join(terms_of(text, language)) == terms


def test_thai_becomes_pairs_with_its_vowel_signs():
    assert terms_of("ครับ", "th") == ["คร", "รั", "ับ"]


def test_a_word_stands_for_its_stem_in_every_language_there():
    question = asked("rechnungen", ["de", "en"])

    assert question.words == (("rechnung", "rechnungen"),)


def test_many_threads_find_the_same_stems():
    """Several searches run at once, and a stemmer knows one word at a time."""
    words = [f"{'ab' * (number % 9)}{number:c}returnings" for number in range(97, 123)]
    one_by_one = [stem(word, "en") for word in words]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(20):
                stem.cache_clear()
                assert list(pool.map(partial(stem, language="en"), words)) == one_by_one
    finally:
        sys.setswitchinterval(usual)


def test_accents_that_are_left_out_are_no_other_word():
    with_them, without = asked("contraseña", ["es"]), asked("contrasena", ["es"])

    assert with_them.words == without.words


def test_words_that_only_ask_are_left_out():
    assert asked("Wie kann ich das machen?", ["de"]).words == (("mach",),)


@pytest.mark.parametrize(
    ("text", "hint", "language"),
    [
        ("How do I get my money back?", None, "en"),
        ("Wo ist meine Bestellung und wann kommt sie?", None, "de"),
        ("Où est ma commande ?", None, "fr"),
        ("返金はいつですか", None, "ja"),
        ("我的订单在哪里", None, "zh"),
        ("4711", None, ""),
        ("Texto", "pt_BR", "pt"),
        ("Wo ist es?", "klingon", "de"),
    ],
)
def test_language_of_a_text(text, hint, language):
    assert language_of(text, hint) == language
