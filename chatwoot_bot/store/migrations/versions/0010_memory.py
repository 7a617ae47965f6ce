"""memory: who the contact is, what was said before, and what the model has cost."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply."""
    for column in (
        sa.Column("contact", sa.Text()),
        sa.Column("attributes", sa.Text(), nullable=False, server_default=""),
        sa.Column("summary", sa.Text()),
        sa.Column("summary_until", sa.BigInteger()),
        sa.Column("spent", sa.Double(), nullable=False, server_default="0"),
    ):
        op.add_column("conversations", column)
    op.execute("UPDATE conversations SET contact = visitor")
    op.create_index(
        "ix_conversations_contact",
        "conversations",
        ["contact", "active_at"],
        sqlite_where=sa.text("contact IS NOT NULL"),
        postgresql_where=sa.text("contact IS NOT NULL"),
    )
    op.create_table(
        "spending",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("day", "shard"),
    )
