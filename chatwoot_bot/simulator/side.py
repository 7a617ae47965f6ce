"""What the three sides of the stage share: one world, and how to find things in it."""

from .records import Conversation, Inbox, Message
from .world import World


class Side:
    """A part of the stage."""

    def __init__(self, world: World) -> None:
        self.world = world

    def _conversation(self, conversation: int) -> Conversation:
        try:
            return self.world.conversations[conversation]
        except KeyError:
            raise LookupError(f"there is no conversation {conversation}") from None

    def _inbox(self, inbox: int | None) -> Inbox:
        if inbox is None:
            return self.world.inbox
        try:
            return self.world.office.inboxes[inbox]
        except KeyError:
            raise LookupError(f"there is no inbox {inbox}") from None

    def _message(self, message_id: int) -> Message:
        try:
            return self.world.ledger.message(message_id)
        except KeyError:
            raise LookupError(f"there is no message {message_id}") from None
