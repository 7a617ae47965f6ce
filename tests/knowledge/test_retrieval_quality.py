"""Contacts' own words find the article that answers, with full text alone.

The articles of `tests/knowledge_articles` are all in one collection, in ten languages;
the questions avoid the articles' words where people have others.
"""

import tomllib

import pytest
from knowing import ARTICLES, take_in

from chatwoot_bot.knowledge.search import Knowledge

pytestmark = pytest.mark.anyio

QUESTIONS = tomllib.loads((ARTICLES / "questions.toml").read_text(encoding="utf-8"))
UNANSWERED = QUESTIONS.pop("none")["questions"]
ASKED = [
    (f"{language}/{article}.md", question)
    for language, articles in QUESTIONS.items()
    for article, questions in articles.items()
    for question in questions
]
GOOD = 0.94


def title_of(article):
    text = (ARTICLES / article).read_text(encoding="utf-8")
    return text.splitlines()[0].removeprefix("# ")


def test_the_set_is_as_large_as_it_claims():
    assert len({question for _, question in ASKED}) >= 100
    assert len(list(ARTICLES.rglob("*.md"))) >= 40
    assert {"en", "de", "fr", "es", "pt", "it", "ja", "zh", "ru", "ar"} <= set(
        QUESTIONS
    )


async def test_article_that_answers_is_among_the_first_five(db):
    await take_in(db, ARTICLES)
    knowledge = Knowledge(db, ("",))
    missed = []
    for article, question in ASKED:
        passages = await knowledge.search(question)
        if title_of(article) not in [passage.title for passage in passages]:
            missed.append((article, question))

    assert 1 - len(missed) / len(ASKED) >= GOOD, missed


async def test_no_language_is_left_behind(db):
    """A mean hides a language that does not work."""
    await take_in(db, ARTICLES)
    knowledge = Knowledge(db, ("",))
    found = dict.fromkeys(QUESTIONS, 0.0)
    for language, articles in QUESTIONS.items():
        asked = [(a, q) for a, questions in articles.items() for q in questions]
        for article, question in asked:
            passages = await knowledge.search(question)
            titles = [passage.title for passage in passages]
            found[language] += title_of(f"{language}/{article}.md") in titles
        found[language] /= len(asked)

    assert min(found.values()) >= 0.8, found


async def test_what_nobody_wrote_down_is_mostly_not_found(db):
    await take_in(db, ARTICLES)
    knowledge = Knowledge(db, ("",))
    silent = [
        question for question in UNANSWERED if not await knowledge.search(question)
    ]

    assert len(silent) / len(UNANSWERED) >= 0.8
