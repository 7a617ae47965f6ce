"""Cut sections into chunks: large enough to answer from, small enough to be one thing.

Pure. A chunk never spans two sections, so its headings are true of all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.splitting import split
from .documents import Section

# Some 300 tokens; five of them leave a model room for the conversation.
MAX_CHARS = 1_200
# Of a document; a telephone book is not read to its end.
MAX_CHUNKS = 5_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a document: the headings above it, and its text."""

    heading: str
    text: str


def chunks_of(sections: Sequence[Section]) -> list[Piece]:
    """Return the pieces of a document in order, at most `MAX_CHUNKS`, none blank."""
    pieces = [
        Piece(" > ".join(section.path), text)
        for section in sections
        for text in split(section.text, MAX_CHARS)
        if text.strip()
    ]
    return pieces[:MAX_CHUNKS]
