"""how a conversation began, its agents' first reply, and who silenced the bot."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

COLUMNS = ("began_pending", "agent_replied", "hushed")


def upgrade() -> None:
    """Apply."""
    for name in COLUMNS:
        column: sa.Column[bool] = sa.Column(
            name, sa.Boolean(), server_default=sa.false(), nullable=False
        )
        op.add_column("conversations", column)
    # The best guess there is: few of a plain inbox's were ever given back as pending.
    op.execute("UPDATE conversations SET began_pending = ever_pending")
    # What nobody has looked at so far must not look like news.
    op.execute(
        sa.text("UPDATE conversations SET agent_replied = :yes").bindparams(yes=True)
    )
    op.execute(
        sa.text(
            "UPDATE conversations SET hushed = :yes "
            "WHERE switch = 'off' AND state = 'human' AND NOT EXISTS (SELECT 1 "
            "FROM messages WHERE messages.conversation_id = conversations.id "
            "AND messages.sender = 'agent')"
        ).bindparams(yes=True)
    )
    op.drop_index("ix_conversations_bot_inbox", "conversations")
    op.create_index(
        "ix_conversations_inbox", "conversations", ["inbox_id", "created_at"]
    )
