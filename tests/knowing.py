"""Documents for tests of the knowledge base, and the way they get in."""

import contextlib
from pathlib import Path

from chatwoot_bot.knowledge.folder import files_in
from chatwoot_bot.knowledge.ingest import Ingest
from chatwoot_bot.knowledge.preparer import Preparer

ARTICLES = Path(__file__).parent / "knowledge_articles"


@contextlib.asynccontextmanager
async def ingesting(db):
    """Yield what takes documents in."""
    async with Preparer() as preparer, Ingest(db, preparer) as ingest:
        yield ingest


async def take_in(db, place, *, collection=""):
    """Add a folder or a file; return the report."""
    async with ingesting(db) as ingest:
        return await ingest.add(collection, str(place), files_in(place))


def write(folder, **texts):
    """Write Markdown files: name → text."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder
