"""One answer, from a leased conversation to a delivered reply. Read this first.

    load        unanswered messages, stored replies, the state
    say kept    first finish what an earlier turn began
    decide      ignore, human, handover or bot, with a reason
    read        what the contact has sent besides text
    think       ask the responder, which may use tools; cancelled when the contact or
                an agent speaks
    guard       withhold an answer that gives away the bot's instructions
    look again  ask Chatwoot who holds the conversation now
    keep        the reply, its key and what it answers, in one transaction
    say         deliver it through the channel
    finish      release the lease; in the background, summarize older messages

The conversation is the unit of work: a turn answers all unanswered messages,
together, once. What is kept is said by this turn or by the next one that leases the
conversation, in this process or another.
"""

import asyncio
import dataclasses
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import structlog

from .channels.base import Channel
from .core.conversation import Conversation, Message
from .core.decision import NO_STRAIN, Decision, Route, decide, give_up
from .drafting import Drafting
from .engine import Engine
from .memory import sum_up_later
from .outbox import Outbox
from .store import turns
from .store.leases import Lease
from .store.readings import keep_reading
from .store.replies import FOR_AGENTS, Reply, ReplyKind
from .store.strain import strain
from .store.turns import Ending, Situation, TurnRecord, Verdict
from .thinking import Interrupted, Thinking

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a turn ends; see `turns.finish`."""

    ending: Ending = Ending.DONE
    retry_at: float | None = None
    look_at: float | None = None
    record: TurnRecord | None = None


class Turn:
    """One turn over one leased conversation.

    Args:
        busy_since: from then on all workers' places were taken until now, Unix seconds;
            None when there was one. It is not the contact who was slow then.
        in_line_s: how long the turns that this one replaces have waited for a place at
            the model's server.
    """

    def __init__(
        self,
        engine: Engine,
        lease: Lease,
        *,
        busy_since: float | None = None,
        in_line_s: float = 0.0,
    ) -> None:
        self.lease = lease
        self.id = f"t_{secrets.token_hex(8)}"
        self.started_at = engine.clock()
        self.version = -1
        self.failures = 0
        self.log = log.bind(conversation=lease.conversation_id, turn=self.id)
        self._thinking = Thinking()
        self.is_overtaken = False
        self._busy_since = busy_since
        self._in_line_s = in_line_s
        self._end: Reply | None = None
        self._release: Reply | None = None
        self._use(engine)

    def _use(self, engine: Engine) -> None:
        """Work with the engine of the bot that serves the conversation."""
        self.engine = engine
        self._outbox = Outbox(engine, self.lease, self.log)
        self._drafting = Drafting(
            engine,
            self.lease,
            self._thinking,
            turn_id=self.id,
            since=self._since,
            log=self.log,
        )

    @property
    def in_line_s(self) -> float:
        """Return how long this answer has waited for a place at the model's server."""
        return self._in_line_s + self._drafting.in_line_s

    def _since(self, owed_at: float) -> float:
        """Return from when on the contact's time limits count.

        They leave out how long the contact waited while all places were taken.
        """
        since = owed_at + self._in_line_s
        if self._busy_since is not None:
            since += max(self.started_at - max(owed_at, self._busy_since), 0.0)
        return min(since, max(self.started_at, owed_at))

    def interrupt(self, reason: str) -> None:
        """Stop thinking at once: the contact wrote more, or a human holds it.

        What is kept already is not touched; it is checked against who holds the
        conversation before each sending.
        """
        self._thinking.interrupt(reason)

    async def run(self) -> float | None:
        """Run the turn; return when the conversation wants attention again.

        Raises:
            ChatwootBotError: a step failed and no step after it has run; the worker
                decides when to try again.
        """
        situation = await self._load()
        end = await self._work(situation)
        # Last, and never in the way of an answer. A status that this turn itself has
        # asked for makes the conversation due again at once.
        look_at = end.look_at
        if situation.conversation.wanted_status is not None:
            look_at = await self._outbox.settle_status(
                (await self._load()).conversation
            )
        if self._release is not None and look_at is None:
            look_at = await self._outbox.release(situation.conversation, self._release)
        if self._end is not None and look_at is None and end.retry_at is None:
            look_at = await self._outbox.resolve(situation.conversation, self._end)
        due_at = await self.engine.db.write(
            turns.finish,
            self.lease,
            self.engine.rules,
            ending=end.ending,
            now=self.engine.clock(),
            retry_at=end.retry_at,
            look_at=look_at,
            record=end.record,
        )
        self.engine.hub.publish(self.lease.conversation_id)
        sum_up_later(
            self.engine, self.lease.conversation_id, left_out=self._drafting.leaves_out
        )
        return due_at

    async def _work(self, situation: Situation) -> End:
        """Do what the conversation needs now."""
        unsaid = situation.unsaid
        if situation.owed:
            # The contact does not wait for a summary; `finish` comes back to it.
            unsaid = [reply for reply in unsaid if not reply.is_slow]
        unsaid = self._without_end(unsaid)
        if situation.owed and self._end is not None:
            # Which drops it: the contact has more to say.
            await self._outbox.resolve(situation.conversation, self._end)
            self._end = None
        retry_at = await self._outbox.say_kept(situation.conversation, unsaid)
        if retry_at is not None:
            return End(ending=Ending.WAITING, retry_at=retry_at)
        if unsaid:
            # What has just been said is part of the transcript now.
            situation = await self._load()
        decision = await self._decide(situation)
        match decision.route:
            case Route.BOT | Route.HANDOVER:
                return await self._answer(situation, decision)
            case Route.HUMAN | Route.IGNORE:
                return await self._leave(situation, decision)

    async def _decide(self, situation: Situation) -> Decision:
        policy = self.engine.rules.policy
        decision = decide(
            situation.owed,
            situation.conversation,
            human_mode=situation.human_mode,
            policy=policy,
        )
        if decision.route is not Route.BOT:
            return decision
        now, conversation = self.engine.clock(), situation.conversation
        borne = NO_STRAIN
        if policy.is_strict(conversation):
            borne = await self.engine.db.glance(strain, conversation, policy, now=now)
        owed_since = self._since(min(message.owed_at for message in situation.owed))
        tired = give_up(
            conversation, owed_since=owed_since, now=now, policy=policy, strain=borne
        )
        return tired or decision

    async def _answer(self, situation: Situation, decision: Decision) -> End:
        """Find out what to say, and say it."""
        conversation = situation.conversation
        typing = _Typing(self._channel(conversation), conversation)
        drafting = self._drafting
        try:
            typing.on()
            situation, decision = await self._read(situation, decision)
            drafts, decision = await drafting.draft(situation, decision)
            if not await self._outbox.look_again(conversation):
                drafts, decision = drafting.as_notes(situation, drafts, decision)
            record = self._record(decision, "kept", draft=drafting.withheld)
            verdict, kept = await self.engine.db.write(
                turns.keep,
                self.lease,
                record,
                seen=conversation,
                answered=situation.owed,
                drafts=drafts,
                settles=drafting.has_effects,
                now=self.engine.clock(),
            )
            if verdict is not Verdict.KEPT:
                return self._overtaken(decision, str(verdict))
            if decision.route is Route.BOT:
                drafting.spoken()
            return await self._say(situation, decision, kept, typing)
        except Interrupted as interrupted:
            return self._overtaken(decision, str(interrupted))
        finally:
            await drafting.close()
            await typing.off()

    async def _read(
        self, situation: Situation, decision: Decision
    ) -> tuple[Situation, Decision]:
        """Read the attachments, and decide again: a voice note may ask for a human."""
        if self.engine.media is None or decision.route is not Route.BOT:
            return situation, decision
        reading = self.engine.media.read(situation.transcript, self._keep_reading)
        try:
            transcript = await self._thinking.think(
                reading, for_s=self._drafting.time_left_s(situation)
            )
        except TimeoutError:
            return situation, decision  # which is all the responder will be told
        if transcript is situation.transcript:
            return situation, decision
        owed = [message for message in transcript if message.owed]
        situation = dataclasses.replace(situation, owed=owed, transcript=transcript)
        return situation, await self._decide(situation)

    async def _keep_reading(self, message: Message) -> None:
        await self.engine.db.write(keep_reading, self.lease, message)

    async def _say(
        self,
        situation: Situation,
        decision: Decision,
        kept: Sequence[Reply],
        typing: "_Typing",
    ) -> End:
        """Deliver what has just been kept, and tell Chatwoot the status in between.

        First what the contact reads; then the marks by which agents know what they
        see, the status, and whose the conversation is; then the notes.
        """
        conversation = situation.conversation
        self.log.info("reply stored", route=str(decision.route), reason=decision.reason)
        if decision.route is Route.HANDOVER:
            self.engine.metrics.handovers.labels(decision.reason).inc()
        public = list(takewhile(lambda reply: reply.kind not in FOR_AGENTS, kept))
        first = max(len(public), 1)
        retry_at, look_at = await self._outbox.say_new(conversation, kept[:first]), None
        typing.stop()
        rest = self._without_end(kept[first:])
        if decision.route is Route.HANDOVER:
            marks = list(takewhile(_is_mark, rest))
            rest = rest[len(marks) :]
            if retry_at is None:
                retry_at = await self._outbox.say_kept(conversation, marks)
            # Agents see the conversation before its summary is written.
            called = (await self._load()).conversation
            look_at = await self._outbox.settle_status(called)
        if retry_at is None:
            retry_at = await self._outbox.say_kept(conversation, rest)
        if retry_at is None:
            waited = self.engine.clock() - situation.owed[0].owed_at
            self.engine.metrics.answer_seconds.observe(waited)
        self._count(decision, "answered")
        ending = Ending.DONE if retry_at is None else Ending.WAITING
        return End(ending=ending, retry_at=retry_at, look_at=look_at)

    def _without_end(self, replies: Sequence[Reply]) -> list[Reply]:
        """Return what is to be said now; what ends it comes when all else is done."""
        for reply in replies:
            if reply.kind is ReplyKind.RESOLVE:
                self._end = reply
            elif reply.kind is ReplyKind.RELEASE:
                self._release = reply
        ends = (ReplyKind.RESOLVE, ReplyKind.RELEASE)
        return [reply for reply in replies if reply.kind not in ends]

    async def _leave(self, situation: Situation, decision: Decision) -> End:
        """Send nothing: an agent answers, or no answer is needed."""
        if not situation.owed:
            return End()
        await self.engine.db.write(
            turns.leave,
            self.lease,
            seen=situation.owed,
            now=self.engine.clock(),
            ignored=decision.route is Route.IGNORE,
        )
        self.log.info("conversation left to agents", reason=decision.reason)
        self._count(decision, "silent")
        return End(record=self._record(decision, "silent"))

    def _overtaken(self, decision: Decision, reason: str) -> End:
        """Drop the draft; the next turn answers the unanswered messages."""
        self.is_overtaken = True
        self.log.info("draft dropped", reason=reason)
        self._count(decision, "dropped")
        ending = Ending.DONE
        if reason == Verdict.SUPERSEDED:
            ending = Ending.SUPERSEDED
        record = self._record(decision, reason, draft=self._drafting.unsaid)
        return End(ending=ending, record=record)

    async def _load(self) -> Situation:
        situation = await self.engine.db.glance(
            turns.load, self.lease, history=self.engine.history
        )
        bot = self.engine.serving(situation.conversation.inbox)
        if bot is not self.engine:
            self._use(bot)
        self.version = situation.conversation.version
        self.failures = situation.conversation.failures
        return situation

    def _channel(self, conversation: Conversation) -> Channel:
        return self.engine.channels[conversation.channel]

    def _count(self, decision: Decision, outcome: str) -> None:
        self.engine.metrics.turns.labels(str(decision.route), outcome).inc()

    def _record(
        self, decision: Decision, outcome: str, *, draft: str | None = None
    ) -> TurnRecord:
        drafting = self._drafting
        return TurnRecord(
            id=self.id,
            conversation_id=self.lease.conversation_id,
            decision=decision.route,
            reason=decision.reason,
            outcome=outcome,
            model=drafting.model,
            tokens=drafting.bill.tokens or None,
            estimated=drafting.bill.estimated,
            cost=drafting.bill.cost,
            draft=draft,
            finish_reason=drafting.finish_reason,
            tools=drafting.calls,
            sources=[dataclasses.asdict(each) for each in drafting.sources],
            started_at=self.started_at,
            latency_ms=round((self.engine.clock() - self.started_at) * 1000),
        )


def _is_mark(reply: Reply) -> bool:
    return reply.kind is ReplyKind.ROUTING and not reply.follows_status


class _Typing:
    """The typing indicator of one turn: on while it runs, off afterwards.

    It runs beside the turn, because a slow indicator must not slow the answer.
    """

    def __init__(self, channel: Channel, conversation: Conversation) -> None:
        self._channel = channel
        self._conversation = conversation
        self._task: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None

    def on(self) -> None:
        self._task = asyncio.create_task(
            self._channel.typing(self._conversation, on=True)
        )

    def stop(self) -> None:
        """Hide it from now on; `off` waits until that is done."""
        if self._task is not None and self._end is None:
            self._end = asyncio.create_task(self._hide(self._task))

    async def off(self) -> None:
        self.stop()
        if self._end is not None:
            await self._end

    async def _hide(self, shown: asyncio.Task[None]) -> None:
        await shown
        await self._channel.typing(self._conversation, on=False)
