"""Say what is kept: once, as soon as Chatwoot can be reached, or not at all.

A reply is on disk before it is sent. If its fate is unknown afterwards (a timeout, a
crash), it is looked for by its key before it is sent again. What Chatwoot refuses for
good becomes a dead letter, and the bot hands over.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import structlog

from .channels.base import Channel, Presence
from .core.conversation import Conversation
from .core.decision import MAX_FAILURES
from .core.links import Ways
from .core.notes import not_routed, undelivered, with_summary
from .core.routing import Routing
from .engine import Engine
from .errors import ChatwootBotError, ChatwootError, ResponderError
from .store import human, replies, turns
from .store.accept import accept
from .store.arrivals import Arrival
from .store.leases import Lease
from .store.ownership import RELEASE_AFTER_S, UNSEEN_AFTER_S
from .store.replies import FOR_AGENTS, NOTES, Reply, ReplyKind
from .store.spending import charge
from .thinking import Thinking

# A delivery that failed is tried again after 1 s, 2 s, 4 s … this at most.
MAX_BACKOFF_S = 60.0
# A status that could not be set is tried again after 8 to 16 s, as after 5 attempts.
STATUS_ATTEMPTS = 5
# While a reply's fate is unknown, look for it this often.
LOOK_EVERY_S = 2.0
# Agents read the last messages instead of a summary that takes longer.
SUMMARY_S = 10.0

TOO_LATE = "no answer until DELIVERY_DEADLINE_HOURS had passed"


class Outbox:
    """What one turn has to say in its conversation.

    Every method that may have to wait returns when to try again (Unix seconds), or
    None when nothing is left over.
    """

    def __init__(
        self, engine: Engine, lease: Lease, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._log = log
        self._gone = False
        self._status_at: float | None = None

    async def say_kept(
        self, conversation: Conversation, unsaid: Sequence[Reply]
    ) -> float | None:
        """Say what was kept; team and agent, and nothing else, wait for the status."""
        waits_until = None
        for reply in unsaid:
            if self._gone:
                return None
            # Agents see the conversation before its summary is written.
            if reply.follows_status or reply.is_slow:
                waits_until = await self._status_first()
            if reply.follows_status and waits_until is not None:
                continue
            retry_at = await self._say_or_give_up(conversation, reply)
            if retry_at is not None:
                return retry_at
        return waits_until

    async def _say_or_give_up(
        self, conversation: Conversation, reply: Reply
    ) -> float | None:
        """Say *reply*, unless it fails again and again through no fault of Chatwoot's.

        It must not stand before all that is to come.
        """
        try:
            return await self._say(conversation, reply)
        except ChatwootBotError:
            raise  # the lease is lost, or the database is away
        except Exception as error:
            if conversation.failures < MAX_FAILURES:
                raise
            self._log.exception("reply sending crashed", reply=reply.key)
            problem = f"it cannot be said ({type(error).__name__})"
            return await self._give_up(reply, problem, in_doubt=True)

    async def _status_first(self) -> float | None:
        """Tell Chatwoot the status that is wanted by now, as `settle_status` does."""
        situation = await self._engine.db.glance(
            turns.load, self._lease, history=self._engine.history
        )
        return await self.settle_status(situation.conversation)

    async def say_new(
        self, conversation: Conversation, kept: Sequence[Reply]
    ) -> float | None:
        """Say what this turn has just kept; the first one's attempt is on record."""
        for number, reply in enumerate(kept):
            if self._gone:
                return None
            say = self._send if number == 0 else self._say
            retry_at = await say(conversation, reply)
            if retry_at is not None:
                return retry_at
        return None

    async def look_again(self, conversation: Conversation) -> bool:
        """Ask the channel who holds the conversation now; news count as an event.

        Returns:
            Whether a reply would still reach the contact.
        """
        event = await self._channel(conversation).look(conversation)
        if event is None:
            return conversation.can_reply
        arrival = Arrival(
            event=event,
            channel=conversation.channel,
            received_at=self._engine.clock(),
        )
        await self._engine.db.write(accept, [arrival], self._engine.rules)
        seen = event.conversation.can_reply if event.conversation else None
        return conversation.can_reply if seen is None else seen

    async def _say(self, conversation: Conversation, reply: Reply) -> float | None:
        """Say *reply* unless it is there already, or may not be said any more."""
        now = self._engine.clock()
        too_late = now - reply.created_at > self._engine.deliver_for_s
        if reply.in_doubt_until is not None and reply.is_message:
            found = await self._channel(conversation).find(conversation, reply)
            if found.presence is Presence.PRESENT:
                await self._delivered(conversation, reply, found.external_id)
                return None
            if too_late:
                return await self._give_up(reply, TOO_LATE, in_doubt=True)
            retry_at = self._look_later(reply, reply.in_doubt_until, found.presence)
            if retry_at is not None:
                return retry_at
        if reply.kind in (
            ReplyKind.ANSWER,
            ReplyKind.HANDOVER,
        ) and not await self.look_again(conversation):
            return await self._withdraw(reply)
        if reply.is_slow:
            reply = replace(reply, content=await self._summarized(reply.content))
        # The summary and the look have taken their time; the 15 s begin here.
        now = self._engine.clock()
        if not await self._engine.db.write(
            replies.begin_attempt, self._lease, reply, now=now
        ):
            self._engine.metrics.replies.labels("dropped").inc()
            self._log.info("reply dropped", reply=reply.key)
            return None
        return await self._send(
            conversation, replace(reply, attempts=reply.attempts + 1, attempted_at=now)
        )

    def _look_later(
        self, reply: Reply, in_doubt_until: float, presence: Presence
    ) -> float | None:
        """Return when to look for *reply* again, or None to send it now."""
        now = self._engine.clock()
        wait_until = in_doubt_until
        if presence is Presence.UNREACHABLE:
            return now + backoff_s(reply.attempts + 2)
        if presence is Presence.UNSENT:
            return None
        if presence is Presence.UNKNOWABLE:
            wait_until = max(wait_until, reply.attempted_at + replies.IN_DOUBT_S)
        if now < wait_until:
            return min(wait_until, now + LOOK_EVERY_S)
        if presence is Presence.UNKNOWABLE:
            self._engine.metrics.replies.labels("sent_in_doubt").inc()
            self._log.warning("unconfirmed reply resent", reply=reply.key)
        return None

    async def _send(self, conversation: Conversation, reply: Reply) -> float | None:
        """Send *reply*, whose attempt is on record; return when to try again."""
        try:
            external_id = await self._carry(conversation, reply)
        except ChatwootError as error:
            return await self._not_delivered(reply, error)
        await self._delivered(conversation, reply, external_id)
        return None

    async def _carry(self, conversation: Conversation, reply: Reply) -> int | None:
        channel = self._channel(conversation)
        if not reply.is_message:
            routing = Routing.from_json(reply.content)
            if left_out := await channel.route(conversation, routing):
                await self._not_routed(reply, left_out)
            return None
        return await channel.deliver(
            conversation, reply, private=reply.kind in FOR_AGENTS
        )

    async def resolve(self, conversation: Conversation, reply: Reply) -> float | None:
        """Close the conversation, once the contact has had the time to say more.

        Returns:
            When to try again, Unix seconds; what the contact says comes before that.
        """
        retry_at = await self._engine.db.write(
            human.resolve_when_quiet,
            self._lease,
            reply,
            self._engine.rules,
            now=self._engine.clock(),
        )
        self._engine.hub.publish(conversation.id)
        return retry_at

    async def release(self, conversation: Conversation, reply: Reply) -> float | None:
        """End our bot's ownership of what has left the bot; see `ownership`.

        Returns:
            When to try again, Unix seconds.
        """
        now = self._engine.clock()
        if self._gone:
            return None
        if now < reply.created_at + RELEASE_AFTER_S:
            return reply.created_at + RELEASE_AFTER_S
        if not await self._engine.db.write(
            replies.begin_attempt, self._lease, reply, now=now
        ):
            return None  # the bot has it again
        reply = replace(reply, attempts=reply.attempts + 1)
        unseen_at = reply.created_at + UNSEEN_AFTER_S
        try:
            done = await self._channel(conversation).release(
                conversation, int(reply.content), unseen=now >= unseen_at
            )
        except ChatwootError as error:
            too_late = now - reply.created_at > self._engine.deliver_for_s
            barred = error.status_code in (401, 403)
            if error.is_gone or ((error.retryable or barred) and not too_late):
                return await self._not_delivered(reply, error)
            self._log.warning("conversation not released", error=str(error))
            await self._engine.db.write(replies.drop, reply, error=str(error))
            return None
        if not done:
            return unseen_at
        await self._delivered(conversation, reply, None)
        return None

    async def _summarized(self, note: str) -> str:
        """Return *note* with a summary by the model, or as it is."""
        situation = await self._engine.db.glance(
            turns.load, self._lease, history=self._engine.history
        )
        try:
            writing = self._engine.responder.summarize(situation.transcript)
            summary = await Thinking().think(writing, for_s=SUMMARY_S)
        except (ResponderError, TimeoutError) as error:
            self._log.warning("summary failed", error=str(error) or "took too long")
            return note
        except Exception:  # noqa: BLE001 - a responder's bug must not hold the note back
            self._log.exception("summary failed")
            return note
        if summary is None or not summary.text.strip():
            return note
        await self._engine.db.write(
            charge,
            self._lease.conversation_id,
            self._engine.bill(summary),
            now=self._engine.clock(),
        )
        # An agent's browser fetches pictures by itself.
        ways = Ways(shown=self._engine.guardrail.shown)
        return with_summary(note, ways.defused(summary.text))

    async def _delivered(
        self, conversation: Conversation, reply: Reply, external_id: int | None
    ) -> None:
        await self._engine.db.write(
            replies.delivered,
            conversation,
            reply,
            external_id=external_id,
            now=self._engine.clock(),
        )
        self._engine.metrics.replies.labels("delivered").inc()
        self._log.info("reply delivered", reply=reply.key, message=external_id)
        self._engine.hub.publish(conversation.id)

    async def _not_delivered(self, reply: Reply, error: ChatwootError) -> float | None:
        if error.is_gone:
            await self._forget()
            return None
        too_late = self._engine.clock() - reply.created_at > self._engine.deliver_for_s
        # A wrong token is fixed outside: the note on what it has cost waits for that.
        waits = reply.kind in (*NOTES, ReplyKind.RELEASE)
        barred = error.status_code in (401, 403) and waits
        final = not error.retryable and not barred
        if final or (too_late and not error.in_doubt):
            return await self._give_up(reply, str(error), in_doubt=False)
        in_doubt_until = None
        if error.in_doubt:
            # What the application itself answered is over, so not finding the reply
            # is proof at once; behind a proxy's error it may still be at work.
            over = error.status_code in (200, 500, 503)
            now = self._engine.clock()
            in_doubt_until = now if over else now + replies.IN_DOUBT_S
        await self._engine.db.write(
            replies.not_delivered,
            reply,
            in_doubt_until=in_doubt_until,
            error=str(error),
        )
        self._engine.metrics.replies.labels("failed").inc()
        retry_at = self._engine.clock() + backoff_s(reply.attempts)
        self._log.warning(
            "reply not delivered", reply=reply.key, error=str(error), retry_at=retry_at
        )
        return retry_at

    async def _not_routed(self, reply: Reply, settings: Sequence[str]) -> None:
        """Tell agents that the conversation is not where it should be."""
        await self._engine.db.write(
            replies.not_routed,
            self._lease,
            reply,
            note=not_routed(settings, self._engine.rules.say),
            now=self._engine.clock(),
        )
        self._engine.metrics.replies.labels("not_routed").inc()

    async def _give_up(
        self, reply: Reply, error: str, *, in_doubt: bool
    ) -> float | None:
        """Store *reply* as a dead letter, and hand over in its place."""
        now = self._engine.clock()
        await self._engine.db.write(
            replies.refused,
            self._lease,
            reply,
            error=error,
            in_doubt=in_doubt,
            note=undelivered(reply.content, error, self._engine.rules.say),
            routing=self._engine.rules.routing,
            now=now,
        )
        self._engine.metrics.replies.labels("dead").inc()
        self._log.error("reply dead-lettered", reply=reply.key, error=error)
        return now

    async def _forget(self) -> None:
        """Drop all that was to be done in a conversation that is deleted."""
        self._gone = True
        await self._engine.db.write(replies.forget, self._lease)
        self._engine.metrics.replies.labels("dropped").inc()
        self._log.info("conversation deleted in Chatwoot")

    async def _withdraw(self, reply: Reply) -> float | None:
        """Tell agents what the channel would not bring to the contact any more."""
        now = self._engine.clock()
        called = await self._engine.db.write(
            replies.withdraw,
            self._lease,
            reply,
            routing=self._engine.rules.routing,
            say=self._engine.rules.say,
            now=now,
        )
        self._engine.metrics.replies.labels("withdrawn").inc()
        if called:
            self._engine.metrics.handovers.labels("cannot_reply").inc()
        self._log.warning("expired reply sent as note", reply=reply.key)
        return now

    async def settle_status(self, conversation: Conversation) -> float | None:
        """Tell Chatwoot the status that we want; return when to try again."""
        wanted = conversation.wanted_status
        if wanted is None or self._gone:
            return None
        if self._status_at is not None:
            return self._status_at  # tried in this turn already
        at = None
        if not await self._engine.db.write(turns.tell_status, self._lease, wanted):
            return None
        try:
            at = await self._channel(conversation).set_status(conversation, wanted)
        except ChatwootError as error:
            if error.is_gone:
                await self._forget()
                return None
            self._log.warning("status not set", status=str(wanted), error=str(error))
            if error.retryable or error.status_code in (401, 403):
                # The operator fixes a wrong token; until then, agents do not see it.
                self._status_at = self._engine.clock() + backoff_s(STATUS_ATTEMPTS)
                return self._status_at
        await self._engine.db.write(turns.status_set, self._lease, wanted, at=at)
        self._engine.hub.publish(conversation.id)
        return None

    def _channel(self, conversation: Conversation) -> Channel:
        return self._engine.channels[conversation.channel]


def backoff_s(attempts: int) -> float:
    """Return how long to wait after *attempts* tries, with jitter, in seconds."""
    longest = min(2.0 ** min(attempts - 1, 10), MAX_BACKOFF_S)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret
