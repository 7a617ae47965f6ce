"""Who watches which conversation, in this process, and what they are told at once.

Two things travel here. That a conversation *has changed* carries nothing: whoever
watches looks for themselves, so a lost or a double signal does no harm. What is only
*passing* (somebody types, a piece of an answer) is told once and kept nowhere.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

# The pieces of an answer are told this often; a model sends one for each word.
CHUNK_EVERY_S = 0.03
# PostgreSQL's NOTIFY takes 8,000 bytes, and JSON needs up to 12 for a character.
CHUNK_CHARS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Something that is told once.

    Attributes:
        event: as in the WebSocket's events.
        conversation_id: whose watchers are told; None for agents only.
        teller: the socket that it came from, which knows.
    """

    event: str
    body: Mapping[str, Any]
    conversation_id: str | None = None
    teller: object = None


class Listener(Protocol):
    """A subscriber to every conversation."""

    def changed(self, conversation_id: str) -> None:
        """Take note that a conversation looks different now."""

    def passed(self, passing: Passing, *, here: bool) -> None:
        """Take note of *passing*; *here* when it began in this process."""


class Hub:
    """Tell watchers that a conversation has changed, and listeners everything."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listeners: list[Listener] = []
        self.closed = False

    def attach(self, listener: Listener) -> None:
        """Have *listener* hear everything from now on."""
        self._listeners.append(listener)

    def publish(self, conversation_id: str) -> None:
        """Wake everybody who watches the conversation."""
        for changed in self._watchers.get(conversation_id, ()):
            changed.set()
        for listener in self._listeners:
            listener.changed(conversation_id)

    def tell(self, passing: Passing, *, here: bool = True) -> None:
        """Pass something on that is not kept.

        Args:
            here: False for what another process has told us.
        """
        for listener in self._listeners:
            listener.passed(passing, here=here)

    def typing(
        self, conversation_id: str, sender: str, on: bool, teller: object = None
    ) -> None:
        """Publish that a person started or stopped typing.

        Args:
            teller: see `Passing`.
        """
        body = {"conversation_id": conversation_id, "sender": sender, "typing": on}
        self.tell(
            Passing(
                event="TYPING",
                body=body,
                conversation_id=conversation_id,
                teller=teller,
            )
        )

    def close(self) -> None:
        """Wake every watcher for the last time: the service stops."""
        self.closed = True
        for conversation_id in list(self._watchers):
            for changed in self._watchers[conversation_id]:
                changed.set()

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


class Speech:
    """An answer while it is being written, published to its subscribers."""

    def __init__(self, hub: Hub, conversation_id: str, turn_id: str) -> None:
        self._hub = hub
        self._about = {"conversation_id": conversation_id, "turn_id": turn_id}
        self._waiting: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._told = False
        self._closed = False
        #: All that has been heard, the part that is not yet told included.
        self.text = ""

    def hear(self, piece: str) -> None:
        """Take the next piece of the answer."""
        if self._closed or not piece:
            return
        self.text += piece
        self._waiting.append(piece)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = CHUNK_EVERY_S if self._told else 0.0
            self._timer = loop.call_later(wait_s, self._flush)

    def forget(self) -> None:
        """Withdraw all of it: the answer begins anew, or is not said."""
        self._stop()
        self.text = ""
        if self._told and not self._closed:
            self._told = False
            self._tell("REPLY_DROPPED", {})

    def close(self) -> None:
        """Tell no more: the answer is kept, and comes as a message."""
        self._stop()
        self._closed = True

    def _stop(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        text = "".join(self._waiting)
        self._waiting.clear()
        self._timer = None
        self._told = True
        for begin in range(0, len(text), CHUNK_CHARS):
            piece = text[begin : begin + CHUNK_CHARS]
            self._tell("REPLY_CHUNK", {"text": piece})

    def _tell(self, event: str, more: Mapping[str, Any]) -> None:
        body = {**self._about, **more}
        conversation_id = self._about["conversation_id"]
        self._hub.tell(Passing(event=event, body=body, conversation_id=conversation_id))
