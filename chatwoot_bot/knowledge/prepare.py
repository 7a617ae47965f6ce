"""From a document as it was fetched to what is stored: all that costs time.

Run as a program it does so for each line on stdin, so that reading a thousand documents
takes no time from the service: JSON of `Raw` in, JSON of `Prepared` out. Its chunks
follow on lines of their own, `AT_ONCE` on each, so that no line takes long to read. It
ends with its stdin, that is with whoever has started it.
"""

import dataclasses
import json
import os
import sys
from pathlib import PurePath
from urllib.parse import urlsplit

from ..core.chunk import Chunk
from .chunks import chunks_of
from .documents import Kind, Raw, parse
from .terms import language_of, terms_of

# A change of how documents are cut or read makes this another number, and all
# documents new.
VERSION = 2
# Chunks on one line of the answer.
AT_ONCE = 25


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document, ready to be stored.

    Attributes:
        title: never empty.
        language: ISO 639-1; "" when unknown.
        chunks: in order; none for a document without text.
    """

    title: str
    url: str | None
    language: str
    chunks: tuple[Chunk, ...]


def prepare(raw: Raw) -> Prepared:
    """Take a document apart and make its terms."""
    parsed = parse(raw)
    pieces = chunks_of(parsed.sections)
    title = parsed.title or _name(raw.uri)
    text = "\n".join((title, *(piece.text for piece in pieces[:5])))
    language = language_of(text, parsed.language)
    title_terms = " ".join(terms_of(title, language))
    return Prepared(
        title=title,
        url=parsed.url,
        language=language,
        chunks=tuple(
            Chunk(
                heading=piece.heading,
                text=piece.text,
                title_terms=title_terms,
                heading_terms=" ".join(terms_of(piece.heading, language)),
                text_terms=" ".join(terms_of(piece.text, language)),
            )
            for piece in pieces
        ),
    )


def _name(uri: str) -> str:
    stem = PurePath(urlsplit(uri).path if "://" in uri else uri).stem
    return stem.replace("-", " ").replace("_", " ").strip() or uri


def main() -> None:
    """Prepare documents until stdin ends."""
    os.nice(10)  # whoever waits for an answer goes first
    for line in sys.stdin.buffer:
        said = json.loads(line)
        raw = Raw(**{**said, "kind": Kind(said["kind"])})
        said = dataclasses.asdict(prepare(raw))
        chunks = said.pop("chunks")
        lines = [chunks[at : at + AT_ONCE] for at in range(0, len(chunks), AT_ONCE)]
        for answer in ({**said, "lines": len(lines)}, *lines):
            sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
