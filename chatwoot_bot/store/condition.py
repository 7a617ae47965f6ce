"""Look at a database from outside: is it there, is it migrated, what came last?

Nothing is created and nothing is migrated, so it is safe beside a running service.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ..errors import StoreError
from . import migrations
from .engine import make_engine, normal_url, reason, require_writable, sqlite_file
from .schema import (
    deliveries,
    knowledge_chunks,
    knowledge_documents,
    knowledge_signs,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What was found.

    Attributes:
        exists: False for a SQLite file that the first start will make.
        is_newest: its schema is this release's.
        is_known: False when a newer release has migrated it.
        delivered_at: when the newest delivery of Chatwoot was stored, Unix seconds;
            None without any.
        documents: how many the bot knows.
        chunks: of how many pieces they are.
        vectors: how many of these have one, by the embedding model's key.
    """

    exists: bool
    is_newest: bool = False
    is_known: bool = True
    delivered_at: float | None = None
    documents: int = 0
    chunks: int = 0
    vectors: Mapping[str, int] = field(default_factory=dict)


def look(url: str) -> Condition:
    """Return the condition of the database at *url*; blocks for up to some seconds.

    Raises:
        StoreError: it cannot be reached.
    """
    try:
        parsed = sa.make_url(normal_url(url))
        if parsed.get_backend_name() == "sqlite" and not _is_there(parsed):
            return Condition(exists=False)
        engine = make_engine(parsed, writes=False)
        try:
            with engine.connect() as connection:
                return _condition(connection)
        finally:
            engine.dispose()
    except (sa.exc.SQLAlchemyError, OSError) as error:
        told = reason(error) if isinstance(error, sa.exc.SQLAlchemyError) else error
        raise StoreError(str(told)) from error


def _is_there(url: sa.URL) -> bool:
    """Return whether the file exists; connecting would make it.

    Raises:
        StoreError: it cannot be written, or could not be made.
    """
    require_writable(url)
    path = sqlite_file(url)
    return path is not None and path.exists()


def _condition(connection: sa.Connection) -> Condition:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is None:
        return Condition(exists=True)
    newest = sa.select(deliveries.c.received_at).where(
        deliveries.c.delivery_id.is_not(None)
    )
    is_newest = current == scripts.get_current_head()
    return Condition(
        exists=True,
        is_newest=is_newest,
        is_known=current in known,
        delivered_at=connection.scalar(
            newest.order_by(deliveries.c.id.desc()).limit(1)
        ),
        # An older schema has no such tables.
        documents=_count(connection, knowledge_documents) if is_newest else 0,
        chunks=_count(connection, knowledge_chunks) if is_newest else 0,
        vectors=_vectors(connection) if is_newest else {},
    )


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _vectors(connection: sa.Connection) -> dict[str, int]:
    model = knowledge_signs.c.model
    rows = connection.execute(sa.select(model, sa.func.count()).group_by(model))
    return {row[0]: row[1] for row in rows}
