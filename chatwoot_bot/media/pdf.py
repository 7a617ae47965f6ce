"""Print the text of the PDF on stdin as JSON: a program of its own.

A stranger's PDF can take for ever and all memory; a process can be limited and
killed, and the service never imports pypdf. It is run by its path, in isolated mode,
so it imports nothing of ours.
"""

import contextlib
import io
import json
import sys
from typing import Any

MEMORY_BYTES = 512 * 1024 * 1024
CPU_S = 10
# As in `reading.py`, which leaves out the blanks that layouts are made of.
SPARSE = 4
# Share of a page under a picture that makes it a scan, and characters beside a picture
# that are a stamp or a watermark and not its text.
PICTURED = 0.5
FEW = 50
SCANNED = "it is a scan: hardly any of its text can be read, so run OCR over it"
UNMAPPED = (
    "its fonts do not say which characters they show, so print it to PDF again or "
    "run OCR over it"
)


def limit() -> None:
    """Bound memory and time, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def read(data: bytes, max_chars: int, max_pages: int) -> dict[str, Any]:
    """Return the text of the first pages, a little more than *max_chars* of them.

    One page may hold much more; of that, `SPARSE` times as much and one character.
    Pages that cannot be read are left out and named; where no page can, that is the
    problem.
    """
    import pypdf

    reader = pypdf.PdfReader(io.BytesIO(data))
    pages: list[str] = []
    problems: dict[int, str] = {}
    for number, page in enumerate(reader.pages[:max_pages], 1):
        found = Found()
        text = page.extract_text(
            visitor_operand_before=found.see, visitor_text=found.hear
        )
        if problem := found.problem(page.mediabox.width * page.mediabox.height):
            problems[number] = problem
            continue
        pages.append(text)
        if sum(map(len, pages)) > max_chars:
            break
    if problems and not any(map(str.strip, pages)):
        return {"problem": next(iter(problems.values()))}
    text = "\n\n".join(pages)[: max_chars * SPARSE + 1]
    return {"text": text, "unreadable": list(problems)}


class Found:
    """What a page is made of: characters that mean something or not, and pictures.

    The area of a picture is that of the unit square under its matrix.
    """

    def __init__(self) -> None:
        self._readable = self._unmapped = 0
        self._pictured = 0.0

    def see(
        self, operator: Any, _operands: Any, matrix: Any, _text_matrix: Any
    ) -> None:
        """Take note of what is painted."""
        if operator == b"Do":
            area = abs(matrix[0] * matrix[3] - matrix[1] * matrix[2])
            self._pictured = max(self._pictured, area)

    def hear(self, text: str, _m: Any, _tm: Any, font: Any, _size: Any) -> None:
        """Take note of what is written."""
        letters = sum(not each.isspace() for each in text)
        strange = sum(is_strange(each) for each in text)
        if font is not None and is_unmapped(font):
            strange = letters
        self._unmapped += strange
        self._readable += letters - strange

    def problem(self, area: float) -> str | None:
        """Return why the page, of *area*, cannot be read."""
        if self._unmapped > self._readable:
            return UNMAPPED
        scanned = self._pictured > PICTURED * float(area)
        # A page of nothing but a picture has no text; that is said in other words.
        if scanned and 0 < self._readable < FEW:
            return SCANNED
        return None


def is_strange(character: str) -> bool:
    """Return whether a character stands for a glyph that means nothing to a reader."""
    return character == "\ufffd" or "\ue000" <= character <= "\uf8ff"


def is_unmapped(font: Any) -> bool:
    """Return whether nothing says which characters the glyphs of *font* are."""
    if font.get("/Subtype") != "/Type0" or "/ToUnicode" in font:
        return False
    return str(font.get("/Encoding")).startswith("/Identity")


def main() -> None:
    """Print ``{"text", "unreadable"}`` or ``{"problem"}``; what is neither is a crash.

    ``unreadable`` are numbers of pages.
    """
    limit()
    try:
        limits = map(int, sys.argv[1:3])
        answer = read(sys.stdin.buffer.read(), *limits)
    except ImportError:
        answer = {"problem": "PDF files are not read here"}
    except Exception as error:  # noqa: BLE001 - pypdf raises whatever a file provokes
        locked = type(error).__name__ in ("FileNotDecryptedError", "DependencyError")
        answer = {"problem": "it needs a password" if locked else "it is damaged"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
