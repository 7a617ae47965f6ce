"""Every section of docs/chatwoot that code, tests or the pages themselves cite."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "chatwoot"


def anchors(page):
    """Return the anchors of a page, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def cited():
    for folder in ("chatwoot_bot", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for page, anchor in re.findall(
                r"docs/chatwoot/([a-z]+\.md)(?:#([a-z0-9-]+))?", path.read_text()
            ):
                yield str(path.relative_to(ROOT)), page, anchor


def linked():
    for path in sorted(PAGES.glob("*.md")):
        for page, anchor in re.findall(
            r"\]\(([a-z]+\.md|README\.md)?(?:#([a-z0-9-]+))?\)", path.read_text()
        ):
            yield path.name, page or path.name, anchor


@pytest.mark.parametrize("find", [cited, linked])
def test_cited_section_exists(find):
    citations = list(find())
    broken = [
        (where, page, anchor)
        for where, page, anchor in citations
        if not (PAGES / page).exists()
        or (anchor and anchor not in anchors(PAGES / page))
    ]

    assert len(citations) > 10
    assert broken == []


def test_index_names_every_page():
    index = (PAGES / "README.md").read_text()

    pages = {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([a-z]+\.md)\)", index)) == pages
