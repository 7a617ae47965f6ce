"""What the tools for calls take; the descriptions are for the model."""

import re
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


def _reachable(value: str) -> str:
    if EMAIL.fullmatch(value) or (PHONE.fullmatch(value) and not DAY.match(value)):
        return value
    raise ValueError("must be an email address or a phone number")


# Models are shown these two, so they hold nothing that only Python knows.
EMAIL_FORM = r"^[\w.+%'-]+@[\w.-]+\.\w+$"
PHONE_FORM = r"^\+?(?:[ ()/.-]*\d){5,20}[ ()/.-]*$"
EMAIL, PHONE = re.compile(EMAIL_FORM), re.compile(PHONE_FORM)
DAY = re.compile(r"\d{4}-\d\d-\d\d")
OneLine = pydantic.AfterValidator(_one_line)
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    OneLine,
    Field(description="The contact's name, as they have told it."),
]
Line = StringConstraints(max_length=200, strip_whitespace=True)
Reach = Annotated[
    str,
    Line,
    pydantic.AfterValidator(_reachable),
    Field(description="Where the contact can be reached."),
]
Email = Annotated[
    str,
    Line,
    StringConstraints(pattern=EMAIL_FORM),
    Field(description="Their email address: the calendar needs one."),
]
Phone = Annotated[
    str,
    StringConstraints(max_length=40, pattern=PHONE_FORM),
    Field(description="A number as well, if they have told you one."),
]
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
Time = Annotated[
    str,
    Field(
        max_length=100,
        description="When it begins, as find_free_times has written it.",
    ),
]
BookingId = Annotated[
    str,
    Field(
        max_length=40,
        description="Its id, as find_free_times lists it; leave it out if there is "
        "only one.",
    ),
]
After = Annotated[Clock, Field(description="It begins no earlier in the day: 09:00.")]
Before = Annotated[Clock, Field(description="It begins before this: 12:00.")]
FirstDay = Annotated[date, Field(description="The first day that suits: 2026-03-02.")]
LastDay = Annotated[date, Field(description="The last day that suits: 2026-03-06.")]


class FreeTimes(pydantic.BaseModel):
    """When the contact would like to talk, by their clock."""

    first_day: FirstDay | None = None
    last_day: LastDay | None = None
    after: After | None = None
    before: Before | None = None
    time_zone: Zone | None = None


class NewCall(pydantic.BaseModel):
    """A call to book; without a time it asks for one."""

    name: Name
    email_or_phone: Reach
    preferred_time: Time | None = None
    topic: Topic | None = None
    time_zone: Zone | None = None

    def reach(self) -> tuple[str | None, str | None]:
        """Return the email address and the phone number, as far as they are known."""
        if "@" in self.email_or_phone:
            return self.email_or_phone, None
        return None, self.email_or_phone


class NewCallByEmail(NewCall):
    """A call to book where an address is needed."""

    email_or_phone: Email
    phone: Phone | None = None

    def reach(self) -> tuple[str | None, str | None]:
        """Return the email address, and the phone number if it is known."""
        return self.email_or_phone, self.phone


class Move(pydantic.BaseModel):
    """A call to move."""

    preferred_time: Time
    booking: BookingId | None = None
    time_zone: Zone | None = None


class Cancellation(pydantic.BaseModel):
    """A call to cancel."""

    booking: BookingId | None = None


class NoArguments(pydantic.BaseModel):
    """Nothing to say."""
