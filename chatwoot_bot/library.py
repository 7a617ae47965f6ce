"""Which bot knows what: collections, the folders behind them, and their embeddings.

What is in the shared collection, "", every bot knows. A bot that serves inboxes of its
own has a collection of its own too, named after the first of them: for the `knowledge`
folder that `BOTS_FILE` gives it, and for what is added with `--inbox`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import httpx
import structlog

from .bots import WEB
from .core.conversation import Inbox
from .errors import ChatwootBotError, EmbeddingsError, KnowledgeError, unexpected
from .knowledge.embeddings import Embedder
from .knowledge.folder import files_in, named, passed_over
from .knowledge.health import Health
from .knowledge.ingest import Ingest
from .knowledge.prefixes import Prefixes, prefixes_of
from .knowledge.preparer import Preparer
from .knowledge.search import Knowledge
from .settings import BotSettings, Settings
from .store import knowledge as store
from .store.engine import Database

log = structlog.get_logger(__name__)

SHARED = ""
# The bot for all inboxes without another, when its folder is not everybody's.
OTHERS = "others"
# An embeddings server, or another process that was adding, may be back by then.
AGAIN_S = 60.0


def collection_of(bot: BotSettings) -> str:
    """Return the name of the bot's own collection; the shared one for one without."""
    if bot.inboxes:
        return str(bot.inboxes[0])
    return OTHERS if "knowledge_dir" in bot.own else SHARED


def collection_for(settings: Settings, inbox: Inbox | None) -> str:
    """Return the collection of the bot that serves *inbox*; the shared one for None.

    Raises:
        KnowledgeError: that bot has none of its own, so all bots would get it.
    """
    if inbox is None:
        return SHARED
    collection = collection_of(settings.bot_for(inbox))
    if collection == SHARED:
        own = [str(one) for bot in settings.bots for one in bot.inboxes]
        raise KnowledgeError(
            f"inbox {inbox} has no bot of its own in BOTS_FILE; these have: "
            f"{', '.join(own) or 'none'}. Leave --inbox out for all bots"
        )
    return collection


def inbox_of(text: str) -> Inbox:
    """Return an inbox as `BOTS_FILE` names it.

    Raises:
        ValueError: it is none.
    """
    return WEB if text == WEB else int(text)


def knowledge_of(
    bot: BotSettings,
    db: Database,
    http: httpx.AsyncClient,
    health: Health | None = None,
) -> Knowledge:
    """Return what a bot knows."""
    collections = dict.fromkeys([SHARED, collection_of(bot)])
    embedder = embedder_of(bot.settings, http, health)
    first = health.taken_in if health else None
    return Knowledge(db, tuple(collections), embedder, first)


def embedder_of(
    settings: Settings, http: httpx.AsyncClient, health: Health | None = None
) -> Embedder | None:
    """Return who makes vectors; None without `EMBEDDING_MODEL`."""
    server = settings.embedding()
    if server is None:
        return None
    if health is not None:
        health.model = server.model
    known = prefixes_of(server.model)
    query, document = (
        settings.embedding_query_prefix,
        settings.embedding_document_prefix,
    )
    return Embedder(
        http,
        base_url=server.base_url,
        api_key=server.api_key,
        model=server.model,
        prefixes=Prefixes(
            _prefix(query, known.query), _prefix(document, known.document)
        ),
        health=health,
    )


def _prefix(given: str | None, known: str) -> str:
    """Return what the operator has said, or what is known; "" for ``none``."""
    if given is None:
        return known
    return "" if given.lower() == "none" else given


def folders(settings: Settings) -> list[tuple[str, Path]]:
    """Return (collection, folder) of all that the settings name."""
    found = [(SHARED, settings.knowledge_dir)] if settings.knowledge_dir else []
    found += [
        (collection_of(bot), bot.settings.knowledge_dir)
        for bot in settings.bots
        if "knowledge_dir" in bot.own and bot.settings.knowledge_dir
    ]
    return found


def place_of(folder: Path) -> str:
    """Return where a folder is, as its documents name it."""
    return str(folder.absolute())


async def keep_up(
    settings: Settings,
    db: Database,
    http: httpx.AsyncClient,
    health: Health | None = None,
) -> None:
    """Take in what has changed in the folders since the last start.

    In the background: a service without its newest documents is better than none. With
    embeddings it goes on, and gives a vector to what comes later without one.
    """
    health = health or Health()
    embedder = embedder_of(settings, http, health)
    if folders(settings):
        await _until_done(partial(_take_in, settings, db))
    health.taken_in.set()
    if embedder is None:
        return
    await _until_done(partial(_embed, db, embedder, health))
    while True:
        await asyncio.sleep(AGAIN_S)
        await _until_done(partial(_embed_missing, db, embedder, health))


async def _until_done(work: Callable[[], Awaitable[None]]) -> None:
    """Do *work*, again after each failure; log a failure once."""
    logged = ""
    while True:
        try:
            return await work()
        except EmbeddingsError:
            pass  # `Health` logs it
        except ChatwootBotError as error:
            if logged != str(error):
                log.warning("knowledge update failed", reason=str(error))
            logged = str(error)
        except Exception as error:  # noqa: BLE001 - without it is better than no service
            log.error("knowledge update failed", **unexpected(error))
        await asyncio.sleep(AGAIN_S)


async def _embed_missing(db: Database, embedder: Embedder, health: Health) -> None:
    """Give vectors to what the command has added while the server was away."""
    health.without_vector = await db.read(store.count_without_vector, embedder.key)
    if health.without_vector:
        await _embed(db, embedder, health)


async def _embed(db: Database, embedder: Embedder, health: Health) -> None:
    async with Preparer() as preparer, Ingest(db, preparer) as ingest:
        try:
            if await ingest.embed(embedder):
                log.info("knowledge embedded", model=embedder.model)
        finally:
            health.without_vector = await db.read(
                store.count_without_vector, embedder.key
            )


async def _take_in(settings: Settings, db: Database) -> None:
    async with Preparer() as preparer, Ingest(db, preparer) as ingest:
        for collection, folder in folders(settings):
            await _take_in_folder(ingest, collection, folder)


async def _take_in_folder(ingest: Ingest, collection: str, folder: Path) -> None:
    try:
        files = await asyncio.to_thread(files_in, folder)
    except KnowledgeError as error:
        log.warning("knowledge update failed", reason=str(error))
        return
    report = await ingest.add(collection, place_of(folder), files)
    for uri, reason in report.failed.items():
        log.warning("document not read", uri=uri, reason=reason)
    for uri, reason in report.notes.items():
        log.warning("document read in part", uri=uri, reason=reason)
    if others := await asyncio.to_thread(passed_over, folder):
        log.warning("files skipped", count=len(others), files=named(others))
    log.info(
        "knowledge updated",
        folder=str(folder),
        added=report.added,
        changed=report.changed,
        removed=report.removed,
        unchanged=report.unchanged,
        failed=len(report.failed),
    )
