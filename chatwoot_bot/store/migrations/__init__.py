"""Bring a database to the newest schema; safe from many processes at once."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

# Any number will do, as long as nobody else uses it: "chatwoot" in hex.
LOCK = 0x63686174776F6F74


def upgrade(engine: sa.Engine) -> None:
    """Apply every migration that *engine*'s database lacks, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
