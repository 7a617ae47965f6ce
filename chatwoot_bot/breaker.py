"""A circuit breaker: stop calling a server that fails, and notice when it recovers.

*Closed*: everything goes through. After `FAILURES` in a row it *opens*: nothing goes
through for a while. Then one call at a time may try; the first success closes it, a
failure opens it again for twice as long.
"""

import time
from collections.abc import Callable
from typing import Literal

FAILURES = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
# Chatwoot's: contacts wait for what it has not taken.
CHATWOOT_PAUSE_S = 5.0
# A trial that never reports back (it was cancelled) does not block the next for ever.
TRIAL_S = 30.0


class Breaker:
    """One circuit.

    Args:
        clock: seconds that only grow.
        longest_pause_s: between two trials, in seconds.

    Attributes:
        recoveries: how often it has closed after it was open.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self.recoveries = 0
        self._clock = clock
        self._longest_pause_s = longest_pause_s
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._open_until: float | None = None
        self._on_trial = False
        self._blamed: set[str] = set()

    @property
    def state(self) -> Literal["closed", "open", "half_open"]:
        """Return the state, as `/health/ready` and the metrics show it."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half_open"

    @property
    def is_closed(self) -> bool:
        """Whether everything goes through."""
        return self.state == "closed"

    def allows(self) -> bool:
        """Return whether a call may go through; the caller then reports how it went."""
        match self.state:
            case "closed":
                return True
            case "open":
                return False
            case "half_open":
                # This one is the trial; the others wait for what it finds.
                self._open_until = self._clock() + TRIAL_S
                self._on_trial = True
                return True

    def succeeded(self) -> None:
        """Note that the server answered."""
        if self._open_until is not None:
            self.recoveries += 1
        self._failures = 0
        self._blamed.clear()
        self._pause_s = FIRST_PAUSE_S
        self._on_trial = False
        self._open_until = None

    def abandoned(self) -> None:
        """Note that a call ended without telling anything; another may try."""
        if self._on_trial:
            self._on_trial = False
            self._open_until = self._clock()

    def failed(self, by: str | None = None) -> None:
        """Note that the server did not answer.

        Args:
            by: whose call it was, when it may be the caller's own fault: in a row,
                all failures of one are counted once. None to count each.
        """
        if self.state == "open" and not self._on_trial:
            return  # a call that began before; the pause is set already
        if by is not None and not self._on_trial:
            if by in self._blamed:
                return
            self._blamed.add(by)
        self._on_trial = False
        self._failures += 1
        if self._failures < FAILURES:
            return
        self._open_until = self._clock() + self._pause_s
        self._pause_s = min(self._pause_s * 2, self._longest_pause_s)
