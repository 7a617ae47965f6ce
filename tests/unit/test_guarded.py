"""The circuit around a responder: what counts, and what does not."""

import asyncio

import pytest
from factories import assignment

from chatwoot_bot.breaker import FAILURES, Breaker
from chatwoot_bot.errors import ResponderError
from chatwoot_bot.responders.base import Answer
from chatwoot_bot.responders.guarded import GuardedResponder

pytestmark = pytest.mark.anyio


class Scripted:
    """Answers, or raises, what it is told."""

    name = "scripted"
    model = None

    def __init__(self, outcome):
        self.outcome = outcome
        self.asked = 0

    async def respond(self, assignment, listener=None):
        self.asked += 1
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


async def ask(guarded, times):
    for _ in range(times):
        with pytest.raises((ResponderError, asyncio.CancelledError)):
            await guarded.respond(assignment([]))


async def test_model_that_is_down_is_left_alone():
    inner = Scripted(ResponderError("down", retryable=True))
    guarded = GuardedResponder(inner, Breaker())
    await ask(guarded, FAILURES + 5)

    assert inner.asked == FAILURES


async def test_one_contacts_endless_message_does_not_stop_everybody():
    """The model answered: it said no to this question."""
    inner = Scripted(ResponderError("context too long", retryable=False))
    guarded = GuardedResponder(inner, Breaker())
    await ask(guarded, FAILURES + 5)
    inner.outcome = Answer(text="fine")

    assert (await guarded.respond(assignment([]))).text == "fine"


async def test_last_failure_shows_until_the_model_answers():
    """A refused key opens no circuit, and is no secret to whoever looks."""
    inner = Scripted(ResponderError("no such key", retryable=False, kind="401"))
    guarded = GuardedResponder(inner, Breaker())
    await ask(guarded, 1)

    assert guarded.last_error == "401"

    inner.outcome = Answer(text="fine")
    await guarded.respond(assignment([]))

    assert guarded.last_error is None


async def test_cancelled_trial_lets_the_next_one_try():
    clock = [0.0]
    breaker = Breaker(lambda: clock[0])
    inner = Scripted(ResponderError("down", retryable=True))
    guarded = GuardedResponder(inner, breaker)
    await ask(guarded, FAILURES)
    clock[0] += 5
    inner.outcome = asyncio.CancelledError()
    await ask(guarded, 1)
    inner.outcome = Answer(text="back")

    assert (await guarded.respond(assignment([]))).text == "back"
