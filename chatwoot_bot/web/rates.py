"""How often something may happen, and how much of it at one time.

Every rate of the service is a `Rate`. `limits` counts; what it needs for a key is two
numbers, however often the key comes and however much each time costs.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.storage.base import SlidingWindowCounterSupport, TimestampedSlidingWindow
from limits.strategies import SlidingWindowCounterRateLimiter

from ..errors import PaceError

REMEMBERED = 20_000
# When a refused caller may try again: slots are given back at any time.
HELD_RETRY_S = 5


class Rate:
    """So much for each key within a window that slides.

    Args:
        amount: in each window.
        seconds: the length of a window.
        message: what the refused caller reads.
        remembered: keys, at most. The key that was idle for longest is forgotten, so
            a caller with more addresses than that has a new start with each.
        clock: seconds, from any beginning.
    """

    def __init__(
        self,
        amount: int,
        seconds: int,
        *,
        message: str = "Too fast; wait a little.",
        remembered: int = REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._item = RateLimitItemPerSecond(amount, seconds)
        self._message = message
        self._counters = Counters(2 * remembered, clock)
        self._limiter = SlidingWindowCounterRateLimiter(self._counters)

    def __len__(self) -> int:
        """Return how many counters are kept: up to two for each key."""
        return len(self._counters)

    def take(self, key: str, cost: int = 1) -> None:
        """Take *cost* of what *key* may have.

        Raises:
            PaceError: so much is not left; nothing has been taken.
        """
        if not self._limiter.hit(self._item, key, cost=cost):
            raise self._refusal(key, cost)

    def check(self, key: str) -> None:
        """Take nothing.

        Raises:
            PaceError: nothing is left.
        """
        if not self._limiter.test(self._item, key):
            raise self._refusal(key, 1)

    def _refusal(self, key: str, cost: int) -> PaceError:
        wait_s = max(1, math.ceil(self._wait_s(key, cost)))
        return PaceError(self._message, retry_after_s=wait_s)

    def _wait_s(self, key: str, cost: int) -> float:
        """Return when *cost* will be left, if nothing is taken meanwhile."""
        length, most = self._item.get_expiry(), self._item.amount - cost
        previous, left_s, current, _ = self._counters.get_sliding_window(
            self._item.key_for(key), length
        )
        if current <= most and previous:
            return left_s - (most - current) * length / previous
        fades_s = length * (1 - max(most, 0) / current) if current else 0.0
        return left_s + fades_s


class Counters(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """Where `limits` counts: in this process, for a bounded number of keys.

    Its own `MemoryStorage` has no bound, and under load starts a thread every 10 ms
    that walks over all keys.
    """

    STORAGE_SCHEME = None

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        super().__init__()
        self._most = most
        self._clock = clock
        # The count of each window, and when it counts no more.
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what `limits` may wrap; nothing here is raised by a server."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count *amount* more, and return the sum."""
        count = self.get(key) + amount
        ends_at = self.get_expiry(key) if count > amount else self._clock() + expiry
        self._counts[key] = count, ends_at
        self._counts.move_to_end(key)
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return count

    def get(self, key: str) -> int:
        """Return the count, 0 when it has expired."""
        count, ends_at = self._counts.get(key, (0, 0.0))
        return count if ends_at > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """Return when the count expires."""
        return self._counts.get(key, (0, self._clock()))[1]

    def check(self) -> bool:
        """Return True: it is always there."""
        return True

    def reset(self) -> int:
        """Forget everything; return how many counts that were."""
        were = len(self._counts)
        self._counts.clear()
        return were

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._counts.pop(key, None)

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Count *amount* more if that is within *limit*; return whether it is."""
        previous, left_s, current, _ = self.get_sliding_window(key, expiry)
        if math.floor(previous * left_s / expiry) + current + amount > limit:
            return False
        self.incr(self._window(key, expiry, 0), 2 * expiry, amount)
        return True

    def get_sliding_window(
        self, key: str, expiry: int
    ) -> tuple[int, float, int, float]:
        """Return count and seconds left of the previous and of the current window."""
        left_s = expiry - self._clock() % expiry
        previous = self.get(self._window(key, expiry, 1))
        return previous, left_s, self.get(self._window(key, expiry, 0)), left_s + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget both windows of one key."""
        for back in (0, 1):
            self.clear(self._window(key, expiry, back))

    def _window(self, key: str, expiry: int, back: int) -> str:
        return f"{key}/{int(self._clock() // expiry) - back}"


class Slots:
    """How many of something each key may hold at one time.

    Args:
        message: what the refused caller reads.
    """

    def __init__(self, most: int, message: str) -> None:
        self._most = most
        self._message = message
        self._held: Counter[str] = Counter()

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold one while the block runs.

        Raises:
            PaceError: the key holds as many as it may.
        """
        if self._held[key] >= self._most:
            raise PaceError(self._message, retry_after_s=HELD_RETRY_S)
        self._held[key] += 1
        try:
            yield
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
