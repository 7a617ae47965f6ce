"""Whether processes on one PostgreSQL notify one another, and what a pooler allows."""

import asyncio
import secrets
from contextlib import AsyncExitStack

from ..errors import StoreError
from ..settings import Settings
from ..store import pooling
from ..store.engine import URL, parsed_url, require_psycopg
from .findings import Finding, fail, ok, skip, warn

CHECK = "notifications"
SETTING = "DATABASE_LISTEN_URL"
MEND = "set it to the server itself, on its own port (5432 unless changed)"
HEARD_S = 5.0


async def check_notifications(settings: Settings) -> list[Finding]:
    """Connect as the service does, and send a notification that changes nothing.

    Returns:
        One finding; none for SQLite, which serves one process.
    """
    url = parsed_url(settings.database_url.get_secret_value())
    if url.get_backend_name() == "sqlite":
        return []
    try:
        require_psycopg()
        return [await _look(url, settings.listen_url)]
    except StoreError:
        return [skip(CHECK, "needs the driver of PostgreSQL")]


async def _look(url: URL, listen_url: str | None) -> Finding:
    import psycopg

    try:
        async with pooling.connected(url) as connection:
            pooled = await pooling.is_pooled(connection)
        shared = pooled and await pooling.shares_sessions(url)
    except (psycopg.Error, TimeoutError):
        return skip(CHECK, "needs the database")
    between = _between(pooled=pooled, shared=shared)
    if listen_url is None:
        if not shared:
            return ok(CHECK, f"processes listen over DATABASE_URL, {between}")
        return warn(
            CHECK,
            f"{between}, so processes cannot notify one another: they poll every "
            "second, and typing and streamed words stay in one process",
            setting=SETTING,
            mend=MEND,
        )
    try:
        problem = await _hear(url, parsed_url(listen_url))
    except (psycopg.Error, TimeoutError) as error:
        problem = f"cannot be reached: {type(error).__name__}"
    if problem:
        return fail(CHECK, problem, setting=SETTING, mend=MEND)
    return ok(CHECK, f"processes listen over {SETTING}; {between}")


def _between(*, pooled: bool, shared: bool) -> str:
    if not pooled:
        return "without a pooler"
    return f"behind a pooler in {'transaction' if shared else 'session'} mode"


async def _hear(url: URL, listen_url: URL) -> str | None:
    """Return why *listen_url* does not hear what *url* says, or None.

    Raises:
        psycopg.Error: one of them cannot be reached.
        TimeoutError: one of them does not answer.
    """
    channel = f"chatwoot_bot_doctor_{secrets.token_hex(8)}"
    async with AsyncExitStack() as stack:
        ear = await stack.enter_async_context(pooling.connected(listen_url))
        if await pooling.is_pooled(ear) and await pooling.shares_sessions(listen_url):
            return "leads to a pooler in transaction mode, which cannot listen"
        await ear.execute(f"LISTEN {channel}")
        mouth = await stack.enter_async_context(pooling.connected(url))
        async with asyncio.timeout(HEARD_S):
            await mouth.execute("SELECT pg_notify(%s, '')", [channel])
        async for _ in ear.notifies(timeout=HEARD_S, stop_after=1):
            return None
    return "does not hear DATABASE_URL: it is another server or database"
