"""The database of a running service, for a command beside it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ..errors import StoreError
from ..settings import Settings
from ..store.engine import Database


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


def require_file(name: str) -> None:
    """Make sure that a SQLite file is there.

    Raises:
        StoreError: it is not.
    """
    path = Path(name).absolute()
    if not path.is_file():
        raise StoreError(
            f"there is no database at {path}: run this where the service runs, or set "
            "DATABASE_URL to the service's"
        )
