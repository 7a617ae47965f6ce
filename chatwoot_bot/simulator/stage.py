"""What people do in the simulated Chatwoot, and what can be seen of it.

The contact, the agent and Chatwoot itself act through the methods here; each
changes the world at once and the events follow by themselves.
"""

from collections.abc import Iterable

from .records import Conversation, Draft, Message
from .wire import Json
from .world import World

DELETED = "This message was deleted"


class Stage:
    """The people's side of the simulator, over one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    # What can be seen.

    def messages(self, conversation: int) -> list[Message]:
        """Return all messages, activity and notes included, oldest first."""
        return list(self._conversation(conversation).messages)

    def replies(self, conversation: int) -> list[Message]:
        """Return the public messages posted with the bot token, oldest first."""
        return [message for message in self._by_bot(conversation) if message.is_reply]

    def notes(self, conversation: int) -> list[Message]:
        """Return the private notes posted with the bot token, oldest first."""
        return [message for message in self._by_bot(conversation) if message.private]

    def status(self, conversation: int) -> str:
        """Return Chatwoot's status: open, pending, resolved or snoozed."""
        return self._conversation(conversation).status

    def typing(self, conversation: int) -> list[str]:
        """Return the bot's typing switches, "on" or "off", as received."""
        return list(self._conversation(conversation).typing)

    # What people do.

    async def contact_says(
        self,
        content: str | None,
        *,
        conversation: int | None = None,
        name: str | None = None,
        attachments: Iterable[Json] = (),
    ) -> Message:
        """Write as the contact; without *conversation* a new one begins.

        Does not wait for the delivery.

        Args:
            content: The text; None for a file without one.
            conversation: The display id of an earlier conversation.
            name: The new contact's name.
            attachments: `file_type` and whatever differs from a stored file,
                such as `data_url`.

        Raises:
            MessageRefusedError: Over 200 messages in one minute.
        """
        if conversation is None:
            contact = self.world.ledger.new_contact(name)
            target = self.world.new_conversation(contact)
        else:
            target = self._conversation(conversation)
        return self.world.receive(
            target,
            Draft(
                content=content,
                message_type="incoming",
                sender_type="contact",
                content_attributes={"in_reply_to": None}
                if target.inbox.is_widget
                else {},
                attachments=tuple(attachments),
            ),
        )

    async def agent_says(
        self, conversation: int, content: str, *, private: bool = False
    ) -> Message:
        """Write as the human agent; the status stays as it is, as in Chatwoot."""
        draft = Draft(content=content, sender_type="user", private=private)
        return self.world.post(self._conversation(conversation), draft)

    async def phone_echo(self, conversation: int, content: str) -> Message:
        """Write as the owner on the paired phone: outgoing, without a sender."""
        draft = Draft(
            content=content,
            content_attributes={"external_echo": True},
            status="delivered",
            source_id=f"wamid.simulated{len(self._conversation(conversation).messages)}",
        )
        return self.world.post(self._conversation(conversation), draft)

    async def template_says(self, conversation: int, content: str) -> Message:
        """Let Chatwoot itself write, as its greeting and out-of-office texts do."""
        draft = Draft(content=content, message_type="template")
        return self.world.post(self._conversation(conversation), draft)

    async def set_status(self, conversation: int, status: str) -> None:
        """Set the status as the agent does in the dashboard."""
        self.world.agent_sets_status(
            self._conversation(conversation), status, agent=self.world.agent
        )

    async def assign(self, conversation: int, agent_id: int | None = 12) -> None:
        """Assign the agent, or nobody; the status stays as it is."""
        self.world.assign_agent(self._conversation(conversation), agent_id)

    async def contact_reads(self, conversation: int) -> None:
        """Open the widget: all that was outgoing becomes read, one event each."""
        for message in self.messages(conversation):
            if message.is_reply and message.status != "read":
                self.world.update_message(message, status="read")

    async def contact_picks(self, message_id: int, title: str, value: str) -> None:
        """Choose an option of an input_select; no incoming message comes of it."""
        message = self.world.ledger.message(message_id)
        answer = {"submitted_values": [{"title": title, "value": value}]}
        self.world.update_message(
            message, content_attributes=message.content_attributes | answer
        )

    async def agent_deletes(self, message_id: int) -> None:
        """Delete a message: its text and all its attributes are gone (facts 4.8)."""
        self.world.update_message(
            self.world.ledger.message(message_id),
            content=DELETED,
            content_type="text",
            content_attributes={"deleted": True},
            attachments=(),
        )

    def _conversation(self, conversation: int) -> Conversation:
        try:
            return self.world.conversations[conversation]
        except KeyError:
            raise LookupError(f"there is no conversation {conversation}") from None

    def _by_bot(self, conversation: int) -> list[Message]:
        messages = self._conversation(conversation).messages
        return [message for message in messages if message.sender_type == "agent_bot"]
