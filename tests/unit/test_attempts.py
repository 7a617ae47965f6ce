"""Guessing at ADMIN_TOKEN is slow, for whoever guesses and for nobody else."""

import pytest

from chatwoot_bot.errors import BusyError
from chatwoot_bot.web.auth import Attempts


def test_address_waits_after_too_many_and_then_may_again():
    now = [0.0]
    attempts = Attempts(limit=3, window_s=60, clock=lambda: now[0])
    for _ in range(3):
        attempts.check("a")
        attempts.failed("a")
    with pytest.raises(BusyError):
        attempts.check("a")
    attempts.check("b")
    now[0] = 61.0

    attempts.check("a")


def test_memory_is_bounded():
    """Somebody with many addresses must not fill it."""
    attempts = Attempts(limit=1, remembered=2)
    for address in ("a", "b", "c"):
        attempts.failed(address)

    attempts.check("a")
    assert len(attempts._failed) == 2
