"""The full text of what the bot knows: FTS5 in SQLite, a tsvector in PostgreSQL.

Both index the terms that `knowledge/terms.py` makes and nothing else, so that the same
question finds the same chunks. `candidates` is the rough choice, by a rank that each
database is quick at; the fine one is made outside, by one rule for both.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import sqlalchemy as sa

from ..core.ranking import HEADING, TITLE


def insert(tx: sa.Connection, document_id: int, *, first: int) -> None:
    """Index the chunks of a document from position *first* on."""
    new = {"document": document_id, "first": first}
    if tx.dialect.name == "sqlite":
        tx.execute(_INSERT_FTS, new)
        return
    rows = tx.execute(_TERMS, new).all()
    vectors = [
        {"chunk": row.id, "collection": row.collection, "terms": _vector(row)}
        for row in rows
    ]
    if vectors:
        tx.execute(_INSERT_VECTOR, vectors)
        tx.execute(_COUNT_IN, {"chunks": [row.id for row in rows]})


def delete(tx: sa.Connection, chunk_ids: Sequence[int]) -> None:
    """Forget chunks, which are still in their table."""
    if tx.dialect.name == "sqlite":
        tx.execute(_DELETE_FTS, [{"chunk": chunk} for chunk in chunk_ids])
        return
    gone = {"chunks": list(chunk_ids)}
    tx.execute(_COUNT_OUT, gone)
    tx.execute(_DELETE_UNUSED)
    tx.execute(_DELETE_VECTOR, gone)


def frequencies(tx: sa.Connection, terms: Collection[str]) -> dict[str, int]:
    """Return in how many chunks each of *terms* is; those in none are left out."""
    if not terms:
        return {}
    rows = tx.execute(_FREQUENCIES, {"terms": list(terms)}).all()
    return {row.term: row.doc for row in rows}


def candidates(
    tx: sa.Connection,
    collections: Sequence[str],
    weights: Mapping[str, float],
    limit: int,
) -> Sequence[sa.Row[tuple[int, str, str, str, str]]]:
    """Return the chunks that are most likely meant, the best first.

    Args:
        weights: term → how much it says; at least one.

    Returns:
        Rows of id, language, title_terms, heading_terms, text_terms.
    """
    asked = {"collections": list(collections), "limit": limit}
    if tx.dialect.name == "sqlite":
        match = " OR ".join(f'"{term}"' for term in weights)
        return tx.execute(_RANK_FTS, {**asked, "match": match}).all()
    statement = _rank_vectors(len(weights))
    for number, (term, weight) in enumerate(weights.items()):
        asked |= {f"term_{number}": _quoted(term), f"weight_{number}": weight}
    match = " | ".join(map(_quoted, weights))
    return tx.execute(statement, {**asked, "match": match}).all()


def _vector(row: sa.Row[tuple[int, str, str, str, str]]) -> str:
    """Return the terms as PostgreSQL writes a tsvector; its parser is not asked."""
    lexemes: dict[str, list[str]] = {}
    position = 0
    for terms, weight in (
        (row.title_terms, "A"),
        (row.heading_terms, "B"),
        (row.text_terms, "D"),
    ):
        for term in terms.split():
            # Of no more than that many PostgreSQL keeps the place.
            position = min(position + 1, 16_383)
            lexemes.setdefault(term, []).append(f"{position}{weight}")
    return " ".join(
        f"{_quoted(term)}:{','.join(places)}" for term, places in lexemes.items()
    )


def _quoted(term: str) -> str:
    escaped = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


_INSERT_FTS = sa.text(
    "INSERT INTO knowledge_index (rowid, title_terms, heading_terms, text_terms) "
    "SELECT id, title_terms, heading_terms, text_terms FROM knowledge_chunks "
    "WHERE document_id = :document AND position >= :first"
)
# An index without texts of its own must be told what to forget.
_DELETE_FTS = sa.text(
    "INSERT INTO knowledge_index "
    "(knowledge_index, rowid, title_terms, heading_terms, text_terms) "
    "SELECT 'delete', id, title_terms, heading_terms, text_terms "
    "FROM knowledge_chunks WHERE id = :chunk"
)
_TERMS = sa.text(
    "SELECT id, collection, title_terms, heading_terms, text_terms "
    "FROM knowledge_chunks WHERE document_id = :document AND position >= :first"
)
_INSERT_VECTOR = sa.text(
    "INSERT INTO knowledge_index (chunk_id, collection, terms) "
    "VALUES (:chunk, :collection, CAST(:terms AS tsvector))"
)
_DELETE_VECTOR = sa.text("DELETE FROM knowledge_index WHERE chunk_id = ANY(:chunks)")
_COUNT = (
    "SELECT term, count(*) AS doc FROM knowledge_index, "
    "unnest(tsvector_to_array(terms)) AS term WHERE chunk_id = ANY(:chunks) "
    "GROUP BY term"
)
_COUNT_IN = sa.text(
    f"INSERT INTO knowledge_index_terms AS known (term, doc) {_COUNT} ORDER BY term "
    "ON CONFLICT (term) DO UPDATE SET doc = known.doc + excluded.doc"
)
_COUNT_OUT = sa.text(
    "UPDATE knowledge_index_terms AS known SET doc = known.doc - gone.doc "
    f"FROM ({_COUNT}) AS gone WHERE known.term = gone.term"
)
_DELETE_UNUSED = sa.text("DELETE FROM knowledge_index_terms WHERE doc <= 0")
_FREQUENCIES = sa.text(
    "SELECT term, doc FROM knowledge_index_terms WHERE term IN :terms"
).bindparams(sa.bindparam("terms", expanding=True))
_FOUND = "chunk.id, language, title_terms, heading_terms, text_terms"
_OF = "JOIN knowledge_documents AS document ON document.id = chunk.document_id"
_RANK_FTS = sa.text(
    f"SELECT {_FOUND} FROM (SELECT found.rowid AS id, "
    f"bm25(knowledge_index, {TITLE}, {HEADING}, 1.0) AS rank "
    "FROM knowledge_index AS found "
    "JOIN knowledge_chunks AS chunk ON chunk.id = found.rowid "
    "WHERE knowledge_index MATCH :match AND chunk.collection IN :collections "
    "ORDER BY rank LIMIT :limit) AS best "
    f"JOIN knowledge_chunks AS chunk ON chunk.id = best.id {_OF} "
    "ORDER BY best.rank"
).bindparams(sa.bindparam("collections", expanding=True))


@lru_cache
def _rank_vectors(terms: int) -> sa.TextClause:
    """Return the ranking for so many terms.

    ts_rank knows how often a term is in a chunk, and not how rare it is: so it is
    asked for each alone.
    """
    ranks = " + ".join(
        f":weight_{number} * ts_rank(:title, terms, CAST(:term_{number} AS tsquery), 1)"
        for number in range(terms)
    ).replace(":title", f"'{{{1 / TITLE}, 0, {HEADING / TITLE}, 1}}'")
    return sa.text(
        f"SELECT {_FOUND} FROM (SELECT chunk_id, {ranks} AS rank "
        "FROM knowledge_index WHERE terms @@ CAST(:match AS tsquery) "
        "AND collection IN :collections ORDER BY rank DESC LIMIT :limit) AS best "
        f"JOIN knowledge_chunks AS chunk ON chunk.id = best.chunk_id {_OF} "
        "ORDER BY best.rank DESC"
    ).bindparams(sa.bindparam("collections", expanding=True))
