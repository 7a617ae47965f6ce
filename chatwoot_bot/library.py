"""Which bot knows what: collections, the folders behind them, and their embeddings.

What is in the shared collection, "", every bot knows. A bot that serves inboxes of its
own has a collection of its own too, named after the first of them: for the `knowledge`
folder that `BOTS_FILE` gives it, and for what is added with `--inbox`.
"""

import asyncio
from pathlib import Path

import httpx
import structlog

from .bots import WEB
from .core.conversation import Inbox
from .errors import ChatwootBotError, KnowledgeError, unexpected
from .knowledge.embeddings import Embedder
from .knowledge.folder import files_in
from .knowledge.ingest import Ingest
from .knowledge.preparer import Preparer
from .knowledge.search import Knowledge
from .settings import BotSettings, Settings
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


def knowledge_of(bot: BotSettings, db: Database, http: httpx.AsyncClient) -> Knowledge:
    """Return what a bot knows."""
    collections = dict.fromkeys([SHARED, collection_of(bot)])
    return Knowledge(db, tuple(collections), embedder_of(bot.settings, http))


def embedder_of(settings: Settings, http: httpx.AsyncClient) -> Embedder | None:
    """Return who makes vectors; None without `EMBEDDING_MODEL`."""
    if settings.embedding_model is None:
        return None
    base_url, api_key, _ = settings.llm()
    return Embedder(
        http, base_url=base_url, api_key=api_key, model=settings.embedding_model
    )


def folders(settings: Settings) -> list[tuple[str, Path]]:
    """Return (collection, folder) of all that the settings name."""
    found = [(SHARED, settings.knowledge_dir)] if settings.knowledge_dir else []
    found += [
        (collection_of(bot), bot.settings.knowledge_dir)
        for bot in settings.bots
        if "knowledge_dir" in bot.own and bot.settings.knowledge_dir
    ]
    return found


async def keep_up(settings: Settings, db: Database, http: httpx.AsyncClient) -> None:
    """Take in what has changed in the folders since the last start; then end.

    In the background: a service without its newest documents is better than none.
    """
    if not folders(settings) and settings.embedding_model is None:
        return
    while True:
        try:
            async with Preparer() as preparer, Ingest(db, preparer) as ingest:
                await _take_in(settings, ingest)
                embedder = embedder_of(settings, http)
                if embedder is not None and await ingest.embed(embedder):
                    log.info("knowledge embedded", model=embedder.model)
            return
        except ChatwootBotError as error:
            log.warning("knowledge not up to date", reason=str(error))
        except Exception as error:  # noqa: BLE001 - see above
            log.error("knowledge not up to date", **unexpected(error))
        await asyncio.sleep(AGAIN_S)


async def _take_in(settings: Settings, ingest: Ingest) -> None:
    for collection, folder in folders(settings):
        try:
            files = await asyncio.to_thread(files_in, folder)
        except KnowledgeError as error:
            log.warning("knowledge not up to date", reason=str(error))
            continue
        report = await ingest.add(collection, str(folder.absolute()), files)
        for uri, reason in report.failed.items():
            log.warning("document not read", uri=uri, reason=reason)
        log.info(
            "knowledge up to date",
            folder=str(folder),
            added=report.added,
            changed=report.changed,
            removed=report.removed,
            unchanged=report.unchanged,
            failed=len(report.failed),
        )
