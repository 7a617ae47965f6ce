"""What is told while it happens: pieces of an answer, and who else hears of it."""

import asyncio

import pytest

from chatwoot_bot.hub import CHUNK_CHARS, Hub, Speech

pytestmark = pytest.mark.anyio


class Heard:
    """Keeps what it is told."""

    def __init__(self):
        self.events = []

    def changed(self, conversation_id):
        self.events.append(("changed", conversation_id))

    def passed(self, passing, *, here):
        self.events.append((passing.event, passing.body.get("text")))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def speech(heard):
    hub = Hub()
    hub.attach(heard)
    return Speech(hub, "c_1", "t_1")


async def quiet():
    """Let what is due be told."""
    await asyncio.sleep(0.05)


async def test_first_words_are_told_at_once_and_the_rest_in_pieces(speech, heard):
    """A model sends forty words a second; nobody reads them one by one."""
    speech.hear("Hello")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    speech.hear(" there,")
    speech.hear(" Ann")
    await quiet()

    assert heard.events == [("REPLY_CHUNK", "Hello"), ("REPLY_CHUNK", " there, Ann")]
    assert speech.text == "Hello there, Ann"


async def test_what_was_told_is_withdrawn(speech, heard):
    speech.hear("Hello")
    await quiet()
    speech.forget()
    speech.forget()

    assert heard.events[1:] == [("REPLY_DROPPED", None)]
    assert speech.text == ""


async def test_nothing_told_is_nothing_withdrawn(speech, heard):
    speech.hear("Hello")
    speech.forget()
    await quiet()

    assert heard.events == []


async def test_after_the_answer_is_kept_no_piece_comes_late(speech, heard):
    """It would stand beside the message that it is a part of."""
    speech.hear("Hello")
    await quiet()
    speech.hear(" there")
    speech.close()
    speech.hear("!")
    speech.forget()
    await quiet()

    assert heard.events == [("REPLY_CHUNK", "Hello")]


async def test_long_pieces_fit_a_notification(speech, heard):
    speech.hear("\N{GRINNING FACE}" * 2 * CHUNK_CHARS)
    await quiet()

    assert [len(text) for _, text in heard.events] == [CHUNK_CHARS] * 2


async def test_everybody_hears_of_a_change(heard):
    hub = Hub()
    hub.attach(heard)
    with hub.watch("c_1") as changed:
        hub.publish("c_1")

    assert changed.is_set()
    assert heard.events == [("changed", "c_1")]
