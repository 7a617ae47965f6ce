# ruff: noqa: RUF001 - other languages, other letters
"""The texts a contact reads: complete in every language, and in the right one."""

import pytest

from chatwoot_bot.language import keywords, language_of, languages

TEXTS = {
    "en": "Hello, where is my order? I have been waiting for it.",
    "de": "Guten Tag, wo ist meine Bestellung? Ich habe sie bezahlt.",
    "fr": "Bonjour, où est ma commande ? Merci de me répondre.",
    "es": "Hola, ¿dónde está mi pedido? Gracias por su ayuda.",
    "pt": "Olá, onde está o meu pedido? Ele não chegou.",
    "it": "Ciao, dove è il mio ordine? Grazie per la risposta.",
    "nl": "Hallo, waar is mijn bestelling? Ik heb het nog niet.",
    "pl": "Dzień dobry, gdzie jest moje zamówienie?",
    "tr": "Merhaba, siparişim nerede? Bir bilgi var mı?",
    "ru": "Здравствуйте, где мой заказ? Спасибо.",
    "ar": "مرحبا، أين طلبي؟ شكرا",
    "zh": "你好，我的订单在哪里？谢谢",
}


def test_every_language_has_a_text_to_be_known_by():
    assert set(TEXTS) == set(languages())


@pytest.mark.parametrize(("code", "text"), TEXTS.items())
def test_language_is_known_by_its_commonest_words(code, text):
    assert language_of([text]).code == code


@pytest.mark.parametrize(
    ("contact", "bot", "code"),
    [
        ("ok", "Ich habe die Bestellung gefunden.", "de"),
        ("Wo ist meine Bestellung?", "Où est la commande ?", "de"),
        ("#4711", "", "en"),
    ],
)
def test_where_the_contacts_words_do_not_tell_the_next_ones_do(contact, bot, code):
    assert language_of([contact], [bot]).code == code


@pytest.mark.parametrize("language", languages().values(), ids=languages())
def test_language_is_complete(language):
    """A text that is missing would show up at the worst moment."""
    assert language.handover and language.apology and language.nobody_online
    assert language.no_model
    assert "{opening}" in language.out_of_hours
    assert len(language.weekdays) == 7
    assert len(language.words) >= 15
    assert all(word == word.casefold() for word in language.words)
    assert len(language.keywords) >= 3


def test_keywords_of_every_language_call_a_human():
    assert {"human", "живой человек", "转人工"} <= set(keywords())
