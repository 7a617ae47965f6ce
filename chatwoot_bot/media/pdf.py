"""Print the text of the PDF on stdin as JSON: a program of its own.

A stranger's PDF can take for ever and all memory; a process can be limited and
killed, and the service never imports pypdf. It is run by its path, in isolated mode,
so it imports nothing of ours.
"""

import contextlib
import io
import json
import sys

MEMORY_BYTES = 512 * 1024 * 1024
CPU_S = 10
# As in `reading.py`, which leaves out the blanks that layouts are made of.
SPARSE = 4


def limit() -> None:
    """Bound memory and time, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def text_of(data: bytes, max_chars: int, max_pages: int) -> str:
    """Return the text of the first pages, a little more than *max_chars* of them.

    One page may hold much more; of that, `SPARSE` times as much and one character.
    """
    import pypdf

    reader = pypdf.PdfReader(io.BytesIO(data))
    pages: list[str] = []
    for page in reader.pages[:max_pages]:
        pages.append(page.extract_text())
        if sum(map(len, pages)) > max_chars:
            break
    return "\n\n".join(pages)[: max_chars * SPARSE + 1]


def main() -> None:
    """Print ``{"text"}`` or ``{"problem"}``; what is neither is a crash."""
    limit()
    try:
        limits = map(int, sys.argv[1:3])
        answer = {"text": text_of(sys.stdin.buffer.read(), *limits)}
    except ImportError:
        answer = {"problem": "PDF files are not read here"}
    except Exception as error:  # noqa: BLE001 - pypdf raises whatever a file provokes
        locked = type(error).__name__ in ("FileNotDecryptedError", "DependencyError")
        answer = {"problem": "it needs a password" if locked else "it is damaged"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
