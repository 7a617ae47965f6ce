"""What Alembic runs: the connection comes from `upgrade`, or from the command line."""

from alembic import context

from chatwoot_bot.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata
)
context.run_migrations()
