"""The channels behind Chatwoot: they take an outgoing message, or refuse it later.

A 200 of the REST API means stored. Sending is a background job; its success stores a
source_id, its failure `external_error`, and both are a `message_updated`. A message
that already has a source_id is never sent
(docs/chatwoot/payloads.md#channels and docs/chatwoot/api.md#create-message).
"""

import asyncio
from collections.abc import Callable

from .channels import NO_CARRIER, refusal
from .faults import Faults
from .nested import can_reply
from .records import Message
from .world import World


class Carrier:
    """Sends what is outgoing to the contacts.

    Args:
        world: What it reads and changes.
        faults: `faults.channel` refuses and delays.
        changed: Called after each message.
    """

    def __init__(
        self, *, world: World, faults: Faults, changed: Callable[[], None]
    ) -> None:
        self._world = world
        self._faults = faults
        self._changed = changed
        self._waiting: dict[int, asyncio.TimerHandle] = {}

    @property
    def under_way(self) -> int:
        """How many messages no channel has answered yet."""
        return len(self._waiting)

    def take(self, message: Message) -> None:
        """Note a stored message; what is for the contact is sent soon."""
        if message.private or message.message_type not in ("outgoing", "template"):
            return
        conversation = self._world.conversations[message.conversation_id]
        if conversation.inbox.channel in NO_CARRIER:
            conversation.carried.append(message)
        elif not message.source_id:
            self._waiting[message.id] = asyncio.get_running_loop().call_later(
                self._faults.channel.delay_s, self._carry, message.id
            )

    def release(self) -> None:
        """Send nothing more."""
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()

    def _carry(self, message_id: int) -> None:
        del self._waiting[message_id]
        message = self._world.ledger.message(message_id)
        conversation = self._world.conversations[message.conversation_id]
        allowed = can_reply(self._world, conversation)
        error = self._faults.channel.draw() or refusal(
            conversation, message, can_reply=allowed
        )
        if error:
            self._world.fail_message(message_id, error)
        else:
            conversation.carried.append(message)
            prefix = "wamid." if "Whatsapp" in conversation.inbox.channel else ""
            source_id = f"{prefix}simulated-out-{message_id}"
            self._world.update_message(message, source_id=source_id)
        self._changed()
