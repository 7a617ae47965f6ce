"""The simulated Chatwoot without its wires: who says what, and what follows.

No I/O: `emit` and `stored` are plain callables, the clock and the randomness come
from outside. How a change is saved and told is in `saving.py`, who holds a
conversation in `lifecycle.py`, what Chatwoot says by itself in `templates.py`.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .channels import NO_CARRIER
from .files import FileStore
from .ledger import Ledger
from .lifecycle import BOT_FAILURE, STATUSES, Lifecycle
from .office import Office
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
from .templates import welcome
from .widget_limits import WidgetLimits

__all__ = ["BOT_FAILURE", "STATUSES", "World"]

DEFAULT_BOT = 4
DEFAULT_AGENT = 12


class World(Lifecycle):
    """One account with its inboxes, bots, agents, contacts and conversations.

    Args:
        office: What the administrator set up.
        files: What was uploaded.
        limits: How much visitors may write.
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
        office: Office,
        files: FileStore,
        limits: WidgetLimits,
        rng: random.Random,
        clock: Callable[[], float],
        emit: Callable[[Event], None],
        stored: Callable[[Message], None],
        first_conversation: int = 1,
        first_message: int = 1,
    ) -> None:
        ledger = Ledger(
            rng=rng, clock=clock, stored=stored, first_message=first_message
        )
        super().__init__(office=office, ledger=ledger, files=files, emit=emit)
        self.limits = limits
        self._first_conversation = first_conversation

    # The ones that are meant when none is named.

    @property
    def account(self) -> Account:
        """The account."""
        return self.office.account

    @property
    def inbox(self) -> Inbox:
        """The inbox that conversations come through unless told otherwise."""
        return next(iter(self.office.inboxes.values()))

    @property
    def bot(self) -> Bot:
        """The bot that the token given to the simulator belongs to."""
        return self.office.bots[DEFAULT_BOT]

    @property
    def agent(self) -> Agent:
        """The agent who acts by default."""
        return self.office.agents[DEFAULT_AGENT]

    @property
    def agents(self) -> dict[int, Agent]:
        """All humans."""
        return self.office.agents

    @property
    def teams(self) -> dict[int, Team]:
        """All teams."""
        return self.office.teams

    # Conversations begin.

    def new_conversation(
        self, contact: Contact, inbox: Inbox | None = None, **fields: Any
    ) -> Conversation:
        """Begin a conversation: pending and the bot's own, or open without a bot.

        A blocked contact's is resolved at once (docs/chatwoot/conversations.md).
        """
        now = self.ledger.now()
        inbox = inbox or self.inbox
        bot_id = inbox.agent_bot_id if inbox.agent_bot_id in self.office.bots else None
        status = "pending" if bot_id else "open"
        values: dict[str, Any] = {
            "id": self._first_conversation + len(self.conversations),
            "uuid": self.ledger.uuid(),
            "inbox": inbox,
            "contact": contact,
            "status": "resolved" if contact.blocked else status,
            "created_at": now,
            "updated_at": now,
            "last_activity_at": now,
            "waiting_since": now,
            "status_changed_at": now,
            "assignee_agent_bot_id": bot_id,
        }
        conversation = Conversation(**values | fields)
        self.add_contact(contact)
        self.conversations[conversation.id] = conversation
        return conversation

    def introduce(self, contact: Contact, inbox: Inbox | None = None) -> Conversation:
        """Keep a new contact and say so; the conversation returned is not kept."""
        conversation = self.new_conversation(contact, inbox)
        del self.conversations[conversation.id]
        self._announce_contact(conversation)
        return conversation

    def opens_widget(self, contact: Contact, inbox: Inbox | None = None) -> None:
        """Note that a visitor opened the widget; no conversation comes of it."""
        conversation = self.latest_of(contact)
        if conversation is None:
            conversation = self.introduce(contact, inbox)
        self._emit(Event(name="webwidget_triggered", conversation=conversation))

    # Messages.

    def receive(self, conversation: Conversation, draft: Draft) -> Message:
        """Store what the contact wrote; a closed conversation comes back first.

        Raises:
            MessageRefusedError: The flood guard; nothing is stored.
        """
        is_first = not conversation.messages
        seen_at = conversation.contact_last_seen_at
        message = self.ledger.store(conversation, draft)
        conversation.unread += 1
        conversation.window_closed = False
        conversation.contact_last_seen_at = message.created_at
        if is_first:
            self._announce_contact(conversation)
            self.announce(conversation)
        else:
            self.reopen(conversation)
        self.emit_message("message_created", message)
        if conversation.waiting_since is None:
            self.save(conversation, waiting_since=message.created_at)
        if not _is_automatic(message):
            welcome(self, conversation)
        self._tell_contact(
            conversation, {"last_activity_at": (seen_at, message.created_at)}
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
        self.emit_message("message_created", message)
        if message.is_reply and message.sender_type is not None:
            self._answered(conversation, message)
        return message

    def update_contact(self, conversation: Conversation, **fields: Any) -> None:
        """Change the contact and say so."""
        contact = conversation.contact
        changes: dict[str, Change] = {
            name: (getattr(contact, name), value)
            for name, value in fields.items()
            if getattr(contact, name) != value
        }
        for name, (_, value) in changes.items():
            setattr(contact, name, value)
        if changes:
            self._tell_contact(conversation, changes)

    def _announce_contact(self, conversation: Conversation) -> None:
        """Say once that a contact is there."""
        if not conversation.contact.is_announced:
            conversation.contact.is_announced = True
            self._emit(Event(name="contact_created", conversation=conversation))

    def _tell_contact(
        self, conversation: Conversation, changes: dict[str, Change]
    ) -> None:
        """Say what changed of a contact; the time of the change is part of it."""
        contact = conversation.contact
        before, contact.updated_at = contact.updated_at, self.ledger.now()
        changes = changes | {"updated_at": (before, contact.updated_at)}
        self._emit(
            Event(name="contact_updated", conversation=conversation, changes=changes)
        )

    def merge_contacts(self, base: Contact, mergee: Contact) -> None:
        """Merge *mergee* into *base*: one message_updated per message of *mergee*'s.

        The conversations keep the record that ties them to their inbox. Of the two,
        *base* keeps what it has and takes the rest.

        Source: chatwoot/chatwoot app/actions/contact_merge_action.rb.
        """
        if base is mergee:
            return
        moved = [
            each for each in self.conversations.values() if each.contact.id == mergee.id
        ]
        changed = []
        for conversation in moved:
            now = self.ledger.now()
            record = replace(conversation.contact_inbox, updated_at=now)
            conversation.contact, conversation.merged_inbox = base, record
            conversation.updated_at = now
            changed += [
                self.ledger.change(message)
                for message in list(conversation.messages)
                if message.sender_type == "contact"
            ]
        self.contacts.pop(mergee.id, None)
        for message in changed:
            self.emit_message("message_updated", message)
        if moved:
            self.update_contact(moved[-1], **_merged(base, mergee))

    def retry_message(self, message: Message) -> Message:
        """Note that an agent pressed "retry"; all content attributes are lost.

        Up to 4.16 two saves, of any message; since 4.17 one, of a failed message only.
        """
        if not self.release.retries_only_failed:
            message = self.update_message(message, status="sent")
            return self.update_message(message, content_attributes={})
        if message.status != "failed":
            return message
        changes: dict[str, Any] = {"status": "sent", "content_attributes": {}}
        inbox = self.conversations[message.conversation_id].inbox
        if inbox.channel not in NO_CARRIER:
            changes["source_id"] = None
        return self.update_message(message, **changes)

    def type(
        self,
        conversation: Conversation,
        state: str,
        *,
        by: SenderType,
        user_id: int | None = None,
        is_private: bool = False,
    ) -> None:
        """Note that an agent switched the typing sign `on` or `off`."""
        if by == "agent_bot":
            conversation.typing.append(state)
        self._emit(
            Event(
                name=f"conversation_typing_{state}",
                conversation=conversation,
                user=by,
                user_id=user_id,
                is_private=is_private,
            )
        )

    def _answered(self, conversation: Conversation, message: Message) -> None:
        """Note that the contact no longer waits; the first human reply is dated."""
        changes: dict[str, Any] = {"waiting_since": None}
        if message.sender_type == "user" and not conversation.first_reply_created_at:
            changes["first_reply_created_at"] = message.created_at
        self.save(conversation, **changes)


def _merged(base: Contact, mergee: Contact) -> dict[str, Any]:
    """Return what *base* has after the merge."""
    fields = {
        name: getattr(base, name) or getattr(mergee, name)
        for name in ("identifier", "email", "phone_number")
    }
    return fields | {
        name: getattr(mergee, name) | getattr(base, name)
        for name in ("additional_attributes", "custom_attributes")
    }


def _is_automatic(message: Message) -> bool:
    """Return whether a machine wrote this mail; no template answers it."""
    email = message.content_attributes.get("email")
    return isinstance(email, dict) and bool(email.get("auto_reply"))
