"""who is online, by visitor: anybody may choose the name of somebody else."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply."""
    # Nothing in it is older than the sockets that the restart has closed.
    op.drop_table("presence")
    op.create_table(
        "presence",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("visitor", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "visitor", "process"),
    )
    online = sa.text("connections > 0")
    op.create_index(
        "ix_presence_online",
        "presence",
        ["process"],
        sqlite_where=online,
        postgresql_where=online,
    )
    op.create_index("ix_presence_seen", "presence", ["seen_at"])
