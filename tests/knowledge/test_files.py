"""Files as customers have them are read, or it is said why not."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from knowing import take_in, write
from knowledge_files import (
    CASE,
    LOGO,
    OVER_THE_PAGE,
    docx,
    glyphs,
    pdf,
    written,
)
from structlog.testing import capture_logs

from chatwoot_bot import library
from chatwoot_bot.errors import KnowledgeError
from chatwoot_bot.knowledge.documents import Kind, Raw, Section, parse
from chatwoot_bot.knowledge.folder import File, named, passed_over
from chatwoot_bot.knowledge.search import Knowledge
from chatwoot_bot.knowledge.tables import MAX_CHARS, lines_of
from chatwoot_bot.media import word
from chatwoot_bot.settings import Settings
from chatwoot_bot.store import knowledge as store

pytestmark = pytest.mark.anyio

CASES = Path(__file__).parents[1] / "cases"
SENTENCE = "The teapot is made of clay and holds a litre of water, no more."


@pytest.fixture
def place(tmp_path):
    """Put a file into a folder; return it as a document."""

    def put(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return File(path)

    return put


async def problem(file):
    with pytest.raises(KnowledgeError) as caught:
        await file.fetch()
    return str(caught.value)


# --- PDF ---


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pdf(OVER_THE_PAGE + written("DRAFT")), "it is a scan"),
        (pdf(glyphs()), "do not say which characters"),
        (pdf(glyphs(200) + written("page 1 of 1")), "do not say which characters"),
        (pdf(OVER_THE_PAGE), "it holds no text"),
        (pdf(*[OVER_THE_PAGE + written("DRAFT")] * 3), "it is a scan"),
    ],
)
async def test_pdf_without_usable_text_is_refused(place, content, why):
    """It would count as known, and answer nothing."""
    assert why in await problem(place("a.pdf", content))


@pytest.mark.parametrize(
    "painted",
    [
        written("Open 9 to 5"),
        LOGO + written("Open 9 to 5"),
        # A background picture under a page of text.
        OVER_THE_PAGE + written(SENTENCE),
        glyphs(10) + written(SENTENCE),
    ],
)
async def test_pdf_with_text_is_read(place, painted):
    raw = await place("a.pdf", pdf(painted)).fetch()

    assert "9" in raw.text or "teapot" in raw.text
    assert raw.note is None


async def test_pages_that_cannot_be_read_are_named(place, db, tmp_path):
    bad = OVER_THE_PAGE + written("DRAFT")
    place("a.pdf", pdf(written(SENTENCE), bad, glyphs(), written(SENTENCE)))
    report = await take_in(db, tmp_path / "a.pdf")
    [passage] = await Knowledge(db, ("",)).search("teapot of clay")

    assert report.added == 1
    assert list(report.notes.values()) == [
        "of some pages hardly any text can be read: 2, 3"
    ]
    assert "DRAFT" not in passage.text


# --- Word ---


async def test_word_file_is_read_with_its_headings(place):
    content = docx(
        ("H1", "Returns"), "In general.", ("H2", "Costs"), "Returning is free."
    )
    found = parse(await place("a.docx", content).fetch())

    assert found.title == "Returns"
    assert found.sections == [
        Section((), "In general."),
        Section(("Costs",), "Returning is free."),
    ]


async def test_word_file_that_unpacks_to_too_much_is_refused(place):
    large = word.MAX_BYTES + 1
    content = docx(SENTENCE, **{"word__footnotes.xml": " " * large})

    assert len(content) < 1_000_000
    assert await problem(place("a.docx", content)) == "it unpacks to too much"


async def test_size_that_an_archive_lies_about_is_not_exceeded(place):
    """The directory says 10 bytes, and more are there."""
    content = docx(**{"word__document.xml": " " * 30_000_000})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = archive.getinfo("word/document.xml").file_size
    content = content.replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little"))

    assert await problem(place("a.docx", content)) == "it is damaged"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"Please sign in.", "it is damaged"),
        (docx()[:200], "it is damaged"),
        (docx(), "it holds no text"),
    ],
)
async def test_word_file_that_is_none_is_named(place, db, tmp_path, content, why):
    place("a.docx", content)
    report = await take_in(db, tmp_path / "a.docx")

    assert list(report.failed.values()) == [why]


async def test_archive_of_another_kind_is_no_word_file(place):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")

    assert "not a DOCX file" in await problem(place("a.docx", out.getvalue()))


async def test_entities_that_multiply_are_not_expanded(place):
    """A billion laughs: a few hundred bytes that unfold to gigabytes."""
    entities = "".join(
        f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">' for n in range(12)
    )
    laughing = (
        f"<!DOCTYPE x [{entities}]><w:document xmlns:w='http://schemas.openxmlformats."
        "org/wordprocessingml/2006/main'><w:body><w:p><w:r><w:t>&e11;</w:t></w:r></w:p>"
        "</w:body></w:document>"
    )
    content = docx(**{"word__document.xml": laughing})

    assert await problem(place("a.docx", content)) in (
        "it is damaged",
        "it is too complicated",
    )


# --- CSV ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Article,Price\nTeapot,12.50\nKettle,\n",
            "- Article: Teapot; Price: 12.50\n- Article: Kettle",
        ),
        (
            'Article;Text\nTeapot;"Clay;\nheavy"\n',
            "- Article: Teapot; Text: Clay; heavy",
        ),
        ("\ufeffA\tB\n1\t2\n", "- A: 1; B: 2"),
        ("A,B\n1,2,3\n", "- A: 1; B: 2; 3"),
        # No head: a number names no column, and neither does the same name twice.
        ("1,2\n3,4\n", "- 1 | 2\n- 3 | 4"),
        ("a,a\nb,c\n", "- a | a\n- b | c"),
        ("just a sentence\n", "- just a sentence"),
        ("\n ,\n", ""),
    ],
)
def test_rows_say_what_their_values_are(text, expected):
    assert lines_of(text) == expected


def test_table_does_not_grow_without_end():
    """With a head of a thousand characters for each of a million rows."""
    text = f"{'h' * 1_000},b\n" + "1,2\n" * 100_000

    assert len(lines_of(text)) <= MAX_CHARS


def test_quotation_that_does_not_end_is_only_text():
    assert "never ends" in lines_of('a,b\n"never ends,2\n')


# --- Noise ---


def text_of(markdown):
    raw = Raw(uri="/docs/a.md", kind=Kind.MARKDOWN, text=markdown)
    return "\n".join(section.text for section in parse(raw).sections)


def test_what_only_a_page_needs_is_left_out():
    text = text_of(
        "# Returns\n\n## Contents\n\n- [Costs](#costs)\n  - [Abroad](#abroad)\n"
        "1. [Time](#time)\n\n[TOC]\n\n---\n\n"
        '<a id="costs"></a>\n## Costs\n\nSee [how long](#time) it takes, and '
        "[the shop](https://shop.example).\n\n***\n\n<!-- to do: pictures -->\n\n"
        "Free.\n"
    )

    assert text == (
        "See how long it takes, and [the shop](https://shop.example).\n\n\n\n\n\nFree."
    )


@pytest.mark.parametrize(
    "kept",
    [
        "```\n---\n[a](#b)\n```",
        "- [a](#b) is explained",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "a [b](c#d)",
    ],
)
def test_what_says_something_stays(kept):
    text = text_of(f"# T\n\n{kept}\n")

    assert text == kept.replace("- [a](#b) is", "- a is")


# --- Files of other kinds ---


def test_other_kinds_are_passed_over_and_named(tmp_path):
    folder = write(tmp_path / "docs", a="# A\n\nText.")
    for name in ("b.xlsx", "logo.png", ".hidden.odt", "z.odt", "c.docx", "d.csv"):
        (folder / name).write_bytes(b"x")

    assert [path.name for path in passed_over(folder)] == ["b.xlsx", "z.odt"]
    assert named([Path(f"{n}.odt") for n in range(12)]).endswith("9.odt and 2 more")


async def test_case_20_unusable_documents_are_told_at_the_start(db, tmp_path):
    [path] = CASES.glob("20-*.json")
    case = json.loads(path.read_text(encoding="utf-8"))
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in case["documents"]:
        (folder / name).write_bytes(CASE[name])
    (folder / "figures.xlsx").write_bytes(b"x")
    settings = Settings.load({"KNOWLEDGE_DIR": str(folder)})
    with capture_logs() as logs:
        await library.keep_up(settings, db, None)
    failed = {
        Path(entry["uri"]).name: entry["reason"]
        for entry in logs
        if entry["event"] == "document not read"
    }
    [passed] = [entry for entry in logs if entry["event"] == "files skipped"]
    known = {Path(one.uri).name for one in await db.read(store.documents)}

    assert set(failed) == {"manual.pdf", "cid.pdf", "price-list.pdf"}
    assert "scan" in failed["manual.pdf"]
    assert "characters" in failed["cid.pdf"]
    assert known == {"terms.docx", "prices.csv"}
    assert (passed["count"], passed["files"]) == (1, "figures.xlsx")
