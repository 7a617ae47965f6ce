"""How the simulated Chatwoot saves: compare, store, and send the events of it.

Every change of a conversation goes through `Saving.save`, which works like a Rails
save: it compares, and sends its events in Chatwoot's order. An event is sent at the
moment it happens, before the next change, so its payload shows the state of that
moment.

Source: docs/chatwoot/deliveries.md#updates.
"""

from collections.abc import Callable
from typing import Any

from .files import FileStore
from .ledger import Ledger
from .office import Office
from .records import Change, Contact, Conversation, Draft, Event, Message
from .releases import Release

SILENT = ("contact_last_seen_at", "agent_last_seen_at", "last_activity_at")
"""Columns whose change alone sends nothing (docs/chatwoot/deliveries.md#updates)."""


class Saving:
    """Conversations and the one way to change them.

    Args:
        office: What the administrator set up.
        ledger: Ids, times and messages.
        files: What was uploaded.
        emit: Called with each event, synchronously.
    """

    def __init__(
        self,
        *,
        office: Office,
        ledger: Ledger,
        files: FileStore,
        emit: Callable[[Event], None],
    ) -> None:
        self.office = office
        self.files = files
        self.ledger = ledger
        self.conversations: dict[int, Conversation] = {}
        self.contacts: dict[int, Contact] = {}
        self.frontend_url = ""
        self._emit = emit

    @property
    def release(self) -> Release:
        """Which Chatwoot this is."""
        return self.office.release

    def save(self, conversation: Conversation, **fields: Any) -> bool:
        """Set *fields* and send the events of one Rails save, if any changed.

        Returns:
            Whether a change of status was told, so that an activity line is due.
        """
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
        self._change_with(conversation, changes)
        if "status" in changes and self._auto_assign(conversation):
            return False
        if "status" in changes:
            self._emit_status(conversation)
        if not set(changes) <= {*SILENT, "updated_at"}:
            self._emit_updated(conversation, changes)
        return "status" in changes

    def _change_with(
        self, conversation: Conversation, changes: dict[str, Change]
    ) -> None:
        """Add the columns that newer releases change together with others."""
        if "status" in changes and self.release.dates_status:
            before = conversation.status_changed_at
            conversation.status_changed_at = conversation.updated_at
            changes["status_changed_at"] = (before, conversation.updated_at)
        if "assignee_agent_bot_id" in changes and self.release.has_owner_type:
            kinds = (
                "AgentBot" if bot else None for bot in changes["assignee_agent_bot_id"]
            )
            changes["ai_assignee_type"] = (next(kinds), next(kinds))

    def update_message(self, message: Message, **changes: Any) -> Message:
        """Change a stored message and say so; no change sends nothing."""
        if all(getattr(message, name) == value for name, value in changes.items()):
            return message
        changed = self.ledger.change(message, **changes)
        self.emit_message("message_updated", changed)
        return changed

    def add_contact(self, contact: Contact) -> Contact:
        """Keep a contact."""
        self.contacts[contact.id] = contact
        return contact

    def latest_of(self, contact: Contact) -> Conversation | None:
        """Return the contact's newest conversation, if there is one."""
        for conversation in reversed(self.conversations.values()):
            if conversation.contact.id == contact.id:
                return conversation
        return None

    def fail_message(self, message_id: int, error: str) -> None:
        """Note that a channel did not take a message.

        Source: docs/chatwoot/deliveries.md#failure.
        """
        message = self.ledger.message(message_id)
        attributes = message.content_attributes | {"external_error": error}
        self.update_message(message, status="failed", content_attributes=attributes)

    def say_activity(
        self, conversation: Conversation, text: str, **attributes: Any
    ) -> None:
        """Store an activity line; Chatwoot never sends these to webhooks."""
        draft = Draft(
            content=text, message_type="activity", content_attributes=attributes
        )
        self.ledger.store(conversation, draft)

    def tell(self, conversation: Conversation, name: str, url: str) -> None:
        """Send the conversation to one URL, for an automation rule or a macro."""
        self._emit(Event(name=name, conversation=conversation, url=url))

    def announce(self, conversation: Conversation) -> None:
        """Say once that a conversation began."""
        if not conversation.is_announced:
            conversation.is_announced = True
            self._emit(Event(name="conversation_created", conversation=conversation))

    def emit_message(self, name: str, message: Message) -> None:
        """Send a message event."""
        conversation = self.conversations[message.conversation_id]
        self._emit(Event(name=name, conversation=conversation, message=message))

    def _emit_updated(
        self, conversation: Conversation, changes: dict[str, Change]
    ) -> None:
        self._emit(
            Event(
                name="conversation_updated", conversation=conversation, changes=changes
            )
        )

    def _emit_status(self, conversation: Conversation) -> None:
        if conversation.status in ("open", "resolved"):
            name = {"open": "conversation_opened", "resolved": "conversation_resolved"}
            self._emit(Event(name=name[conversation.status], conversation=conversation))
        self._emit(Event(name="conversation_status_changed", conversation=conversation))

    def is_owned(self, conversation: Conversation) -> bool:
        """Return whether a bot's ownership keeps it from being unassigned."""
        has_owner = conversation.assignee_agent_bot_id is not None
        return has_owner and self.release.is_owner_assigned

    def _auto_assign(self, conversation: Conversation) -> bool:
        """Play Chatwoot's known event loss (docs/chatwoot/deliveries.md#lost-events).

        Legacy auto-assignment runs a second save within the first; only the events
        of the second one are sent.
        """
        online = [each for each in self.office.agents.values() if each.role == "agent"]
        if (
            conversation.status != "open"
            or not conversation.inbox.enable_auto_assignment
            or conversation.assignee_id is not None
            or self.is_owned(conversation)
            or not online
        ):
            return False
        owner, conversation.assignee_agent_bot_id = (
            conversation.assignee_agent_bot_id,
            None,
        )
        conversation.assignee_id = online[0].id
        before, conversation.updated_at = conversation.updated_at, self.ledger.now()
        changes: dict[str, Change] = {
            "assignee_id": (None, conversation.assignee_id),
            "updated_at": (before, conversation.updated_at),
        }
        if owner is not None:
            changes["assignee_agent_bot_id"] = (owner, None)
        self._emit_updated(conversation, changes)
        return True
