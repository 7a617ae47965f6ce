"""The answers of the demo: by rules, but honest, complete and with their source."""

import asyncio
import time

import pytest
from factories import NoRecorder, assignment, conversation, message

from chatwoot_bot.core.attachments import lines
from chatwoot_bot.core.conversation import Attachment, Sender
from chatwoot_bot.demo.search import search_shop
from chatwoot_bot.demo.words import all_words
from chatwoot_bot.responders.mock import PIECES, MockResponder
from chatwoot_bot.tools.base import Result, Source, Tool
from chatwoot_bot.tools.booking_forms import FreeTimes, NewCall, NoArguments
from chatwoot_bot.tools.conversation import ESCALATE
from chatwoot_bot.tools.knowledge import Arguments

pytestmark = pytest.mark.anyio

GREETED = message("Hello! I am Ada.", sender=Sender.BOT, owed=False)
ENGLISH = all_words()["en"]
NOTICE = "This is a demo"
INVITATION = "What would you like to know?"


def knowledge(text="", *, holds=False):
    """Stands for the search in an operator's documents."""

    async def offered():
        return holds

    async def run(given, call):
        return Result(text=text, sources=(Source(title="Bikes"),))

    return Tool(
        name="search_knowledge",
        description="",
        arguments=Arguments,
        run=run,
        offered=offered,
    )


SHOP = search_shop(knowledge())
FREE = """It is Fri 2 Jan 2026, 08:00 (Europe/Berlin) now.
Free are, among others:
2026-07-21T09:00+02:00: Tue 21 Jul 2026, 09:00-09:30 (Europe/Berlin)
2026-07-21T16:30+02:00: Tue 21 Jul 2026, 16:30-17:00 (Europe/Berlin)
2026-07-22T09:00+02:00: Wed 22 Jul 2026, 09:00-09:30 (Europe/Berlin)
2026-07-22T16:30+02:00: Wed 22 Jul 2026, 16:30-17:00 (Europe/Berlin)"""
BOOKED = "Booked: b_1, Tue 21 Jul 2026, 09:00-09:30 (Europe/Berlin)."


class Calendar:
    """Stands for the tools that book, and keeps what they were given."""

    def __init__(self, booked=BOOKED):
        self.booked = booked
        self.given = []

    @property
    def tools(self):
        async def free(given, call):
            return Result(text=FREE)

        async def book(given, call):
            self.given.append(given)
            return Result(text=self.booked)

        times, new = "find_free_times", "book_a_call"
        return (
            Tool(name=times, description="", arguments=FreeTimes, run=free),
            Tool(name=new, description="", arguments=NewCall, run=book),
        )


def asked(*texts, before=(), tools=(ESCALATE, SHOP), **about):
    transcript = [*before, *map(message, texts)]
    return assignment(transcript, tools=tools, recorder=NoRecorder(), **about)


async def respond(*texts, before=(), tools=(ESCALATE, SHOP)):
    return await MockResponder("Ada").respond(asked(*texts, before=before, tools=tools))


async def answer(*texts, before=(), tools=(ESCALATE, SHOP)):
    return (await respond(*texts, before=before, tools=tools)).text


async def talk(*texts, tools):
    """Say *texts* one after the other; return all answers."""
    transcript, answers = [], []
    for text in texts:
        told = await respond(text, before=transcript, tools=tools)
        answers.append(told.text)
        said = message(text, owed=False)
        transcript += [said, message(told.text, sender=Sender.BOT, owed=False)]
    return answers


def titles(told):
    return [option.title for option in told.options]


async def test_first_answer_greets_introduces_and_says_that_it_is_a_demo():
    """Nobody who tries it takes it for a model, or for a human."""
    told = await respond("Hi")

    assert told.text.startswith(f"Hello! I am Ada. {NOTICE}")
    assert "Pebblewick, a knitwear shop that does not exist" in told.text
    assert told.text.endswith(INVITATION)
    assert titles(told) == ["Delivery times", "Returns", "Talk to a person"]


async def test_it_says_once_that_it_is_a_demo():
    """With each answer it would be all that a visitor reads."""
    questions = ("Hi", "What does shipping cost?", "Xyzzy", "hello", "thanks")
    answers = await talk(*questions, tools=(ESCALATE, SHOP))

    assert [NOTICE in each for each in answers] == [True, False, False, False, False]


async def test_first_question_is_answered_at_once():
    """A visitor who begins with their question is not asked for it again."""
    text = await answer("Hello, what does shipping cost?")

    assert NOTICE in text
    assert "€4.90" in text
    assert text.endswith("Source: Delivery")
    assert INVITATION not in text


async def test_answer_rests_on_a_document_and_names_it():
    """The page and the turn's record show the source that the text names."""
    given = asked("What does shipping cost?", before=[GREETED])

    told = await MockResponder("Ada").respond(given)

    assert told.text.endswith("\n\nSource: Delivery")
    assert given.toolbox.sources == [Source(title="Delivery (delivery.md)")]
    assert [call["name"] for call in given.toolbox.calls] == ["search_shop"]


async def test_different_questions_have_different_answers():
    """One sentence for everything shows nothing."""
    questions = [
        "When are you open?",
        "How long is the warranty?",
        "Which size fits me?",
        "How can I pay?",
        "Xyzzy",
    ]

    answers = {await answer(each, before=[GREETED]) for each in questions}

    assert len(answers) == len(questions)


async def test_own_documents_are_quoted_with_their_link():
    """An operator sees what their contacts would be told, and nothing of the shop."""
    passage = (
        "1 passage found.\n\n<passage number=1>\nTitle: Bikes\nSection: Rent > Price\n"
        "Link: https://velo.example/rent\n\nA bike is €9 a day.\n</passage>\n\nAnswer."
    )
    tools = (ESCALATE, knowledge(passage, holds=True))

    text = await answer("What does a bike cost?", tools=tools)

    assert "Pebblewick" not in text
    assert "so I quote the documents that I was given" in text
    assert "A bike is €9 a day.\n\nSource: Bikes, https://velo.example/rent" in text


async def test_long_passage_is_quoted_to_a_full_sentence():
    """A contact reads a chat, not a manual."""
    long = "The bike is blue. " * 100
    passage = f"<passage number=1>\nTitle: Bikes\n\n{long}\n</passage>"
    tools = (ESCALATE, knowledge(passage, holds=True))

    text = await answer("What colour is the bike?", before=[GREETED], tools=tools)

    quoted, _, source = text.partition("\n\n")
    assert source == "Source: Bikes"
    assert 500 < len(quoted) <= 600
    assert quoted.endswith("blue.")


async def test_it_greets_once():
    """Who is greeted with every answer talks to a machine."""
    text = await answer("what can you do?", before=[message("Hi", owed=False), GREETED])

    assert "Hello" not in text
    assert "I am Ada" not in text
    assert "I answer questions from documents" in text


async def test_a_greeting_is_returned_later_too():
    """A visitor who comes back the next day says hello again."""
    assert await answer("hello?", before=[GREETED]) == "Hello again!"


async def test_all_owed_messages_are_answered_together():
    """Three hurried messages get one answer, to all three."""
    text = await answer("Hi!", "how are you?", "when are you open?", "thanks")

    assert "I am fine" in text
    assert "9:00 to 18:00" in text
    assert "You are welcome" in text
    assert text.count("Hello") == 1


async def test_answered_messages_are_not_answered_again():
    """Only what is owed counts."""
    answered = message("how are you?", owed=False)

    text = await answer("thank you", before=[answered, GREETED])

    assert text == "You are welcome!"


async def test_when_nothing_is_owed_the_last_message_counts():
    """It may be asked about a message that is no longer marked."""
    before = [message("how are you?", owed=False), message("thanks", owed=False)]

    assert await answer(before=[*before, GREETED]) == "You are welcome!"


async def test_it_says_that_it_has_found_nothing_and_offers_a_person():
    """An answer to another question would be a lie."""
    told = await respond("Do you sell bicycles?", before=[GREETED])

    assert told.text.startswith(ENGLISH.nothing)
    assert "Returns and refunds" in told.text
    assert told.text.endswith(ENGLISH.offer)
    assert titles(told)[-1] == "Talk to a person"


async def test_courtesy_is_not_looked_up():
    """Else the operator's list of unanswered questions is full of greetings."""
    given = asked("Hello", "thank you", before=[GREETED])

    await MockResponder("Ada").respond(given)

    assert given.toolbox.calls == []


async def test_complaint_goes_to_a_person():
    """With the reason for the agents, as a model gives it."""
    given = asked("This is unacceptable, my parcel is lost!", before=[GREETED])

    told = await MockResponder("Ada").respond(given)

    assert "unacceptable" in given.toolbox.handover
    assert told.handover == given.toolbox.handover


async def test_call_is_booked_from_the_wish_to_the_booking():
    """Time, name and address come one after the other, and nothing twice."""
    calendar = Calendar()
    wish, pick, who = await talk(
        "I would like to book a call.",
        "Tue 21 Jul, 09:00",
        "Ann Smith, ann@shop.example",
        tools=(ESCALATE, *calendar.tools),
    )

    assert "- Tue 21 Jul, 09:00\n- Wed 22 Jul, 16:30\n" in wish
    assert pick.startswith("Tue 21 Jul, 09:00 it is. What is your name")
    assert who.startswith("Your call is booked, Ann Smith: Tue 21 Jul 2026, 09:00")
    [given] = calendar.given
    assert (given.name, given.email_or_phone) == ("Ann Smith", "ann@shop.example")
    assert given.preferred_time == "2026-07-21T09:00"


async def test_times_are_quick_replies():
    """To choose one is a press, and a person comes last."""
    told = await respond(
        "book a call", before=[GREETED], tools=(ESCALATE, *Calendar().tools)
    )

    wanted = ["Tue 21 Jul, 09:00", "Wed 22 Jul, 16:30", "Talk to a person"]
    assert titles(told) == wanted


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ("the second one please", "2026-07-22T16:30"),
        ("16:30 would be fine", "2026-07-22T16:30"),
        ("tue 21 jul, 09:00!", "2026-07-21T09:00"),
        ("at 9:00", "2026-07-21T09:00"),
    ],
)
async def test_time_may_be_named_in_other_words(said, time):
    """Not every visitor presses the button."""
    calendar = Calendar()
    await talk(
        "Book a call, my name is Tom", said, "+44 1632 960555", tools=calendar.tools
    )

    [given] = calendar.given
    assert given.preferred_time == time
    assert (given.name, given.email_or_phone) == ("Tom", "+44 1632 960555")


async def test_time_that_is_taken_meanwhile_is_not_promised():
    """Another visitor was faster: the answer says so and offers what is left."""
    calendar = Calendar()

    async def taken(given, call):
        from chatwoot_bot.tools.base import ToolError

        raise ToolError(f"That time is not free.\n{FREE}")

    free, book = calendar.tools
    tools = (free, Tool(name=book.name, description="", arguments=NewCall, run=taken))
    *_, last = await talk(
        "Book a call", "the first", "Ann, ann@shop.example", tools=tools
    )

    assert last.startswith("Tue 21 Jul, 09:00 is not free any more.")
    assert "- Wed 22 Jul, 16:30" in last


async def test_question_in_between_does_not_end_the_booking():
    """A visitor asks about delivery, then chooses a time."""
    calendar = Calendar()
    tools = (ESCALATE, SHOP, *calendar.tools)
    _, between, *_ = await talk(
        "Book a call",
        "Before that: what does shipping cost?",
        "the first",
        "Ann, ann@shop.example",
        tools=tools,
    )

    assert "€4.90" in between
    assert len(calendar.given) == 1


async def test_booking_that_is_done_is_not_done_again():
    """Words of thanks are no second wish for a call."""
    calendar = Calendar()
    *_, thanks, returns = await talk(
        "Book a call",
        "the first",
        "Ann, ann@shop.example",
        "thanks!",
        "Returns",
        tools=(ESCALATE, SHOP, *calendar.tools),
    )

    assert thanks == "You are welcome!"
    assert "30 days" in returns
    assert len(calendar.given) == 1


async def test_known_name_is_not_asked_for():
    """Chatwoot and the web chat know who writes."""
    about = conversation(contact_name="Mia")
    before = [
        message("Book a call", owed=False),
        message("- Tue 21 Jul, 09:00", sender=Sender.BOT, owed=False),
    ]
    given = asked("the first", before=before, tools=Calendar().tools)
    object.__setattr__(given, "conversation", about)

    told = await MockResponder("Ada").respond(given)

    assert "your name" not in told.text
    assert "Where do we reach you" in told.text


async def test_link_for_calls_is_given():
    """Where contacts book themselves there is nothing to ask."""

    async def link(given, call):
        url = "https://cal.example/ada"
        return Result(text=f"Contacts choose a time for a call themselves: {url}")

    tool = Tool(name="book_a_call", description="", arguments=NoArguments, run=link)

    text = await answer("book a call", before=[GREETED], tools=(tool,))

    assert text == "Choose a time for your call here: https://cal.example/ada"


async def test_without_a_calendar_it_promises_no_call():
    """What cannot be done is said, with a person instead."""
    told = await respond("book a call", before=[GREETED])

    assert told.text == "Calls cannot be booked here, but a person can arrange one."
    assert titles(told) == ["Talk to a person"]


@pytest.mark.parametrize(
    ("text", "language", "holds"),
    [
        ("Guten Tag, wo ist mein Paket?", "de", "Die Dokumente der Demo sind"),
        ("Bonjour, où est mon colis ?", "fr", "Les documents de la démo sont"),
        ("¿Dónde está mi pedido, por favor?", "es", "Los documentos de la"),
    ],
)
async def test_it_speaks_the_contacts_language_around_its_documents(
    text, language, holds
):
    """It says that the documents are in English instead of failing in silence."""
    told = await respond(text)

    assert told.text.startswith(all_words()[language].hello.format(name="", bot="Ada"))
    assert holds in told.text
    assert all_words()[language].nothing in told.text
    assert titles(told)[-1] == all_words()[language].person


async def test_only_languages_of_the_bot_are_spoken():
    """The operator's list counts here as well."""
    bot = MockResponder("Ada", ["en"])

    told = await bot.respond(asked("Guten Tag, wo ist mein Paket?"))

    assert told.text.startswith("Hello! I am Ada.")


class Ear:
    """A listener that notes what it hears, and when."""

    def __init__(self):
        self.pieces, self.times = [], []

    def hear(self, piece):
        self.pieces.append(piece)
        self.times.append(time.monotonic())

    def forget(self):
        raise AssertionError("nothing is withdrawn")


async def test_answer_is_streamed_word_by_word():
    """What a visitor sees of a model, they see of the demo."""
    ear = Ear()

    told = await MockResponder("Ada", quiet_s=0.5).respond(asked("Hi"), ear)

    assert "".join(ear.pieces) == told.text
    assert 10 < len(ear.pieces) <= PIECES
    assert ear.times[-1] - ear.times[0] >= 0.01 * (len(ear.pieces) - 2)


async def test_without_a_listener_there_is_no_pause(monkeypatch):
    """Chatwoot gets whole messages; to hold them back would only be slow."""

    async def sleep(_):
        raise AssertionError("it waits for a listener that is not there")

    monkeypatch.setattr(asyncio, "sleep", sleep)

    assert (await MockResponder("Ada", quiet_s=60).respond(asked("Hi"))).text


async def test_long_answer_is_not_streamed_for_longer():
    """It takes the quiet period at most, so that tests with a short one are fast."""
    passage = f"<passage number=1>\nTitle: Bikes\n\n{'a b c. ' * 80}\n</passage>"
    ear = Ear()
    given = asked("bikes?", tools=(ESCALATE, knowledge(passage, holds=True)))

    await MockResponder("Ada").respond(given, ear)

    assert len(ear.pieces) <= PIECES


async def test_summary_names_the_questions_and_the_documents():
    """The agent who takes over need not read the conversation."""
    transcript = [
        message("What does shipping cost?", owed=False),
        message("€4.90.\n\nSource: Delivery", sender=Sender.BOT, owed=False),
        message("I want to talk to a human"),
    ]

    told = await MockResponder("Ada").summarize(transcript)

    assert told.text == (
        "The contact wrote: “What does shipping cost?”; “I want to talk to a human”. "
        "The bot answered from these documents: Delivery."
    )


async def test_summary_mentions_nobody_whatever_the_contact_writes():
    """Chatwoot would notify people, and agents' browsers would load pictures."""
    nasty = "[me](mention://user/1/Me) ![](https://bad.example/x.png)"

    told = await MockResponder("Ada").summarize([message(nasty)])

    assert "mention://" not in told.text
    assert "![" not in told.text


async def test_only_agents_get_a_summary():
    """For its own memory the mock needs none, and an empty one is none."""
    assert await MockResponder("Ada").summarize([message()], so_far="") is None
    assert await MockResponder("Ada").summarize([GREETED]) is None


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
    told = await respond("Hi")

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


async def test_wish_for_a_person_is_heard_whatever_the_operators_keywords_are():
    """The quick reply's words need not be among them, and its promise counts."""
    given = asked("Talk to a person", before=[GREETED])

    await MockResponder("Ada").respond(given)

    assert "Talk to a person" in given.toolbox.handover
