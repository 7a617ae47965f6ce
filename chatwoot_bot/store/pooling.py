"""PostgreSQL behind a pooler such as PgBouncer: what holds there, and what does not.

In transaction mode every transaction may run on another server session. So nothing may
outlive one: no prepared statement, no `SET`, no `LISTEN`, no lock of a session. In
session mode a client keeps its server session. Source: pgbouncer.org/features.html.

A pooler gives its client a key of its own for cancelling; that is how it is recognised,
because the process id in the key is not the one that the server answers with.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    import psycopg

CONNECT_S = 5
ANSWER_S = 5.0
# Comparing two clients once could miss a shared session while others use the pool.
ROUNDS = 5
# psycopg's own default: an equal statement is prepared when it is sent the sixth time.
PREPARE_THRESHOLD = 5
PID = "SELECT pg_catalog.pg_backend_pid()"
LOCK_TIMEOUT = "lock_timeout = '10s'"
# libpq's own settings for a connection; none of them reaches the server or a pooler,
# but the name, which PgBouncer takes.
LIBPQ: dict[str, Any] = {
    "connect_timeout": CONNECT_S,
    # A partition must not hold the only writer for hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Nor while it waits for the peer to receive what was sent: the kernel does not
    # probe a connection with unsent data.
    "tcp_user_timeout": 25_000,
    "fallback_application_name": "chatwoot-bot",
    # Until it is known that no pooler is in the way.
    "prepare_threshold": None,
}


def adapt(engine: sa.Engine, *, pooled: bool) -> None:
    """Bound the wait for locks, and prepare statements where that is safe.

    Without a pooler both belong to the session; behind one, the bound is set in every
    transaction and nothing is prepared.

    Args:
        pooled: a pooler is known to be in the way; otherwise each connection finds out.
    """

    def begin_session(connection: Any, record: Any) -> None:
        try:
            record.info["pooled"] = pooled or _is_pooled(connection)
            if not record.info["pooled"]:
                _keep_in_session(connection)
        except BaseException:
            connection.close()  # the pool does not have it yet
            raise

    def begin_transaction(tx: sa.Connection) -> None:
        if tx.info["pooled"]:
            tx.exec_driver_sql(f"SET LOCAL {LOCK_TIMEOUT}")

    sa.event.listen(engine, "connect", begin_session)
    sa.event.listen(engine, "begin", begin_transaction)


def _is_pooled(connection: "psycopg.Connection") -> bool:
    connection.autocommit = True
    row = connection.execute(PID).fetchone()
    connection.autocommit = False
    return row != (connection.info.backend_pid,)


def _keep_in_session(connection: "psycopg.Connection") -> None:
    connection.autocommit = True
    connection.execute(f"SET {LOCK_TIMEOUT}")
    connection.autocommit = False
    connection.prepare_threshold = PREPARE_THRESHOLD


@contextlib.asynccontextmanager
async def connected(url: sa.URL) -> AsyncIterator["psycopg.AsyncConnection"]:
    """Connect for single statements.

    Raises:
        psycopg.Error: the server cannot be reached.
    """
    import psycopg

    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, **LIBPQ)
    async with connection:
        yield connection


async def session_of(connection: "psycopg.AsyncConnection") -> int:
    """Return the process id of the server session that runs the next statement.

    Raises:
        TimeoutError: no answer in 5 seconds.
    """
    async with asyncio.timeout(ANSWER_S):
        row = await (await connection.execute(PID)).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return int(row[0])


async def is_pooled(connection: "psycopg.AsyncConnection") -> bool:
    """Return whether a pooler lies between."""
    return await session_of(connection) != connection.info.backend_pid


async def shares_sessions(url: sa.URL) -> bool:
    """Return whether a pooler serves several clients with one session of the server.

    Raises:
        psycopg.Error: the server cannot be reached.
        TimeoutError: the pooler has no session left.
    """
    async with connected(url) as one, connected(url) as two:
        for _ in range(ROUNDS):
            first = await session_of(one)
            second = await session_of(two)
            if first == second or first != await session_of(one):
                return True
    return False
