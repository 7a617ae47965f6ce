"""`chatwoot-bot knowledge`: what the bot knows, and what it was asked in vain.

It works on the database of a running service, which finds what was added at once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ..core.conversation import Inbox
from ..errors import ChatwootBotError, KnowledgeError
from ..http import make_client
from ..knowledge import help_center
from ..knowledge.folder import files_in, named, passed_over
from ..knowledge.ingest import Given, Ingest, Report, Source
from ..knowledge.preparer import Preparer
from ..knowledge.search import Knowledge, Passage
from ..library import (
    SHARED,
    collection_for,
    embedder_of,
    inbox_of,
    knowledge_of,
)
from ..settings import Settings
from ..store import knowledge as store
from ..store.engine import Database
from .console import VisibleConsole
from .database import visited
from .environment import load_settings
from .listing import show_json, show_rows
from .terminal import echo

T = TypeVar("T")
# Of each its name and its documents.
Places = Sequence[tuple[str, Sequence[Source]]]
HELP_CENTER = "help-center"

knowledge = typer.Typer(
    help="What the bot knows: add, list, search, remove, open questions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Place = Annotated[
    str,
    typer.Argument(
        help="A folder or file (Markdown, text, HTML, PDF, DOCX, CSV), the address of "
        "a help centre (https://…/hc/PORTAL), or help-center: all of "
        "CHATWOOT_ACCOUNT_ID."
    ),
]
ForInbox = Annotated[
    str | None,
    typer.Option(
        "--inbox",
        help="For the bot of this inbox alone (a number, or web); for all without it.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="As a list of JSON objects, for programs.")
]


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every subcommand works with."""

    settings: Settings
    db: Database
    http: httpx.AsyncClient
    console: Console


@knowledge.command()
def add(place: Place, inbox: ForInbox = None) -> None:
    """Take in what is new or changed at PLACE, and forget what is gone there."""
    settings = _settings()
    failed = _run(_add(settings, place, _inbox(inbox)))
    if failed:
        raise typer.Exit(1)


@knowledge.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the documents."""
    _run(_list(_settings(), as_json=as_json))


@knowledge.command()
def search(
    query: Annotated[str, typer.Argument(help="A question, or words of one.")],
    inbox: ForInbox = None,
    limit: Annotated[int, typer.Option(min=1, max=50)] = 5,
    as_json: AsJson = False,
) -> None:
    """Show what the bot would find, with file and score."""
    work = _search(_settings(), query, _inbox(inbox), limit, as_json=as_json)
    found = _run(work)
    if not found:
        raise typer.Exit(1)


@knowledge.command()
def remove(place: Place, inbox: ForInbox = None) -> None:
    """Forget the documents at PLACE; nothing happens to the files."""
    removed = _run(_remove(_settings(), place, _inbox(inbox)))
    echo(f"{removed} documents removed")
    if not removed:
        raise typer.Exit(1)


@knowledge.command()
def questions(
    clear: Annotated[bool, typer.Option(help="Forget them after showing.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what contacts asked and no document answers.

    What a document that was added since answers is taken off the list.
    """
    _run(_questions(_settings(), clear=clear, as_json=as_json))


def _settings() -> Settings:
    return load_settings()


def _inbox(text: str | None) -> Inbox | None:
    try:
        return None if text is None else inbox_of(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no inbox: a number, or web") from None


def _run(work: Coroutine[None, None, T]) -> T:
    try:
        return asyncio.run(work)
    except ChatwootBotError as error:
        echo(str(error), fg="red", err=True)
        raise typer.Exit(1) from error


@contextlib.asynccontextmanager
async def _desk(settings: Settings, *, may_make: bool = False) -> AsyncIterator[_Desk]:
    async with visited(settings, may_make=may_make) as db, make_client() as http:
        yield _Desk(settings, db, http, VisibleConsole())


async def _add(settings: Settings, place: str, inbox: Inbox | None) -> bool:
    """Return whether anything could not be read."""
    collection = collection_for(settings, inbox)
    files = None if _is_help_center(place) else files_in(Path(_at(place)))
    failed = False
    async with (
        # Documents may be there before the service has ever been started.
        _desk(settings, may_make=True) as desk,
        Preparer() as preparer,
        Ingest(desk.db, preparer) as ingest,
    ):
        found = await _articles(desk, place) if files is None else [(_at(place), files)]
        for at, sources in found:
            with _bar(desk.console, at) as progress:
                report = await ingest.add(collection, at, sources, progress)
            _show_report(desk.console, report)
            if files is not None and (others := passed_over(Path(at))):
                text = f"passed over, of another kind: {named(others)}"
                desk.console.print(text, style="yellow", markup=False)
            failed = failed or bool(report.failed)
        embedder = embedder_of(settings, desk.http)
        if embedder is not None:
            with _bar(desk.console, embedder.model) as progress:
                await ingest.embed(embedder, progress)
    return failed


def _is_help_center(place: str) -> bool:
    return place == HELP_CENTER or help_center.is_address(place)


async def _articles(desk: _Desk, place: str) -> Places:
    """Return the help centres at *place*, each with its documents."""
    if place == HELP_CENTER:
        portals = await help_center.portals_of(desk.http, *_account(desk.settings))
    else:
        portals = [await help_center.portal_at(desk.http, place)]
    found: list[tuple[str, Sequence[Source]]] = []
    for portal in portals:
        articles = await help_center.articles_of(desk.http, portal)
        found.append((portal.address, [Given(article) for article in articles]))
    return found


def _at(place: str) -> str:
    """Return a place as documents name it.

    Raises:
        KnowledgeError: it is an address, and of no help centre.
    """
    if help_center.is_address(place):
        return place.rstrip("/")
    if place.startswith(("https://", "http://")):
        raise KnowledgeError(
            f"{place} is not the address of a help centre: write it as "
            "https://…/hc/PORTAL; pages of other sites are not read"
        )
    return str(Path(place).absolute())


def _account(settings: Settings) -> tuple[str, int, str]:
    """Return what it takes to list an account's help centres.

    Raises:
        KnowledgeError: it is not set.
    """
    base_url, account_id = settings.chatwoot_base_url, settings.chatwoot_account_id
    token = settings.chatwoot_user_token
    if base_url is None or account_id is None or token is None:
        raise KnowledgeError(
            "help-center needs CHATWOOT_BASE_URL, CHATWOOT_ACCOUNT_ID and "
            "CHATWOOT_USER_TOKEN; or give the help centre's address, "
            "https://…/hc/PORTAL, which needs none of them"
        )
    return base_url, account_id, token.get_secret_value()


@contextlib.contextmanager
def _bar(console: Console, title: str) -> Iterator["_Bar"]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, title)


class _Bar:
    """A progress bar, told (done, total)."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(escape(title), total=None)

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


def _show_report(console: Console, report: Report) -> None:
    console.print(
        f"{report.added} added, {report.changed} changed, {report.removed} removed, "
        f"{report.unchanged} unchanged; {report.chunks} chunks written"
    )
    for uri, why in report.failed.items():
        console.print(f"not read: {uri}: {why}", style="red", markup=False)
    for uri, why in report.notes.items():
        console.print(f"read in part: {uri}: {why}", style="yellow", markup=False)


async def _list(settings: Settings, *, as_json: bool) -> None:
    async with _desk(settings) as desk:
        found = await desk.db.read(store.documents)
        if as_json:
            show_json([asdict(each) for each in found])
        elif found:
            show_rows(desk.console, [_listed(each) for each in found])
        else:
            desk.console.print("Nothing is known yet: chatwoot-bot knowledge add PATH")


def _listed(document: store.Document) -> dict[str, str]:
    return {
        "for": "all" if document.collection == SHARED else document.collection,
        "title": document.title,
        "language": document.language,
        "chunks": str(document.chunks),
        "added": _when(document.added_at),
        "from": document.uri,
    }


async def _search(
    settings: Settings, query: str, inbox: Inbox | None, limit: int, *, as_json: bool
) -> bool:
    async with _desk(settings) as desk:
        bot = settings.bots[0] if inbox is None else settings.bot_for(inbox)
        known = knowledge_of(bot, desk.db, desk.http)
        passages = await known.search(query, limit=limit)
        if as_json:
            show_json([asdict(passage) for passage in passages])
            return bool(passages)
        for passage in passages:
            _show_passage(desk.console, passage)
        if not passages:
            desk.console.print("Nothing that fits.")
        return bool(passages)


def _show_passage(console: Console, passage: Passage) -> None:
    """Print a passage; in a pipe no line is wrapped."""
    wraps = console.is_terminal
    title = " > ".join(filter(None, (passage.title, passage.heading)))
    console.print(title, style="bold", markup=False, soft_wrap=not wraps)
    from_where = passage.url or passage.uri
    console.print(
        f"{from_where} (score {passage.score:.2f})",
        style="dim",
        markup=False,
        soft_wrap=not wraps,
    )
    console.print(f"{passage.text}\n", markup=False, soft_wrap=not wraps)


async def _remove(settings: Settings, place: str, inbox: Inbox | None) -> int:
    collection = collection_for(settings, inbox)
    async with (
        _desk(settings) as desk,
        Preparer() as preparer,
        Ingest(desk.db, preparer) as ingest,
    ):
        return await ingest.remove(collection, _at(place))


async def _questions(settings: Settings, *, clear: bool, as_json: bool) -> None:
    async with _desk(settings) as desk:
        embedder = embedder_of(settings, desk.http)
        left: list[store.Question] = []
        for each in await desk.db.read(store.questions):
            collections = tuple(dict.fromkeys([SHARED, each.collection]))
            if await Knowledge(desk.db, collections, embedder).search(each.question):
                await desk.db.write(store.forget_question, each)
                continue
            left.append(each)
            if clear:
                await desk.db.write(store.forget_question, each)
        if as_json:
            show_json([asdict(each) for each in left])
        elif left:
            show_rows(desk.console, [_asked(each) for each in left])
        else:
            desk.console.print("No question is open.")


def _asked(question: store.Question) -> dict[str, str]:
    return {
        "question": question.question,
        "asked": str(question.count),
        "last": _when(question.asked_at),
        "conversation": question.conversation_id,
    }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
