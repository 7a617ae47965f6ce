"""the web chat: users, why a state changed, who is online, the console's lists."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply."""
    op.add_column("conversations", sa.Column("visitor", sa.Text()))
    op.create_index("ix_conversations_active", "conversations", ["active_at", "id"])
    _partial("ix_conversations_held", "conversations", "active_at", "state <> 'ai'")
    _partial("ix_conversations_user", "conversations", "user_id", "user_id IS NOT NULL")
    _partial(
        "ix_messages_changed",
        "messages",
        "conversation_id",
        "edited_at IS NOT NULL OR deleted_at IS NOT NULL",
    )
    op.add_column("messages", sa.Column("options", sa.Text()))
    for name, kind in (
        ("cost", sa.Double()),
        ("tools", sa.Text()),
        ("sources", sa.Text()),
        ("draft", sa.Text()),
    ):
        op.add_column("turns", sa.Column(name, kind))
    _create_state_changes()
    op.create_table(
        "presence",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "process"),
    )


def _create_state_changes() -> None:
    op.create_table(
        "state_changes",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_state_changes_conversation", "state_changes", ["conversation_id", "id"]
    )


def _partial(name: str, table: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, [column], sqlite_where=condition, postgresql_where=condition
    )
