"""Documents of strangers cost their own process, and not the service."""

import asyncio
import time

import httpx
import pytest

from chatwoot_bot.errors import KnowledgeError
from chatwoot_bot.knowledge import folder, preparer
from chatwoot_bot.knowledge.documents import MAX_CHARS, MAX_TITLE, Kind, Raw, parse
from chatwoot_bot.knowledge.folder import MAX_BYTES, File
from chatwoot_bot.knowledge.help_center import Portal, articles_of
from chatwoot_bot.knowledge.preparer import Preparer

pytestmark = pytest.mark.anyio

GOOD = Raw(uri="good", kind=Kind.MARKDOWN, text="# Apples\n\nThey are red.")


async def test_document_that_takes_too_long_is_given_up(monkeypatch):
    """Python's parser of HTML needs a minute for 64,000 characters of this."""
    monkeypatch.setattr(preparer, "TIMEOUT_S", 3.0)
    hostile = Raw(uri="bad", kind=Kind.HTML, text="<a " * 200_000)
    async with Preparer() as ready:
        begun = time.thread_time()
        with pytest.raises(KnowledgeError, match="takes too long"):
            await ready.prepare(hostile)
        took = time.thread_time() - begun

        monkeypatch.setattr(preparer, "TIMEOUT_S", 60.0)
        assert (await ready.prepare(GOOD)).title == "Apples"

    assert took < 0.2


async def test_process_that_dies_of_a_document_is_started_again(monkeypatch):
    async with Preparer() as ready:
        with monkeypatch.context() as patched:
            patched.setattr(preparer, "PROGRAM", ("false",))
            with pytest.raises(KnowledgeError):
                await ready.prepare(GOOD)

        assert (await ready.prepare(GOOD)).title == "Apples"


async def test_long_document_arrives_whole_and_in_pieces():
    """Nobody else waits while its chunks are read."""
    text = "\n\n".join(f"## Part {n}\n\n{'word ' * 200}" for n in range(1_700))
    raw = Raw(uri="a", kind=Kind.MARKDOWN, text=f"# Manual\n\n{text}")
    pauses = []
    async with Preparer() as ready:
        watching = asyncio.create_task(watch(pauses))
        prepared = await ready.prepare(raw)
        watching.cancel()

    assert len(prepared.chunks) == 1_700
    assert [chunk.heading for chunk in prepared.chunks[:2]] == ["Part 0", "Part 1"]
    assert max(pauses) < 0.05


async def watch(pauses):
    """Note for how long this thread works before it comes back here."""
    while True:
        begun = time.thread_time()
        await asyncio.sleep(0)
        pauses.append(time.thread_time() - begun)


async def test_document_that_is_too_long_is_refused():
    raw = Raw(uri="a", kind=Kind.TEXT, text="a" * (MAX_CHARS + 1))
    async with Preparer() as ready:
        with pytest.raises(KnowledgeError, match="longer than"):
            await ready.prepare(raw)


@pytest.mark.parametrize(
    "raw",
    [
        Raw(uri="a", kind=Kind.MARKDOWN, text=f"# a\n\n## {'h' * 50_000}\n\ntext"),
        Raw(uri="a", kind=Kind.HTML, text=f"<h1>a</h1><h2>{'h' * 50_000}</h2>text"),
    ],
    ids=["markdown", "html"],
)
async def test_heading_is_cut(raw):
    """It goes with every piece of the text below it."""
    (section,) = parse(raw).sections

    assert len(section.path[-1]) == MAX_TITLE


@pytest.mark.parametrize(
    "raw",
    [
        Raw(uri="a", kind=Kind.TEXT, text="a", title=" t" * 50_000),
        Raw(uri="a", kind=Kind.MARKDOWN, text=f"---\ntitle: {'t' * 50_000}\n---\na"),
        Raw(uri="a", kind=Kind.HTML, text=f"<title>{'t' * 50_000}</title>a"),
    ],
    ids=["given", "front matter", "html"],
)
async def test_title_is_cut(raw):
    assert 0 < len(parse(raw).title) <= MAX_TITLE


async def test_address_that_no_browser_takes_is_left_out():
    front = f"---\nurl: https://a.example/{'a' * 10_000}\n---\ntext"

    assert parse(Raw(uri="a", kind=Kind.MARKDOWN, text=front)).url is None


async def test_large_file_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "text_of", None)  # to call it would be an error
    path = tmp_path / "a.txt"
    path.write_bytes(b"a" * (4 * MAX_CHARS + 1))

    with pytest.raises(KnowledgeError, match="longer than"):
        await File(path).fetch()


async def test_file_that_has_no_end_is_not_read_to_it(tmp_path):
    """Its size is not asked for: it may grow, and a device has none."""
    path = tmp_path / "a.txt"
    path.symlink_to("/dev/zero")

    with pytest.raises(KnowledgeError, match=f"larger than {MAX_BYTES >> 20} MB"):
        await File(path).digest()


async def test_article_is_bounded():
    article = {
        "id": "9" * 10_000,
        "title": "t" * 10_000,
        "slug": "s" * 10_000,
        "locale": "l" * 10_000,
        "content": "c" * (MAX_CHARS + 1_000),
        "status": "published",
    }

    def answer(request):
        is_first = request.url.params["page"] == "1"
        return httpx.Response(200, json={"payload": [article] if is_first else []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        (raw,) = await articles_of(http, Portal("https://a.example/hc/a", ("en",)))

    assert len(raw.uri) < 200
    assert len(raw.title) < 1_000
    assert len(raw.language) == 100
    assert len(raw.text) == MAX_CHARS + 1
