"""What is examined, and how long one look may take."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx

from ..errors import ChatwootError
from ..settings import Settings
from .findings import Finding, fail

# Some looks are several calls in a row; none may keep the report from its reader.
LOOK_S = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One service.

    Attributes:
        public_url: where Chatwoot reaches it; None when nobody said, and then only an
            administrator's token can tell.
        clock: Unix seconds.
    """

    settings: Settings
    http: httpx.AsyncClient
    public_url: str | None
    clock: Callable[[], float] = time.time


async def bounded(
    check: str, look: Coroutine[Any, Any, list[Finding]]
) -> list[Finding]:
    """Return what *look* finds, or that Chatwoot did not let it finish."""
    setting = "CHATWOOT_BASE_URL"
    mend = "look into Chatwoot's log, and run chatwoot-bot doctor again"
    try:
        async with asyncio.timeout(LOOK_S):
            return await look
    except TimeoutError:
        why = f"took longer than {LOOK_S:g} s"
    except ChatwootError as error:
        why = str(error)
    return [fail(check, why, setting=setting, mend=mend)]
