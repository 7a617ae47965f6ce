"""What was said in a conversation and never delivered: one place that fetches it.

A user's token lists all messages. A bot's shows the newest one or two of a conversation
(docs/chatwoot/api.md#bot-tokens), and each delivery the newest public one.
"""

import asyncio
import json
from collections.abc import Callable, Sequence

from .chatwoot.client import ChatwootClient, Fetched, Shown
from .core.events import Event, Kind, from_rest
from .core.remote import Command, Remote
from .errors import ChatwootError, PayloadError
from .store import sweeping
from .store.arrivals import Arrival, Rules
from .store.engine import Database

# What a message is that answers the contact; a template is no answer.
ANSWERS = ("agent_reply", "bot_message", "own_echo")
# These act on what the contact wrote last.
ACTS_ON_LAST = (Command.ON, Command.RETRY)
# Chatwoot waits 5 s for the answer to a delivery.
LIST_S = 2.0


class Missed:
    """Fetch messages that were missed.

    Args:
        client: returns one with the token of the inbox's bot.
        reader: with a user's token; None without one.
        rules: say what a command is.
    """

    def __init__(
        self,
        db: Database,
        client: Callable[[int | None], ChatwootClient],
        reader: ChatwootClient | None,
        rules: Rules,
    ) -> None:
        self._db = db
        self._client = client
        self._reader = reader
        self._rules = rules

    async def show(
        self, account_id: int, display_id: int, inbox_id: int | None
    ) -> Shown:
        """Return what Chatwoot shows of a conversation.

        Raises:
            ChatwootError: see `ChatwootClient.show`.
        """
        try:
            return await self._client(inbox_id).show(account_id, display_id)
        except ChatwootError as error:
            # A bot gets 500 for a conversation with a team.
            if self._reader is None or error.status_code not in (401, 500):
                raise
        return await self._reader.show(account_id, display_id)

    async def of(self, shown: Shown) -> list[Fetched]:
        """Return what we do not know of a conversation, oldest first.

        Raises:
            ChatwootError: Chatwoot did not answer.
        """
        if self._reader is None:
            return self.unheard(shown.messages)
        newest = shown.messages[-1] if shown.messages else shown.seen
        return await self.listed(self._reader, newest)

    async def listed(self, reader: ChatwootClient, newest: Fetched) -> list[Fetched]:
        """Return what we do not know up to the *newest* message, oldest first.

        Where one delivery was lost, the one before it may be lost as well; and the
        newest may be a template or a note, behind which the contact waits.

        Raises:
            ChatwootError: 401 for a bot's token, or no answer.
        """
        event = newest.event
        said, seen, account_id = event.message, event.conversation, event.account_id
        if seen is None or account_id is None:
            return []
        if said is not None and said.submitted_to is not None:
            return [newest]  # a choice, which has no place in the list
        known = await self._db.read(sweeping.newest_known, account_id, seen.display_id)
        if said is not None and (said.external_id or 0) <= known:
            return []
        shown = await reader.list_messages(event, after=known)
        ids = {each.event.message.external_id for each in shown if each.event.message}
        if said is not None and said.external_id not in ids:
            shown = [*shown, newest]  # a list that lacks it is not believed
        return self.unheard(shown)

    async def before(self, arrival: Arrival) -> list[Fetched]:
        """Return what was missed before a note that has the bot answer.

        The delivery itself shows the newest public message, and needs no call.
        """
        event = arrival.event
        said = event.message
        if event.kind is not Kind.AGENT_NOTE or said is None:
            return []
        if self._remote(event).command(said.content) not in ACTS_ON_LAST:
            return []
        if self._reader is not None:
            note = Fetched(event=event, written_at=arrival.received_at)
            try:
                async with asyncio.timeout(LIST_S):
                    found = await self.listed(self._reader, note)
            except (ChatwootError, TimeoutError):
                pass  # what the delivery shows is better than none
            else:
                return [each for each in found if each is not note]
        return self.unheard(_shown_in(arrival))

    def unheard(self, shown: Sequence[Fetched]) -> list[Fetched]:
        """Return the agents' replies, and the contact's messages without an answer.

        A command that an agent has sent to the contact by mistake answers nothing.

        Args:
            shown: messages of one conversation, oldest first.
        """
        found: list[Fetched] = []
        for fetched in shown:
            event = fetched.event
            if event.reason in ANSWERS and not self._is_misplaced(event):
                found = [each for each in found if each.event.kind is Kind.AGENT_REPLY]
            if event.kind in (Kind.CONTACT_MESSAGE, Kind.AGENT_REPLY):
                found.append(fetched)
        return found

    def _is_misplaced(self, event: Event) -> bool:
        if event.kind is not Kind.AGENT_REPLY or event.message is None:
            return False
        return self._remote(event).is_command(event.message.content)

    def _remote(self, event: Event) -> Remote:
        return self._rules.serving(event.inbox_id or "chatwoot").remote


def _shown_in(arrival: Arrival) -> list[Fetched]:
    """Return the public messages that a delivery shows of its conversation.

    Source: docs/chatwoot/payloads.md#conversation.
    """
    account_id = arrival.event.account_id
    if arrival.body is None or account_id is None:
        return []
    body = json.loads(arrival.body)
    conversation = body.get("conversation") if isinstance(body, dict) else None
    if not isinstance(conversation, dict):
        return []
    found = []
    for message in conversation.get("messages") or ():
        try:
            event = from_rest(conversation, message, account_id)
        except (PayloadError, TypeError):
            continue
        if event.message is not None and not event.message.private:
            found.append(Fetched(event=event, written_at=arrival.received_at))
    return found
