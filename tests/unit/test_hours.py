"""Working hours: when agents are there, and when they come back."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatwoot_bot.core.hours import parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = "Mon-Fri 09:00-17:30; Sat 10:00-14:00"


def at(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-20 08:59", False),  # a Friday
        ("2026-11-20 09:00", True),
        ("2026-11-20 17:29", True),
        ("2026-11-20 17:30", False),
        ("2026-11-21 13:59", True),
        ("2026-11-21 14:00", False),
        ("2026-11-22 12:00", False),
    ],
)
def test_hours_are_open_from_the_first_minute_to_before_the_last(moment, is_open):
    assert parse_hours(WEEK, "Europe/Berlin").is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "opening"),
    [
        ("2026-11-20 08:00", "2026-11-20 09:00"),
        ("2026-11-20 18:00", "2026-11-21 10:00"),
        ("2026-11-21 14:00", "2026-11-23 09:00"),
        ("2026-03-28 20:00", "2026-03-30 09:00"),  # the clocks change in between
    ],
)
def test_next_opening_is_in_local_time(moment, opening):
    found = parse_hours(WEEK, "Europe/Berlin").next_opening(at(moment))

    assert found == datetime.fromisoformat(opening).replace(tzinfo=BERLIN)


def test_hours_are_counted_in_their_own_zone():
    """A server runs in UTC, the team does not."""
    hours = parse_hours("Mon-Fri 09:00-17:00", "America/New_York")

    assert hours.is_open(at("2026-11-20 15:00", ZoneInfo("UTC")))
    assert not hours.is_open(at("2026-11-20 10:00", ZoneInfo("UTC")))


def test_days_may_go_over_the_end_of_the_week():
    hours = parse_hours("Sat-Mon 10:00-12:00", "UTC")

    assert sorted(day for day, _, _ in hours.spans) == [0, 5, 6]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "is empty"),
        ("9 to 5", "'9 to 5'"),
        ("Mon-Fri 09:00", "'Mon-Fri 09:00'"),
        ("Mon-Fry 09:00-17:00", "none of mon"),
        ("Moo 09:00-17:00", "none of mon"),
        ("Mon 17:00-09:00", "closes before it opens"),
        ("Mon 09:00-25:00", "beyond 24:00"),
        ("Mon 09:61-10:00", "beyond 24:00"),
    ],
)
def test_wrong_hours_name_the_span_and_show_a_right_one(text, names):
    with pytest.raises(ValueError, match=names):
        parse_hours(text, "UTC")


@given(st.floats(1.7e9, 1.9e9))
def test_when_closed_the_next_opening_is_ahead_and_open(now):
    hours = parse_hours(WEEK, "Europe/Berlin")
    opening = hours.next_opening(now).timestamp()

    assert opening > now
    assert hours.is_open(opening)
