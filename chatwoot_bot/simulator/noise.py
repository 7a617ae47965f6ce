"""Events that real captures show and no rule explains.

Source: docs/chatwoot/deliveries.md#sequences.
"""

from .records import Change, Conversation, Event


def is_beginning(event: Event) -> bool:
    """Return whether *event* is the first message of a new conversation."""
    messages = event.conversation.messages
    return event.name == "message_created" and event.message is messages[0]


def creation_noise(conversation: Conversation) -> list[Event]:
    """Return the two events that a capture shows after a creation.

    Source: docs/chatwoot/deliveries.md#sequences.
    """
    diff: dict[str, Change] = {
        "id": (None, conversation.id),
        "status": ("open", conversation.status),
        "updated_at": (None, conversation.updated_at),
    }
    return [
        Event(name="conversation_status_changed", conversation=conversation),
        Event(name="conversation_updated", conversation=conversation, changes=diff),
    ]
