"""The documents of the demo's shop: which of them answers what, and what none does."""

import pytest
from factories import assignment, message

from chatwoot_bot.core.hours import parse_hours
from chatwoot_bot.demo.search import search_shop
from chatwoot_bot.demo.shop import CALL_HOURS, pebblewick
from chatwoot_bot.demo.words import all_words
from chatwoot_bot.language import languages, wishes
from chatwoot_bot.tools.base import Result, Tool
from chatwoot_bot.tools.knowledge import Arguments

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("question", "title", "holds"),
    [
        ("When are you open on Saturday?", "Opening hours", "10:00 to 14:00"),
        ("How long does delivery take to Spain?", "Delivery", "4 to 6"),
        ("What does shipping cost?", "Delivery", "€4.90"),
        ("where is my parcel", "Delivery", "tracking link"),
        ("How do I send something back?", "Returns and refunds", "30 days"),
        ("i want a refund", "Returns and refunds", "5 working days"),
        ("cancel my order", "Returns and refunds", "until it is packed"),
        ("Can I pay with PayPal?", "Payment", "PayPal"),
        ("How long is the warranty?", "Warranty and repairs", "two years"),
        ("My jumper has a hole, can you repair it?", "Warranty and repairs", "€12"),
        ("Which size should I take?", "Sizes and care", "between two sizes"),
        ("which jumper do you recommend for winter?", "Sizes and care", "Skerry"),
        ("what's your phone number", "Contact", "+44 1632 960123"),
        ("Delivery times", "Delivery", "2 to 3 working days"),
        ("Returns", "Returns and refunds", "return label"),
    ],
)
def test_question_finds_its_document(question, title, holds):
    """A demo that cites the wrong document shows the opposite of what it is for."""
    best = pebblewick().find(question)[0]

    assert best.title == title
    assert holds.casefold() in best.text.casefold()


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "Tell me a joke",
        "Do you sell bicycles?",
        "How do I reset my password?",
        "Who won the world cup?",
        "Can you recommend a restaurant?",
        "What is 2 + 2?",
        "What is the fastest way to learn Japanese by phone?",
        "Xyzzy",
        "Wo ist mein Paket?",
        "",
    ],
)
def test_question_about_something_else_finds_nothing(question):
    """A passage about something else is worse than to say that there is none."""
    assert pebblewick().find(question) == []


def test_shop_has_seven_documents_that_read_well():
    """The other words for a heading are for the search, and no contact reads them."""
    shop = pebblewick()
    passages = [
        passage
        for document in shop.documents
        for chunk in document.chunks
        for passage in shop.find(chunk.heading)
    ]

    assert len(shop.documents) == 7
    assert {document.language for document in shop.documents} == {"en"}
    assert passages
    assert not any("Asked as" in passage.text for passage in passages)
    assert all(passage.text.endswith((".", "%")) for passage in passages)


def test_shop_takes_calls():
    """Its hours are read like those of the setting."""
    assert parse_hours(CALL_HOURS, "UTC").spans


def knowledge(*, holds):
    async def offered():
        return holds

    async def run(given, call):
        return Result(text="")

    return Tool(
        name="search_knowledge",
        description="",
        arguments=Arguments,
        run=run,
        offered=offered,
    )


@pytest.mark.parametrize("holds", [True, False])
async def test_own_documents_take_the_place_of_the_shop(holds):
    """An operator who tries their documents must not read an invented shop's."""
    asked = assignment([message()])
    tool = search_shop(knowledge(holds=holds))

    assert await tool.is_of_use(asked.conversation, 0.0) is not holds


def test_every_language_of_the_service_has_the_sentences():
    """A new translation fails here until the demo speaks it too."""
    assert all_words().keys() == languages().keys()


@pytest.mark.parametrize("code", sorted(all_words()))
def test_quick_reply_for_a_person_calls_one(code):
    """It is sent as the contact's own words, so they have to mean it."""
    words = all_words()[code]

    assert wishes().asks(words.person)
    assert words.hello.format(name="", bot="Ada").count("Ada") == 1
    assert bool(words.english) is (code != "en")
