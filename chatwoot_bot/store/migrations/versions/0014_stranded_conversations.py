"""stranded conversations: open although the bot owns them, which no agent may see."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "conversations",
        sa.Column("touched", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("conversations", sa.Column("stranded_at", sa.Double()))
    op.create_index(
        "ix_conversations_stranded",
        "conversations",
        ["stranded_at"],
        sqlite_where=sa.text("stranded_at IS NOT NULL"),
        postgresql_where=sa.text("stranded_at IS NOT NULL"),
    )
