"""Whether a database has the newest schema, found out without Alembic's 7 MB."""

from pathlib import Path

import sqlalchemy as sa

VERSIONS = Path(__file__).parent / "migrations" / "versions"
# Files are named by their revision, as in ``0004_effects.py``.
HEAD = max(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))


def is_newest(engine: sa.Engine) -> bool:
    """Return whether there is nothing to migrate."""
    with engine.connect() as connection:
        try:
            found = connection.scalar(
                sa.text("SELECT version_num FROM alembic_version")
            )
        except sa.exc.DBAPIError:
            return False  # there is no such table yet
    return bool(found == HEAD)
