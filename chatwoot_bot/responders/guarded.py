"""A responder behind a circuit breaker."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec, TypeVar

from ..breaker import Breaker
from ..core.conversation import Message
from ..errors import ResponderError
from .base import Answer, Assignment, Listener, Responder

P = ParamSpec("P")
T = TypeVar("T")


class GuardedResponder:
    """Spare a model that is down; the fallback then comes at once. See `Responder`.

    Attributes:
        last_error: the kind of the last failure, see `ResponderError`; None once the
            model has answered.
    """

    def __init__(self, inner: Responder, breaker: Breaker) -> None:
        self.name = inner.name
        self.model = inner.model
        self.last_error: str | None = None
        self._inner = inner
        self._breaker = breaker

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Ask the model, unless it has just failed several times."""
        return await self._guarded(self._inner.respond, assignment, listener)

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Ask the model, unless it has just failed several times."""
        return await self._guarded(self._inner.summarize, transcript, so_far=so_far)

    async def _guarded(
        self,
        ask: Callable[P, Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        if not self._breaker.allows():
            raise ResponderError("the model's circuit is open", retryable=True)
        try:
            answer = await ask(*args, **kwargs)
        except ResponderError as error:
            self.last_error = error.kind
            if error.retryable:
                self._breaker.failed()
            else:
                # It answered: this question is wrong, not the model.
                self._breaker.succeeded()
            raise
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        self.last_error = None
        return answer
