"""Who watches which conversation, in this process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Hub:
    """Tell watchers that a conversation has changed; they look for themselves.

    A signal says "look again" and carries nothing, so a lost or a double one does no
    harm and nothing has to be bounded but the number of watchers.
    """

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self.closed = False

    def publish(self, conversation_id: str) -> None:
        """Wake everybody who watches the conversation."""
        for changed in self._watchers.get(conversation_id, ()):
            changed.set()

    def close(self) -> None:
        """Wake every watcher for the last time: the service stops."""
        self.closed = True
        for conversation_id in list(self._watchers):
            self.publish(conversation_id)

    @contextmanager
    def watch(self, conversation_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set at each change; the block is the watch."""
        changed = asyncio.Event()
        self._watchers[conversation_id].add(changed)
        try:
            yield changed
        finally:
            watchers = self._watchers[conversation_id]
            watchers.discard(changed)
            if not watchers:
                del self._watchers[conversation_id]
