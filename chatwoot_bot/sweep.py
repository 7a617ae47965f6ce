"""Fetch what Chatwoot did not deliver: webhooks lost while the service was down.

Chatwoot tries an account webhook once and an agent bot's three times in seven seconds.
So, at start and every few minutes, this asks for the bot's conversations and hands in
what the contact wrote without an answer, and what agents replied, as if it had been
delivered; what is known already has no effect. With a user's token it lists them, and
all that was missed in each; with a bot's it asks for the conversations we know, and
gets the last message or two. Bounded, and never about messages that are older
than the service's first start: the bot must not wake an inbox's past.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import structlog

from .chatwoot.client import ChatwootClient, Fetched
from .core.conversation import Status
from .core.events import Event, Kind
from .errors import ChatwootBotError, ChatwootError, unexpected
from .intake import Intake
from .store import sweeping
from .store.arrivals import Arrival
from .store.engine import Database

log = structlog.get_logger(__name__)

PAGES = 8  # of 25 conversations
KNOWN = 100  # conversations asked for one by one
# What a message is that somebody wrote for the contact; a template is no answer.
ANSWERS = ("agent_reply", "bot_message", "own_echo")
PAUSE_S = 0.1  # between two requests: at most 600 of Chatwoot's 3,000 a minute


class Sweep:
    """Look for messages that were missed.

    Args:
        client: returns one with the token of the inbox's bot.
        reader: with a user's token; None without one.
        account_id: to list conversations of; None when not set.
        serves: returns whether an inbox is any business of ours.
        names: returns whether the operator has said so.
        ignores: returns whether an event is of a contact who is left alone.
        every_s: how often.
        not_older_than_s: messages beyond that age are left alone.
    """

    def __init__(
        self,
        db: Database,
        intake: Intake,
        client: Callable[[int | None], ChatwootClient],
        reader: ChatwootClient | None,
        *,
        account_id: int | None,
        serves: Callable[[int | None], bool],
        names: Callable[[int | None], bool],
        every_s: float,
        not_older_than_s: float,
        clock: Callable[[], float] = time.time,
        ignores: Callable[[Event], bool] = lambda _: False,
    ) -> None:
        self._db = db
        self._intake = intake
        self._client = client
        self._reader = reader
        self._account_id = account_id
        self._serves = serves
        self._names = names
        self._ignores = ignores
        self._has_bot: Mapping[int, bool] = {}
        self._every_s = every_s
        self._not_older_than_s = not_older_than_s
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled.

        Whatever fails, the next sweep is tried: a service that fetches nothing is
        better than none.
        """
        while True:
            try:
                found = await self.once()
                if found:
                    log.warning("missed messages fetched", messages=found)
            except ChatwootBotError as error:
                log.warning("sweep failed", error=str(error))
            except Exception as error:  # noqa: BLE001 - see above
                log.error("sweep failed", **unexpected(error))
            await asyncio.sleep(self._every_s)

    async def once(self) -> int:
        """Sweep once; return how many messages had been missed.

        Raises:
            ChatwootBotError: Chatwoot or the database did not answer.
        """
        now = self._clock()
        first_start = await self._db.write(sweeping.first_start, now=now)
        oldest = max(first_start, now - self._not_older_than_s)
        self._has_bot = await self._db.read(sweeping.inboxes)
        found = 0
        async for fetched in self._fetch(oldest):
            if self._is_ours(fetched, oldest):
                accepted = await self._intake.take(
                    Arrival(
                        event=fetched.event,
                        channel="chatwoot",
                        received_at=self._clock(),
                    )
                )
                found += accepted.message_id is not None
        return found

    def _is_ours(self, fetched: Fetched, oldest: float) -> bool:
        """Return whether it is the bot's business: new, and in its inbox."""
        event = fetched.event
        return (
            # Chatwoot shows whole seconds.
            fetched.written_at >= int(oldest)
            and self._serves(event.inbox_id)
            and not self._ignores(event)
            # A user's token shows the conversations of other bots too.
            and (self._names(event.inbox_id) or event.inbox_id in self._has_bot)
        )

    def _fetch(self, oldest: float) -> AsyncIterator[Fetched]:
        if self._reader is not None and self._account_id is not None:
            return self._listed(self._reader, self._account_id, oldest)
        return self._known(active_since=oldest)

    async def _listed(
        self, reader: ChatwootClient, account_id: int, oldest: float
    ) -> AsyncIterator[Fetched]:
        async for newest in self._newest(reader, account_id, Status.PENDING):
            if self._is_ours(newest, oldest):  # otherwise, nor is anything before it
                async for missed in self._missed(reader, newest):
                    yield missed
        if all(self._has_bot.values()):
            return  # then whatever is open is a human's
        async for newest in self._newest(reader, account_id, Status.OPEN):
            without_bot = self._has_bot.get(newest.event.inbox_id or 0) is False
            if without_bot and self._is_ours(newest, oldest):
                async for missed in self._missed(reader, newest):
                    yield missed

    async def _newest(
        self, reader: ChatwootClient, account_id: int, status: Status
    ) -> AsyncIterator[Fetched]:
        """Yield the newest message of each conversation with *status*."""
        for page in range(1, PAGES + 1):
            rows = await reader.list_last_messages(account_id, status=status, page=page)
            for newest in rows:
                yield newest
            if not rows:
                return
            await asyncio.sleep(PAUSE_S)

    async def _missed(
        self, reader: ChatwootClient, newest: Fetched
    ) -> AsyncIterator[Fetched]:
        """Yield what a conversation has that we do not know of, oldest first.

        Where one delivery was lost, the one before it may be lost as well; and the
        newest may be a template or a note, behind which the contact waits.
        """
        event = newest.event
        said, seen, account_id = event.message, event.conversation, event.account_id
        if seen is None or account_id is None:
            return
        if said is not None and said.submitted_to is not None:
            yield newest  # a choice, which has no place in the list
            return
        known = await self._db.read(sweeping.newest_known, account_id, seen.display_id)
        if said is not None and (said.external_id or 0) <= known:
            return
        shown = await reader.list_messages(event, after=known)
        await asyncio.sleep(PAUSE_S)
        ids = {each.event.message.external_id for each in shown if each.event.message}
        if said is not None and said.external_id not in ids:
            shown = [*shown, newest]  # a list that lacks it is not believed
        for fetched in _unheard(shown):
            yield fetched

    async def _known(self, active_since: float) -> AsyncIterator[Fetched]:
        addresses = await self._db.read(
            sweeping.waiting_for_contact, active_since=active_since, limit=KNOWN
        )
        for account_id, display_id, inbox_id in addresses:
            client = self._client(inbox_id)
            try:
                shown = await client.last_messages(account_id, display_id)
            except ChatwootError as error:
                if error.status_code is None:
                    raise
                continue  # one we may not see must not hide the others
            for fetched in _unheard(shown):
                yield fetched
            await asyncio.sleep(PAUSE_S)


def _unheard(shown: Sequence[Fetched]) -> list[Fetched]:
    """Return the agents' replies, and the contact's messages without an answer.

    Args:
        shown: messages of one conversation, oldest first.
    """
    found: list[Fetched] = []
    for fetched in shown:
        if fetched.event.reason in ANSWERS:
            found = [each for each in found if each.event.kind is Kind.AGENT_REPLY]
        if fetched.event.kind in (Kind.CONTACT_MESSAGE, Kind.AGENT_REPLY):
            found.append(fetched)
    return found
