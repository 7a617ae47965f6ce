"""A responder of the operator's own (`RESPONDER=package.module:Name`).

`Name` is a class or a function that makes the responder; it takes nothing, or the
settings. The responder has `respond(assignment, listener)`, which returns an `Answer`
or only its text, and may have `model` and `summarize`; see `base.Responder`. What it
adds to `assignment.meter` is billed even when the answer is stopped.
"""

import inspect
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

import structlog

from ..core.answer_text import answer_in
from ..core.conversation import Message
from ..errors import ChatwootBotError, ResponderError, SettingsError
from ..imports import import_module
from .base import Answer, Assignment, Listener

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def named(spec: str) -> Any:
    """Return what ``package.module:name`` names.

    Raises:
        SettingsError: there is no such thing; it says what is missing.
    """
    module_name, _, name = spec.rpartition(":")
    module = import_module(module_name, setting="RESPONDER")
    try:
        return getattr(module, name)
    except AttributeError:
        raise unusable(f"{module_name} has no {name}") from None


def load(spec: str, settings: object) -> "OwnResponder":
    """Return the responder that *spec* names, made with *settings* if it wants them.

    Raises:
        SettingsError: it cannot be used; it says why.
    """
    make = named(spec)
    if not callable(make):
        raise unusable(f"{spec} must be a class, or a function that makes a responder")
    try:
        made = make(settings) if _wants_settings(make) else make()
    except Exception as error:
        raise unusable(
            f"{spec} failed when it was called ({type(error).__name__}: {error})"
        ) from error
    if not inspect.iscoroutinefunction(getattr(made, "respond", None)):
        raise unusable(f"{spec} needs async def respond(self, assignment, listener)")
    return OwnResponder(spec, made)


def _wants_settings(make: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # what is written in C tells nothing of itself
        return False
    variadic = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return any(
        each.default is each.empty and each.kind not in variadic for each in parameters
    )


def unusable(problem: str) -> SettingsError:
    """Return the error for a `RESPONDER` that cannot be used."""
    return SettingsError({"RESPONDER": problem})


class OwnResponder:
    """Turn whatever goes wrong in it into a `ResponderError`. See `Responder`."""

    def __init__(self, name: str, inner: Any) -> None:
        self.name = name
        self.model: str | None = getattr(inner, "model", None)
        self._inner = inner

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Ask the operator's responder."""
        before = len(assignment.meter.readings)
        said = await self._ask(self._inner.respond, assignment, listener)
        answer = Answer(text=said) if isinstance(said, str) else said
        if not isinstance(answer, Answer):
            raise self._failure(f"returned {type(answer).__name__}, not an Answer")
        if len(assignment.meter.readings) == before:
            assignment.meter.add(answer.model, answer.usage)
        asks_for_human = answer.handover or (
            assignment.toolbox is not None and assignment.toolbox.handover
        )
        if not answer.text.strip() and not asks_for_human:
            raise self._failure("returned an answer without text")
        return answer

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Ask the operator's responder, if it can."""
        if not hasattr(self._inner, "summarize"):
            return None
        said: Answer | str | None = await self._ask(
            self._inner.summarize, transcript, so_far=so_far
        )
        summary = Answer(text=said) if isinstance(said, str) else said
        if summary is not None and not isinstance(summary, Answer):
            raise self._failure(f"summed up as {type(summary).__name__}, not a text")
        return summary and replace(summary, text=answer_in(summary.text))

    async def _ask(
        self, ask: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return await ask(*args, **kwargs)
        except ChatwootBotError:
            raise  # theirs on purpose, or ours: a lost lease, a database that is down
        except Exception as error:
            # Without its text, which may be a customer's.
            *_, place = traceback.extract_tb(error.__traceback__)
            log.error(
                "responder failed",
                responder=self.name,
                error=type(error).__name__,
                file=place.filename,
                line=place.lineno,
            )
            raise self._failure(f"failed ({type(error).__name__})") from error

    def _failure(self, problem: str) -> ResponderError:
        # Not the circuit's business: a bug for one contact's words is no outage.
        return ResponderError(f"{self.name} {problem}", retryable=False)
