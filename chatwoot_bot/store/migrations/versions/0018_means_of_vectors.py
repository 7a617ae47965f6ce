"""means of vectors: the signs of a vector are taken about its collection's mean."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply.

    The signs of an older release stay true: without a mean they are about 0. The next
    start takes them again.
    """
    op.create_table(
        "knowledge_means",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.Column("vectors", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "knowledge_signs",
        sa.Column("chunk_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("mean_id", BIG_ID, nullable=True),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id"),
    )
    op.create_index(
        "ix_knowledge_signs_model", "knowledge_signs", ["model", "chunk_id"]
    )
    op.execute(
        "INSERT INTO knowledge_signs (chunk_id, model, bits) "
        "SELECT chunk_id, model, signs FROM knowledge_vectors"
    )
    op.drop_column("knowledge_vectors", "signs")
