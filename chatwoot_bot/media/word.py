"""Print the text of the DOCX file on stdin as HTML in JSON: a program of its own.

As with PDF files: a stranger's file may unpack to gigabytes, and a process can be
limited and killed. It is run by its path, in isolated mode, so it imports nothing of
ours.
"""

import contextlib
import importlib
import io
import json
import sys
import zipfile

MEMORY_BYTES = 512 * 1024 * 1024
CPU_S = 20
# Unpacked, of the parts that hold text; and how many files there may be.
MAX_BYTES = 32 * 1024 * 1024
MAX_FILES = 5_000


class UnreadableError(Exception):
    """Says why the file is not read."""


def limit() -> None:
    """Bound memory and time, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def check(data: bytes) -> None:
    """Look at the directory of the archive before anything is unpacked.

    Python unpacks no more of a file than is written there.

    Raises:
        UnreadableError: it is no DOCX file, or unpacks to too much.
        zipfile.BadZipFile: it is no archive.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = archive.infolist()
    if any(each.flag_bits & 0x1 for each in files):
        raise UnreadableError("it needs a password")
    if "word/document.xml" not in {each.filename for each in files}:
        raise UnreadableError("it is not a DOCX file, whatever its name says")
    texts = [each for each in files if each.filename.endswith((".xml", ".rels"))]
    if len(files) > MAX_FILES or sum(each.file_size for each in texts) > MAX_BYTES:
        raise UnreadableError("it unpacks to too much")


def html_of(data: bytes) -> str:
    """Return the text with its headings, lists and tables; pictures are left out."""
    mammoth = importlib.import_module("mammoth")
    without = mammoth.images.img_element(lambda _image: {})
    result = mammoth.convert_to_html(io.BytesIO(data), convert_image=without)
    return str(result.value)


def main() -> None:
    """Print ``{"text"}`` or ``{"problem"}``; what is neither is a crash."""
    limit()
    try:
        most = int(sys.argv[1])
        data = sys.stdin.buffer.read()
        check(data)
        answer = {"text": html_of(data)[: most + 1]}
    except UnreadableError as error:
        answer = {"problem": str(error)}
    except MemoryError:
        answer = {"problem": "it is too complicated"}
    except ImportError:
        answer = {"problem": "Word files are not read here: pip install mammoth"}
    except Exception:  # noqa: BLE001 - a parser raises whatever a file provokes
        answer = {"problem": "it is damaged"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
