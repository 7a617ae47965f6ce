"""What the bot knows: documents, their chunks and vectors, and what it did not know.

A document is written in small steps, because on SQLite a statement runs in the event
loop: opened (its digest is forgotten), emptied, filled, closed. One that was left open
is read again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ..core.chunk import Chunk
from ..core.ranking import Asked, Query, Ranked, Terms, parts_of
from . import knowledge_index as index
from .conversations import insert_new
from .schema import (
    knowledge_chunks,
    knowledge_documents,
    knowledge_signs,
    knowledge_vectors,
    service,
    unanswered_questions,
)

INDEXER = "knowledge_indexer"
# Chunks in one transaction: some 3 ms of the event loop.
BATCH = 8
# Chunks that are ranked exactly, and those that are looked at to find them.
CANDIDATES = 40
LOOKED_AT = 1_000
MAX_QUESTIONS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as it is listed.

    Attributes:
        collection: who may see it; "" is everybody.
        uri: where it came from: a path, or an address.
        url: for contacts; None when they cannot open it.
        language: ISO 639-1; "" when unknown.
    """

    collection: str
    uri: str
    title: str
    url: str | None
    language: str
    chunks: int = 0
    added_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A chunk as it is found."""

    chunk_id: int
    document_id: int
    uri: str
    title: str
    url: str | None
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Size:
    """What there is to search: the languages of the documents, and the chunks."""

    languages: tuple[str, ...]
    chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that a contact wanted to know, and nobody had written down."""

    collection: str
    folded: str
    question: str
    conversation_id: str
    asked_at: float
    count: int


# --- Documents ---


def digests(tx: sa.Connection, collection: str) -> dict[str, str | None]:
    """Return uri → digest of a collection's documents; None for one left open."""
    rows = tx.execute(_DIGESTS, {"collection": collection})
    return {row.uri: row.digest for row in rows}


def documents(
    tx: sa.Connection, collections: Collection[str] | None = None
) -> list[Document]:
    """Return the documents, by collection and uri; all when None is said."""
    query = sa.select(knowledge_documents).order_by(
        knowledge_documents.c.collection, knowledge_documents.c.uri
    )
    if collections is not None:
        query = query.where(knowledge_documents.c.collection.in_(collections))
    return [
        Document(
            collection=row.collection,
            uri=row.uri,
            title=row.title,
            url=row.url,
            language=row.language,
            chunks=row.chunks,
            added_at=row.added_at,
        )
        for row in tx.execute(query)
    ]


def open_document(tx: sa.Connection, document: Document) -> int:
    """Make or open a document for new content; return its id."""
    named = {"collection": document.collection, "uri": document.uri}
    values = {
        "title": document.title,
        "url": document.url,
        "language": document.language,
        "digest": None,
        "added_at": document.added_at,
    }
    row = {**named, **values, "chunks": 0}
    tx.execute(insert_new(knowledge_documents, tx.dialect.name), row)
    tx.execute(_OPEN, {f"is_{k}": v for k, v in named.items()} | values)
    document_id: int = tx.execute(_IDENTIFIED, named).scalar_one()
    return document_id


def begin_document(
    tx: sa.Connection, document: Document, chunks: Sequence[Chunk], digest: str
) -> int | None:
    """Write a document, if one step is enough.

    Returns:
        None when it is whole; else its id, and it is open.
    """
    document_id = open_document(tx, document)
    if drop_chunks(tx, document_id, BATCH) and len(chunks) <= BATCH:
        add_chunks(tx, document_id, document.collection, chunks, first=0)
        close_document(tx, document_id, digest=digest, chunks=len(chunks))
        return None
    return document_id


def drop_chunks(tx: sa.Connection, document_id: int, limit: int) -> bool:
    """Delete up to *limit* chunks of a document; return whether that was all."""
    mine = {"document": document_id, "limit": limit}
    chunk_ids = list(tx.execute(_SOME, mine).scalars())
    if chunk_ids:
        index.delete(tx, chunk_ids)
        gone = [{"chunk": chunk_id} for chunk_id in chunk_ids]
        _forget_vectors(tx, gone)
        tx.execute(_FORGET_CHUNK, gone)
    return len(chunk_ids) < limit


def add_chunks(
    tx: sa.Connection,
    document_id: int,
    collection: str,
    chunks: Sequence[Chunk],
    *,
    first: int,
) -> None:
    """Add *chunks* to an open document.

    Args:
        first: the position of the first of them.
    """
    rows = [
        {
            "document_id": document_id,
            "collection": collection,
            "position": position,
            "title_terms": chunk.title_terms,
            "heading_terms": chunk.heading_terms,
            "text_terms": chunk.text_terms,
            "heading": chunk.heading,
            "text": chunk.text,
        }
        for position, chunk in enumerate(chunks, first)
    ]
    if rows:
        tx.execute(_ADD, rows)
        index.insert(tx, document_id, first=first)


def close_document(
    tx: sa.Connection, document_id: int, *, digest: str, chunks: int
) -> None:
    """Say that a document is whole."""
    named = {"document": document_id}
    tx.execute(_CLOSE, {**named, "new_digest": digest, "new_chunks": chunks})


def remove_document(tx: sa.Connection, document_id: int) -> None:
    """Delete a document that has no chunks any more."""
    tx.execute(_REMOVE, {"document": document_id})


def find_documents(tx: sa.Connection, collection: str, place: str) -> dict[str, int]:
    """Return uri → id of the document at *place* and of those below it."""
    below = place.rstrip("/") + "/"
    rows = tx.execute(
        _BELOW, {"collection": collection, "place": place, "below": below}
    )
    return {row.uri: row.id for row in rows}


_OF_COLLECTION = knowledge_documents.c.collection == sa.bindparam("collection")
_DIGESTS = sa.select(knowledge_documents.c.uri, knowledge_documents.c.digest).where(
    _OF_COLLECTION
)
_OPEN = (
    sa.update(knowledge_documents)
    .where(
        knowledge_documents.c.collection == sa.bindparam("is_collection"),
        knowledge_documents.c.uri == sa.bindparam("is_uri"),
    )
    .values(
        {
            name: sa.bindparam(name)
            for name in ("title", "url", "language", "digest", "added_at")
        }
    )
)
_IDENTIFIED = sa.select(knowledge_documents.c.id).where(
    _OF_COLLECTION, knowledge_documents.c.uri == sa.bindparam("uri")
)
_SOME = (
    sa.select(knowledge_chunks.c.id)
    .where(knowledge_chunks.c.document_id == sa.bindparam("document"))
    .limit(sa.bindparam("limit"))
)
_FORGET_VECTOR = sa.delete(knowledge_vectors).where(
    knowledge_vectors.c.chunk_id == sa.bindparam("chunk")
)
_FORGET_SIGNS = sa.delete(knowledge_signs).where(
    knowledge_signs.c.chunk_id == sa.bindparam("chunk")
)
_FORGET_CHUNK = sa.delete(knowledge_chunks).where(
    knowledge_chunks.c.id == sa.bindparam("chunk")
)
_ADD = sa.insert(knowledge_chunks)
_THIS = knowledge_documents.c.id == sa.bindparam("document")
_CLOSE = (
    sa.update(knowledge_documents)
    .where(_THIS)
    .values(digest=sa.bindparam("new_digest"), chunks=sa.bindparam("new_chunks"))
)
_REMOVE = sa.delete(knowledge_documents).where(_THIS)
_BELOW = sa.select(knowledge_documents.c.uri, knowledge_documents.c.id).where(
    _OF_COLLECTION,
    (knowledge_documents.c.uri == sa.bindparam("place"))
    | (
        sa.func.substr(
            knowledge_documents.c.uri,
            1,
            sa.func.length(sa.bindparam("below", type_=sa.Text)),
        )
        == sa.bindparam("below", type_=sa.Text)
    ),
)


# --- Search ---


def search(
    tx: sa.Connection,
    collections: Sequence[str],
    ask: Callable[[Collection[str]], Asked],
) -> list[Ranked]:
    """Return the chunks that fit a question, the best first, at most `CANDIDATES`.

    Args:
        ask: returns the question, when it is told the languages of the documents.
    """
    there = size(tx, collections)
    question = ask(there.languages)
    query = Query(question, _frequencies(tx, question), there.chunks)
    weights = query.weights(LOOKED_AT)
    if not weights:
        return []
    found = index.candidates(tx, collections, weights, CANDIDATES)
    return query.rank(
        {
            row.id: Terms(
                row.title_terms.split(),
                row.heading_terms.split(),
                row.text_terms.split(),
                row.language,
            )
            for row in found
        }
    )


def _frequencies(tx: sa.Connection, question: Asked) -> dict[str, int]:
    """Return how many chunks hold each term, and the parts of what none holds."""
    known = index.frequencies(tx, {term for word in question.words for term in word})
    unknown = [word for word in question.words if not known.keys() & {*word}]
    parts = {part for word in unknown for term in word for part in parts_of(term)}
    return known | index.frequencies(tx, parts)


def size(tx: sa.Connection, collections: Sequence[str]) -> Size:
    """Return how much there is to search."""
    rows = tx.execute(_SIZE, {"collections": list(collections)}).all()
    languages = sorted(row.language for row in rows)
    return Size(tuple(languages), sum(row.chunks or 0 for row in rows))


def pieces(tx: sa.Connection, chunk_ids: Sequence[int]) -> dict[int, Piece]:
    """Return what is in chunks, by their id."""
    rows = tx.execute(_PIECES, {"chunks": list(chunk_ids)})
    return {
        row.chunk_id: Piece(
            chunk_id=row.chunk_id,
            document_id=row.document_id,
            uri=row.uri,
            title=row.title,
            url=row.url,
            heading=row.heading,
            text=row.text,
        )
        for row in rows
    }


_SIZE = (
    sa.select(
        knowledge_documents.c.language,
        sa.func.sum(knowledge_documents.c.chunks).label("chunks"),
    )
    .where(
        knowledge_documents.c.collection.in_(
            sa.bindparam("collections", expanding=True)
        )
    )
    .group_by(knowledge_documents.c.language)
)
_PIECES = (
    sa.select(
        knowledge_chunks.c.id.label("chunk_id"),
        knowledge_chunks.c.document_id,
        knowledge_chunks.c.heading,
        knowledge_chunks.c.text,
        knowledge_documents.c.uri,
        knowledge_documents.c.title,
        knowledge_documents.c.url,
    )
    .join(
        knowledge_documents, knowledge_documents.c.id == knowledge_chunks.c.document_id
    )
    .where(knowledge_chunks.c.id.in_(sa.bindparam("chunks", expanding=True)))
)


# --- Vectors ---


def without_vector(tx: sa.Connection, model: str, limit: int) -> list[Piece]:
    """Return chunks that *model* has not seen."""
    rows = tx.execute(_UNSEEN, {"model": model, "limit": limit}).scalars().all()
    return list(pieces(tx, rows).values())


def count_without_vector(tx: sa.Connection, model: str) -> int:
    """Return how many chunks *model* has not seen."""
    return tx.execute(_COUNT_UNSEEN, {"model": model}).scalar_one()


def keep_vectors(
    tx: sa.Connection, model: str, vectors: Mapping[int, tuple[bytes, bytes]]
) -> None:
    """Keep vectors: chunk → (signs about 0, numbers); a chunk that is gone needs none.

    See `knowledge_means.py` for the signs about a mean, which come later.
    """
    there = set(tx.execute(_THERE, {"chunks": list(vectors)}).scalars())
    rows = [
        {"chunk_id": chunk, "model": model, "bits": signs, "numbers": numbers}
        for chunk, (signs, numbers) in vectors.items()
        if chunk in there
    ]
    if rows:
        _forget_vectors(tx, [{"chunk": chunk} for chunk in vectors])
        tx.execute(_ADD_VECTOR, rows)
        tx.execute(_ADD_SIGNS, rows)


def _forget_vectors(tx: sa.Connection, gone: Sequence[dict[str, int]]) -> None:
    tx.execute(_FORGET_VECTOR, gone)
    tx.execute(_FORGET_SIGNS, gone)


def numbers(
    tx: sa.Connection, chunk_ids: Sequence[int], model: str
) -> list[tuple[int, bytes]]:
    """Return the vectors of some chunks: (chunk, float32 numbers)."""
    asked = {"chunks": list(chunk_ids), "model": model}
    return [(chunk, each) for chunk, each in tx.execute(_NUMBERS, asked)]


_ADD_VECTOR = sa.insert(knowledge_vectors).values(
    {name: sa.bindparam(name) for name in ("chunk_id", "model", "numbers")}
)
_ADD_SIGNS = sa.insert(knowledge_signs).values(
    {name: sa.bindparam(name) for name in ("chunk_id", "model", "bits")}
)
_MODEL = knowledge_vectors.c.model == sa.bindparam("model")
_SOME_CHUNKS: sa.BindParameter[int] = sa.bindparam("chunks", expanding=True)
_WITHOUT = (
    sa.select(knowledge_chunks.c.id)
    .outerjoin(
        knowledge_vectors,
        (knowledge_vectors.c.chunk_id == knowledge_chunks.c.id) & _MODEL,
    )
    .where(knowledge_vectors.c.chunk_id.is_(None))
)
_UNSEEN = _WITHOUT.limit(sa.bindparam("limit"))
_COUNT_UNSEEN = sa.select(sa.func.count()).select_from(_WITHOUT.subquery())
_THERE = sa.select(knowledge_chunks.c.id).where(knowledge_chunks.c.id.in_(_SOME_CHUNKS))
_NUMBERS = sa.select(knowledge_vectors.c.chunk_id, knowledge_vectors.c.numbers).where(
    _MODEL, knowledge_vectors.c.chunk_id.in_(_SOME_CHUNKS)
)


# --- What nobody had written down ---


def collect_question(tx: sa.Connection, question: Question) -> None:
    """Keep a question that found nothing, or count it when it was asked before."""
    count = tx.scalar(sa.select(sa.func.count()).select_from(unanswered_questions))
    if (count or 0) < MAX_QUESTIONS:
        row = {
            name: getattr(question, name)
            for name in ("collection", "folded", "question", "conversation_id")
        }
        row |= {"asked_at": question.asked_at, "count": 0}
        tx.execute(insert_new(unanswered_questions, tx.dialect.name), row)
    tx.execute(
        sa.update(unanswered_questions)
        .where(*_is(question))
        .values(
            count=unanswered_questions.c.count + 1,
            asked_at=question.asked_at,
            conversation_id=question.conversation_id,
        )
    )


def questions(tx: sa.Connection) -> list[Question]:
    """Return the open questions, the most frequent first."""
    rows = tx.execute(
        sa.select(unanswered_questions).order_by(
            unanswered_questions.c.count.desc(), unanswered_questions.c.asked_at.desc()
        )
    )
    return [Question(**row._mapping) for row in rows]


def is_open(tx: sa.Connection, question: Question) -> bool:
    """Return whether a question was asked before, and is still without an answer."""
    there = sa.select(unanswered_questions.c.count).where(*_is(question))
    return tx.execute(there).first() is not None


def forget_question(tx: sa.Connection, question: Question) -> None:
    """Delete a question: it is answered, or nobody will."""
    tx.execute(sa.delete(unanswered_questions).where(*_is(question)))


def _is(question: Question) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        unanswered_questions.c.collection == question.collection,
        unanswered_questions.c.folded == question.folded,
    )


# --- Who adds documents ---


def take_turn(tx: sa.Connection, owner: str, *, now: float, until: float) -> bool:
    """Let *owner* alone add documents until then; return False when another may.

    A lease in the database, because the other may be on another machine.
    """
    row = {"name": INDEXER, "value": f"{until} {owner}"}
    insert = insert_new(service, tx.dialect.name, returning="name")
    if tx.execute(insert, row).first() is not None:
        return True
    held = tx.scalar(
        sa.select(service.c.value).where(service.c.name == INDEXER).with_for_update()
    )
    ends, _, holder = str(held).partition(" ")
    if holder != owner and float(ends) > now:
        return False
    tx.execute(
        sa.update(service)
        .where(service.c.name == INDEXER)
        .values(value=f"{until} {owner}")
    )
    return True


def end_turn(tx: sa.Connection, owner: str) -> None:
    """Let others add documents."""
    mine = service.c.value.endswith(f" {owner}")
    tx.execute(sa.delete(service).where(service.c.name == INDEXER, mine))
