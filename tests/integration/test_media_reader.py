"""What a turn finds out about the attachments of its transcript."""

import asyncio
import base64
import dataclasses
import json

import httpx
import pytest
import respx
from factories import message
from files import JPEG, OGG

from chatwoot_bot.core.conversation import Attachment, Sender
from chatwoot_bot.errors import LeaseLostError, MediaError
from chatwoot_bot.media import reader as reading
from chatwoot_bot.media import transcribe
from chatwoot_bot.media.reader import FILES_MAX, IMAGES_MAX, MediaReader
from chatwoot_bot.media.reading import FileReader
from chatwoot_bot.media.transcribe import Transcriber

pytestmark = pytest.mark.anyio

SPEECH = "https://llm.example/v1/audio/transcriptions"


class Files:
    """Stands in for the fetcher.

    Args:
        contents: URL -> bytes, an error, or None for what never comes.
    """

    max_bytes = 10_000

    def __init__(self, **contents):
        self.contents = {f"https://x/{name}": data for name, data in contents.items()}
        self.asked = []

    async def fetch(self, url, *, patience_s):
        self.asked.append((url.removeprefix("https://x/"), patience_s))
        found = self.contents[url]
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return found

    def too_large(self):
        return MediaError("it is too large")


class Ears:
    """Stands in for the transcriber."""

    is_available = True

    async def transcribe(self, data):
        return f"{len(data)} bytes of words"


def sent(kind, name, *, owed=True, **changes):
    """A message with one attachment and nothing else."""
    attachment = Attachment(kind=kind, line=f"[{kind}]", url=f"https://x/{name}")
    attachment = dataclasses.replace(attachment, **changes)
    return message(attachment.line, owed=owed, attachments=(attachment,))


async def read(files, *transcript, ears=None):
    """Return what the model would see, and what was kept."""
    kept = []

    async def keep(message):
        kept.append(message)

    reader = MediaReader(files, FileReader(), ears)
    return await reader.read(transcript, keep), kept


async def read_one(files, sent, ears=None):
    [seen], kept = await read(files, sent, ears=ears)
    return seen, kept


async def test_picture_becomes_what_a_model_sees():
    seen, kept = await read_one(Files(a=JPEG), sent("image", "a"))

    [attachment] = seen.attachments
    assert (
        attachment.image == f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"
    )
    assert seen.content == "[image]"
    assert kept == []


async def test_voice_note_becomes_words():
    """They are the contact's own, so they are part of the message from now on."""
    seen, kept = await read_one(Files(a=OGG), sent("audio", "a"), Ears())

    assert seen.content == "[audio: 106 bytes of words]"
    assert kept == [seen]


async def test_file_becomes_text():
    seen, kept = await read_one(Files(a=b"Invoice 4711"), sent("file", "a"))

    assert seen.attachments[0].text == "Invoice 4711"
    assert seen.content == "[file]"
    assert kept == [seen]


@pytest.mark.parametrize(
    ("data", "content"),
    [(JPEG, "[file]"), (OGG, "[file: 106 bytes of words]")],
)
async def test_file_is_what_arrives(data, content):
    """Whatever Chatwoot calls it."""
    seen, _ = await read_one(Files(a=data), sent("file", "a"), Ears())

    assert seen.content == content
    assert (seen.attachments[0].image is not None) == (data == JPEG)


@pytest.mark.parametrize("data", [b"<html>Sign in", b"Not found", b"%PDF-1.4", OGG])
async def test_what_is_no_picture_is_not_shown_as_one(data):
    """An error page with status 200, or a file with a wrong name."""
    seen, kept = await read_one(Files(a=data), sent("image", "a"))

    assert (
        seen.content
        == "[image, not readable because it is not a picture that can be shown]"
    )
    assert kept == [seen]


async def test_failure_is_told_and_the_others_are_read():
    """Nothing that a contact sends can cost them the answer."""
    files = Files(a=MediaError("it is not there"), b=ZeroDivisionError(), c=b"Hi")
    transcript = [sent("file", name) for name in "abc"]

    seen, kept = await read(files, *transcript)

    assert [each.content for each in seen] == [
        "[file, not readable because it is not there]",
        "[file, not readable because something went wrong]",
        "[file]",
    ]
    assert [each.attachments[0].problem for each in kept] == ["it is not there", None]


async def test_passing_failure_is_tried_again_by_the_next_turn():
    files = Files(a=MediaError("its server does not answer", retryable=True))

    seen, kept = await read_one(files, sent("file", "a"))

    assert seen.content == "[file, not readable because its server does not answer]"
    assert kept == []


async def test_slow_file_does_not_keep_the_contact_waiting(monkeypatch):
    """The other one is read, and the turn goes on."""
    monkeypatch.setattr(reading, "WHOLE_S", 0.05)

    seen, _ = await read(Files(a=None, b=b"Hi"), sent("file", "a"), sent("file", "b"))

    assert seen[0].content == "[file, not readable because it takes too long]"
    assert seen[1].attachments[0].text == "Hi"


async def test_old_file_keeps_nobody_waiting_again(monkeypatch):
    """It has had its chance; a host that is down must not cost every turn."""
    monkeypatch.setattr(reading, "AGAIN_S", 0.05)

    seen, kept = await read(Files(a=None), sent("file", "a", owed=False))

    assert seen[0].content == "[file, not readable because it takes too long]"
    assert kept == []


async def test_large_file_is_not_even_asked_for():
    files = Files()

    seen, _ = await read_one(files, sent("file", "a", size=10_001))

    assert seen.content == "[file, not readable because it is too large]"
    assert files.asked == []


async def test_what_is_known_is_not_fetched_again():
    files = Files()
    transcript = [
        sent("audio", "a", text="Hi", line="[audio: Hi]"),
        sent("file", "b", problem="it is damaged"),
        sent("location", "c", url=None),
        message("Just text"),
    ]

    seen, kept = await read(files, *transcript, ears=Ears())

    assert seen == tuple(transcript)
    assert (files.asked, kept) == ([], [])


async def test_only_what_the_contact_sent_is_read():
    """Agents know what they send; what was taken back stays taken back."""
    files = Files()
    from_agent = dataclasses.replace(sent("image", "a"), sender=Sender.AGENT)
    deleted = dataclasses.replace(sent("image", "b"), content=None)

    await read(files, from_agent, deleted)

    assert files.asked == []


async def test_without_ears_voice_notes_are_left_alone():
    """There is no use in a download."""
    files = Files()

    seen, _ = await read_one(files, sent("audio", "a"))

    assert (seen.content, files.asked) == ("[audio]", [])


async def test_new_files_are_waited_for_and_old_ones_are_not():
    files = Files(old=b"a", new=b"b")

    await read(files, sent("file", "old", owed=False), sent("file", "new"))

    assert dict(files.asked) == {"old": 0.0, "new": reading.PATIENCE_S}


async def test_newest_pictures_are_shown():
    """A model takes a few, and what was said last is what matters."""
    files = Files(**{f"p{n}": JPEG for n in range(6)})

    seen, _ = await read(files, *(sent("image", f"p{n}") for n in range(6)))

    shown = [each.attachments[0].image is not None for each in seen]
    assert shown == [False, False, True, True, True, True]
    assert len(files.asked) == IMAGES_MAX


async def test_old_pictures_are_no_longer_shown():
    """They would be fetched again for every answer."""
    files = Files(a=JPEG)
    later = [message(f"message {n}", owed=False) for n in range(20)]

    await read(files, sent("image", "a", owed=False), *later)

    assert files.asked == []


async def test_pictures_together_are_not_too_large():
    """Servers refuse a request above their limit as a whole."""
    large = JPEG + bytes(6_000)

    seen, _ = await read(
        Files(a=large, b=large), sent("image", "a"), sent("image", "b")
    )

    assert [each.attachments[0].image is not None for each in seen] == [False, True]


async def test_many_files_are_not_all_read():
    """Fifteen in a message are possible."""
    files = Files(**{f"f{n}": b"x" for n in range(15)})

    await read(files, *(sent("file", f"f{n}") for n in range(15)))

    assert {name for name, _ in files.asked} == {
        f"f{n}" for n in range(15 - FILES_MAX, 15)
    }


async def test_interrupted_turn_stops_every_download():
    files = Files(a=None, b=None)
    before = asyncio.all_tasks()
    task = asyncio.create_task(read(files, sent("file", "a"), sent("file", "b")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(files.asked) == 2

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before


async def test_lost_lease_ends_the_turn():
    """Another worker has the conversation: this one has nothing more to do."""

    async def keep(message):
        raise LeaseLostError("lost")

    reader = MediaReader(Files(a=b"Hi"), FileReader(), None)
    with pytest.raises(LeaseLostError):
        await reader.read([sent("file", "a")], keep)


# Ears.


@pytest.fixture
async def http():
    async with httpx.AsyncClient(verify=False) as http:
        yield http


@pytest.fixture
def server():
    with respx.mock(assert_all_called=False) as router:
        yield router.post(SPEECH)


def ears(http, **changes):
    defaults = {"base_url": "https://llm.example/v1", "api_key": "sk-1", "model": "m"}
    return Transcriber(http, **defaults | changes)


async def test_server_is_asked_as_openai_documents_it(http, server):
    server.respond(json={"text": " Where is my order? \n"})

    words = await ears(http).transcribe(OGG)

    request = server.calls.last.request
    assert words == "Where is my order?"
    assert request.headers["authorization"] == "Bearer sk-1"
    assert request.headers["content-type"].startswith("multipart/form-data")
    assert b'name="model"\r\n\r\nm\r\n' in request.content
    assert b'filename="voice.ogg"\r\nContent-Type: audio/ogg\r\n\r\nOggS' in (
        request.content
    )


async def test_without_a_base_url_it_is_openais_own(http):
    with respx.mock:
        route = respx.post("https://api.openai.com/v1/audio/transcriptions")
        route.respond(json={"text": "Hi"})

        assert await ears(http, base_url=None).transcribe(OGG) == "Hi"


@pytest.mark.parametrize(
    ("answer", "why", "retryable"),
    [
        ({"status_code": 400}, "it was not understood", False),
        ({"status_code": 413}, "it was not understood", False),
        ({"status_code": 401}, "nobody can listen to it now", True),
        ({"status_code": 404}, "nobody can listen to it now", True),
        ({"status_code": 302}, "nobody can listen to it now", True),
        ({"status_code": 429}, "nobody can listen to it now", True),
        ({"status_code": 500}, "nobody can listen to it now", True),
        ({"text": "<html>"}, "nobody can listen to it now", True),
        ({"json": []}, "nobody can listen to it now", True),
        ({"json": {"text": " "}}, "nothing is said in it", False),
    ],
    ids=json.dumps,
)
async def test_voice_note_that_is_not_understood(http, server, answer, why, retryable):
    server.respond(**answer)

    with pytest.raises(MediaError) as caught:
        await ears(http).transcribe(OGG)

    assert (str(caught.value), caught.value.retryable) == (why, retryable)


async def test_server_that_is_not_there(http, server):
    server.mock(side_effect=httpx.ConnectError("boom"))

    with pytest.raises(MediaError) as caught:
        await ears(http).transcribe(OGG)

    assert caught.value.retryable


async def test_server_without_the_endpoint_is_not_asked_again(
    http, server, monkeypatch
):
    """Ollama has none; every turn would pay for a download and a request."""
    server.respond(404)
    transcriber = ears(http)
    with pytest.raises(MediaError):
        await transcriber.transcribe(OGG)
    assert not transcriber.is_available

    monkeypatch.setattr(transcribe, "PAUSE_S", 0.0)
    with pytest.raises(MediaError):
        await transcriber.transcribe(OGG)
    assert transcriber.is_available


async def test_sound_that_no_server_takes_is_not_sent(http, server):
    with pytest.raises(MediaError, match="not understood here"):
        await ears(http).transcribe(b"#!AMR\n")

    assert server.call_count == 0
