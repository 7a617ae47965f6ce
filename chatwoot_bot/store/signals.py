"""Tell other processes what has changed, with PostgreSQL's LISTEN and NOTIFY.

A signal only says "look now": it is sent in the transaction it tells of, may be lost,
and is never the only way to wake. With SQLite there is no other process.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import sqlalchemy as sa
import structlog

log = structlog.get_logger(__name__)

CHANNEL = "chatwoot_bot"
RECONNECT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A conversation has changed.

    Attributes:
        due_at: when it wants attention, Unix seconds; None when it does not.
        interrupts: why a turn that runs must stop; None when it may go on.
        version: the conversation's, so that a late signal stops no newer turn.
    """

    conversation_id: str
    due_at: float | None = None
    interrupts: str | None = None
    version: int = 0


def notify(tx: sa.Connection, signals: Iterable[Signal]) -> None:
    """Send *signals* when *tx* commits; nothing to do where nobody listens."""
    if tx.dialect.name != "postgresql":
        return
    payloads = [json.dumps(asdict(signal)) for signal in signals]
    if payloads:
        tx.execute(_NOTIFY, {"channel": CHANNEL, "payloads": payloads})


_NOTIFY = sa.text(
    "SELECT pg_notify(:channel, payload) "
    "FROM unnest(CAST(:payloads AS text[])) AS payload"
)


async def listen(
    url: sa.URL, heard: Callable[[Signal], None], missed: Callable[[], None]
) -> None:
    """Pass on what other processes signal, until cancelled.

    Args:
        heard: called for each signal.
        missed: called after each connecting; there may have been signals before.
    """
    import psycopg

    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        with contextlib.suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(
                dsn, autocommit=True
            ) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                missed()
                async for notification in connection.notifies():
                    try:
                        heard(Signal(**json.loads(notification.payload)))
                    except (ValueError, TypeError):
                        missed()  # of another release; look instead
        log.warning("not listening to the database, trying again")
        await asyncio.sleep(RECONNECT_S)
