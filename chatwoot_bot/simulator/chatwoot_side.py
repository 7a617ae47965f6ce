"""Act as Chatwoot itself and its channels, without a user's request."""

from .records import Draft, Message
from .side import Side

PROGRESS = ("sent", "delivered", "read")


class ChatwootSide(Side):
    """Chatwoot's own part of the stage."""

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

    async def automation_says(self, conversation: int, content: str) -> Message:
        """Let an automation rule write: outgoing, no sender, and not a human."""
        attributes = {"automation_rule_id": 1}
        draft = Draft(content=content, content_attributes=attributes)
        return self.world.post(self._conversation(conversation), draft)

    async def automation_sends(
        self, conversation: int, url: str, rule: str = "message_created"
    ) -> None:
        """Let an automation rule send its webhook: unsigned, without delivery id.

        Always a conversation, also when the rule is about a message
        (docs/chatwoot/payloads.md#other-bodies).
        """
        name = f"automation_event.{rule}"
        self.world.tell(self._conversation(conversation), name, url)

    async def macro_sends(self, conversation: int, url: str) -> None:
        """Let an agent run a macro with a webhook: unsigned, without delivery id."""
        self.world.tell(self._conversation(conversation), "macro.executed", url)

    async def automation_opens(self, conversation: int) -> None:
        """Let an automation rule open it; the bot stays its owner.

        Source: docs/chatwoot/conversations.md.
        """
        self.world.set_status(
            self._conversation(conversation), "open", by="Automation System"
        )

    async def snooze_ends(self, conversation: int) -> None:
        """Let the time of a snooze pass."""
        self.world.wake(self._conversation(conversation))

    async def window_closes(self, conversation: int) -> None:
        """Let the channel's time for answers pass (docs/chatwoot/conversations.md).

        can_reply is false until more comes in, and what is posted fails later.
        """
        self._conversation(conversation).window_closed = True

    async def channel_reports(self, message_id: int, status: str) -> None:
        """Let the channel say sent, delivered or read; one event each.

        Source: docs/chatwoot/deliveries.md#messages.
        """
        if status not in PROGRESS:
            raise ValueError(f"no report {status!r}; there are {', '.join(PROGRESS)}")
        self.world.update_message(self._message(message_id), status=status)

    async def channel_fails(
        self, message_id: int, error: str = "131026: Message undeliverable"
    ) -> None:
        """Let the channel refuse a message that was stored long ago.

        Source: docs/chatwoot/payloads.md#channels.
        """
        self._message(message_id)
        self.world.fail_message(message_id, error)

    async def transcribe(self, message_id: int, text: str) -> None:
        """Let the enterprise build transcribe the voice messages.

        Source: docs/chatwoot/payloads.md#attachments.
        """
        message = self._message(message_id)
        attachments = tuple(
            item | {"transcribed_text": text} if item["file_type"] == "audio" else item
            for item in message.attachments
        )
        self.world.update_message(message, attachments=attachments)
