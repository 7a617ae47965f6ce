"""Take back what Chatwoot opened by itself, or see that the team finds it.

A failed delivery and the end of a snooze open a conversation and leave the bot its
owner; the bot is silent in it, and since Chatwoot 4.17 no agent finds it. `accept` and
the sweep mark such conversations. A moment later, because an agent's "open" looks the
same at first, this asks Chatwoot again, fetches what was missed, and either has the
bot answer or has its ownership ended (`RECOVER`). Agents come first: see
`store.taking_back`.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from .errors import (
    BusyError,
    ChatwootBotError,
    ChatwootError,
    StoreError,
    unexpected,
)
from .intake import Intake
from .missed import Missed
from .store import taking_back
from .store.arrivals import Arrival, Rules
from .store.engine import Database
from .store.stranded import TAKEN_BACK
from .store.taking_back import RELEASE, Stranded

log = structlog.get_logger(__name__)

LOOK_S = 0.5
# An agent's "open" takes two saves, 0.1 to 0.3 s apart.
SETTLE_S = 2.0
# Of one pass, and of them at the same time.
MOST = 50
AT_ONCE = 4
# When Chatwoot is away, and when it does not let us read a conversation, or it cannot
# be settled.
AWAY_S = 5.0
BARRED_S = 60.0


class TakingBack:
    """Settle conversations that are marked as stranded.

    Args:
        missed: fetches what was missed in one.
    """

    def __init__(
        self,
        db: Database,
        intake: Intake,
        missed: Missed,
        rules: Rules,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db = db
        self._intake = intake
        self._missed = missed
        self._rules = rules
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Settle until cancelled; whatever fails is tried again later."""
        while True:
            try:
                await self.once()
            except ChatwootBotError as error:
                log.warning("stranded conversations not settled", error=str(error))
            except Exception as error:  # noqa: BLE001 - see above
                log.error("stranded conversations not settled", **unexpected(error))
            await asyncio.sleep(LOOK_S)

    async def once(self) -> None:
        """Settle those that have been marked for long enough.

        Raises:
            BusyError: too much waits for the disk.
            StoreError: the database did not answer.
        """
        before = self._clock() - SETTLE_S
        found = await self._db.glance(taking_back.marked, before=before, limit=MOST)
        if found:
            settling = map(self._settle, found)
            for failed in await asyncio.gather(*settling, return_exceptions=True):
                if failed is not None:
                    raise failed

    async def _settle(self, stranded: Stranded) -> None:
        """Settle one; where Chatwoot does not answer, later."""
        async with self._room:
            try:
                await self._try_to_settle(stranded)
            except ChatwootError as error:
                if error.is_gone:
                    await self._end_mark(stranded)
                    return
                log.warning(
                    "stranded conversation not settled",
                    conversation=stranded.id,
                    error=str(error),
                )
                if error.status_code == 500:
                    # So answers Chatwoot when a bot asks for one with a team. The
                    # outbox goes by what deliveries show.
                    await self._decide(stranded, by_decision=True, bot_owner=0)
                    return
                wait_s = AWAY_S if error.retryable else BARRED_S
                await self._postpone(stranded, wait_s)
            except (BusyError, StoreError):
                raise  # nothing can be stored now
            except Exception as error:  # noqa: BLE001 - the others must be settled
                log.error(
                    "stranded conversation not settled",
                    conversation=stranded.id,
                    **unexpected(error),
                )
                await self._postpone(stranded, BARRED_S)

    async def _postpone(self, stranded: Stranded, wait_s: float) -> None:
        at = self._clock() - SETTLE_S + wait_s
        await self._db.write(taking_back.postpone, conversation_id=stranded.id, at=at)

    async def _try_to_settle(self, stranded: Stranded) -> None:
        address = stranded.account_id, stranded.display_id
        shown = await self._missed.show(*address, stranded.inbox_id)
        for fetched in (*await self._missed.of(shown), shown.seen):
            received_at = self._clock()
            await self._intake.take(
                Arrival(
                    event=fetched.event, channel="chatwoot", received_at=received_at
                )
            )
        seen = shown.seen.event.conversation
        await self._decide(
            stranded,
            by_decision=shown.opened_by_decision,
            bot_owner=(seen.bot_owner if seen else None) or 0,
        )

    async def _decide(
        self, stranded: Stranded, *, by_decision: bool, bot_owner: int
    ) -> None:
        """Take it back, or have the outbox end the bot's ownership."""
        accepted = await self._intake.follow(
            self._db.write(
                taking_back.settle,
                conversation_id=stranded.id,
                by_decision=by_decision,
                bot_owner=bot_owner,
                now=self._clock(),
                rules=self._rules,
            )
        )
        if accepted.reason == TAKEN_BACK:
            log.info("conversation taken back", conversation=stranded.id)
        elif accepted.reason == RELEASE:
            log.info("conversation left to the team", conversation=stranded.id)

    async def _end_mark(self, stranded: Stranded) -> None:
        await self._db.write(taking_back.end_mark, conversation_id=stranded.id)
