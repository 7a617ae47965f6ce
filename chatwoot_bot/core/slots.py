"""Times for calls: when there are any, which are free, and which few to offer.

A moment is Unix seconds. Opening hours are what a clock on the wall shows, so on the
days when clocks change a day has more or fewer slots, and never one at an hour that
does not exist.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .hours import DAY_MINUTES, Hours

MINUTE_S = 60.0
DAY_S = 86_400.0
# The longest call there may be.
MAX_MINUTES = 480


class Span(NamedTuple):
    """From one moment to another, Unix seconds."""

    starts_at: float
    ends_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """When the company takes calls.

    Attributes:
        hours: the opening hours; slots begin at each opening.
        minutes: how long a call takes.
        notice_s: a call begins no earlier than this from now.
        days_ahead: the last day on which one may be booked, counted from today.
    """

    hours: Hours
    minutes: int
    notice_s: float
    days_ahead: int

    def slots(self, now: float) -> list[Span]:
        """Return all that can be offered at *now*, taken or not, in order of time."""
        zone = self.hours.zone
        today = datetime.fromtimestamp(now, zone).date()
        found = {
            slot
            for later in range(self.days_ahead + 1)
            for slot in self._of_day(today + timedelta(days=later))
            if slot.starts_at >= now + self.notice_s
        }
        return sorted(found)

    def slot_at(self, starts_at: float) -> Span:
        """Return the call that would begin at *starts_at*, offered or not."""
        return Span(starts_at, starts_at + self.minutes * MINUTE_S)

    def offers(self, slot: Span, now: float) -> bool:
        """Return whether *slot* is one of `slots`."""
        zone = self.hours.zone
        today = datetime.fromtimestamp(now, zone).date()
        last = _moment(today + timedelta(days=self.days_ahead + 1), 0, zone)
        if not now + self.notice_s <= slot.starts_at < last:
            return False
        day = datetime.fromtimestamp(slot.starts_at, zone).date()
        return slot in self._of_day(day)

    def _of_day(self, day: date) -> Iterator[Span]:
        for weekday, opens, closes in self.hours.spans:
            if weekday == day.weekday():
                yield from self._between(day, opens, closes)

    def _between(self, day: date, opens: int, closes: int) -> Iterator[Span]:
        length = self.minutes * MINUTE_S
        starts_at, until = (
            _moment(day, minute, self.hours.zone) for minute in (opens, closes)
        )
        while starts_at + length <= until:
            slot = Span(starts_at, starts_at + length)
            if self._is_within(slot, opens, closes):
                yield slot
            starts_at += length

    def _is_within(self, slot: Span, opens: int, closes: int) -> bool:
        """Return whether the clock on the wall agrees; it does not after a change."""
        begin, end = (_minute(moment, self.hours.zone) for moment in slot)
        return opens <= begin < closes and opens < (end or DAY_MINUTES) <= closes


def _moment(day: date, minute: int, zone: ZoneInfo) -> float:
    midnight = datetime.combine(day, time(), zone)
    # Adding to a local time moves the hands of the clock, not the time that passes.
    return (midnight + timedelta(minutes=minute)).timestamp()


def _minute(moment: float, zone: ZoneInfo) -> int:
    local = datetime.fromtimestamp(moment, zone)
    return local.hour * 60 + local.minute


def without(slots: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """Return the slots that overlap nothing of *taken*, which overlaps not itself."""
    busy = sorted(taken)
    starts = [span.starts_at for span in busy]

    def is_free(slot: Span) -> bool:
        # Of all that begin before the slot ends, the last one ends last.
        number = bisect_left(starts, slot.ends_at)
        return number == 0 or busy[number - 1].ends_at <= slot.starts_at

    return [slot for slot in slots if is_free(slot)]


def nearest(slots: Sequence[Span], moment: float, *, limit: int) -> list[Span]:
    """Return the *limit* slots that begin closest to *moment*, in order of time."""
    return sorted(sorted(slots, key=lambda slot: abs(slot.starts_at - moment))[:limit])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """When a contact would like to talk, by the clock in their zone.

    Attributes:
        first: the first day that suits; None for any.
        last: the last one.
        after: the call begins no earlier in the day.
        before: it begins before this.
    """

    zone: ZoneInfo
    first: date | None = None
    last: date | None = None
    after: time | None = None
    before: time | None = None

    def fits(self, slot: Span) -> bool:
        """Return whether *slot* is what they wish."""
        local = datetime.fromtimestamp(slot.starts_at, self.zone)
        day, clock = local.date(), local.time()
        return (
            (self.first is None or day >= self.first)
            and (self.last is None or day <= self.last)
            and (self.after is None or clock >= self.after)
            and (self.before is None or clock < self.before)
        )


def few(slots: Sequence[Span], zone: ZoneInfo, *, limit: int) -> list[Span]:
    """Return at most *limit* of *slots*, spread over the first days and each day.

    A contact chooses between a few times, and somebody who cannot in the morning
    wants to see that there is an afternoon.
    """
    days: dict[date, list[Span]] = {}
    for slot in slots:
        day = datetime.fromtimestamp(slot.starts_at, zone).date()
        days.setdefault(day, []).append(slot)
    shown = list(days.values())[: max(1, limit // 2)]
    if not shown:
        return []
    share, more = divmod(limit, len(shown))
    chosen: list[Span] = []
    for number, of_day in enumerate(shown):
        chosen += _evenly(of_day, share + (number < more))
    return chosen


def _evenly(slots: Sequence[Span], count: int) -> list[Span]:
    """Return *count* of *slots*, the first and the last among them if there are two."""
    if len(slots) <= count:
        return list(slots)
    if count == 1:
        return [slots[0]]
    step = (len(slots) - 1) / (count - 1)
    return [slots[round(number * step)] for number in range(count)]


def parse_start(text: str, zone: ZoneInfo) -> float:
    """Return the moment that *text* names.

    Args:
        text: ISO 8601; without an offset it is a time in *zone*.

    Raises:
        ValueError: it names none.
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp()


def iso_local(moment: float, zone: ZoneInfo) -> str:
    """Return *moment* as ISO 8601 with the offset that *zone* has then."""
    return datetime.fromtimestamp(moment, zone).isoformat(timespec="minutes")


def clock(moment: float, zone: ZoneInfo) -> str:
    """Return *moment* such as ``Tue 24 Nov 2026, 10:00 (Europe/Berlin)``."""
    return f"{_day_and_clock(moment, zone)} ({zone.key})"


def readable(slot: Span, zone: ZoneInfo) -> str:
    """Return *slot* such as ``Tue 24 Nov 2026, 10:00-10:30 (Europe/Berlin)``."""
    end = datetime.fromtimestamp(slot.ends_at, zone)
    return f"{_day_and_clock(slot.starts_at, zone)}-{end:%H:%M} ({zone.key})"


def numeric(slot: Span, zone: ZoneInfo) -> str:
    """Return *slot* such as ``2026-11-24, 10:00-10:30 (Europe/Berlin)``."""
    begin, end = (datetime.fromtimestamp(at, zone) for at in slot)
    return f"{begin:%Y-%m-%d, %H:%M}-{end:%H:%M} ({zone.key})"


def _day_and_clock(moment: float, zone: ZoneInfo) -> str:
    local = datetime.fromtimestamp(moment, zone)
    weekday, month = WEEKDAYS[local.weekday()], MONTHS[local.month - 1]
    return f"{weekday} {local.day} {month} {local.year}, {local:%H:%M}"


# Not strftime's, which speaks the machine's language.
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
