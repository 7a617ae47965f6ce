"""A conversation in our own web chat, and in the demo without Chatwoot.

A reply is said by being stored, which the engine does itself; so there is nothing
to send, nothing to be in doubt about, and nobody else's status to look at.
"""

import time
from collections.abc import Callable, Sequence

from ..core.conversation import Conversation, Sender, Status
from ..core.events import Event
from ..core.routing import Routing
from .base import Found, Presence, ReplyView


class WebChannel:
    """Speak in the web chat; see `Channel`.

    Args:
        tell_typing: takes a conversation's id, who writes, and whether they do.
    """

    takes_notes = False

    def __init__(self, tell_typing: Callable[[str, str, bool], None]) -> None:
        self._tell_typing = tell_typing

    async def typing(self, conversation: Conversation, *, on: bool) -> None:
        """Tell whoever watches."""
        self._tell_typing(conversation.id, Sender.BOT, on)

    async def look(self, conversation: Conversation) -> Event | None:
        """Return None: our own state is all there is."""
        return None

    async def deliver(
        self, conversation: Conversation, reply: ReplyView, *, private: bool
    ) -> int | None:
        """Return None: the message gets its id when it is stored."""
        return None

    async def find(self, conversation: Conversation, reply: ReplyView) -> Found:
        """Return UNSENT: a stored reply would not be in doubt."""
        return Found(Presence.UNSENT)

    async def route(
        self, conversation: Conversation, routing: Routing
    ) -> Sequence[str]:
        """Do nothing: there are no teams in the web chat."""
        return ()

    async def someone_online(self, conversation: Conversation) -> bool | None:
        """Return None: agents need not keep the console open."""
        return None

    async def set_status(self, conversation: Conversation, status: Status) -> float:
        """Return the time: a web conversation has no status of Chatwoot's."""
        return time.time()

    async def release(
        self, conversation: Conversation, owner: int, *, unseen: bool
    ) -> bool:
        """Return True: a web conversation has no owner of Chatwoot's."""
        return True
