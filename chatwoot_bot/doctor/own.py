"""The operator's own code: the responder and the tools, loaded as the service does."""

from collections.abc import Callable

import httpx

from ..answering import Answering
from ..errors import SettingsError
from ..settings import BotSettings, Settings
from ..store.engine import Database
from ..toolkit import tools_of
from .findings import Finding, fail, ok

TOOLS = "tools"


def check_responder(check: str, settings: Settings, http: httpx.AsyncClient) -> Finding:
    """Make the responder that `RESPONDER` names, and ask it nothing."""
    answering = Answering(settings, http, _database(settings), lambda: None)
    mend = "mend it, start in the folder where it lies, or install its package"
    return _loaded(
        check,
        f"{settings.responder_name} answers; nothing to reach",
        lambda: answering.responder(settings.bots[0]),
        mend,
    )


def check_tools(bot: BotSettings, http: httpx.AsyncClient) -> Finding | None:
    """Make the tools of *bot*; None when all is well and none is the operator's."""
    db = _database(bot.settings)
    named = ", ".join(bot.settings.tools)
    mend = "name modules as import finds them; docs/extend/tools.md shows how"
    found = _loaded(TOOLS, named, lambda: tools_of(bot, db, http), mend)
    return found if named or found.mend else None


def _database(settings: Settings) -> Database:
    """Return a database for what is made here to hold; nobody opens it."""
    return Database(settings.database_url.get_secret_value())


def _loaded(check: str, fine: str, load: Callable[[], object], mend: str) -> Finding:
    try:
        load()
    except SettingsError as error:
        [(setting, problem), *_] = error.problems.items()
        return fail(check, f"{setting}: {problem}", setting=setting, mend=mend)
    return ok(check, fine)
