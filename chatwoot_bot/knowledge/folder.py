"""The documents of a folder, or of one file."""

import asyncio
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import KnowledgeError, MediaError
from ..media.kinds import PDF, kind_of, text_of
from ..media.reading import FileReader, Pages
from .documents import MAX_CHARS, Kind, Raw
from .prepare import VERSION

KINDS = {
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".txt": Kind.TEXT,
    ".pdf": Kind.TEXT,
    ".docx": Kind.HTML,
    ".csv": Kind.TABLE,
}
# Files that belong to documents and are none; what else is there is told.
BESIDE = frozenset(
    {
        *(".css", ".gif", ".ico", ".jpeg", ".jpg", ".js", ".png", ".svg", ".webp"),
        *(".woff", ".woff2", ".ttf", ".map"),
    }
)
MAX_BYTES = 20 * 1024 * 1024
MAX_PAGES = 1_000
# Of pages or files, in one sentence.
MAX_NAMED = 10
# In UTF-8, of one character.
MAX_CHAR_BYTES = 4


def digest_of(content: bytes, *others: str | None) -> str:
    """Return what changes when a document does, or the way it is read."""
    digest = hashlib.sha256(content)
    said = "\0".join([str(VERSION), *(each or "" for each in others)])
    digest.update(said.encode(errors="replace"))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class File:
    """A file that may be read."""

    path: Path

    @property
    def uri(self) -> str:
        """Return where it is."""
        return str(self.path)

    async def digest(self) -> str:
        """Return what changes when its content does.

        Raises:
            KnowledgeError: it cannot be read.
        """
        return await asyncio.to_thread(digest_of, await self._content())

    async def fetch(self) -> Raw:
        """Return its text.

        Raises:
            KnowledgeError: it cannot be read.
        """
        content = await self._content()
        kind = KINDS[self.path.suffix.lower()]
        match self.path.suffix.lower():
            case ".pdf":
                pages = await self._pdf(content)
                note = _unread(pages.unreadable)
                return Raw(uri=self.uri, kind=kind, text=pages.text, note=note)
            case ".docx":
                text = await self._word(content)
            case _:
                text = await _text(content)
        if len(text) > MAX_CHARS:
            raise _too_long()
        return Raw(uri=self.uri, kind=kind, text=text)

    async def _content(self) -> bytes:
        try:
            content = await asyncio.to_thread(_begin_of, self.path)
        except OSError as error:
            raise KnowledgeError(error.strerror or "it cannot be read") from error
        if len(content) > MAX_BYTES:
            raise KnowledgeError(f"it is larger than {MAX_BYTES >> 20} MB")
        return content

    async def _pdf(self, content: bytes) -> Pages:
        if await asyncio.to_thread(kind_of, content) != PDF:
            # A page that asks to sign in, saved under the name of what it hid.
            raise KnowledgeError("it is not a PDF file, whatever its name says")
        reader = FileReader(max_chars=MAX_CHARS, max_pages=MAX_PAGES)
        try:
            return await reader.read_pdf(content)
        except MediaError as error:
            raise KnowledgeError(str(error)) from error

    async def _word(self, content: bytes) -> str:
        try:
            return await FileReader(max_chars=MAX_CHARS).read_word(content)
        except MediaError as error:
            raise KnowledgeError(str(error)) from error


async def _text(content: bytes) -> str:
    if len(content) > MAX_CHARS * MAX_CHAR_BYTES:
        raise _too_long()
    text = await asyncio.to_thread(text_of, content)
    if text is None:
        raise KnowledgeError("it is no text")
    return text


def _unread(pages: Sequence[int]) -> str | None:
    """Return what is to be said of a document with *pages* that cannot be read."""
    if not pages:
        return None
    named = ", ".join(map(str, pages[:MAX_NAMED]))
    more = ", …" if len(pages) > MAX_NAMED else ""
    return f"of some pages hardly any text can be read: {named}{more}"


def _begin_of(path: Path) -> bytes:
    """Return the file, of one that is too large no more than shows that."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _too_long() -> KnowledgeError:
    return KnowledgeError(f"it is longer than {MAX_CHARS:,} characters")


def files_in(place: Path) -> list[File]:
    """Return the documents at *place* in order; hidden ones and other kinds are left.

    Raises:
        KnowledgeError: there is no such place, or it is no document.
    """
    place = place.absolute()
    if place.is_file():
        if place.suffix.lower() not in KINDS:
            raise KnowledgeError(f"{place} is none of {', '.join(KINDS)}")
        return [File(place)]
    if not place.is_dir():
        raise KnowledgeError(f"there is no folder {place}")
    return [File(path) for path in sorted(_walk(place)) if path.suffix.lower() in KINDS]


def passed_over(place: Path) -> list[Path]:
    """Return the files of a folder that are of no kind that is read, in order.

    Pictures and what else belongs to pages is left out, as are hidden files.
    """
    place = place.absolute()
    known = BESIDE.union(KINDS)
    return sorted(path for path in _walk(place) if path.suffix.lower() not in known)


def named(paths: Sequence[Path]) -> str:
    """Return the names of the first files."""
    names = ", ".join(path.name for path in paths[:MAX_NAMED])
    more = len(paths) - MAX_NAMED
    return f"{names} and {more} more" if more > 0 else names


def _walk(folder: Path) -> Iterator[Path]:
    for above, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield Path(above, name)
