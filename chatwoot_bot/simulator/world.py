"""The simulated Chatwoot without its wires: who says what, and what follows.

Two rules hold the module together. Every change of a conversation goes through
`World.save`, which works like a Rails save: it compares, and sends the events of
facts 3.1 to 3.3 in Chatwoot's order. And an event is sent at the moment it
happens, before the next change, so its payload shows the state of that moment.

No I/O: `emit` and `stored` are plain callables, the clock and the randomness come
from outside. The life cycle is that of Chatwoot 4.16.2.
"""

import random
from collections.abc import Callable
from typing import Any

from .ledger import Ledger
from .records import (
    Account,
    Agent,
    Bot,
    Change,
    Contact,
    Conversation,
    Draft,
    Event,
    Inbox,
    Message,
    SenderType,
    Team,
)

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


class World:
    """One account with one inbox, its bot, agents, contacts and conversations.

    Args:
        account: The account.
        inbox: The inbox that all conversations come through.
        agent_bot: Whether the bot is connected to the inbox, so that new
            conversations are pending and belong to it.
        rng: The one source of randomness.
        clock: Unix seconds.
        emit: Called with each event, synchronously.
        stored: Called with each new message, activity included.
        first_conversation: The display id of the first conversation.
        first_message: The id of the first message.
    """

    def __init__(
        self,
        *,
        account: Account,
        inbox: Inbox,
        agent_bot: bool,
        rng: random.Random,
        clock: Callable[[], float],
        emit: Callable[[Event], None],
        stored: Callable[[Message], None],
        first_conversation: int = 1,
        first_message: int = 1,
    ) -> None:
        self.account = account
        self.inbox = inbox
        self.agent_bot = agent_bot
        self.bot = Bot()
        self.agent = Agent(
            id=12, name="Maria Gomez", available_name="Maria", email="maria@example.com"
        )
        self.agents = {self.agent.id: self.agent}
        self.teams = {2: Team(id=2, name="billing")}
        self.conversations: dict[int, Conversation] = {}
        self.ledger = Ledger(
            rng=rng, clock=clock, stored=stored, first_message=first_message
        )
        self._first_conversation = first_conversation
        self._emit = emit

    # Conversations begin.

    def new_conversation(self, contact: Contact) -> Conversation:
        """Begin a conversation: pending and the bot's own, or open without a bot."""
        now = self.ledger.now()
        conversation = Conversation(
            id=self._first_conversation + len(self.conversations),
            uuid=self.ledger.uuid(),
            contact=contact,
            status="pending" if self.agent_bot else "open",
            created_at=now,
            updated_at=now,
            last_activity_at=now,
            waiting_since=now,
            assignee_agent_bot_id=self.bot.id if self.agent_bot else None,
        )
        self.conversations[conversation.id] = conversation
        return conversation

    # Messages.

    def receive(self, conversation: Conversation, draft: Draft) -> Message:
        """Store what the contact wrote; a closed conversation comes back first.

        The human assignee stays: pending with a human assignee is normal.

        Raises:
            MessageRefusedError: The flood guard; nothing is stored.
        """
        is_first = not conversation.messages
        seen_at = conversation.contact_last_seen_at
        message = self.ledger.store(conversation, draft)
        conversation.unread += 1
        conversation.contact_last_seen_at = message.created_at
        if is_first:
            self._emit(Event(name="contact_created", conversation=conversation))
            self._emit(Event(name="conversation_created", conversation=conversation))
        self._reopen(conversation)
        self._emit_message("message_created", message)
        if conversation.waiting_since is None:
            self.save(conversation, waiting_since=message.created_at)
        activity: dict[str, Change] = {
            "last_activity_at": (seen_at, message.created_at)
        }
        self._emit(
            Event(name="contact_updated", conversation=conversation, changes=activity)
        )
        return message

    def post(self, conversation: Conversation, draft: Draft) -> Message:
        """Store an outgoing, template or private message and echo it.

        Raises:
            MessageRefusedError: The flood guard; nothing is stored.
        """
        message = self.ledger.store(conversation, draft)
        if message.sender_type == "user":
            conversation.agent_last_seen_at = message.created_at
            conversation.unread = 0
        self._emit_message("message_created", message)
        if message.is_reply and message.sender_type is not None:
            self._answered(conversation, message)
        return message

    def update_message(self, message: Message, **changes: Any) -> Message:
        """Change a stored message and say so with `message_updated`."""
        changed = self.ledger.change(message, **changes)
        self._emit_message("message_updated", changed)
        return changed

    def type(
        self,
        conversation: Conversation,
        state: str,
        *,
        by: SenderType,
        is_private: bool = False,
    ) -> None:
        """Note that somebody switched the typing sign `on` or `off`."""
        if by == "agent_bot":
            conversation.typing.append(state)
        self._emit(
            Event(
                name=f"conversation_typing_{state}",
                conversation=conversation,
                user=by,
                is_private=is_private,
            )
        )

    # Status and owner.

    def set_status(
        self, conversation: Conversation, status: str, *, by: str, **also: Any
    ) -> None:
        """Set the status as Chatwoot's own code does, with the activity line."""
        if status == "resolved":
            conversation.waiting_since = None  # silently: it is in no diff
        if self.save(conversation, status=status, **also):
            self._activity(conversation, status, ACTIVITY[status].format(by))

    def agent_sets_status(
        self,
        conversation: Conversation,
        status: str,
        *,
        snoozed_until: float | None = None,
    ) -> None:
        """Set the status with an agent's token; opening also takes the conversation.

        Two saves, as in Chatwoot: first the status and the bot's ownership, then
        the assignee, unless the agent is an administrator.
        """
        also: dict[str, Any] = {"snoozed_until": snoozed_until}
        if status == "open":
            also["assignee_agent_bot_id"] = None
        self.set_status(conversation, status, by=self.agent.name, **also)
        if status == "open" and self.agent.role == "agent":
            self.save(conversation, assignee_id=self.agent.id)

    def hand_off(self, conversation: Conversation) -> None:
        """Open a pending conversation for the bot: Chatwoot's `bot_handoff!`."""
        if conversation.waiting_since is None:
            self.save(conversation, waiting_since=self.ledger.now())
        self.set_status(
            conversation, "open", by=self.bot.name, assignee_agent_bot_id=None
        )

    def open_after_failure(self, conversation: Conversation) -> None:
        """Hand a pending conversation to humans because a delivery failed for good.

        The bot stays its owner, as in Chatwoot (facts 2.6).
        """
        if conversation.status == "pending":
            self.save(conversation, status="open")
            self.say_activity(conversation, BOT_FAILURE)

    def save(self, conversation: Conversation, **fields: Any) -> bool:
        """Set *fields* and send the events of one Rails save, if any changed."""
        changes: dict[str, Change] = {
            name: (getattr(conversation, name), value)
            for name, value in fields.items()
            if getattr(conversation, name) != value
        }
        if not changes:
            return False
        for name, (_, value) in changes.items():
            setattr(conversation, name, value)
        before, conversation.updated_at = conversation.updated_at, self.ledger.now()
        changes["updated_at"] = (before, conversation.updated_at)
        if "status" in changes:
            self._emit_status(conversation)
        self._emit(
            Event(
                name="conversation_updated", conversation=conversation, changes=changes
            )
        )
        return True

    def say_activity(
        self, conversation: Conversation, text: str, **attributes: Any
    ) -> None:
        """Store an activity line; Chatwoot never sends these to webhooks."""
        draft = Draft(
            content=text, message_type="activity", content_attributes=attributes
        )
        self.ledger.store(conversation, draft)

    def _activity(self, conversation: Conversation, status: str, text: str) -> None:
        activity = {"type": "conversation_status_changed", "status": status}
        self.say_activity(conversation, text, activity=activity)

    def _emit_status(self, conversation: Conversation) -> None:
        if conversation.status in ("open", "resolved"):
            name = {"open": "conversation_opened", "resolved": "conversation_resolved"}
            self._emit(Event(name=name[conversation.status], conversation=conversation))
        self._emit(Event(name="conversation_status_changed", conversation=conversation))

    def _emit_message(self, name: str, message: Message) -> None:
        conversation = self.conversations[message.conversation_id]
        self._emit(Event(name=name, conversation=conversation, message=message))

    def _reopen(self, conversation: Conversation) -> None:
        """Bring a resolved or snoozed conversation back for the contact."""
        if conversation.status == "resolved":
            self.save(conversation, status="pending" if self.agent_bot else "open")
        elif conversation.status == "snoozed":
            # Straight to the humans, even when a bot is connected.
            self.save(conversation, status="open", snoozed_until=None)

    def _answered(self, conversation: Conversation, message: Message) -> None:
        """Note that the contact no longer waits; the first human reply is dated."""
        changes: dict[str, Any] = {"waiting_since": None}
        if message.sender_type == "user" and not conversation.first_reply_created_at:
            changes["first_reply_created_at"] = message.created_at
        self.save(conversation, **changes)
