"""What the tools for calls take; the descriptions are for the model."""

from datetime import date, time
from typing import Annotated
from zoneinfo import available_timezones

import pydantic
from pydantic import Field, StringConstraints


def _one_line(value: str) -> str:
    # PostgreSQL stores no NUL, and a note has each of them in one line.
    return " ".join(value.replace("\x00", " ").split())


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("must be an IANA name such as Europe/Berlin")
    return value


def _naive(value: time) -> time:
    """Return what the clock shows; the zone is an argument of its own."""
    return value.replace(tzinfo=None)


OneLine = pydantic.AfterValidator(_one_line)
Name = Annotated[str, StringConstraints(min_length=1, max_length=100), OneLine]
Email = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[\w.+%'-]+@[\w.-]+\.\w+$")
]
Phone = Annotated[str, StringConstraints(max_length=40, pattern=r"^\+?[\d ()/.-]{5,}$")]
Topic = Annotated[
    str,
    StringConstraints(max_length=300),
    OneLine,
    Field(description="What it is about."),
]
Zone = Annotated[
    str,
    pydantic.AfterValidator(_zone),
    Field(description="The contact's time zone (IANA), if it is known."),
]
Clock = Annotated[time, pydantic.AfterValidator(_naive)]
Start = Annotated[
    str, Field(max_length=40, description="As find_free_times has written it.")
]
BookingId = Annotated[
    str,
    Field(max_length=40, description="Its id; leave it out if there is only one."),
]
After = Annotated[Clock, Field(description="It begins no earlier in the day: 09:00.")]
Before = Annotated[Clock, Field(description="It begins before this: 12:00.")]


class FreeTimes(pydantic.BaseModel):
    """When the contact would like to talk, by their clock."""

    first_day: date | None = None
    last_day: date | None = None
    after: After | None = None
    before: Before | None = None
    time_zone: Zone | None = None


class NewCall(pydantic.BaseModel):
    """A call to book."""

    start: Start
    name: Name
    email: Email | None = None
    phone: Phone | None = None
    topic: Topic | None = None
    time_zone: Zone | None = None


class NewCallByEmail(NewCall):
    """A call to book where an address is needed."""

    email: Email


class Move(pydantic.BaseModel):
    """A call to move."""

    start: Start
    booking: BookingId | None = None
    time_zone: Zone | None = None


class Cancellation(pydantic.BaseModel):
    """A call to cancel."""

    booking: BookingId | None = None


class NoArguments(pydantic.BaseModel):
    """Nothing to say."""
