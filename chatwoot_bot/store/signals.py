"""Tell other processes what has changed, with PostgreSQL's LISTEN and NOTIFY.

A signal only says "look now": it is sent in the transaction it tells of, may be lost,
and is never the only way to wake. With SQLite there is no other process.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from . import pooling

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger(__name__)

CHANNEL = "chatwoot_bot"
LIVE_CHANNEL = "chatwoot_bot_live"
RECONNECT_S = 1.0
# A connection that a firewall has forgotten says nothing; so it is asked.
ASK_EVERY_S = 10.0
POLL_S = 1.0


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

    Where a pooler shares the server's sessions nothing can be heard; then *missed* is
    called every second.

    Args:
        url: past the pooler, if there is one.
        heard: called for each signal.
        missed: called after each connecting; there may have been signals before.
        live: called for each thing that only passes.
    """
    import psycopg

    while True:
        try:
            await _listen_while_connected(url, heard, missed, live)
            break
        except (psycopg.Error, TimeoutError) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        log.warning("database listener disconnected", error=why)
        await asyncio.sleep(RECONNECT_S)
    log.warning(
        "database listener unavailable",
        poll_s=POLL_S,
        why="a pooler in transaction mode cannot listen: this process polls the "
        "database, and shows no typing or streamed text of other processes",
        fix="set DATABASE_LISTEN_URL to the server itself, without the pooler",
    )
    while True:
        missed()
        await asyncio.sleep(POLL_S)


async def _listen_while_connected(
    url: sa.URL,
    heard: Callable[[Signal], None],
    missed: Callable[[], None],
    live: Callable[[Live], None],
) -> None:
    """Listen; return when a pooler turns out to share the server's sessions.

    Raises:
        psycopg.Error: the connection cannot be made, or is gone.
        TimeoutError: the server does not answer.
    """
    async with pooling.connected(url) as connection:
        if await pooling.is_pooled(connection) and await pooling.shares_sessions(url):
            return
        session = await pooling.session_of(connection)
        await connection.execute(f"LISTEN {CHANNEL}")
        await connection.execute(f"LISTEN {LIVE_CHANNEL}")
        missed()
        # Another session has not been told to listen.
        while await pooling.session_of(connection) == session:
            async for each in connection.notifies(timeout=ASK_EVERY_S):
                _pass_on(each, heard, missed, live)


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
