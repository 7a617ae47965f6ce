"""Whether documents are taken in and the embeddings server answers."""

import asyncio
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Health:
    """What is known of the knowledge of a service, and of its embeddings server.

    Attributes:
        taken_in: set once the folders have been looked through after the start.
        model: None without `EMBEDDING_MODEL`.
        without_vector: chunks that search by meaning does not find; None before they
            were counted.
    """

    def __init__(self) -> None:
        self.taken_in = asyncio.Event()
        self.model: str | None = None
        self.without_vector: int | None = None
        self._is_reachable: bool | None = None
        self._last_error: str | None = None

    def worked(self) -> None:
        """Note an answer; log the first one after a failure."""
        if self._last_error is not None:
            log.info("embeddings server answered again", model=self.model)
        self._is_reachable, self._last_error = True, None

    def failed(self, reason: str) -> None:
        """Note a failure; log the first one after an answer."""
        if self._last_error is None:
            log.warning("embeddings failed", model=self.model, reason=reason)
        self._is_reachable, self._last_error = False, reason

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return the part of `/health/ready`; none without a model for embeddings.

        It never makes the service unready, which then searches by full text alone.
        """
        if self.model is None:
            return {}
        part = {
            "model": self.model,
            "reachable": self._is_reachable,
            "last_error": self._last_error,
            "chunks_without_vector": self.without_vector,
        }
        return {"embeddings": part}
