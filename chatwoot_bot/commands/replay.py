"""`chatwoot-bot replay`: list and retry dead letters."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..app import rules
from ..core.events import parse
from ..errors import ChatwootBotError, NotFoundError, PayloadError, RequestError
from ..settings import Settings
from ..store import dead
from ..store.accept import accept
from ..store.arrivals import Accepted, Arrival
from ..store.deliveries import Outcome
from ..store.engine import Database
from .console import VisibleConsole
from .database import visited
from .environment import load_settings
from .terminal import echo

Name = Annotated[
    str | None,
    typer.Argument(help="A name of the list: a reply's key, or delivery:NUMBER."),
]
Every = Annotated[bool, typer.Option("--all", help="Retry all dead letters.")]


def replay(name: Name = None, every: Every = False) -> None:
    """List dead letters, or retry one or all of them.

    Safe to run while the service is running, which then does the work.
    """
    settings = load_settings()
    try:
        done = asyncio.run(_replay(settings, name, every=every))
    except ChatwootBotError as error:
        echo(str(error), fg="red", err=True)
        raise typer.Exit(1) from error
    if not done:
        raise typer.Exit(1)


async def _replay(settings: Settings, name: str | None, *, every: bool) -> bool:
    async with visited(settings) as db:
        if name is None and not every:
            return await _show(db)
        names = [name] if name else await _names(db)
        results = [await _again(db, settings, one) for one in names]
        return all(results)


async def _show(db: Database) -> bool:
    table = Table("name", "conversation", "time", "error")
    for row in await db.read(dead.list_replies):
        where = str(row["display_id"] or row["conversation_id"])
        table.add_row(
            row["key"], where, _when(row["created_at"]), escape(row["error"] or "")
        )
    for row in await db.read(dead.list_deliveries):
        name = f"delivery:{row['id']}"
        table.add_row(name, "", _when(row["received_at"]), escape(row["reason"]))
    console = VisibleConsole()
    if table.row_count:
        console.print(table)
        console.print("To retry, run: chatwoot-bot replay NAME (or --all)")
    else:
        console.print("There are no dead letters.")
    return True


async def _names(db: Database) -> list[str]:
    replies = [row["key"] for row in await db.read(dead.list_replies)]
    kept = [row["id"] for row in await db.read(dead.list_deliveries)]
    return replies + [f"delivery:{number}" for number in kept]


async def _again(db: Database, settings: Settings, name: str) -> bool:
    kind, _, number = name.partition(":")
    try:
        if kind == "delivery" and number.isdecimal():
            became = await _deliver_again(db, settings, int(number))
        elif await db.write(dead.revive, name, now=time.time()):
            became = HANDED
        else:
            raise NotFoundError("there is no such dead letter")
    except RequestError as error:
        echo(f"{name}: {error}")
        return False
    echo(f"{name}: {became}")
    return True


async def _deliver_again(db: Database, settings: Settings, delivery_id: int) -> str:
    """Accept a stored delivery as if it arrived now; return the outcome.

    Raises:
        NotFoundError: the delivery or its body does not exist.
        PayloadError: the body still cannot be parsed.
    """
    body = await db.read(dead.delivery_body, delivery_id)
    if body is None:
        raise NotFoundError("there is no such delivery, or its body is not stored")
    try:
        event = parse(body)
    except PayloadError as error:
        raise PayloadError(f"cannot be parsed: {error}") from error
    elsewhere = settings.elsewhere(event)
    if elsewhere:
        became = f"ignored ({elsewhere})"
    else:
        arrival = Arrival(
            event=event,
            channel="chatwoot" if settings.chatwoot_configured else "web",
            received_at=time.time(),
        )
        take = partial(accept, rules=rules(settings))
        became = _became(await db.write_grouped(take, arrival))
    await db.write(dead.settle_delivery, delivery_id)
    return became


def _became(accepted: Accepted) -> str:
    match accepted.outcome:
        case Outcome.DUPLICATE:
            return "nothing to do, its message is already stored"
        case Outcome.IGNORED:
            return f"ignored ({accepted.reason})"
        case _:
            return HANDED


HANDED = "queued for the service"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
