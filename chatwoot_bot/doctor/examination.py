"""All checks; side by side where none needs another's result.

database ─┐
model ────┤
chatwoot ─┴─ tokens ── account, rights, inboxes ── secret, webhook, address
"""

import asyncio
from collections.abc import Iterator

import pydantic

from ..settings import Settings
from .bots import check_all_tools, check_models
from .connection import check_connection
from .database import check_database
from .embeddings import check_embeddings, check_vectors
from .findings import Finding, ok, redacted
from .knowledge import check_knowledge
from .notifications import check_notifications
from .subject import Subject


async def examine(subject: Subject) -> list[Finding]:
    """Return what was found, in reading order; no secret is in it."""
    settings = subject.settings
    async with asyncio.TaskGroup() as group:
        database = group.create_task(check_database(settings))
        notified = group.create_task(check_notifications(settings))
        models = group.create_task(check_models(settings, subject.http))
        embeddings = group.create_task(check_embeddings(settings, subject.http))
        there = group.create_task(check_connection(subject, database))
    finding, condition = database.result()
    found = [
        ok("settings", "readable"),
        finding,
        *notified.result(),
        check_knowledge(settings, condition),
        *filter(None, [embeddings.result()]),
        *filter(None, [check_vectors(settings, subject.http, condition)]),
        *models.result(),
        *check_all_tools(settings, subject.http),
        *there.result(),
    ]
    return [redacted(each, _secrets(settings)) for each in found]


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield every secret that is set; a database's URL holds a password."""
    for one in (settings, *(bot.settings for bot in settings.bots)):
        for name in type(one).model_fields:
            value = getattr(one, name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, pydantic.SecretStr):
                    yield each.get_secret_value()
