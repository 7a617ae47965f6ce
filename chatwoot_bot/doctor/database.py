"""The database: reachable, migrated, and what came in last."""

import asyncio

from ..errors import StoreError
from ..settings import Settings
from ..store.condition import Condition, look
from .findings import Finding, fail, ok, warn

CHECK = "database"
SETTING = "DATABASE_URL"


async def check_database(settings: Settings) -> tuple[Finding, Condition | None]:
    """Look without making or migrating anything.

    Returns:
        The finding, and the condition for other checks; None without one.
    """
    url = settings.database_url.get_secret_value()
    kind = "SQLite" if url.startswith("sqlite") else "PostgreSQL"
    try:
        condition = await asyncio.to_thread(look, url)
    except StoreError as error:
        mend = "start the server, or mend host, port, name and password in it"
        if kind == "SQLite":
            mend = "name a file that this user can read and write"
        if "pip install" in str(error):
            mend = "install the driver"
        return fail(
            CHECK, f"{kind} cannot be reached: {error}", setting=SETTING, mend=mend
        ), None
    return _judge(condition, kind), condition


def _judge(condition: Condition, kind: str) -> Finding:
    if not condition.exists:
        return ok(CHECK, f"{kind}; the file will be made by the first start")
    if not condition.is_known:
        return fail(
            CHECK,
            f"{kind} was migrated by a newer release of chatwoot-bot",
            setting=SETTING,
            mend="install that release again, or name another database",
        )
    if not condition.is_newest:
        return warn(
            CHECK,
            f"{kind} has an older schema",
            setting=SETTING,
            mend="restart the service: chatwoot-bot serve brings it up to date",
        )
    return ok(CHECK, f"{kind}, with the newest schema")
