"""Take a document apart: its title, and its texts under their headings.

Pure. Markdown keeps its marks, which a model reads well; HTML becomes plain text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from html.parser import HTMLParser

from .noise import without_noise
from .tables import lines_of

MAX_TITLE = 200
# Of a document. A manual, not an encyclopedia; more would hold the event loop on its
# way.
MAX_CHARS = 2_000_000
# What no database takes.
UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


class Kind(StrEnum):
    """How a document is written."""

    MARKDOWN = "markdown"
    HTML = "html"
    TEXT = "text"
    TABLE = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A document as it was fetched.

    Attributes:
        uri: where it came from: a path, or an address.
        title: None when it is in the text.
        url: for contacts; None when they cannot open it, or it is in the text.
        language: what the source says; None when it says nothing.
        note: what of it could not be read; None for nothing.
    """

    uri: str
    kind: Kind
    text: str
    note: str | None = None
    title: str | None = None
    url: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A text and the headings above it, the highest first, without the title."""

    path: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A document, taken apart.

    Attributes:
        title: None when it has none.
        sections: in order; none without text.
    """

    title: str | None
    url: str | None
    language: str | None
    sections: Sequence[Section]


def parse(raw: Raw) -> Parsed:
    """Take a document apart."""
    text = UNSTORABLE.sub("", raw.text[:MAX_CHARS])
    given = _title(raw.title) if raw.title else None
    match raw.kind:
        case Kind.MARKDOWN:
            found = _markdown(text, given)
        case Kind.HTML:
            found = _html(text, given)
        case Kind.TABLE:
            found = Parsed(
                title=None,
                url=None,
                language=None,
                sections=[Section((), lines_of(text))],
            )
        case Kind.TEXT:
            found = Parsed(
                title=None, url=None, language=None, sections=[Section((), text)]
            )
    title = (given or found.title or "").strip()[:MAX_TITLE]
    return Parsed(
        title=title or None,
        url=raw.url or _address(found.url),
        language=raw.language or found.language,
        sections=[
            Section(section.path, text)
            for section in found.sections
            if (text := section.text.strip())
        ],
    )


# Longer than any that a browser takes.
MAX_URL = 4_096
ADDRESS = re.compile(r"https?://\S+$")


def _title(text: str) -> str:
    return UNSTORABLE.sub("", text[:MAX_HEADING]).strip()[:MAX_TITLE]


def _address(url: str | None) -> str | None:
    """Return *url* when it is one that a browser opens."""
    return url if url and len(url) <= MAX_URL and ADDRESS.match(url) else None


# --- Markdown ---

FRONT = re.compile(r"\A\ufeff?---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
PAIR = re.compile(r"^(title|url|language):[^\S\n]*+(.*\S)[^\S\n]*+$", re.MULTILINE)
# Characters of a heading that are looked at, marks and all.
MAX_HEADING = 4 * MAX_TITLE
# Marks of a heading's own text.
MARKS = re.compile(r"[*_`]+|(?<!\s)\s*+\{#[^{}]*+\}\s*+$")


def _markdown(text: str, title: str | None) -> Parsed:
    from markdown_it import MarkdownIt

    front = FRONT.match(text)
    said = (
        {name: value.strip("\"'") for name, value in PAIR.findall(front[1])}
        if (front)
        else {}
    )
    body = text[front.end() :] if front else text.removeprefix("\ufeff")
    tokens = MarkdownIt().parse(body)
    # Top-level ones only: a heading in a list or a quotation opens no section.
    headings = [
        (token.map, int(token.tag[1:]), tokens[number + 1].content)
        for number, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]
    lines = without_noise(body.splitlines(keepends=True), tokens)
    sections, last = _Sections(title or said.get("title")), 0
    for place, level, content in headings:
        start, end = place or [last, last]
        sections.add("".join(lines[last:start]))
        sections.open(level, MARKS.sub("", content[:MAX_HEADING]).strip())
        last = end
    sections.add("".join(lines[last:]))
    return Parsed(
        title=sections.title,
        url=said.get("url"),
        language=said.get("language"),
        sections=sections.done,
    )


@dataclass(slots=True)
class _Sections:
    """Sections in the making.

    What begins with a heading has its title there, unless the title is known.
    """

    title: str | None = None
    done: list[Section] = field(default_factory=list)
    _open: list[tuple[int, str]] = field(default_factory=list)

    def open(self, level: int, heading: str) -> None:
        # Each piece of the document will have it.
        heading = heading[:MAX_TITLE].strip()
        if not self.done and not self._open and self.title in (None, heading):
            self.title = heading
            return
        self._open = [(above, h) for above, h in self._open if above < level]
        self._open.append((level, heading))

    def add(self, text: str) -> None:
        if text.strip():
            path = tuple(heading for _, heading in self._open if heading)
            self.done.append(Section(path, text))


# --- HTML ---

NOT_TEXT = {"script", "style", "nav", "template", "noscript", "svg", "footer", "aside"}
BLOCKS = {
    *("address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption"),
    *("figure", "form", "header", "hr", "li", "main", "ol", "p", "pre", "section"),
    *("table", "tr", "ul"),
}


class _Page(HTMLParser):
    def __init__(self, title: str | None) -> None:
        super().__init__(convert_charrefs=True)
        self.sections = _Sections(title)
        self.head_title = ""
        self.url: str | None = None
        self.language: str | None = None
        self._left_out: list[str] = []
        self._text: list[str] = []
        self._heading: int | None = None
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag in NOT_TEXT:
            self._left_out.append(tag)
        elif tag == "html":
            self.language = said.get("lang")
        elif tag == "link" and said.get("rel") == "canonical":
            self.url = said.get("href")
        elif tag == "title":
            self._in_title = True
        elif level := _level(tag):
            self._end_section()
            self._heading = level
        elif tag in BLOCKS:
            self._text.append("\n- " if tag == "li" else "\n")
        elif tag in ("td", "th"):
            self._text.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._left_out:
            # What was opened inside and never closed ends with it.
            del self._left_out[self._left_out.index(tag) :]
        elif tag == "title":
            self._in_title = False
        elif _level(tag) and self._heading is not None:
            self.sections.open(self._heading, " ".join("".join(self._text).split()))
            self._text, self._heading = [], None
        elif tag in BLOCKS and tag != "li":
            self._text.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.head_title += data[: MAX_TITLE - len(self.head_title)]
        elif not self._left_out:
            self._text.append(data)

    def close(self) -> None:
        super().close()
        self._end_section()

    def _end_section(self) -> None:
        lines = ("".join(self._text)).splitlines()
        self.sections.add("\n".join(_joined(" ".join(line.split()) for line in lines)))
        self._text = []


def _joined(lines: Iterator[str]) -> Iterator[str]:
    """Yield *lines* with at most one empty one between two others."""
    last = ""
    for line in lines:
        if line.strip(" -|") or last:
            yield line
        last = line


HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}


def _level(tag: str) -> int:
    return int(tag[1]) if tag in HEADINGS else 0


def _html(text: str, title: str | None) -> Parsed:
    page = _Page(title)
    page.feed(text)
    page.close()
    return Parsed(
        title=page.sections.title or page.head_title.strip() or None,
        url=page.url,
        language=page.language,
        sections=page.sections.done,
    )
