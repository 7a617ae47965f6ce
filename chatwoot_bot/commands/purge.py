"""`chatwoot-bot purge`: what is kept no longer."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ..errors import ChatwootBotError
from ..settings import Settings
from ..store import purging
from ..store.engine import Database
from .database import visited
from .environment import load_settings
from .terminal import echo

SECONDS = {"d": 86_400, "w": 7 * 86_400}

OlderThan = Annotated[
    str, typer.Option(help="In days or weeks, like 90d or 12w; not less than a day.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")]


def purge(older_than: OlderThan, dry_run: DryRun = False) -> None:
    """Delete conversations in which nobody has written for long, and old deliveries.

    It works on the database of a running service. What waits for an answer, and who
    has a call booked that is still to come, stays; so do knowledge and the sums of
    what the model has cost.
    """
    before = time.time() - _seconds(older_than)
    settings = load_settings()
    try:
        said = asyncio.run(_visit(settings, before, count_only=dry_run))
    except ChatwootBotError as error:
        echo(str(error), fg="red", err=True)
        raise typer.Exit(1) from error
    echo(said)


SPAN = re.compile(r"([1-9]\d{0,4})([dw])")


def _seconds(span: str) -> int:
    """Return a span like ``90d`` in seconds.

    Raises:
        typer.BadParameter: it is no such span.
    """
    match = SPAN.fullmatch(span.strip().lower())
    if match is None:
        raise typer.BadParameter(f"{span!r} is no span of days or weeks; write 90d")
    return int(match[1]) * SECONDS[match[2]]


async def _visit(settings: Settings, before: float, *, count_only: bool) -> str:
    async with visited(settings) as db:
        return await (_count if count_only else _delete)(db, before)


async def _count(db: Database, before: float) -> str:
    """Return what would go."""
    conversations = await db.read(purging.count_conversations, before)
    deliveries = await db.read(purging.count_deliveries, before)
    return f"Would delete {_counted(conversations, deliveries)}."


async def _delete(db: Database, before: float) -> str:
    """Purge, and return what is gone."""
    conversations = await _repeat(db, purging.purge_conversations, before)
    for table, key in purging.BELONGINGS:
        await _walk(db, table, key)
    deliveries = await _repeat(db, purging.purge_deliveries, before)
    await db.write(purging.purge_questions, before)
    return f"Deleted {_counted(conversations, deliveries)}."


async def _repeat(db: Database, step: Callable[..., int], before: float) -> int:
    """Take *step* until nothing is left; return how much it was."""
    total = 0
    while count := await _gently(db, step, before):
        total += count
    return total


async def _walk(db: Database, table: Any, key: Any) -> None:
    place: str | int | None = None
    while True:
        place = await _gently(db, purging.purge_belongings, table, key, place)
        if place is None:
            return


async def _gently(db: Database, step: Callable[..., Any], *args: Any) -> Any:
    """Take *step*, and then leave the database to the service for as long."""
    began = time.monotonic()
    result = await db.write(step, *args)
    await asyncio.sleep(time.monotonic() - began)
    return result


def _counted(conversations: int, deliveries: int) -> str:
    return f"{conversations:,} conversations and {deliveries:,} deliveries"
