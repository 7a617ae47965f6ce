"""Whether a database has the newest schema, found out without Alembic's 7 MB."""

from pathlib import Path

import sqlalchemy as sa

from ..errors import StoreError

VERSIONS = Path(__file__).parent / "migrations" / "versions"
# Files are named by their revision, as in ``0004_effects.py``.
KNOWN = {path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py")}
HEAD = max(KNOWN)


def is_newest(engine: sa.Engine) -> bool:
    """Return whether there is nothing to migrate.

    Raises:
        StoreError: a newer release has migrated the database.
    """
    with engine.connect() as connection:
        try:
            found = connection.scalar(
                sa.text("SELECT version_num FROM alembic_version")
            )
        except sa.exc.DBAPIError:
            return False  # there is no such table yet
    if found is not None and found not in KNOWN:
        raise StoreError(
            "the database was migrated by a newer release of chatwoot-bot. Install "
            "that release again, restore a backup that this one made, or name another "
            "database in DATABASE_URL"
        )
    return bool(found == HEAD)
