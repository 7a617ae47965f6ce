"""The simulated Chatwoot's books: ids, the clock, contacts and stored messages.

Nothing here sends an event; `world.py` decides what follows from what.
"""

import itertools
import random
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .records import Contact, Conversation, Draft, Message

FLOOD_LIMIT = 200  # messages of all kinds per conversation and minute, Chatwoot's own


class MessageRefusedError(Exception):
    """Chatwoot would not store this message; the text is its own."""


class Ledger:
    """Gives out ids and times, and keeps the messages.

    Args:
        rng: The one source of randomness.
        clock: Unix seconds.
        stored: Called with each new message.
        first_message: The id of the first one.
    """

    def __init__(
        self,
        *,
        rng: random.Random,
        clock: Callable[[], float],
        stored: Callable[[Message], None],
        first_message: int,
    ) -> None:
        self._rng = rng
        self._clock = clock
        self._stored = stored
        self._first_message = first_message
        self._last_time = 0.0
        self._message_at: dict[int, tuple[Conversation, int]] = {}
        self._contacts = 0
        self._attachment_ids = itertools.count(91)

    def now(self) -> float:
        """Return Unix seconds, later than at every call before.

        `updated_at` tells the newer of two payloads, so no two may be equal.
        """
        self._last_time = max(self._clock(), self._last_time + 0.000_002)
        return self._last_time

    def uuid(self) -> str:
        """Return a random UUID."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def number(self, below: int) -> int:
        """Return a random number."""
        return self._rng.randrange(below)

    @property
    def next_message(self) -> int:
        """The id that the next message gets."""
        return self._first_message + len(self._message_at)

    def new_contact(self, name: str | None = None, **known: Any) -> Contact:
        """Return a contact; without a name it gets a random one, like a visitor.

        Args:
            name: What they call themselves.
            known: What the channel knows of them.
        """
        self._contacts += 1
        number = self._rng.randrange(100, 1000)
        now = self.now()
        fields: dict[str, Any] = {
            "id": 162 + self._contacts,
            "name": name or f"withered-glade-{number}",
            "email": None,
            "phone_number": None,
            "contact_inbox_id": 200 + self._contacts,
            "source_id": self.uuid(),
            "pubsub_token": f"simulated{self._rng.getrandbits(80):020x}",
            "created_at": now,
            "updated_at": now,
        }
        return Contact(**fields | known)

    def store(self, conversation: Conversation, draft: Draft) -> Message:
        """Give *draft* an id and a time, and keep it.

        Raises:
            MessageRefusedError: The flood guard; nothing is stored.
        """
        now = self.now()
        if draft.message_type != "activity":
            _guard_flood(conversation, now)
        conversation.recent.append(now)
        fields = {name: getattr(draft, name) for name in Draft.__dataclass_fields__}
        fields["attachments"] = tuple(
            {"id": next(self._attachment_ids)} | item for item in draft.attachments
        )
        message = Message(
            **fields,
            id=self.next_message,
            conversation_id=conversation.id,
            created_at=now,
            updated_at=now,
        )
        self._message_at[message.id] = (conversation, len(conversation.messages))
        conversation.messages.append(message)
        conversation.last_activity_at = conversation.updated_at = now
        self._stored(message)
        return message

    def message(self, message_id: int) -> Message:
        """Return one message; `KeyError` when there is none."""
        conversation, index = self._message_at[message_id]
        return conversation.messages[index]

    def change(self, message: Message, **changes: Any) -> Message:
        """Replace a stored message by a changed copy and return that."""
        conversation, index = self._message_at[message.id]
        changed = replace(message, updated_at=self.now(), **changes)
        conversation.messages[index] = changed
        return changed


def _guard_flood(conversation: Conversation, now: float) -> None:
    """Forget what is older than a minute and refuse the message over the limit."""
    while conversation.recent and conversation.recent[0] < now - 60:
        conversation.recent.popleft()
    if len(conversation.recent) >= FLOOD_LIMIT:
        raise MessageRefusedError("Validation failed: Too many messages")
