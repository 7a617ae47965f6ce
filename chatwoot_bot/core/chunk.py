"""A piece of a document, as it is stored and searched."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document and its terms, with spaces between them."""

    heading: str
    text: str
    title_terms: str
    heading_terms: str
    text_terms: str
