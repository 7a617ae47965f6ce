"""The database of a running service, for a command beside it."""

import contextlib
from collections.abc import AsyncIterator

from ..settings import Settings
from ..store.engine import Database, require_file


@contextlib.asynccontextmanager
async def visited(
    settings: Settings, *, may_make: bool = False
) -> AsyncIterator[Database]:
    """Open the database for a short visit.

    Args:
        may_make: a SQLite file that is not there is made. Otherwise that is refused:
            in the wrong folder an empty one would answer, and stay.

    Raises:
        StoreError: it is not there, or cannot be opened.
    """
    db = Database(
        settings.database_url.get_secret_value(), listen_url=settings.listen_url
    )
    if db.is_sqlite and not may_make:
        require_file(db.url.database or "")
    await db.open(alone=False)
    try:
        yield db
    finally:
        await db.close()
