"""The text of a file that a contact has sent."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import MediaError
from . import kinds

# About five thousand tokens: more than an invoice, less than a book.
MAX_CHARS = 20_000
# What is tidied, for each character that may be left of it: layouts are mostly blanks.
SPARSE = 4
# In UTF-8, of one character.
MAX_CHAR_BYTES = 4
UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
BLANKS = re.compile(r"[^\S\n]++")
EMPTY_LINES = re.compile(r" ?\n(?: ?\n)++")
MAX_PAGES = 50
CUT = "\n[The rest of the file is left out.]"
PDF_S = 15.0
PDFS_AT_ONCE = 2
PDF_PROGRAM = Path(__file__).with_name("pdf.py")
WORD_PROGRAM = Path(__file__).with_name("word.py")
# What Python needs to start; the program that reads a stranger's file gets no key.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")


class Pages(NamedTuple):
    """The text of a PDF, and the numbers of its pages that cannot be read."""

    text: str
    unreadable: tuple[int, ...]


class FileReader:
    """Reads text files, and PDF files in a process of their own.

    Args:
        max_chars: of the text; what is beyond is left out.
        max_pages: of a PDF.
    """

    def __init__(
        self, *, max_chars: int = MAX_CHARS, max_pages: int = MAX_PAGES
    ) -> None:
        self._max_chars = max_chars
        self._max_pages = max_pages
        self._slots = asyncio.Semaphore(PDFS_AT_ONCE)

    async def read(self, data: bytes) -> str:
        """Return the text of *data*, never empty.

        Raises:
            MediaError: there is none to be had.
        """
        match await asyncio.to_thread(kinds.kind_of, data):
            case kinds.TEXT:
                return await asyncio.to_thread(self._plain, data)
            case kinds.PDF:
                return (await self.read_pdf(data)).text
            case _:
                raise MediaError("files of this kind are not read here")

    def _plain(self, data: bytes) -> str:
        """Return the text of a text file."""
        most = self._max_chars * SPARSE * MAX_CHAR_BYTES
        text = kinds.text_of(data, most=most)
        if text is None:
            raise MediaError("files of this kind are not read here")
        return self._cut(text, is_whole=len(data) <= most)

    async def read_pdf(self, data: bytes) -> Pages:
        """Return the text of a PDF, never empty, and what of it cannot be read.

        Raises:
            MediaError: there is none to be had.
        """
        limits = (str(self._max_chars), str(self._max_pages))
        out = await self._run((sys.executable, "-I", PDF_PROGRAM, *limits), data)
        answer = await asyncio.to_thread(_answer, out)
        text = await asyncio.to_thread(self._cut, str(answer["text"]))
        return Pages(text, tuple(answer.get("unreadable", ())))

    async def read_word(self, data: bytes) -> str:
        """Return a DOCX file as HTML, of more than `max_chars` one character more.

        Raises:
            MediaError: there is none to be had.
        """
        command = (sys.executable, "-I", WORD_PROGRAM, str(self._max_chars))
        answer = await asyncio.to_thread(_answer, await self._run(command, data))
        return str(answer["text"])

    def _cut(self, text: str, *, is_whole: bool = True) -> str:
        """Return *text* tidied and cut, never empty.

        Args:
            is_whole: False when the file goes on behind it.
        """
        most = self._max_chars
        begin = text[: most * SPARSE]
        tidy = _tidy(begin)
        if not tidy:
            raise MediaError("it holds no text")
        if is_whole and len(begin) == len(text) and len(tidy) <= most:
            return tidy
        return tidy[:most].rstrip() + CUT

    async def _run(self, command: Sequence[str | Path], data: bytes) -> bytes:
        try:
            async with self._slots, asyncio.timeout(PDF_S):
                return await _run(command, data)
        except TimeoutError:
            raise MediaError("it takes too long to read") from None


def _answer(out: bytes) -> dict[str, Any]:
    """Return what a program has printed, with a ``text``.

    Raises:
        MediaError: it says why there is none.
    """
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        # Over a limit, or the library has printed something.
        raise MediaError("it is too complicated") from None
    if "text" not in answer:
        raise MediaError(answer["problem"])
    return answer


async def _run(command: Sequence[str | Path], data: bytes) -> bytes:
    """Give *data* to a program and return its output; cancelling kills it."""
    program = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    )
    try:
        out, _ = await program.communicate(data)
        return out
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()


def _tidy(text: str) -> str:
    """Drop what no database takes, and the white space that layouts leave."""
    text = UNSTORABLE.sub("", text)
    text = BLANKS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return EMPTY_LINES.sub("\n\n", text).strip()
