"""when a request was closed: what was said before belongs above the line."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "conversations",
        sa.Column("closed_at", sa.Double(), nullable=False, server_default="0"),
    )
