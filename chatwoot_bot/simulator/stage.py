"""What can be seen of the simulated Chatwoot, and the people who act in it.

The contact, the agent and Chatwoot itself act through the methods of the three parts;
each changes the world at once and the events follow by themselves. Every public
coroutine here is also an action of the control API and of the terminal.
"""

from .agent_side import AgentSide
from .chatwoot_side import ChatwootSide
from .contact_side import ContactSide
from .records import Message

__all__ = ["Stage"]


class Stage(ContactSide, AgentSide, ChatwootSide):
    """The people's side of the simulator, over one world."""

    def messages(self, conversation: int) -> list[Message]:
        """Return all messages, activity and notes included, oldest first."""
        return list(self._conversation(conversation).messages)

    def replies(self, conversation: int) -> list[Message]:
        """Return the public messages posted with a bot's token, oldest first."""
        return [message for message in self._by_bot(conversation) if message.is_reply]

    def notes(self, conversation: int) -> list[Message]:
        """Return the private notes posted with a bot's token, oldest first."""
        return [message for message in self._by_bot(conversation) if message.private]

    def carried(self, conversation: int) -> list[Message]:
        """Return what reached the contact, in the order in which it did."""
        return list(self._conversation(conversation).carried)

    def status(self, conversation: int) -> str:
        """Return Chatwoot's status: open, pending, resolved or snoozed."""
        return self._conversation(conversation).status

    def typing(self, conversation: int) -> list[str]:
        """Return the bot's typing switches, "on" or "off", as received."""
        return list(self._conversation(conversation).typing)

    def _by_bot(self, conversation: int) -> list[Message]:
        messages = self._conversation(conversation).messages
        return [message for message in messages if message.sender_type == "agent_bot"]
