"""Times for calls, as tables: the grid, days when clocks change, what is offered."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatwoot_bot.core.hours import parse_hours
from chatwoot_bot.core.slots import (
    Grid,
    Span,
    Wish,
    clock,
    few,
    iso_local,
    nearest,
    parse_start,
    readable,
    without,
)

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # its clocks change by half an hour


def at(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def grid(hours, *, minutes=30, notice_h=0, ahead=0, zone="Europe/Berlin"):
    return Grid(
        hours=parse_hours(hours, zone),
        minutes=minutes,
        notice_s=notice_h * 3_600,
        days_ahead=ahead,
    )


def shown(slots, zone=BERLIN):
    """The slots as clocks show them, each with its offset."""
    return [iso_local(slot.starts_at, zone)[11:] for slot in slots]


@pytest.mark.parametrize(
    ("hours", "minutes", "offered"),
    [
        pytest.param("Tue 09:00-10:00", 30, ["09:00", "09:30"], id="from the opening"),
        pytest.param("Tue 09:10-10:00", 30, ["09:10"], id="none that closing cuts"),
        pytest.param("Tue 09:00-10:00", 45, ["09:00"], id="a rest that is too short"),
        pytest.param("Tue 09:00-10:00", 60, ["09:00"], id="just fits"),
        pytest.param("Tue 09:00-10:00", 90, [], id="fits nowhere"),
        pytest.param(
            "Tue 09:00-10:00; Tue 14:00-14:30",
            30,
            ["09:00", "09:30", "14:00"],
            id="two",
        ),
        pytest.param(
            "Tue 09:00-10:00; Tue 09:00-10:00", 30, ["09:00", "09:30"], id="said twice"
        ),
        pytest.param("Tue 23:00-24:00", 30, ["23:00", "23:30"], id="until midnight"),
        pytest.param("Wed 09:00-10:00", 30, [], id="another day"),
    ],
)
def test_slots_of_an_ordinary_day(hours, minutes, offered):
    slots = grid(hours, minutes=minutes).slots(at("2026-11-24 00:00"))

    assert shown(slots) == [f"{begin}+01:00" for begin in offered]
    assert all(slot.ends_at - slot.starts_at == minutes * 60 for slot in slots)


@pytest.mark.parametrize(
    ("day", "hours", "offered"),
    [
        # 2026-03-29: 02:00 becomes 03:00.
        pytest.param(
            "2026-03-29",
            "Sun 01:00-04:00",
            ["01:00+01:00", "01:30+01:00", "03:00+02:00", "03:30+02:00"],
            id="spring skips an hour",
        ),
        pytest.param("2026-03-29", "Sun 02:00-03:00", [], id="open when no clock is"),
        pytest.param(
            "2026-03-29",
            "Sun 02:30-04:00",
            ["03:30+02:00"],
            id="opening that does not exist",
        ),
        pytest.param(
            "2026-03-29",
            "Sun 09:00-10:00",
            ["09:00+02:00", "09:30+02:00"],
            id="later on that day nothing is moved",
        ),
        # 2026-10-25: 03:00 becomes 02:00, once more.
        pytest.param(
            "2026-10-25",
            "Sun 01:30-03:30",
            [
                *("01:30+02:00", "02:00+02:00", "02:30+02:00"),
                *("02:00+01:00", "02:30+01:00", "03:00+01:00"),
            ],
            id="autumn has an hour twice",
        ),
        pytest.param(
            "2026-10-25",
            "Sun 09:00-10:00",
            ["09:00+01:00", "09:30+01:00"],
            id="later on that day neither",
        ),
    ],
)
def test_slots_when_clocks_change(day, hours, offered):
    assert shown(grid(hours).slots(at(f"{day} 00:00"))) == offered


def test_clocks_that_change_by_half_an_hour():
    slots = grid("Sun 01:00-04:00", zone="Australia/Lord_Howe").slots(
        at("2026-10-04 00:00", LORD_HOWE)
    )

    # 02:00 becomes 02:30.
    assert shown(slots, LORD_HOWE) == [
        *("01:00+10:30", "01:30+10:30", "02:30+11:00", "03:00+11:00", "03:30+11:00"),
    ]


@pytest.mark.parametrize(
    ("now", "notice_h", "ahead", "first", "last"),
    [
        ("2026-11-24 09:10", 0, 0, "2026-11-24 09:30", "2026-11-24 11:30"),
        ("2026-11-24 09:30", 0, 0, "2026-11-24 09:30", "2026-11-24 11:30"),
        ("2026-11-24 09:10", 2, 0, "2026-11-24 11:30", "2026-11-24 11:30"),
        ("2026-11-24 09:10", 24, 3, "2026-11-25 09:30", "2026-11-27 11:30"),
        ("2026-11-24 23:59", 0, 1, "2026-11-25 09:00", "2026-11-25 11:30"),
    ],
)
def test_notice_and_horizon(now, notice_h, ahead, first, last):
    slots = grid("Mon-Sun 09:00-12:00", notice_h=notice_h, ahead=ahead).slots(at(now))

    assert (slots[0].starts_at, slots[-1].starts_at) == (at(first), at(last))
    assert slots == sorted(slots)


@settings(deadline=None, max_examples=50)  # it asks for each slot of weeks
@given(
    now=st.floats(at("2026-01-01 00:00"), at("2027-01-01 00:00")),
    minutes=st.integers(10, 480),
    notice_h=st.integers(0, 72),
    ahead=st.integers(1, 20),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
def test_what_is_listed_is_what_is_accepted(now, minutes, notice_h, ahead, zone):
    """Booking asks for one slot, the list shows all; they must agree."""
    one = grid(
        "Mon-Sun 00:00-24:00; Mon-Fri 01:10-03:50",
        minutes=minutes,
        notice_h=notice_h,
        ahead=ahead,
        zone=zone,
    )
    slots = one.slots(now)
    earlier = [one.slot_at(slots[0].starts_at - 60)] if slots else []

    assert all(one.offers(slot, now) for slot in slots)
    assert all(one.hours.is_open(slot.starts_at) for slot in slots)
    assert all(slot.starts_at >= now + notice_h * 3_600 for slot in slots)
    assert not any(one.offers(slot, now) for slot in earlier if slot not in slots)


def test_what_is_no_slot_is_not_accepted():
    one = grid("Tue 09:00-10:00", ahead=6)
    now = at("2026-11-24 08:00")

    assert one.offers(one.slot_at(at("2026-11-24 09:30")), now)
    for start in ("2026-11-24 09:15", "2026-11-24 10:00", "2026-12-01 09:00"):
        assert not one.offers(one.slot_at(at(start)), now)
    assert not one.offers(Span(at("2026-11-24 09:00"), at("2026-11-24 10:00")), now)


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ([], [0, 30, 60, 90]),
        ([(30, 60)], [0, 60, 90]),
        ([(15, 45)], [60, 90]),
        ([(15, 16), (90, 120)], [30, 60]),
        ([(-60, 0), (120, 150)], [0, 30, 60, 90]),
        ([(90, 120), (0, 30)], [30, 60]),
        ([(-10, 200)], []),
    ],
)
def test_what_is_taken_is_not_free(taken, left):
    slots = [Span(begin, begin + 30) for begin in (0, 30, 60, 90)]

    free = without(slots, [Span(*each) for each in taken])

    assert [slot.starts_at for slot in free] == left


WEEK = grid("Mon-Fri 09:00-17:00", ahead=6).slots(at("2026-11-23 00:00"))


@pytest.mark.parametrize(
    ("wish", "first", "count"),
    [
        ({}, "2026-11-23 09:00", 80),
        ({"first": date(2026, 11, 26)}, "2026-11-26 09:00", 32),
        ({"last": date(2026, 11, 23)}, "2026-11-23 09:00", 16),
        ({"after": time(13)}, "2026-11-23 13:00", 40),
        ({"before": time(9, 30)}, "2026-11-23 09:00", 5),
        ({"first": date(2026, 11, 28)}, None, 0),
    ],
)
def test_wishes(wish, first, count):
    fitting = [slot for slot in WEEK if Wish(zone=BERLIN, **wish).fits(slot)]

    assert len(fitting) == count
    assert not first or fitting[0].starts_at == at(first)


def test_wish_is_by_the_clock_of_the_contact():
    """Who says nine in Tokyo does not mean nine in Berlin."""
    tokyo = ZoneInfo("Asia/Tokyo")
    wish = Wish(zone=tokyo, after=time(17), before=time(18))

    assert shown([s for s in WEEK if wish.fits(s)][:2]) == [
        "09:00+01:00",
        "09:30+01:00",
    ]


def test_few_are_spread_over_days_and_each_day():
    offered = few(WEEK, BERLIN, limit=6)
    of_one_day = few(WEEK[:16], BERLIN, limit=4)

    assert [clock(slot.starts_at, BERLIN)[4:18] for slot in offered] == [
        *("23 Nov 2026, 0", "23 Nov 2026, 1"),
        *("24 Nov 2026, 0", "24 Nov 2026, 1"),
        *("25 Nov 2026, 0", "25 Nov 2026, 1"),
    ]
    assert shown(of_one_day) == [
        f"{t}+01:00" for t in ("09:00", "11:30", "14:00", "16:30")
    ]
    assert few([], BERLIN, limit=6) == []
    assert few(WEEK[:2], BERLIN, limit=6) == WEEK[:2]
    assert few(WEEK, BERLIN, limit=1) == WEEK[:1]


def test_nearest_are_around_the_moment_in_order_of_time():
    found = nearest(WEEK, at("2026-11-24 12:05"), limit=3)

    assert shown(found) == ["11:30+01:00", "12:00+01:00", "12:30+01:00"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T10:00+01:00", "2026-11-24 10:00"),
        (" 2026-11-24T09:00:00Z ", "2026-11-24 10:00"),
        ("2026-11-24T10:00", "2026-11-24 10:00"),
        ("2026-11-24 10:00", "2026-11-24 10:00"),
    ],
)
def test_start_as_models_write_it(text, moment):
    assert parse_start(text, BERLIN) == at(moment)


@pytest.mark.parametrize("text", ["", "tomorrow at ten", "10:00", "2026-13-01T10:00"])
def test_start_that_names_no_moment(text):
    with pytest.raises(ValueError):
        parse_start(text, BERLIN)


def test_slot_in_words_is_english_whatever_the_machine_speaks():
    slot = Span(at("2026-11-24 10:00"), at("2026-11-24 10:30"))

    assert readable(slot, BERLIN) == "Tue 24 Nov 2026, 10:00-10:30 (Europe/Berlin)"
    assert iso_local(slot.starts_at, BERLIN) == "2026-11-24T10:00+01:00"
