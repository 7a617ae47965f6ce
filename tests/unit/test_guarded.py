"""The circuit around a responder: what counts, and what does not."""

import asyncio
from dataclasses import replace

import pytest
from factories import assignment, conversation

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


ODD = {
    "empty": {"kind": "empty"},
    "not understood": {"kind": "not_understood"},
    "stops in its answer": {"kind": "stalled"},
    "a wrong call of a tool": {"kind": "misused"},
    "no answer in time": {"kind": "timeout"},
    "an error of the server": {"kind": "500"},
    "refused": {"kind": "400", "retryable": False},
    "filtered": {"kind": "content_filter", "retryable": False},
}


@pytest.mark.parametrize("odd", ODD)
async def test_three_visitors_do_not_take_the_bot_from_a_fourth(odd):
    """For a minute each of them writes every second what the model fails at."""
    now = 0.0
    inner = Scripted(None)
    guarded = GuardedResponder(inner, Breaker(lambda: now))
    failure = ResponderError("odd", **{"retryable": True} | ODD[odd])
    answered = 0
    for second in range(60):
        now = float(second)
        inner.outcome = failure
        for visitor in "abc":
            given = replace(assignment([]), conversation=conversation(id=visitor))
            with pytest.raises(ResponderError, match="odd"):
                await guarded.respond(given)
        if second % 5:
            inner.outcome = Answer(text="fine")
            given = replace(assignment([]), conversation=conversation(id="d"))
            answered += (await guarded.respond(given)).text == "fine"

    assert answered == 48


@pytest.mark.parametrize("kind", ["500", "timeout"])
async def test_server_that_fails_for_everybody_is_left_alone(kind):
    inner = Scripted(ResponderError("down", retryable=True, kind=kind))
    guarded = GuardedResponder(inner, Breaker())
    for number in range(FAILURES + 5):
        given = replace(assignment([]), conversation=conversation(id=str(number)))
        with pytest.raises(ResponderError):
            await guarded.respond(given)

    assert inner.asked == FAILURES


async def test_used_up_key_is_left_alone_whoever_asks():
    inner = Scripted(ResponderError("quota", retryable=True, kind="429"))
    guarded = GuardedResponder(inner, Breaker())
    await ask(guarded, FAILURES + 5)

    assert inner.asked == FAILURES
