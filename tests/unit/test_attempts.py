"""Guessing at ADMIN_TOKEN is slow, for whoever guesses and for nobody else."""

import pytest

from chatwoot_bot.errors import PaceError
from chatwoot_bot.web.auth import Attempts

FAR_AWAY = "203.0.113.9"


def test_address_waits_after_too_many_and_then_may_again():
    now = [0.0]
    attempts = Attempts(limit=3, window_s=60, clock=lambda: now[0])
    for _ in range(3):
        attempts.check(FAR_AWAY)
        attempts.failed(FAR_AWAY)
    with pytest.raises(PaceError):
        attempts.check(FAR_AWAY)
    attempts.check("203.0.113.10")
    now[0] = 120.0

    attempts.check(FAR_AWAY)


def test_network_of_one_caller_counts_as_one_address():
    attempts = Attempts(limit=1)
    attempts.failed("2001:db8::1")
    with pytest.raises(PaceError):
        attempts.check("2001:db8::2")
    attempts.check("2001:db8:0:1::1")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", ""])
def test_address_that_many_share_shuts_nobody_out(address, monkeypatch):
    """Its wrong tokens are counted, but the right one is compared all the same."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/8, *, proxy.sock")
    attempts = Attempts(limit=1)
    attempts.failed(address)
    with pytest.raises(PaceError):
        attempts.failed(address)

    attempts.check(address)


def test_memory_is_bounded():
    """Somebody with many addresses must not fill it."""
    attempts = Attempts(limit=1, remembered=2)
    for number in range(100):
        attempts.failed(f"203.0.113.{number}")

    assert len(attempts) == 4
