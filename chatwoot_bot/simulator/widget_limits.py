"""How much one address may do in one widget: rack-attack's limits of the release.

Source: docs/chatwoot/api.md#rate-limits.
"""

from collections import deque
from collections.abc import Callable

from .faults import Faults
from .ledger import MessageRefusedError
from .records import Inbox
from .releases import Release

RETRY_LATER = "Retry later"  # rack-attack's text, with 429


class WidgetLimits:
    """Counts what visitors do; all of them share one address here.

    Args:
        release: Its limits.
        faults: `widget_limits` switches them on.
        clock: Unix seconds.
    """

    def __init__(
        self, *, release: Release, faults: Faults, clock: Callable[[], float]
    ) -> None:
        self._release = release
        self._faults = faults
        self._clock = clock
        self._recent: dict[tuple[int, bool], deque[float]] = {}

    def check(self, inbox: Inbox, *, is_new: bool) -> None:
        """Count one request of a visitor.

        Args:
            inbox: Where the visitor writes; only widgets have limits.
            is_new: Whether a conversation begins with the message.

        Raises:
            MessageRefusedError: It is one too many; nothing may be stored.
        """
        limit = (
            self._release.conversations_per_widget
            if is_new
            else self._release.messages_per_widget
        )
        if not (self._faults.widget_limits and inbox.is_widget) or limit is None:
            return
        count, period_s = limit
        recent = self._recent.setdefault((inbox.id, is_new), deque())
        now = self._clock()
        while recent and recent[0] <= now - period_s:
            recent.popleft()
        if len(recent) >= count:
            raise MessageRefusedError(RETRY_LATER)
        recent.append(now)
