"""estimated tokens: whether the model's server has counted what a turn took."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "turns",
        sa.Column("estimated", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
