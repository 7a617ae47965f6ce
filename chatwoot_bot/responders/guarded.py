"""A responder behind a circuit breaker."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec, TypeVar

from ..breaker import Breaker
from ..core.conversation import Message
from ..errors import ResponderError
from .base import Answer, Assignment, Listener, Responder
from .terms import Terms

# Failures that no question can bring about.
UNREACHABLE = frozenset({"unreachable", "failed"})
# One that a question may have brought about, as an error of the server may: of one
# conversation it counts once.
SILENT = "timeout"
# Summaries have no conversation here.
SUMMARY = "summary"

P = ParamSpec("P")
T = TypeVar("T")


class GuardedResponder:
    """Spare a model that is down; the fallback then comes at once. See `Responder`.

    Only a server that does not answer is down. One that answers with nothing, with
    nonsense or with a refusal has answered; so has one that is still writing.

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

    @property
    def takes_tools(self) -> bool:
        """Whether the model is offered tools, as far as is known."""
        terms = getattr(self._inner, "terms", None)
        return terms.takes_tools if isinstance(terms, Terms) else True

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Ask the model, unless it has just failed several times."""
        by = assignment.conversation.id
        return await self._guarded(by, self._inner.respond, assignment, listener)

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Ask the model, unless it has just failed several times."""
        ask = self._inner.summarize
        return await self._guarded(SUMMARY, ask, transcript, so_far=so_far)

    async def _guarded(
        self,
        by: str,
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
            if error.retryable and error.kind in UNREACHABLE:
                self._breaker.failed()
            elif error.retryable and (error.kind == SILENT or error.kind.isdecimal()):
                # 429 is about the key, and not about the question.
                self._breaker.failed(None if error.kind == "429" else by)
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
