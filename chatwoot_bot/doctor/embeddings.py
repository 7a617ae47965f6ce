"""The embeddings server answers, and every chunk has a vector."""

import httpx

from ..errors import EmbeddingsError
from ..library import embedder_of
from ..settings import Settings
from ..store.condition import Condition
from .findings import Finding, ok, warn

CHECK = "embeddings"
SAMPLE = "How do I return a parcel?"


async def check_embeddings(
    settings: Settings, http: httpx.AsyncClient
) -> Finding | None:
    """Ask for one vector; return None without `EMBEDDING_MODEL`."""
    embedder = embedder_of(settings, http)
    if embedder is None:
        return None
    try:
        [vector] = await embedder.texts([SAMPLE])
    except EmbeddingsError as error:
        return warn(
            CHECK,
            f"{embedder.model}: {error}, so search is by words alone",
            setting="EMBEDDING_BASE_URL",
            mend="name a server that has POST /embeddings and this model, or unset "
            "EMBEDDING_MODEL",
        )
    return ok(CHECK, f"{embedder.model}, {len(vector)} numbers")


def check_vectors(
    settings: Settings, http: httpx.AsyncClient, condition: Condition | None
) -> Finding | None:
    """Say how many chunks lack a vector; return None when none does."""
    embedder = embedder_of(settings, http)
    if embedder is None or condition is None:
        return None
    missing = condition.chunks - condition.vectors.get(embedder.key, 0)
    if missing <= 0:
        return None
    return warn(
        CHECK,
        f"{missing} of {condition.chunks} chunks have no vector of {embedder.model}",
        setting="EMBEDDING_MODEL",
        mend="the running service makes them; if the number stays, look into its log",
    )
