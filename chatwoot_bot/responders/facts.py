"""What a model's server tells of itself: its models, its context and its slots.

OpenAI's `/models` has names; vLLM adds `max_model_len`. llama.cpp has `/props` beside
`/v1`, with the context of each slot and how many there are.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

log = structlog.get_logger(__name__)

# While a contact waits.
CONTEXT_S = 3.0
MOST = 10**9
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a server.

    Attributes:
        status: of the list of models.
        models: in the server's order; empty when it lists none.
        context: tokens that fit into one question with its answer, or None.
        slots: answers that are written at once, or None.
    """

    status: int
    models: Sequence[str] = ()
    context: int | None = None
    slots: int | None = None


async def facts_of(
    http: httpx.AsyncClient, root: str, key: str, model: str, *, is_own: bool
) -> Facts:
    """Ask a server.

    Args:
        root: where `/chat/completions` begins.
        is_own: it may be llama.cpp, and not the service of a company.

    Raises:
        httpx.HTTPError: it does not answer.
    """
    headers = {"authorization": f"Bearer {key}"}
    listed = await http.get(f"{root}/models", headers=headers)
    found = _object(listed).get("data") if listed.is_success else None
    rows = found if isinstance(found, list) else []
    rows = [row for row in rows if isinstance(row, dict) and "id" in row]
    own = next((row for row in rows if str(row["id"]) == model), _NONE)
    props = _NONE
    if is_own and listed.is_success:
        told = await http.get(f"{root.removesuffix('/v1')}/props", headers=headers)
        props = _object(told) if told.is_success else _NONE
    settings = props.get("default_generation_settings")
    slot = settings if isinstance(settings, dict) else {}
    return Facts(
        status=listed.status_code,
        models=[str(row["id"]) for row in rows],
        context=_count(own.get("max_model_len")) or _count(slot.get("n_ctx")),
        slots=_count(props.get("total_slots")),
    )


async def context_of(
    http: httpx.AsyncClient, root: str, key: str, model: str
) -> int | None:
    """Return how much fits into the context of *model*, or None."""
    try:
        async with asyncio.timeout(CONTEXT_S):
            facts = await facts_of(http, root, key, model, is_own=True)
    except (httpx.HTTPError, TimeoutError) as error:
        log.info("context not told", model=model, error=type(error).__name__)
        return None
    return facts.context


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < MOST else None
