"""Where a conversation takes place, and what the engine can do there."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..core.conversation import Conversation, Status
from ..core.events import Event
from ..core.outgoing import Option
from ..core.routing import Routing


class ReplyView(Protocol):
    """What a channel reads of a reply."""

    @property
    def key(self) -> str:
        """Travels with the message and comes back with its echo."""

    @property
    def content(self) -> str:
        """The text to be said."""

    @property
    def after_external_id(self) -> int | None:
        """Chatwoot's id of the newest message when the reply was kept."""

    @property
    def options(self) -> Sequence[Option]:
        """What the contact may choose from, where the channel shows such a thing."""


class Presence(StrEnum):
    """What looking for a reply told."""

    PRESENT = "present"
    ABSENT = "absent"
    UNSENT = "unsent"  # and certainly not on its way
    UNKNOWABLE = "unknowable"  # we may not look, or others' messages hide it
    UNREACHABLE = "unreachable"  # nobody answers; ask again later


@dataclass(frozen=True, slots=True)
class Found:
    """The result of looking for a reply; the id when it is present."""

    presence: Presence
    external_id: int | None = None


class Channel(Protocol):
    """One way to reach a contact."""

    #: Whether notes for agents have a place there.
    takes_notes: bool

    async def typing(self, conversation: Conversation, *, on: bool) -> None:
        """Show that an answer is being written, or hide it; never fails."""
        ...

    async def look(self, conversation: Conversation) -> Event | None:
        """Return what has happened over there that we do not know of, or None."""
        ...

    async def deliver(
        self, conversation: Conversation, reply: ReplyView, *, private: bool
    ) -> int | None:
        """Say *reply*; return the channel's id for the message, if it has one.

        Raises:
            ChatwootError: it was not said, or nobody knows.
        """
        ...

    async def find(self, conversation: Conversation, reply: ReplyView) -> Found:
        """Look whether *reply* has been said; never fails."""
        ...

    async def route(
        self, conversation: Conversation, routing: Routing
    ) -> Sequence[str]:
        """Send the conversation where the operator wants it; twice does no harm.

        What Chatwoot refuses for good is logged and left out.

        Returns:
            The settings of the team and the agent that were left out.

        Raises:
            ChatwootError: it may work later.
        """
        ...

    async def someone_online(self, conversation: Conversation) -> bool | None:
        """Return whether an agent is there, or None when we cannot know."""
        ...

    async def set_status(self, conversation: Conversation, status: Status) -> float:
        """Set Chatwoot's status; return its clock, Unix seconds.

        Raises:
            ChatwootError: it was not set, as far as we know.
        """
        ...

    async def release(
        self, conversation: Conversation, owner: int, *, unseen: bool
    ) -> bool:
        """End the ownership of our bot *owner*, if the conversation is open still.

        Args:
            owner: Chatwoot's id of it; 0 where that is not known.
            unseen: do so without looking, where Chatwoot lets nobody look.

        Returns:
            False when nobody could look, so that nothing was done.

        Raises:
            ChatwootError: it may work later.
        """
        ...
