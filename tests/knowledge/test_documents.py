"""Documents are taken apart at their headings, and cut to size."""

import pytest

from chatwoot_bot.knowledge.chunks import MAX_CHARS, chunks_of
from chatwoot_bot.knowledge.documents import Kind, Raw, Section, parse
from chatwoot_bot.knowledge.prepare import prepare


def parsed(text, kind=Kind.MARKDOWN, **said):
    return parse(Raw(uri="/docs/my-file.md", kind=kind, text=text, **said))


def test_markdown_with_headings():
    found = parsed(
        "# Title\n\nIntro.\n\n## A\n\nOne.\n\n### B\n\nTwo.\n\n## C\n\nThree."
    )

    assert found.title == "Title"
    assert found.sections == [
        Section((), "Intro."),
        Section(("A",), "One."),
        Section(("A", "B"), "Two."),
        Section(("C",), "Three."),
    ]


def test_number_sign_in_code_is_no_heading():
    found = parsed("# T\n\n```sh\n# not one\n```\n\nUnder\n=====\n\nText.")

    assert [section.path for section in found.sections] == [(), ("Under",)]


def test_front_matter_says_title_and_link():
    found = parsed(
        '---\ntitle: "Returns"\nurl: https://x.example/r\nlanguage: de\n---\n'
        "# H\n\nText."
    )

    assert (found.title, found.url, found.language) == (
        "Returns",
        "https://x.example/r",
        "de",
    )


def test_first_heading_is_no_title_where_the_title_is_known():
    given = parsed("## Part\n\nText.", title="Article")
    same = parsed("# Article\n\nText.", title="Article")

    assert (given.title, given.sections) == ("Article", [Section(("Part",), "Text.")])
    assert (same.title, same.sections) == ("Article", [Section((), "Text.")])


def test_link_that_a_browser_would_run_is_none():
    assert parsed("---\nurl: javascript:alert(1)\n---\nText.").url is None


def test_html_without_what_is_no_text():
    page = """<html lang="fr"><head><title>Shop</title><style>p{}</style>
    <link rel="canonical" href="https://x.example/a"></head><body><nav>Menu</nav>
    <h1>Retours</h1><p>Trente <b>jours</b>.</p><script>alert(1)</script>
    <h2>Frais</h2><ul><li>un</li><li>deux</li></ul>
    <template><p>hidden</p></template><footer>Imprint</footer></body></html>"""
    found = parsed(page, Kind.HTML)

    assert (found.title, found.url, found.language) == (
        "Retours",
        "https://x.example/a",
        "fr",
    )
    assert found.sections == [
        Section((), "Trente jours."),
        Section(("Frais",), "- un\n- deux"),
    ]


def test_html_that_is_broken_is_still_read():
    found = parsed("<h1>A</h2><p>Text<nav><p>menu</nav> more <svg>", Kind.HTML)

    assert "Text" in found.sections[-1].text
    assert "menu" not in found.sections[-1].text


@pytest.mark.parametrize("kind", Kind)
def test_empty_document_has_no_sections(kind):
    assert parsed(" \n", kind).sections == []


def test_title_of_a_document_without_one_is_its_name():
    assert prepare(Raw(uri="/docs/my-file.txt", kind=Kind.TEXT, text="x y")).title == (
        "my file"
    )


def test_chunks_are_bounded_and_lose_nothing():
    words = [f"word{number}" for number in range(2_000)]
    pieces = chunks_of([Section(("A", "B"), " ".join(words))])

    assert {piece.heading for piece in pieces} == {"A > B"}
    assert max(len(piece.text) for piece in pieces) <= MAX_CHARS
    assert " ".join(piece.text for piece in pieces).split() == words
