"""One implementation counts every rate, in bounded memory."""

import pytest

from chatwoot_bot.errors import PaceError
from chatwoot_bot.web.rates import Rate, Slots


@pytest.fixture
def now():
    return [0.0]


def allowed(rate, key, times):
    """How many of *times* attempts at one moment are allowed."""
    count = 0
    for _ in range(times):
        try:
            rate.take(key)
        except PaceError:
            continue
        count += 1
    return count


def test_so_many_are_allowed_at_once_and_then_as_many_in_each_window(now):
    rate = Rate(4, 10, clock=lambda: now[0])
    first = allowed(rate, "a", 10)
    now[0] = 10.0  # all of the window before still counts
    second = allowed(rate, "a", 10)
    now[0] = 15.0  # half of it
    third = allowed(rate, "a", 10)
    now[0] = 40.0
    fourth = allowed(rate, "a", 10)

    assert (first, second, third, fourth) == (4, 0, 2, 4)


def test_each_key_has_its_own(now):
    rate = Rate(1, 10, clock=lambda: now[0])
    rate.take("a")
    rate.take("b")
    with pytest.raises(PaceError):
        rate.take("a")


def test_what_costs_more_takes_more(now):
    rate = Rate(10, 10, clock=lambda: now[0])
    rate.take("a", 7)
    with pytest.raises(PaceError):
        rate.take("a", 4)
    rate.take("a", 3)  # the refused one has taken nothing


def test_looking_takes_nothing(now):
    rate = Rate(1, 10, clock=lambda: now[0])
    rate.check("a")
    rate.take("a")
    with pytest.raises(PaceError):
        rate.check("a")


@pytest.mark.parametrize("at", [0.0, 3.0, 9.9])
@pytest.mark.parametrize("cost", [1, 3, 4])
def test_refusal_says_when_it_is_allowed(now, at, cost):
    rate = Rate(4, 10, clock=lambda: now[0])
    now[0] = at
    assert allowed(rate, "a", 4) == 4
    with pytest.raises(PaceError) as refused:
        rate.take("a", cost)
    now[0] += refused.value.retry_after_s

    rate.take("a", cost)


def test_memory_is_bounded(now):
    """Somebody with many addresses must not fill it."""
    rate = Rate(2, 10, remembered=10, clock=lambda: now[0])
    for number in range(1_000):
        rate.take(str(number))

    assert len(rate) == 20


def test_place_that_is_given_back_is_free_for_the_next():
    slots = Slots(2, "too many")
    with (
        slots.hold("a"),
        slots.hold("a"),
        slots.hold("b"),
        pytest.raises(PaceError, match="too many"),
        slots.hold("a"),
    ):
        pass
    with slots.hold("a"):
        pass

    assert not slots._held
