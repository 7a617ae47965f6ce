"""Fetch what Chatwoot did not deliver: webhooks lost while the service was down.

Chatwoot tries an account webhook once and an agent bot's three times in 16 seconds, and
then opens the conversation. So, at start and every few moments, this asks for the bot's
conversations and hands in what the contact wrote without an answer, what agents
replied, and that Chatwoot has opened one, as if it had been delivered; what is known
already has no effect. With a user's token it lists them, and all that was missed in
each; with a bot's it asks for the conversations we know and, by their numbers, for
those that have begun since, and gets the last message or two. Bounded, and never about
messages that are older than the service's first start: the bot must not wake an
inbox's past.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from .chatwoot.client import ChatwootClient, Fetched, Shown
from .core.conversation import Status
from .core.events import Event, Kind
from .errors import ChatwootBotError, ChatwootError, unexpected
from .intake import Intake
from .missed import Missed
from .store import sweeping
from .store.arrivals import Arrival
from .store.engine import Database

log = structlog.get_logger(__name__)

PAGES = 8  # of 25 conversations
KNOWN = 100  # conversations asked for one by one
NEW = 200  # numbers that may be new conversations
GAPS = 5  # numbers in a row that nobody has; deleted conversations leave such
PAUSE_S = 0.02  # between two requests; Chatwoot takes 3,000 a minute, of all clients
# Chatwoot may still be trying what it could not deliver while we were down.
FIRST_PAUSES_S = (5.0, 10.0, 15.0)


class Sweep:
    """Look for messages that were missed.

    Args:
        missed: fetches those of one conversation.
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
        missed: Missed,
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
        self._missed = missed
        self._reader = reader
        self._account_id = account_id
        self._serves = serves
        self._names = names
        self._ignores = ignores
        self._has_bot: Mapping[int, bool] = {}
        # By account: up to where numbers were asked for, and which are asked again.
        self._counted: dict[int, int] = {}
        self._again: dict[int, set[int]] = {}
        self._every_s = every_s
        self._not_older_than_s = not_older_than_s
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled.

        Whatever fails, the next sweep is tried: a service that fetches nothing is
        better than none.
        """
        first = iter(FIRST_PAUSES_S)
        while True:
            try:
                found = await self.once()
                if found:
                    log.warning("missed messages fetched", messages=found)
            except ChatwootBotError as error:
                log.warning("sweep failed", error=str(error))
            except Exception as error:  # noqa: BLE001 - see above
                log.error("sweep failed", **unexpected(error))
            await asyncio.sleep(min(self._every_s, next(first, self._every_s)))

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
        return self._asked_for(active_since=oldest)

    async def _listed(
        self, reader: ChatwootClient, account_id: int, oldest: float
    ) -> AsyncIterator[Fetched]:
        for status in (Status.PENDING, Status.OPEN):
            async for newest in self._newest(reader, account_id, status):
                # Otherwise, nor is anything before it.
                if self._is_bots(newest) and self._is_ours(newest, oldest):
                    missed = await self._missed.listed(reader, newest)
                    for fetched in missed:
                        yield fetched
                    if status is Status.OPEN:
                        yield _itself(newest)
                    if missed:
                        await asyncio.sleep(PAUSE_S)

    def _is_bots(self, newest: Fetched) -> bool:
        """Return whether it is the bot's, or was until Chatwoot itself opened it.

        In an inbox with an agent bot what is open is a human's, unless the bot is still
        its owner.
        """
        seen = newest.event.conversation
        if seen is None or seen.status is Status.PENDING or seen.bot_owner:
            return True
        return self._has_bot.get(newest.event.inbox_id or 0) is False

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

    async def _asked_for(self, active_since: float) -> AsyncIterator[Fetched]:
        # First, because what is delivered meanwhile would hide what was not.
        numbers = await self._db.read(sweeping.last_numbers)
        async for fetched in self._known(active_since):
            yield fetched
        async for fetched in self._new(numbers):
            yield fetched

    async def _known(self, active_since: float) -> AsyncIterator[Fetched]:
        addresses = await self._db.read(
            sweeping.waiting_for_contact, active_since=active_since, limit=KNOWN
        )
        for address in addresses:
            shown = await self._shown(*address)
            if isinstance(shown, Shown):
                for fetched in self._news(shown):
                    yield fetched
            elif shown.is_gone:
                account_id, display_id, _ = address
                await self._db.write(sweeping.forget, account_id, display_id)

    async def _new(self, numbers: Sequence[tuple[int, int]]) -> AsyncIterator[Fetched]:
        """Yield what is said in conversations that have begun since the last known.

        Chatwoot counts them, and a bot may read every one of its account.

        Args:
            numbers: accounts, each with the last number known before the sweep.
        """
        # Later than the numbers, or an inbox that was heard of meanwhile is passed by.
        self._has_bot = await self._db.read(sweeping.inboxes)
        for account_id, last in numbers:
            self._counted.setdefault(account_id, last)
            again = self._again.setdefault(account_id, set())
            for number in sorted(again):
                shown = await self._shown(account_id, number, None)
                # Once: a bot gets 500 for ever for a conversation with a team.
                again.discard(number)
                for fetched in self._begun(shown):
                    yield fetched
            async for fetched in self._counted_on(account_id, again):
                yield fetched

    async def _counted_on(
        self, account_id: int, again: set[int]
    ) -> AsyncIterator[Fetched]:
        """Ask for the numbers that follow, except those that were delivered.

        Args:
            again: receives what may yet appear: a conversation can begin while the
                numbers after it are asked for.
        """
        number, gaps = self._counted[account_id], set[int]()
        known = await self._db.read(sweeping.numbers_after, account_id, number)
        for _ in range(NEW + len(known)):
            number += 1
            shown = None
            if number not in known:
                shown = await self._shown(account_id, number, None)
            if isinstance(shown, ChatwootError):
                gaps.add(number)
                if shown.is_gone and len(gaps) > GAPS:
                    later = min((each for each in known if each > number), default=0)
                    if not later:
                        return
                    number = max(number, later - GAPS)
                    gaps.clear()
                continue
            self._counted[account_id] = number
            again |= gaps
            gaps.clear()
            for fetched in self._begun(shown):
                yield fetched

    def _begun(self, shown: Shown | ChatwootError | None) -> list[Fetched]:
        """Return what is said, and the conversation, known without a message too."""
        if not isinstance(shown, Shown):
            return []
        return [*self._missed.unheard(shown.messages), shown.seen]

    async def _shown(
        self, account_id: int, display_id: int, inbox_id: int | None
    ) -> Shown | ChatwootError:
        """Return a conversation, or why Chatwoot does not show it.

        Raises:
            ChatwootError: there was no answer at all.
        """
        await asyncio.sleep(PAUSE_S)
        try:
            return await self._missed.show(account_id, display_id, inbox_id)
        except ChatwootError as error:
            if error.status_code is None:
                raise
            return error  # one we may not see must not hide the others

    def _news(self, shown: Shown) -> list[Fetched]:
        seen = shown.seen.event.conversation
        opened = seen is not None and seen.status is not Status.PENDING
        news = self._missed.unheard(shown.messages)
        return [*news, shown.seen] if opened else news


def _itself(newest: Fetched) -> Fetched:
    """Return the conversation in which *newest* is, without the message."""
    event = replace(
        newest.event,
        name="conversation_seen",
        kind=Kind.OTHER,
        reason="not_message_created",
        message=None,
    )
    return replace(newest, event=event)
