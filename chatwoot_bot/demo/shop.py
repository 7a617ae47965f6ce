"""Pebblewick, a knitwear shop that does not exist, and what it has written down.

Its documents are ranked in memory: no database holds a copy, so that nothing of the
shop is left among an operator's own documents.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from ..core.chunk import Chunk
from ..core.ranking import Asked, Query, Terms, parts_of
from ..knowledge.documents import Kind, Raw
from ..knowledge.prepare import Prepared, prepare
from ..knowledge.search import MAX_CHARS, MAX_WORDS, Passage
from ..knowledge.terms import asked, terms_of

# When a colleague there takes calls, as in `BOOKING_HOURS`.
CALL_HOURS = "Mon-Fri 09:00-17:00"
LANGUAGE = "en"
FOLDER = "documents"
# Begins the last line of a passage: other words for its heading, which are not shown.
ASKED_AS = "Asked as: "
# The least share of a question that a passage must cover: there are too few passages
# to tell a question about something else by how rare its words are.
COVERED = 0.4


class Shop:
    """The documents of the shop, ready to be searched.

    Args:
        documents: by the names of their files.
    """

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._prepared = [
            (name, prepare(Raw(uri=name, kind=Kind.MARKDOWN, text=text)))
            for name, text in sorted(documents.items())
        ]
        self._chunks = [
            (number, chunk)
            for number, (_, document) in enumerate(self._prepared)
            for chunk in document.chunks
        ]
        self._terms = {at: _terms(chunk) for at, (_, chunk) in enumerate(self._chunks)}
        self._frequencies = Counter(
            term
            for one in self._terms.values()
            for term in {*one.title, *one.heading, *one.text}
        )

    @property
    def documents(self) -> Sequence[Prepared]:
        """Return what the shop has written down."""
        return [document for _, document in self._prepared]

    def find(self, question: str, *, limit: int = 3) -> Sequence[Passage]:
        """Return the passages that answer *question*, the best first."""
        looked_for = asked(question[:MAX_CHARS], [LANGUAGE])
        query = Query(
            Asked(looked_for.words[:MAX_WORDS], looked_for.language),
            self._known(looked_for),
            len(self._chunks),
        )
        about = {term for word in looked_for.words for term in word}
        ranked = [
            one
            for one in query.rank(self._terms)
            if one.coverage >= COVERED and about & {*self._terms[one.chunk_id].heading}
        ]
        return [self._passage(one.chunk_id, one.score) for one in ranked[:limit]]

    def _known(self, question: Asked) -> Mapping[str, int]:
        """Return how many passages hold each term, and the parts of unknown ones."""
        terms = {term for word in question.words for term in word}
        parts = {part for term in terms for part in parts_of(term)}
        return {
            term: self._frequencies[term]
            for term in terms | parts
            if term in self._frequencies
        }

    def _passage(self, at: int, score: float) -> Passage:
        number, chunk = self._chunks[at]
        name, document = self._prepared[number]
        return Passage(
            document_id=number,
            uri=name,
            title=document.title,
            url=document.url,
            heading=chunk.heading,
            text=" ".join(chunk.text.partition(ASKED_AS)[0].split()),
            score=score,
        )


def _terms(chunk: Chunk) -> Terms:
    """Return the terms of *chunk*, with the other words for its heading among them."""
    text, _, asked_as = chunk.text.partition(ASKED_AS)
    heading = [*chunk.title_terms.split(), *chunk.heading_terms.split()]
    return Terms(
        chunk.title_terms.split(),
        [*heading, *terms_of(asked_as, LANGUAGE)],
        terms_of(text, LANGUAGE),
        LANGUAGE,
    )


@cache
def pebblewick() -> Shop:
    """Return the shop; its documents are read once."""
    folder = resources.files(__package__).joinpath(FOLDER)
    return Shop({file.name: file.read_text("utf-8") for file in folder.iterdir()})
