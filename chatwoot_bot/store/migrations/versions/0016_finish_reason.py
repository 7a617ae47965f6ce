"""finish reason: how the model's server says that its answer ended."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"


def upgrade() -> None:
    """Apply."""
    op.add_column("turns", sa.Column("finish_reason", sa.Text()))
