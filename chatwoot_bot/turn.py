"""One answer, from a leased conversation to a delivered reply. Read this first.

    load        what is owed, what was kept and not yet said, who holds it
    say kept    first finish what an earlier turn began
    decide      ignore, human, handover or bot, with a reason
    think       ask the responder; cancelled when the contact or an agent speaks
    look again  ask Chatwoot who holds the conversation now
    keep        the reply, its key and what it answers, in one transaction
    say         deliver it through the channel
    finish      give the lease back

The conversation is the unit of work: a turn answers everything that is owed,
together, once. What is kept is said by this turn or by the next one that leases the
conversation, in this process or another.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from .channels.base import Channel, Presence
from .core.conversation import Conversation
from .core.decision import Decision, Route, decide, give_up
from .core.events import Event, Kind
from .errors import ChatwootError, ResponderError
from .hub import Hub
from .metrics import Metrics
from .responders.base import Answer, Responder
from .store import replies, turns
from .store.accept import Arrival, Rules, accept
from .store.engine import Database
from .store.leases import Lease
from .store.replies import Draft, Reply, ReplyKind
from .store.turns import Ending, Situation, TurnRecord, Verdict

log = structlog.get_logger(__name__)

# A delivery that failed is tried again after 1 s, 2 s, 4 s … this at most.
MAX_BACKOFF_S = 60.0
# A status that could not be set is tried again after 8 to 16 s, as after 5 attempts.
STATUS_ATTEMPTS = 5
# While a reply's fate is unknown, look for it this often.
LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What every turn acts on; built once, in `app.build`.

    Attributes:
        channels: by the name in a conversation's `channel`.
        fallback: answers when the responder cannot; None calls a human instead.
        handover_message: what the contact is told then.
        deliver_for_s: how long a reply is kept for a Chatwoot that is down.
        history: messages of the transcript, at most.
        clock: Unix seconds.
    """

    db: Database
    hub: Hub
    metrics: Metrics
    rules: Rules
    channels: Mapping[str, Channel]
    responder: Responder
    fallback: Responder | None
    handover_message: str
    history: int
    deliver_for_s: float
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a turn ends; see `turns.finish`."""

    ending: Ending = Ending.DONE
    retry_at: float | None = None
    record: TurnRecord | None = None


class Interrupted(Exception):
    """The turn must not say what it was going to say."""


class Turn:
    """One turn over one leased conversation."""

    def __init__(self, engine: Engine, lease: Lease) -> None:
        self.engine = engine
        self.lease = lease
        self.id = f"t_{secrets.token_hex(8)}"
        self.started_at = engine.clock()
        self.version = -1
        self._interrupted: str | None = None
        self._thinking: asyncio.Task[Answer] | None = None
        self.log = log.bind(conversation=lease.conversation_id, turn=self.id)

    def interrupt(self, reason: str) -> None:
        """Stop thinking at once: the contact wrote more, or a human holds it.

        What is kept already is not touched; it is checked against who holds the
        conversation before each sending.
        """
        self._interrupted = reason
        if self._thinking is not None:
            self._thinking.cancel()

    async def run(self) -> float | None:
        """Run the turn; return when the conversation wants attention again.

        Raises:
            ChatwootBotError: a step failed and no step after it has run; the worker
                decides when to try again.
        """
        situation = await self._load()
        self.version = situation.conversation.version
        end = await self._work(situation)
        due_at = await self.engine.db.write(
            turns.finish,
            self.lease,
            self.engine.rules,
            ending=end.ending,
            now=self.engine.clock(),
            retry_at=end.retry_at,
            record=end.record,
        )
        self.engine.hub.publish(self.lease.conversation_id)
        return due_at

    async def _work(self, situation: Situation) -> End:
        """Do what the conversation needs now."""
        retry_at = await self._say_kept(situation)
        if retry_at is not None:
            return End(ending=Ending.WAITING, retry_at=retry_at)
        decision = decide(
            situation.owed,
            situation.conversation,
            human_mode=situation.human_mode,
            policy=self.engine.rules.policy,
        )
        if decision.route is Route.BOT:
            decision = (
                give_up(
                    situation.conversation,
                    now=self.engine.clock(),
                    policy=self.engine.rules.policy,
                )
                or decision
            )
        match decision.route:
            case Route.BOT | Route.HANDOVER:
                return await self._answer(situation, decision)
            case Route.HUMAN | Route.IGNORE:
                return await self._leave(situation, decision)

    async def _answer(self, situation: Situation, decision: Decision) -> End:
        """Find out what to say, and say it."""
        conversation = situation.conversation
        typing = _Typing(self._channel(conversation), conversation)
        try:
            typing.on()
            drafts, decision, answer = await self._draft(situation, decision)
            record = self._record(decision, "kept", answer)
            await self._look_again(conversation)
            verdict, kept = await self.engine.db.write(
                turns.keep,
                self.lease,
                record,
                seen=conversation,
                answered=situation.owed,
                drafts=drafts,
                now=self.engine.clock(),
            )
            if verdict is not Verdict.KEPT:
                return self._overtaken(decision, str(verdict))
            return await self._say(situation, decision, kept)
        except Interrupted as interrupted:
            return self._overtaken(decision, str(interrupted))
        finally:
            await typing.off()

    async def _draft(
        self, situation: Situation, decision: Decision
    ) -> tuple[Sequence[Draft], Decision, Answer | None]:
        """Return what to say, why, and what the responder did for it."""
        if decision.route is Route.HANDOVER:
            return self._handover(situation, decision.reason), decision, None
        try:
            answer = await self._in_time(self.engine.responder, situation)
        except TimeoutError:
            decision = Decision(Route.HANDOVER, "answer_deadline")
            return self._handover(situation, decision.reason), decision, None
        except ResponderError as error:
            self.engine.metrics.model_failures.inc()
            self.log.warning("model failed", error=str(error))
            if self.engine.fallback is None:
                decision = Decision(Route.HANDOVER, "model_failed")
                return self._handover(situation, decision.reason), decision, None
            decision = Decision(Route.BOT, "model_failed")
            answer = await self._think(self.engine.fallback, situation)
        return [(ReplyKind.ANSWER, answer.text)], decision, answer

    async def _in_time(self, responder: Responder, situation: Situation) -> Answer:
        """Ask *responder*, but no longer than the contact can be asked to wait.

        Raises:
            TimeoutError: the contact has waited long enough.
        """
        waited = self.engine.clock() - situation.owed[0].created_at
        left = self.engine.rules.policy.answer_deadline_s - waited
        async with asyncio.timeout(left if left < 1e9 else None):
            return await self._think(responder, situation)

    async def _think(self, responder: Responder, situation: Situation) -> Answer:
        """Ask *responder* in a task of its own, so that `interrupt` can stop it."""
        if self._interrupted is not None:
            raise Interrupted(self._interrupted)
        self._thinking = asyncio.create_task(responder.respond(situation.transcript))
        try:
            return await self._thinking
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._interrupted is None or (task is not None and task.cancelling()):
                raise  # shutdown, or the lease is lost
            raise Interrupted(self._interrupted) from None
        finally:
            self._thinking = None

    def _handover(self, situation: Situation, reason: str) -> Sequence[Draft]:
        text = self.engine.handover_message
        if reason in APOLOGIZED:
            text = f"{APOLOGY} {text}"
        drafts = [(ReplyKind.HANDOVER, text)]
        if self._channel(situation.conversation).takes_notes:
            drafts.append((ReplyKind.NOTE, NOTES[reason]))
        return drafts

    async def _look_again(self, conversation: Conversation) -> None:
        """Ask the channel who holds the conversation; news count as an event."""
        seen = await self._channel(conversation).look(conversation)
        if seen is None or seen.status in (None, conversation.status):
            return
        event = Event(
            name="conversation_seen",
            kind=Kind.OTHER,
            reason="seen_before_reply",
            account_id=conversation.account_id,
            conversation=seen,
        )
        arrival = Arrival(
            event=event,
            channel=conversation.channel,
            received_at=self.engine.clock(),
        )
        await self.engine.db.write(accept, [arrival], self.engine.rules)

    async def _say(
        self, situation: Situation, decision: Decision, kept: Sequence[Reply]
    ) -> End:
        """Deliver what has just been kept, then tell Chatwoot the status."""
        conversation = situation.conversation
        self.log.info("reply kept", route=str(decision.route), reason=decision.reason)
        if decision.route is Route.HANDOVER:
            self.engine.metrics.handovers.labels(decision.reason).inc()
        retry_at = None
        for number, reply in enumerate(kept):
            if number == 0:
                retry_at = await self._send(conversation, reply)
            else:
                retry_at = await self._say_one(conversation, reply)
            if retry_at is not None:
                break
        else:
            waited = self.engine.clock() - situation.owed[0].created_at
            self.engine.metrics.answer_seconds.observe(waited)
            if decision.route is Route.HANDOVER:
                retry_at = await self._settle_status((await self._load()).conversation)
        self._count(decision, "answered")
        ending = Ending.DONE if retry_at is None else Ending.WAITING
        return End(ending=ending, retry_at=retry_at)

    async def _say_kept(self, situation: Situation) -> float | None:
        """Say what earlier turns kept, and tell Chatwoot the status they wanted.

        Returns:
            When to try again (Unix seconds), or None when nothing is left over.
        """
        for reply in situation.unsaid:
            retry_at = await self._say_one(situation.conversation, reply)
            if retry_at is not None:
                return retry_at
        return await self._settle_status(situation.conversation)

    async def _say_one(self, conversation: Conversation, reply: Reply) -> float | None:
        """Say *reply* unless it is there already, or may not be said any more."""
        now = self.engine.clock()
        too_late = now - reply.created_at > self.engine.deliver_for_s
        if reply.in_doubt_until is not None:
            found = await self._channel(conversation).find(conversation, reply)
            if found.presence is Presence.PRESENT:
                await self._delivered(conversation, reply, found.external_id)
                return None
            if too_late:
                return await self._give_up(reply, TOO_LATE, in_doubt=True)
            retry_at = self._look_later(reply, reply.in_doubt_until, found.presence)
            if retry_at is not None:
                return retry_at
        if not await self.engine.db.write(
            replies.begin_attempt, self.lease, reply, now=now
        ):
            self.engine.metrics.replies.labels("dropped").inc()
            self.log.info("reply dropped", reply=reply.key)
            return None
        return await self._send(
            conversation, replace(reply, attempts=reply.attempts + 1, attempted_at=now)
        )

    def _look_later(
        self, reply: Reply, in_doubt_until: float, presence: Presence
    ) -> float | None:
        """Return when to look for *reply* again, or None to send it now."""
        now = self.engine.clock()
        wait_until = in_doubt_until
        if presence is Presence.UNREACHABLE:
            return now + backoff_s(reply.attempts + 2)
        if presence is Presence.UNKNOWABLE:
            wait_until = reply.attempted_at + replies.IN_DOUBT_S
        if now < wait_until:
            return min(wait_until, now + LOOK_EVERY_S)
        if presence is Presence.UNKNOWABLE:
            self.engine.metrics.replies.labels("sent_in_doubt").inc()
            self.log.warning("reply sent again without proof", reply=reply.key)
        return None

    async def _send(self, conversation: Conversation, reply: Reply) -> float | None:
        """Send *reply*, whose attempt is on record; return when to try again."""
        try:
            external_id = await self._channel(conversation).deliver(
                conversation, reply, private=reply.kind is ReplyKind.NOTE
            )
        except ChatwootError as error:
            return await self._not_delivered(reply, error)
        await self._delivered(conversation, reply, external_id)
        return None

    async def _delivered(
        self, conversation: Conversation, reply: Reply, external_id: int | None
    ) -> None:
        await self.engine.db.write(
            replies.delivered,
            conversation,
            reply,
            external_id=external_id,
            now=self.engine.clock(),
        )
        self.engine.metrics.replies.labels("delivered").inc()
        self.log.info("reply delivered", reply=reply.key, message=external_id)
        self.engine.hub.publish(conversation.id)

    async def _not_delivered(self, reply: Reply, error: ChatwootError) -> float | None:
        too_late = self.engine.clock() - reply.created_at > self.engine.deliver_for_s
        if not error.retryable or (too_late and not error.in_doubt):
            return await self._give_up(reply, str(error), in_doubt=False)
        in_doubt_until = None
        if error.in_doubt:
            # An answered request is over: not finding the reply is proof at once.
            answered = error.status_code is not None and error.status_code != 504
            until = self.engine.clock() if answered else None
            in_doubt_until = until or reply.attempted_at + replies.IN_DOUBT_S
        await self.engine.db.write(
            replies.not_delivered,
            reply,
            in_doubt_until=in_doubt_until,
            error=str(error),
        )
        self.engine.metrics.replies.labels("failed").inc()
        retry_at = self.engine.clock() + backoff_s(reply.attempts)
        self.log.warning(
            "reply not delivered", reply=reply.key, error=str(error), retry_at=retry_at
        )
        return retry_at

    async def _give_up(
        self, reply: Reply, error: str, *, in_doubt: bool
    ) -> float | None:
        """Keep *reply* as a dead letter, and call a human in its place."""
        now = self.engine.clock()
        await self.engine.db.write(
            replies.refused,
            self.lease,
            reply,
            error=error,
            in_doubt=in_doubt,
            note=REFUSED.format(error=error),
            now=now,
        )
        self.engine.metrics.replies.labels("dead").inc()
        self.log.error("reply is a dead letter", reply=reply.key, error=error)
        return now

    async def _settle_status(self, conversation: Conversation) -> float | None:
        """Tell Chatwoot the status that we want; return when to try again."""
        wanted = conversation.wanted_status
        if wanted is None:
            return None
        at = None
        try:
            at = await self._channel(conversation).set_status(conversation, wanted)
        except ChatwootError as error:
            self.log.warning("status not set", status=str(wanted), error=str(error))
            if error.retryable:
                return self.engine.clock() + backoff_s(STATUS_ATTEMPTS)
        await self.engine.db.write(turns.status_set, self.lease, wanted, at=at)
        self.engine.hub.publish(conversation.id)
        return None

    async def _leave(self, situation: Situation, decision: Decision) -> End:
        """Say nothing: a human answers, or nobody need."""
        if not situation.owed:
            return End()
        await self.engine.db.write(turns.leave, self.lease)
        self.log.info("left to a human", reason=decision.reason)
        self._count(decision, "silent")
        return End(record=self._record(decision, "silent", None))

    def _overtaken(self, decision: Decision, reason: str) -> End:
        """Drop the draft; what is still owed is answered by the next turn."""
        self.log.info("draft dropped", reason=reason)
        self._count(decision, "dropped")
        ending = Ending.DONE
        if reason == Verdict.SUPERSEDED:
            ending = Ending.SUPERSEDED
        return End(ending=ending, record=self._record(decision, reason, None))

    async def _load(self) -> Situation:
        return await self.engine.db.read(
            turns.load, self.lease, history=self.engine.history
        )

    def _channel(self, conversation: Conversation) -> Channel:
        return self.engine.channels[conversation.channel]

    def _count(self, decision: Decision, outcome: str) -> None:
        self.engine.metrics.turns.labels(str(decision.route), outcome).inc()

    def _record(
        self, decision: Decision, outcome: str, answer: Answer | None
    ) -> TurnRecord:
        if answer is not None and answer.tokens is not None:
            self.engine.metrics.tokens.inc(answer.tokens)
        return TurnRecord(
            id=self.id,
            conversation_id=self.lease.conversation_id,
            decision=decision.route,
            reason=decision.reason,
            outcome=outcome,
            model=answer.model if answer else None,
            tokens=answer.tokens if answer else None,
            started_at=self.started_at,
            latency_ms=round((self.engine.clock() - self.started_at) * 1000),
        )


class _Typing:
    """The typing indicator of one turn: on while it runs, off afterwards.

    It runs beside the turn, because a slow indicator must not slow the answer.
    """

    def __init__(self, channel: Channel, conversation: Conversation) -> None:
        self._channel = channel
        self._conversation = conversation
        self._task: asyncio.Task[None] | None = None

    def on(self) -> None:
        self._task = asyncio.create_task(
            self._channel.typing(self._conversation, on=True)
        )

    async def off(self) -> None:
        if self._task is not None:
            await self._task
            await self._channel.typing(self._conversation, on=False)


def backoff_s(attempts: int) -> float:
    """Return how long to wait after *attempts* tries, with jitter, in seconds."""
    longest = min(2.0 ** min(attempts - 1, 10), MAX_BACKOFF_S)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret


# What agents read when the bot calls them, by the reason of the decision.
NOTES = {
    "asked_for_human": "The contact asked for a human, so the bot has stepped back.",
    "model_failed": "The bot's language model does not answer, so it has stepped back.",
    "turn_failed": "The bot failed three times to answer, so it has stepped back.",
    "worker_died": "The bot's worker died again and again here, so it stepped back.",
    "answer_deadline": "The contact has waited too long for the bot's answer.",
    "turn_limit": "The bot has answered as often as it may in one conversation.",
}
REFUSED = "The bot's reply could not be delivered. Chatwoot said: {error}"
TOO_LATE = "no answer until DELIVERY_DEADLINE_HOURS had passed"
APOLOGY = "Sorry that you had to wait."
APOLOGIZED = ("answer_deadline", "turn_failed", "worker_died")
