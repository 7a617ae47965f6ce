"""knowledge: documents, their chunks and vectors, the index, open questions."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    _create_documents()
    _create_chunks()
    op.create_table(
        "knowledge_vectors",
        sa.Column("chunk_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("signs", sa.LargeBinary(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id"),
    )
    op.create_index(
        "ix_knowledge_vectors_model", "knowledge_vectors", ["model", "chunk_id"]
    )
    op.create_table(
        "unanswered_questions",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "folded"),
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in POSTGRESQL if postgresql else SQLITE:
        op.execute(statement)


def _create_documents() -> None:
    op.create_table(
        "knowledge_documents",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("collection", "uri"),
    )
    op.create_index(
        "ix_knowledge_documents_languages",
        "knowledge_documents",
        ["collection", "language", "chunks"],
    )


def _create_chunks() -> None:
    op.create_table(
        "knowledge_chunks",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title_terms", sa.Text(), nullable=False),
        sa.Column("heading_terms", sa.Text(), nullable=False),
        sa.Column("text_terms", sa.Text(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("document_id", "position"),
        sqlite_autoincrement=True,
    )


SQLITE = (
    # "ascii" takes everything beyond ASCII for letters: our terms stay as they are.
    """
    CREATE VIRTUAL TABLE knowledge_index USING fts5(
        title_terms, heading_terms, text_terms,
        content='knowledge_chunks', content_rowid='id', tokenize='ascii', detail=full
    )
    """,
    "CREATE VIRTUAL TABLE knowledge_index_terms USING fts5vocab(knowledge_index, row)",
)
POSTGRESQL = (
    """
    CREATE TABLE knowledge_index (
        chunk_id bigint PRIMARY KEY, collection text NOT NULL, terms tsvector NOT NULL
    )
    """,
    # Without a list of what is not indexed yet, which every search would read.
    """
    CREATE INDEX ix_knowledge_index_terms ON knowledge_index
    USING gin (terms) WITH (fastupdate = off)
    """,
    # In how many chunks a term is; ts_rank does not know.
    "CREATE TABLE knowledge_index_terms (term text PRIMARY KEY, doc bigint NOT NULL)",
)
