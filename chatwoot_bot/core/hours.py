"""When agents are at work: ``Mon-Fri 09:00-17:30; Sat 10:00-14:00``."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPAN = re.compile(
    r"(?P<first>[a-z]{3})(?:\s*-\s*(?P<last>[a-z]{3}))?\s+"
    r"(?P<opens>\d{1,2}:\d{2})\s*-\s*(?P<closes>\d{1,2}:\d{2})"
)
DAY_MINUTES = 24 * 60
EXAMPLE = "Mon-Fri 09:00-17:30; Sat 10:00-14:00"


@dataclass(frozen=True, slots=True)
class Hours:
    """The week's working hours.

    Attributes:
        spans: (weekday from Monday = 0, minute it opens, minute it closes).
        zone: where these minutes are counted.
    """

    spans: tuple[tuple[int, int, int], ...]
    zone: ZoneInfo

    def is_open(self, now: float) -> bool:
        """Return whether somebody is at work.

        Args:
            now: Unix seconds.
        """
        local = datetime.fromtimestamp(now, self.zone)
        minute = local.hour * 60 + local.minute
        return any(
            day == local.weekday() and opens <= minute < closes
            for day, opens, closes in self.spans
        )

    def closes_at(self, now: float) -> datetime:
        """Return when work that goes on at *now* ends, in local time."""
        local = datetime.fromtimestamp(now, self.zone)
        minute = local.hour * 60 + local.minute
        ends = [
            closes
            for day, opens, closes in self.spans
            if day == local.weekday() and opens <= minute < closes
        ]
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        return midnight + timedelta(minutes=max(ends))

    def next_opening(self, now: float) -> datetime:
        """Return when work begins again, in local time."""
        local = datetime.fromtimestamp(now, self.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        openings = (
            (midnight + timedelta(days=later)).replace(
                hour=opens // 60, minute=opens % 60
            )
            for later in range(8)
            for day, opens, _ in self.spans
            if day == (local.weekday() + later) % 7
        )
        return min(opening for opening in openings if opening > local)


def parse_hours(text: str, zone: str) -> Hours:
    """Read working hours.

    Args:
        text: spans divided by semicolons; the days in English, three letters.
        zone: a name such as ``Europe/Berlin``.

    Raises:
        ValueError: names the span that is wrong, and shows a right one.
    """
    spans: list[tuple[int, int, int]] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = SPAN.fullmatch(part.lower())
        if match is None:
            raise ValueError(f"{part!r} is not like {EXAMPLE!r}")
        days = _days(match["first"], match["last"] or match["first"], part)
        opens, closes = (_minute(match[name], part) for name in ("opens", "closes"))
        if opens >= closes:
            raise ValueError(
                f"{part!r} closes before it opens; write two spans over midnight"
            )
        spans += [(day, opens, closes) for day in days]
    if not spans:
        raise ValueError(f"is empty; write it like {EXAMPLE!r}")
    return Hours(tuple(spans), ZoneInfo(zone))


def _days(first: str, last: str, part: str) -> list[int]:
    for name in (first, last):
        if name not in DAYS:
            raise ValueError(f"{part!r} has a day that is none of {', '.join(DAYS)}")
    begin, end = DAYS.index(first), DAYS.index(last)
    # "Sat-Mon" goes over the end of the week.
    return [(begin + n) % 7 for n in range((end - begin) % 7 + 1)]


def _minute(clock: str, part: str) -> int:
    hour, minute = map(int, clock.split(":"))
    if minute > 59 or hour * 60 + minute > DAY_MINUTES:
        raise ValueError(f"{part!r} has a time beyond 24:00")
    return hour * 60 + minute
