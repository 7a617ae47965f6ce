"""What a check has found, in the words that the operator reads."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    SKIP = "skip"  # could not be looked at; another finding says why
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at, one or two words.
        message: one sentence; never a secret, see `redacted`.
        setting: the variable at fault, for a warning or a failure.
        mend: the one command or setting that mends it.
    """

    check: str
    level: Level
    message: str
    setting: str | None = None
    mend: str | None = None


def ok(check: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, level=Level.OK, message=message)


def skip(check: str, message: str) -> Finding:
    """Return that it could not be looked at."""
    return Finding(check=check, level=Level.SKIP, message=message)


def warn(check: str, message: str, *, setting: str | None, mend: str) -> Finding:
    """Return that the service works, but not as it could or not for sure."""
    return Finding(
        check=check, level=Level.WARN, message=message, setting=setting, mend=mend
    )


def fail(check: str, message: str, *, setting: str | None, mend: str) -> Finding:
    """Return that contacts will not be answered like this."""
    return Finding(
        check=check, level=Level.FAIL, message=message, setting=setting, mend=mend
    )


def redacted(finding: Finding, secrets: Iterable[str]) -> Finding:
    """Return *finding* without any of *secrets*, which others' messages may hold."""
    message, mend = finding.message, finding.mend
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        message = message.replace(secret, "***")
        mend = mend.replace(secret, "***") if mend else mend
    return replace(finding, message=message, mend=mend)
