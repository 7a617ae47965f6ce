"""`chatwoot-bot purge`: delete old conversations and deliveries."""

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
    str, typer.Option(help="Age in days or weeks, for example 90d or 12w.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count without deleting.")]


def purge(older_than: OlderThan, dry_run: DryRun = False) -> None:
    """Delete old conversations and deliveries.

    Safe to run while the service is running. Conversations that await a reply or have
    an upcoming booking are not deleted, nor are knowledge and cost totals.
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
    """Return a duration like ``90d`` in seconds.

    Raises:
        typer.BadParameter: it is not a valid duration.
    """
    match = SPAN.fullmatch(span.strip().lower())
    if match is None:
        problem = "is not a valid duration; use days or weeks, for example 90d"
        raise typer.BadParameter(f"{span!r} {problem}")
    return int(match[1]) * SECONDS[match[2]]


async def _visit(settings: Settings, before: float, *, count_only: bool) -> str:
    async with visited(settings) as db:
        return await (_count if count_only else _delete)(db, before)


async def _count(db: Database, before: float) -> str:
    """Return how much would be deleted."""
    conversations = await db.read(purging.count_conversations, before)
    deliveries = await db.read(purging.count_deliveries, before)
    return f"Would delete {_counted(conversations, deliveries)}."


async def _delete(db: Database, before: float) -> str:
    """Delete, and return how much."""
    conversations = await _repeat(db, purging.purge_conversations, before)
    for table, key in purging.BELONGINGS:
        await _walk(db, table, key)
    deliveries = await _repeat(db, purging.purge_deliveries, before)
    await db.write(purging.purge_questions, before)
    return f"Deleted {_counted(conversations, deliveries)}."


async def _repeat(db: Database, step: Callable[..., int], before: float) -> int:
    """Repeat *step* until nothing is left; return the total."""
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
    """Run *step*, then pause for as long, to leave the database to the service."""
    began = time.monotonic()
    result = await db.write(step, *args)
    await asyncio.sleep(time.monotonic() - began)
    return result


def _counted(conversations: int, deliveries: int) -> str:
    noun = "conversation" if conversations == 1 else "conversations"
    of_other = "delivery" if deliveries == 1 else "deliveries"
    return f"{conversations:,} {noun} and {deliveries:,} {of_other}"
