"""what channels carry, attachments, options to choose from, resolves, marks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply."""
    op.add_column("conversations", sa.Column("chatwoot_channel", sa.Text()))
    op.add_column(
        "conversations",
        sa.Column("can_reply", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
    op.add_column("conversations", sa.Column("told_status", sa.Text()))
    op.add_column("conversations", sa.Column("switch", sa.Text()))
    op.add_column(
        "conversations",
        sa.Column("switch_at", sa.Double(), server_default="0", nullable=False),
    )
    op.add_column(
        "conversations",
        sa.Column("marks", sa.Text(), server_default="", nullable=False),
    )
    op.add_column(
        "conversations",
        sa.Column("released", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("messages", sa.Column("attachments", sa.Text()))
    op.add_column(
        "messages",
        sa.Column("closes", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("messages", sa.Column("owed_at", sa.Double()))
    op.add_column("replies", sa.Column("options", sa.Text()))
