"""What human agents do in Chatwoot's dashboard."""

from typing import Any

from .records import Draft, Message
from .side import Side
from .wire import Json

DELETED = "This message was deleted"


class AgentSide(Side):
    """The agents' part of the stage; agent 12 acts when none is named."""

    async def agent_says(
        self, conversation: int, content: str, *, private: bool = False
    ) -> Message:
        """Write as the human agent; the status stays as it is, as in Chatwoot."""
        draft = Draft(
            content=content,
            sender_type="user",
            sender_id=self.world.agent.id,
            private=private,
        )
        return self.world.post(self._conversation(conversation), draft)

    async def agent_types(
        self, conversation: int, state: str = "on", *, is_private: bool = False
    ) -> None:
        """Switch the agent's typing sign; bots are not told."""
        self.world.type(
            self._conversation(conversation), state, by="user", is_private=is_private
        )

    async def agent_reads(self, conversation: int) -> None:
        """Open the conversation without sending an event.

        Source: docs/chatwoot/deliveries.md#updates.
        """
        target = self._conversation(conversation)
        target.unread = 0
        self.world.save(target, agent_last_seen_at=self.world.ledger.now())

    async def set_status(
        self, conversation: int, status: str, *, snoozed_until: float | None = None
    ) -> None:
        """Set the status as the agent does in the dashboard."""
        self.world.agent_sets_status(
            self._conversation(conversation),
            status,
            agent=self.world.agent,
            snoozed_until=snoozed_until,
        )

    async def assign(self, conversation: int, agent_id: int | None = 12) -> None:
        """Assign the agent, or unassign; the release decides what the status does."""
        if agent_id is not None and agent_id not in self.world.agents:
            raise LookupError(f"there is no agent {agent_id}")
        target = self._conversation(conversation)
        self.world.assign_agent(target, agent_id, by=self.world.agent.name)

    async def assign_bot(self, conversation: int, bot_id: int = 4) -> None:
        """Give the conversation to a bot; since 4.17 that makes it pending."""
        if bot_id not in self.world.office.bots:
            raise LookupError(f"there is no bot {bot_id}")
        bot = self.world.office.bots[bot_id]
        target = self._conversation(conversation)
        self.world.assign_bot(target, bot, by=self.world.agent.name)

    async def set_team(self, conversation: int, team_id: int | None = 2) -> None:
        """Give the conversation to a team, or to none."""
        self.world.save(self._conversation(conversation), team_id=team_id)

    async def set_labels(self, conversation: int, labels: list[str]) -> None:
        """Replace the labels."""
        self.world.save(self._conversation(conversation), label_list=tuple(labels))

    async def set_priority(self, conversation: int, priority: str | None) -> None:
        """Set the priority."""
        self.world.save(self._conversation(conversation), priority=priority)

    async def set_custom_attributes(
        self, conversation: int, custom_attributes: Json
    ) -> None:
        """Replace the custom attributes."""
        self.world.save(
            self._conversation(conversation), custom_attributes=custom_attributes
        )

    async def merge_contacts(self, base: int, mergee: int) -> None:
        """Merge the contact *mergee* into *base*: one event per incoming message."""
        for contact_id in (base, mergee):
            if contact_id not in self.world.contacts:
                raise LookupError(f"there is no contact {contact_id}")
        contacts = self.world.contacts
        self.world.merge_contacts(contacts[base], contacts[mergee])

    async def retry_message(self, message_id: int) -> None:
        """Press "retry" on a message that did not go out."""
        self.world.retry_message(self._message(message_id))

    async def mute(self, conversation: int, muted: bool = True) -> None:
        """Mute the contact: resolved, and no reopening.

        Source: docs/chatwoot/conversations.md.
        """
        target = self._conversation(conversation)
        target.muted = muted
        if muted:
            await self.set_status(conversation, "resolved")

    async def agent_deletes(self, message_id: int) -> None:
        """Delete a message: its text and all its attributes are gone.

        Source: docs/chatwoot/payloads.md#deleted-messages.
        """
        self.world.update_message(
            self._message(message_id),
            content=DELETED,
            content_type="text",
            content_attributes={"deleted": True},
            attachments=(),
        )

    async def set_inbox(self, inbox: int | None = None, **settings: Any) -> None:
        """Change the settings of an inbox, such as `greeting_message`, `is_closed`.

        `records.Inbox` lists them; `enable_auto_assignment` brings the event loss of
        docs/chatwoot/deliveries.md#lost-events.
        """
        target = self._inbox(inbox)
        for name, value in settings.items():
            if name == "id" or not hasattr(target, name):
                raise LookupError(f"an inbox has no setting {name!r}")
            setattr(target, name, value)
