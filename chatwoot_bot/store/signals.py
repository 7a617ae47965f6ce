"""Tell other processes what has changed, with PostgreSQL's LISTEN and NOTIFY.

A signal only says "look now": it is sent in the transaction it tells of, may be lost,
and is never the only way to wake. With SQLite there is no other process.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger(__name__)

CHANNEL = "chatwoot_bot"
LIVE_CHANNEL = "chatwoot_bot_live"
RECONNECT_S = 1.0
# A connection that a firewall has forgotten says nothing; so it is asked.
ASK_EVERY_S = 10.0
ANSWER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A conversation has changed, or something that is about all of them.

    Attributes:
        conversation_id: None for all.
        due_at: when it wants attention, Unix seconds; None when it does not.
        interrupts: why a turn that runs must stop; None when it may go on.
        version: the conversation's, so that a late signal stops no newer turn.
    """

    conversation_id: str | None
    due_at: float | None = None
    interrupts: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Something that is told once and kept nowhere.

    Attributes:
        process: who tells it; its own words come back to it.
        event: as in the WebSocket's events.
        conversation_id: whose watchers are told; None for agents only.
    """

    process: str
    event: str
    body: dict[str, Any]
    conversation_id: str | None = None


def notify(tx: sa.Connection, signals: Iterable[Signal]) -> None:
    """Send *signals* when *tx* commits; nothing to do where nobody listens."""
    if tx.dialect.name != "postgresql":
        return
    payloads = [json.dumps(asdict(signal)) for signal in signals]
    if payloads:
        tx.execute(_NOTIFY, {"channel": CHANNEL, "payloads": payloads})


def notify_live(tx: sa.Connection, lives: Iterable[Live]) -> None:
    """Tell the other processes; nothing is written, so no disk is waited for."""
    payloads = [json.dumps(asdict(live)) for live in lives]
    tx.execute(sa.text("SET LOCAL synchronous_commit = off"))
    tx.execute(_NOTIFY, {"channel": LIVE_CHANNEL, "payloads": payloads})


_NOTIFY = sa.text(
    "SELECT pg_notify(:channel, payload) "
    "FROM unnest(CAST(:payloads AS text[])) AS payload"
)


async def listen(
    url: sa.URL,
    heard: Callable[[Signal], None],
    missed: Callable[[], None],
    live: Callable[[Live], None],
) -> None:
    """Pass on what other processes signal, until cancelled.

    Args:
        heard: called for each signal.
        missed: called after each connecting; there may have been signals before.
        live: called for each thing that only passes.
    """
    import psycopg

    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        with contextlib.suppress(psycopg.Error, TimeoutError):
            async with await psycopg.AsyncConnection.connect(
                dsn,
                autocommit=True,
                connect_timeout=5,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                tcp_user_timeout=25_000,
            ) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                await connection.execute(f"LISTEN {LIVE_CHANNEL}")
                missed()
                while True:
                    async for each in connection.notifies(timeout=ASK_EVERY_S):
                        _pass_on(each, heard, missed, live)
                    async with asyncio.timeout(ANSWER_S):
                        await connection.execute("SELECT 1")
        log.warning("not listening to the database, trying again")
        await asyncio.sleep(RECONNECT_S)


def _pass_on(
    notify: "psycopg.Notify",
    heard: Callable[[Signal], None],
    missed: Callable[[], None],
    live: Callable[[Live], None],
) -> None:
    try:
        told = json.loads(notify.payload)
        if notify.channel == LIVE_CHANNEL:
            live(Live(**told))
        else:
            heard(Signal(**told))
    except (ValueError, TypeError):
        missed()  # of another release; look instead
