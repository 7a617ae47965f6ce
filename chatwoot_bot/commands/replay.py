"""`chatwoot-bot replay`: what failed for good, and another try."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..app import rules
from ..core.events import parse
from ..errors import ChatwootBotError, PayloadError
from ..settings import Settings
from ..store import dead
from ..store.accept import accept
from ..store.arrivals import Arrival
from ..store.engine import Database
from ..web.webhook import elsewhere
from .serve import load_settings

Name = Annotated[
    str | None,
    typer.Argument(help="One of the list: a reply's key, or delivery:NUMBER."),
]
Every = Annotated[bool, typer.Option("--all", help="Try everything again.")]


def replay(name: Name = None, every: Every = False) -> None:
    """List dead letters, or try one or all of them again.

    It works on the database of a running service, which then does the rest.
    """
    settings = load_settings(host=None, port=None)
    try:
        done = asyncio.run(_replay(settings, name, every=every))
    except ChatwootBotError as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from error
    if not done:
        raise typer.Exit(1)


async def _replay(settings: Settings, name: str | None, *, every: bool) -> bool:
    db = Database(settings.database_url.get_secret_value())
    await db.open(alone=False)
    try:
        if name is None and not every:
            return await _show(db)
        names = [name] if name else await _names(db)
        results = [await _again(db, settings, one) for one in names]
        return all(results)
    finally:
        await db.close()


async def _show(db: Database) -> bool:
    table = Table("name", "conversation", "when", "what went wrong")
    for row in await db.read(dead.list_replies):
        where = str(row["display_id"] or row["conversation_id"])
        table.add_row(row["key"], where, _when(row["created_at"]), row["error"])
    for row in await db.read(dead.list_deliveries):
        name = f"delivery:{row['id']}"
        table.add_row(name, "", _when(row["received_at"]), row["reason"])
    console = Console()
    if table.row_count:
        console.print(table)
        console.print("Try again with: chatwoot-bot replay NAME, or --all")
    else:
        console.print("Nothing has failed for good.")
    return True


async def _names(db: Database) -> list[str]:
    replies = [row["key"] for row in await db.read(dead.list_replies)]
    kept = [row["id"] for row in await db.read(dead.list_deliveries)]
    return replies + [f"delivery:{number}" for number in kept]


async def _again(db: Database, settings: Settings, name: str) -> bool:
    kind, _, number = name.partition(":")
    if kind == "delivery" and number.isdecimal():
        problem = await _deliver_again(db, settings, int(number))
    else:
        found = await db.write(dead.revive, name, now=time.time())
        problem = None if found else "there is no such dead letter"
    typer.echo(f"{name}: {problem or 'handed to the service'}")
    return problem is None


async def _deliver_again(
    db: Database, settings: Settings, delivery_id: int
) -> str | None:
    """Accept a stored delivery; return what is wrong with it, or None."""
    body = await db.read(dead.delivery_body, delivery_id)
    if body is None:
        return "there is no such delivery, or its body is not kept"
    try:
        event = parse(body)
    except PayloadError as error:
        return f"still not understood: {error}"
    if (reason := elsewhere(event, settings)) is not None:
        return f"it is not for this bot: {reason}"
    arrival = Arrival(
        event=event,
        channel="chatwoot" if settings.chatwoot_configured else "web",
        received_at=time.time(),
    )
    await db.write_grouped(partial(accept, rules=rules(settings)), arrival)
    await db.write(dead.settle_delivery, delivery_id)
    return None


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
