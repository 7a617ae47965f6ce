"""A second responder, which is asked when the first one has failed."""

from collections.abc import Callable, Sequence

import structlog

from ..core.conversation import Message
from ..errors import ResponderError
from .base import Answer, Assignment, Listener, Responder

log = structlog.get_logger(__name__)


class StandbyResponder:
    """Ask the second when the first fails, or its circuit is open. See `Responder`.

    What the first one's tools have changed in the world, the second one is told as
    done; the toolbox sees to it that it is not done again.

    Args:
        failed: called for each failure of the first.
    """

    def __init__(
        self, first: Responder, second: Responder, failed: Callable[[], None]
    ) -> None:
        self.name = first.name
        self.model = first.model
        self._first = first
        self._second = second
        self._failed = failed

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Ask the first, and then perhaps the second."""
        try:
            return await self._first.respond(assignment, listener)
        except ResponderError as error:
            self._pass_on(error)
        if listener is not None:
            listener.forget()
        if assignment.toolbox is not None:
            assignment.toolbox.begin_again()
        return await self._second.respond(assignment, listener)

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Ask the first, and then perhaps the second."""
        try:
            return await self._first.summarize(transcript, so_far=so_far)
        except ResponderError as error:
            self._pass_on(error)
        return await self._second.summarize(transcript, so_far=so_far)

    def _pass_on(self, error: ResponderError) -> None:
        self._failed()
        log.warning(
            "model failed, the second is asked",
            model=self.model,
            second=self._second.model,
            error=str(error),
        )
