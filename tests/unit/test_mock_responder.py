"""The answers of the demo: small talk, but honest and complete."""

import pytest
from factories import assignment, message

from chatwoot_bot.core.attachments import lines
from chatwoot_bot.core.conversation import Attachment, Sender
from chatwoot_bot.responders.mock import CLOSING, OFFER, MockResponder

pytestmark = pytest.mark.anyio

GREETED = message("Hello! I am Ada.", sender=Sender.BOT, owed=False)


async def answer(*texts, before=()):
    transcript = [*before, *map(message, texts)]
    return (await MockResponder("Ada").respond(assignment(transcript))).text


async def test_first_answer_greets_introduces_and_admits_what_it_is():
    """Nobody who tries the demo takes it for a model, or for a human."""
    text = await answer("Hi")

    assert text.startswith("Hello! I am Ada.")
    assert "demo" in CLOSING
    assert CLOSING in text
    assert OFFER in text


async def test_it_greets_once():
    """Who is greeted with every answer talks to a machine."""
    before = [message("Hi", owed=False), GREETED]

    text = await answer("what can you do?", before=before)

    assert "Hello" not in text
    assert "I am Ada" not in text
    assert "answer from your company's knowledge" in text


async def test_a_greeting_is_returned_later_too():
    """Somebody who comes back the next day says hello again."""
    text = await answer("hello?", before=[GREETED])

    assert text == "Hello again!"


async def test_all_owed_messages_are_answered_together():
    """Three hurried messages get one answer, to all three."""
    text = await answer("Hi!", "how are you?", "can you book a call?", "thanks")

    assert "I am fine" in text
    assert "arrange a call" in text
    assert "You are welcome" in text


async def test_answered_messages_are_not_answered_again():
    """Only what is owed counts."""
    answered = message("how are you?", owed=False)

    text = await answer("thank you", before=[answered, GREETED])

    assert text == "You are welcome!"


async def test_when_nothing_is_owed_the_last_message_counts():
    """As the fallback it may be asked about a message that is no longer marked."""
    before = [message("how are you?", owed=False), message("thanks", owed=False)]

    assert await answer(before=[*before, GREETED]) == "You are welcome!"


async def test_what_it_does_not_understand_it_has_at_least_read():
    """It says so, says how many, and offers a human."""
    one = await answer("Xyzzy", before=[GREETED])
    three = await answer("Xyzzy", "plugh", "42", before=[GREETED])

    assert one == f"I have read your message. {CLOSING} {OFFER}"
    assert three == f"I have read all 3 messages. {CLOSING} {OFFER}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My name is Tomas.", "Tomas"),
        ("hi, my name is O'Hara and I have a question", "O'Hara"),
        ("I am called Zoë", "Zoë"),
        ("my name is Łukasz", "Łukasz"),
    ],
)
async def test_it_uses_the_name_it_was_told(text, name):
    """A small thing that shows it reads the whole conversation."""
    later = await answer("hello", before=[message(text, owed=False), GREETED])

    assert await answer(text, before=[GREETED]) in {
        f"Nice to meet you, {name}.",
        f"Hello again, {name}!",
    }
    assert (await answer(text)).startswith(f"Hello, {name}! I am Ada.")
    assert later == f"Hello again, {name}!"


async def test_the_newest_name_counts():
    """Somebody corrects a typing error."""
    text = await answer("hi", before=[message("my name is Tmoas"), GREETED])

    assert "Tmoas" in text
    both = [message("my name is Tmoas"), message("my name is Tomas"), GREETED]
    assert await answer("hi", before=both) == "Hello again, Tomas!"


@pytest.mark.parametrize(
    "text",
    ["Can you call me tomorrow?", "my name is 42", "my name is {{contact.name}}"],
)
async def test_what_is_no_name_is_not_used_as_one(text):
    """ "Hello, tomorrow!" would be worse than no name; braces are Liquid's."""
    told = await answer(text)

    assert told.startswith("Hello! I am Ada.")
    assert "{" not in told


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        [None],
        [" "],
        ["?"],
        ["😀"],
        ["\ufffd"],
        ["x" * 100_000],
        ["a " * 50_000],
        ["{{ contact.name }} {% raw %}"],
        ["[image]"],
        ["Ωμέγα", "", None],
    ],
    ids=lambda texts: ascii(texts)[:20],
)
@pytest.mark.parametrize("before", [[], [GREETED]], ids=["first", "later"])
async def test_it_always_says_something(texts, before):
    """An empty answer would be posted as an empty message."""
    assert (await answer(*texts, before=before)).strip()


async def test_same_question_same_answer():
    """Tests and recorded demos depend on it."""
    texts = ["Hi", "my name is Ada", "where is my parcel?"]

    assert await answer(*texts) == await answer(*texts)


async def test_it_names_no_model_and_counts_no_tokens():
    """The turn record says who wrote the answer."""
    told = await MockResponder("Ada").respond(assignment([message("Hi")]))

    assert (told.model, told.usage) == (None, None)
    assert (MockResponder.name, MockResponder.model) == ("mock", None)


async def test_braces_in_the_bots_name_are_only_braces():
    """Names are the operator's business."""
    told = await MockResponder("{Ada}").respond(assignment([message("who are you?")]))

    assert "I am {Ada}, a bot." in told.text


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (["image"], "I have received a picture,"),
        (["audio"], "I have received a voice message,"),
        (["ig_story"], "I have received a post,"),
        (["image", "file", "image"], "I have received 2 pictures and a file,"),
        (
            ["location", "contact", "video"],
            "I have received a location, a contact and a video,",
        ),
    ],
)
async def test_pictures_and_voices_are_acknowledged(kinds, told):
    """Nobody who tries it with a photo thinks that it got lost."""
    attachments = tuple(Attachment(kind=kind, line=f"[{kind}]") for kind in kinds)
    sent = message(lines(attachments), attachments=attachments)

    text = (await MockResponder("Ada").respond(assignment([GREETED, sent]))).text

    assert text.startswith(told)
    assert "cannot look into it" in text
