"""The life cycle of a conversation: status and owner (docs/chatwoot/conversations.md).

The bot owns what begins in its inbox. `bot_handoff!`, a human's "open" and an
assignment end that; a failed delivery, the end of a snooze and an automation rule
open the conversation and leave its owner. Since 4.17 an assignment sets the status.
"""

from typing import Any

from .records import Agent, Bot, Conversation
from .saving import Saving
from .templates import survey

STATUSES = ("open", "resolved", "pending", "snoozed")
BOT_FAILURE = (
    "Conversation was marked open by system due to an error with the agent bot."
)
# Chatwoot 4.16.2, config/locales/en.yml, conversations.activity.status
ACTIVITY = {
    "open": "Conversation was reopened by {}",
    "resolved": "Conversation was marked resolved by {}",
    "pending": "Conversation was marked as pending by {}",
    "snoozed": "Conversation was snoozed by {}",
}


class Lifecycle(Saving):
    """Who holds a conversation, and what that changes."""

    def is_bot_active(self, conversation: Conversation) -> bool:
        """Return whether a bot is connected to the inbox."""
        return conversation.inbox.agent_bot_id in self.office.bots

    def set_status(
        self, conversation: Conversation, status: str, *, by: str, **also: Any
    ) -> None:
        """Set the status as Chatwoot's own code does, with the activity line."""
        if status == "resolved":
            conversation.waiting_since = None  # silently: it is in no diff
        if self.save(conversation, status=status, **also):
            self._activity(conversation, status, ACTIVITY[status].format(by))
            if status == "resolved":
                survey(self, conversation)

    def agent_sets_status(
        self,
        conversation: Conversation,
        status: str,
        *,
        agent: Agent,
        snoozed_until: float | None = None,
    ) -> None:
        """Set the status with an agent's token; opening also takes the conversation.

        Two saves, as in Chatwoot: first the status, while the bot is still the owner;
        then the end of that ownership, and the agent becomes the assignee unless they
        are an administrator. The second happens also when the status stays open.
        """
        self.set_status(
            conversation, status, by=agent.name, snoozed_until=snoozed_until
        )
        if status == "open":
            owner: dict[str, Any] = {"assignee_agent_bot_id": None}
            if agent.role == "agent":
                owner["assignee_id"] = agent.id
            self.save(conversation, **owner)

    def hand_off(self, conversation: Conversation, bot: Bot) -> None:
        """Open a pending conversation for the bot: Chatwoot's `bot_handoff!`."""
        if conversation.waiting_since is None:
            self.save(conversation, waiting_since=self.ledger.now())
        self.set_status(conversation, "open", by=bot.name, assignee_agent_bot_id=None)

    def open_after_failure(self, conversation: Conversation) -> None:
        """Hand a pending conversation to humans because a delivery failed for good.

        The bot stays its owner, as in Chatwoot (docs/chatwoot/deliveries.md#failure).
        """
        if conversation.status == "pending":
            self.save(conversation, status="open")
            self.say_activity(conversation, BOT_FAILURE)

    def wake(self, conversation: Conversation) -> None:
        """End a snooze by its time; the bot stays the owner.

        Source: docs/chatwoot/conversations.md.
        """
        if conversation.status == "snoozed":
            self.save(conversation, status="open", snoozed_until=None)

    def reopen(self, conversation: Conversation) -> None:
        """Bring a resolved or snoozed conversation back for the contact.

        The human assignee stays: pending with a human assignee is normal. A muted
        conversation stays closed.
        """
        if conversation.muted:
            return
        if conversation.status == "resolved":
            active = self.is_bot_active(conversation)
            self.save(conversation, status="pending" if active else "open")
        elif conversation.status == "snoozed":
            # Straight to the humans, even when a bot is connected.
            self.save(conversation, status="open", snoozed_until=None)

    def assign_agent(
        self, conversation: Conversation, agent_id: int | None, *, by: str
    ) -> None:
        """Assign the conversation to an agent, or unassign it.

        Since 4.17 a pending conversation that a bot owns opens, in the same save.
        """
        fields: dict[str, Any] = {
            "assignee_id": agent_id,
            "assignee_agent_bot_id": None,
        }
        has_owner = conversation.assignee_agent_bot_id is not None
        opens = self.release.assigning_sets_status and has_owner
        if opens and agent_id is not None and conversation.status == "pending":
            waiting_since = conversation.waiting_since or self.ledger.now()
            self.set_status(
                conversation, "open", by=by, **fields, waiting_since=waiting_since
            )
        else:
            self.save(conversation, **fields)

    def assign_bot(self, conversation: Conversation, bot: Bot, *, by: str) -> None:
        """Give the conversation to a bot; since 4.17 that makes it pending."""
        fields: dict[str, Any] = {
            "assignee_id": None,
            "assignee_agent_bot_id": bot.id,
        }
        if self.release.assigning_sets_status:
            self.set_status(conversation, "pending", by=by, **fields)
        else:
            self.save(conversation, **fields)

    def _activity(self, conversation: Conversation, status: str, text: str) -> None:
        activity = {"type": "conversation_status_changed", "status": status}
        self.say_activity(conversation, text, activity=activity)
