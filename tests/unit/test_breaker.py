"""The circuit breaker, with a clock of our own."""

import pytest

from chatwoot_bot.breaker import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


def fail(breaker, times=FAILURES):
    for _ in range(times):
        breaker.failed()


def test_a_few_failures_open_nothing(breaker):
    fail(breaker, FAILURES - 1)

    assert breaker.state == "closed"
    assert breaker.allows()


def test_success_forgets_failures(breaker):
    fail(breaker, FAILURES - 1)
    breaker.succeeded()
    fail(breaker, FAILURES - 1)

    assert breaker.state == "closed"


def test_open_circuit_lets_nothing_through(breaker):
    """Who is down is not hammered."""
    fail(breaker)

    assert breaker.state == "open"
    assert not breaker.allows()


def test_after_a_pause_one_call_may_try(breaker, clock):
    fail(breaker)
    clock.now += FIRST_PAUSE_S

    assert breaker.state == "half_open"
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_successful_trial_closes_it(breaker, clock):
    """It recovers by itself."""
    fail(breaker)
    clock.now += FIRST_PAUSE_S
    breaker.allows()
    breaker.succeeded()

    assert breaker.state == "closed"


def test_failed_trials_make_the_pauses_longer_up_to_a_limit(breaker, clock):
    fail(breaker)
    pauses = []
    for _ in range(10):
        opened = clock.now
        while not breaker.allows():
            clock.now += 0.5
        pauses.append(clock.now - opened)
        breaker.failed()

    assert pauses[0] == FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_trial_that_never_reports_back_does_not_block_for_ever(breaker, clock):
    """A cancelled turn reports nothing."""
    fail(breaker)
    clock.now += FIRST_PAUSE_S
    breaker.allows()
    clock.now += 60

    assert breaker.allows()


def test_recoveries_are_counted(breaker, clock):
    """Whoever waits for the other side learns that it is back."""
    fail(breaker, FAILURES - 1)
    breaker.succeeded()
    before = breaker.recoveries
    fail(breaker)
    clock.now += FIRST_PAUSE_S
    assert breaker.allows()
    breaker.succeeded()

    assert (before, breaker.recoveries) == (0, 1)


def test_longest_pause_can_be_shorter(clock):
    breaker = Breaker(clock, longest_pause_s=2.0)
    fail(breaker)
    for _ in range(5):
        clock.now += LONGEST_PAUSE_S
        assert breaker.allows()
        breaker.failed()
    clock.now += 2.0

    assert breaker.state == "half_open"
