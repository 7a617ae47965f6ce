"""One answer, from a leased conversation to a delivered reply. Read this first.

    load        what is owed, what was kept and not yet said, who holds it
    say kept    first finish what an earlier turn began
    decide      ignore, human, handover or bot, with a reason
    read        what the contact has sent besides text
    think       ask the responder, which may use tools; cancelled when the contact or
                an agent speaks
    guard       withhold an answer that gives away the bot's instructions
    look again  ask Chatwoot who holds the conversation now
    keep        the reply, its key and what it answers, in one transaction
    say         deliver it through the channel
    finish      give the lease back; sum up, beside it, what the model sees no more

The conversation is the unit of work: a turn answers everything that is owed,
together, once. What is kept is said by this turn or by the next one that leases the
conversation, in this process or another.
"""

import asyncio
import dataclasses
import secrets
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from .briefing import brief
from .channels.base import Channel
from .core.conversation import Conversation, Message
from .core.decision import NO_STRAIN, Decision, Route, decide, give_up
from .core.outgoing import compose, note_instead
from .core.routing import Routing
from .engine import Engine
from .errors import ResponderError
from .guard import Guard
from .hub import Speech
from .memory import sum_up_later
from .outbox import Outbox
from .responders.base import Answer, Assignment, Listener, Responder
from .store import turns
from .store.leases import Lease
from .store.readings import keep_reading
from .store.replies import FOR_AGENTS, Draft, Reply, ReplyKind
from .store.spending import Bill
from .store.strain import strain
from .store.turns import Ending, Situation, TurnRecord, Verdict
from .tools.journal import Journal
from .tools.toolbox import Toolbox

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a turn ends; see `turns.finish`."""

    ending: Ending = Ending.DONE
    retry_at: float | None = None
    look_at: float | None = None
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
        self.failures = 0
        self._interrupted: str | None = None
        self._thinking: asyncio.Task[Any] | None = None
        self._speech: Speech | None = None
        self._toolbox: Toolbox | None = None
        self._bill = Bill(tokens=0, cost=None)
        self._model: str | None = None
        self._unsaid: str | None = None
        self._withheld: str | None = None
        self._forgets = False
        self.log = log.bind(conversation=lease.conversation_id, turn=self.id)
        self._outbox = Outbox(engine, lease, self.log)

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
        end = await self._work(situation)
        # Last, and never in the way of an answer. A status that this turn itself has
        # asked for makes the conversation due again at once.
        look_at = end.look_at
        if situation.conversation.wanted_status is not None:
            look_at = await self._outbox.settle_status(
                (await self._load()).conversation
            )
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
        sum_up_later(self.engine, self.lease.conversation_id, left_out=self._forgets)
        return due_at

    async def _work(self, situation: Situation) -> End:
        """Do what the conversation needs now."""
        unsaid = situation.unsaid
        if situation.owed:
            # The contact does not wait for a summary; `finish` comes back to it.
            unsaid = [reply for reply in unsaid if not reply.is_slow]
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
        if policy.is_strict:
            borne = await self.engine.db.read(strain, conversation, policy, now=now)
        tired = give_up(conversation, now=now, policy=policy, strain=borne)
        return tired or decision

    async def _answer(self, situation: Situation, decision: Decision) -> End:
        """Find out what to say, and say it."""
        conversation = situation.conversation
        typing = _Typing(self._channel(conversation), conversation)
        if conversation.channel == "web":
            self._speech = Speech(self.engine.hub, conversation.id, self.id)
        try:
            typing.on()
            situation, decision = await self._read(situation, decision)
            drafts, decision = await self._draft(situation, decision)
            self._unsaid = _public_text(drafts)
            if not await self._outbox.look_again(conversation):
                drafts, decision = self._as_notes(situation, drafts, decision)
            record = self._record(decision, "kept", draft=self._withheld)
            verdict, kept = await self.engine.db.write(
                turns.keep,
                self.lease,
                record,
                seen=conversation,
                answered=situation.owed,
                drafts=drafts,
                settles=self._toolbox is not None and self._toolbox.has_effects,
                now=self.engine.clock(),
            )
            if verdict is not Verdict.KEPT:
                return self._overtaken(decision, str(verdict))
            if self._speech is not None and decision.route is Route.BOT:
                self._speech.close()
            return await self._say(situation, decision, kept)
        except Interrupted as interrupted:
            return self._overtaken(decision, str(interrupted))
        finally:
            if self._speech is not None:
                self._speech.forget()
            if self._toolbox is not None:
                await self._toolbox.wait()
            await typing.off()

    async def _read(
        self, situation: Situation, decision: Decision
    ) -> tuple[Situation, Decision]:
        """Read the attachments, and decide again: a voice note may ask for a human."""
        if self.engine.media is None or decision.route is not Route.BOT:
            return situation, decision
        reading = self.engine.media.read(situation.transcript, self._keep_reading)
        try:
            transcript = await self._in_time(situation, reading)
        except TimeoutError:
            return situation, decision  # which is all the responder will be told
        if transcript is situation.transcript:
            return situation, decision
        owed = [message for message in transcript if message.owed]
        situation = dataclasses.replace(situation, owed=owed, transcript=transcript)
        return situation, await self._decide(situation)

    async def _keep_reading(self, message: Message) -> None:
        await self.engine.db.write(keep_reading, self.lease, message)

    async def _draft(
        self, situation: Situation, decision: Decision
    ) -> tuple[Sequence[Draft], Decision]:
        """Return what to say, and why."""
        if decision.route is Route.HANDOVER:
            drafts = await self._handover(situation, decision.reason, decision.detail)
            return drafts, decision
        assignment = await self._assignment(situation)
        guard = Guard(self.engine.guardrail, situation.transcript, assignment.toolbox)
        decision, answer = await self._ask(situation, decision, assignment, guard)
        if answer is None:
            return await self._handover(situation, decision.reason), decision
        decision = self._judge(decision, answer, guard)
        if decision.route is Route.HANDOVER:
            drafts = await self._handover(situation, decision.reason, decision.detail)
        else:
            drafts = self._speak(situation.conversation, self._defused(answer, guard))
        return [*drafts, *self._beside(decision, guard)], decision

    async def _ask(
        self,
        situation: Situation,
        decision: Decision,
        assignment: Assignment,
        guard: Guard,
    ) -> tuple[Decision, Answer | None]:
        """Return the responder's answer, or None and why a human is called instead."""
        listener = guard.listens(self._speech)
        try:
            answer = await self._in_time(situation, self._respond(assignment, listener))
        except TimeoutError:
            return Decision(Route.HANDOVER, "answer_deadline"), None
        except ResponderError as error:
            self.engine.metrics.model_failures.inc()
            self.log.warning("model failed", error=str(error))
            if self.engine.fallback is None:
                return Decision(Route.HANDOVER, "model_failed"), None
            decision = Decision(Route.BOT, "model_failed")
            answer = await self._fall_back(self.engine.fallback, assignment, listener)
        self._bill, self._model = self.engine.bill(answer), answer.model
        return decision, answer

    def _judge(self, decision: Decision, answer: Answer, guard: Guard) -> Decision:
        """Return *decision*, or why the answer is not said and a human is called."""
        why = answer.handover
        if why is None and self._toolbox is not None:
            why = self._toolbox.handover
        if why is not None:
            return Decision(Route.HANDOVER, "model_asked", guard.safe(why))
        if guard.withholds(answer):
            self._withheld = answer.text
            self.engine.metrics.guarded.labels("withheld").inc()
            return Decision(Route.HANDOVER, "guardrail")
        return decision

    def _defused(self, answer: Answer, guard: Guard) -> Answer:
        defused = guard.defused(answer)
        if defused.text != answer.text:
            self.engine.metrics.guarded.labels("defused").inc()
        return defused

    def _speak(self, conversation: Conversation, answer: Answer) -> Sequence[Draft]:
        channel = conversation.chatwoot_channel or conversation.channel
        parts = compose(answer.text, answer.options, channel)
        return [Draft(ReplyKind.ANSWER, *part) for part in parts]

    async def _respond(
        self, assignment: Assignment, listener: Listener | None
    ) -> Answer:
        answer = await self.engine.responder.respond(assignment, listener)
        called = answer.handover or (assignment.toolbox and assignment.toolbox.handover)
        if not answer.text.strip() and not called:
            raise ResponderError("the answer is empty", retryable=False)
        return answer

    async def _fall_back(
        self, fallback: Responder, assignment: Assignment, listener: Listener | None
    ) -> Answer:
        """Have *fallback* answer; nothing of the other's attempt goes with it."""
        if listener is not None:
            listener.forget()
        if assignment.toolbox is not None:
            assignment.toolbox.begin_again()
        return await self._think(fallback.respond(assignment, listener))

    async def _assignment(self, situation: Situation) -> Assignment:
        """Return what the responder is told, and what it may do."""
        conversation = situation.conversation
        for_agents = self._channel(conversation).takes_notes
        tools = [
            tool
            for tool in self.engine.tools
            if (for_agents or not tool.for_agents)
            and (tool.offered is None or await tool.offered())
        ]
        self._toolbox = Toolbox(
            tools,
            Journal(
                db=self.engine.db,
                lease=self.lease,
                turn_id=self.id,
                clock=self.engine.clock,
            ),
            conversation=conversation,
            transcript=situation.transcript,
            now=self.engine.clock(),
        )
        await self._toolbox.open()
        told = await brief(self.engine, situation)
        self._forgets = told.leaves_out
        return Assignment(
            transcript=told.shown,
            conversation=conversation,
            toolbox=self._toolbox,
            turn_id=self.id,
            facts=told.facts,
            memory=told.memory,
        )

    def _beside(self, decision: Decision, guard: Guard) -> Sequence[Draft]:
        """Return what the model has asked for besides an answer."""
        toolbox = self._toolbox
        if toolbox is None:
            return ()
        drafts = [Draft(ReplyKind.NOTE, guard.safe(n)) for n in toolbox.notes]
        if toolbox.labels:
            labels = Routing(labels=tuple(toolbox.labels))
            drafts.append(Draft(ReplyKind.LABELS, labels.to_json()))
        if toolbox.resolve and decision.route is Route.BOT:
            drafts.append(Draft(ReplyKind.RESOLVE, ""))
        return drafts

    async def _in_time(
        self, situation: Situation, thought: Coroutine[Any, Any, T]
    ) -> T:
        """Await *thought*, but no longer than the contact can be asked to wait.

        Raises:
            TimeoutError: the contact has waited long enough.
        """
        waited = self.engine.clock() - situation.owed[0].owed_at
        left = self.engine.rules.policy.answer_deadline_s - waited
        async with asyncio.timeout(left if left < 1e9 else None):
            return await self._think(thought)

    async def _think(self, thought: Coroutine[Any, Any, T]) -> T:
        """Await *thought* in a task of its own, so that `interrupt` can stop it."""
        if self._interrupted is not None:
            thought.close()
            raise Interrupted(self._interrupted)
        self._thinking = task = asyncio.create_task(thought)
        try:
            return await task
        except asyncio.CancelledError:
            turn = asyncio.current_task()
            if self._interrupted is None or (turn is not None and turn.cancelling()):
                raise  # shutdown, or the lease is lost
            raise Interrupted(self._interrupted) from None
        finally:
            self._thinking = None

    async def _handover(
        self, situation: Situation, reason: str, detail: str = ""
    ) -> Sequence[Draft]:
        channel = self._channel(situation.conversation)
        handover, transcript = self.engine.handover, situation.transcript
        text = handover.tell(
            transcript,
            reason,
            now=self.engine.clock(),
            someone_online=await channel.someone_online(situation.conversation),
        )
        parts = compose(text, (), situation.conversation.chatwoot_channel)
        drafts = [Draft(ReplyKind.HANDOVER, *part) for part in parts]
        if channel.takes_notes:
            drafts += handover.for_agents(transcript, reason, detail)
        return drafts

    def _as_notes(
        self, situation: Situation, drafts: Sequence[Draft], decision: Decision
    ) -> tuple[Sequence[Draft], Decision]:
        """Return what agents get when a reply would not reach the contact."""
        public = [draft for draft in drafts if draft.kind not in FOR_AGENTS]
        rest = [draft for draft in drafts if draft.kind in FOR_AGENTS]
        if decision.route is Route.BOT:
            decision = Decision(Route.HANDOVER, "cannot_reply")
            handover = self.engine.handover
            rest = [draft for draft in rest if draft.kind is not ReplyKind.RESOLVE]
            rest += handover.for_agents(situation.transcript, decision.reason)
        note = note_instead("\n\n".join(draft.content for draft in public))
        return [Draft(ReplyKind.NOTE, note), *rest], decision

    async def _say(
        self, situation: Situation, decision: Decision, kept: Sequence[Reply]
    ) -> End:
        """Deliver what has just been kept, then tell Chatwoot the status."""
        conversation = situation.conversation
        self.log.info("reply kept", route=str(decision.route), reason=decision.reason)
        if decision.route is Route.HANDOVER:
            self.engine.metrics.handovers.labels(decision.reason).inc()
        retry_at, look_at = await self._outbox.say_new(conversation, kept[:1]), None
        if decision.route is Route.HANDOVER:
            # Agents see the conversation before its summary is written.
            called = (await self._load()).conversation
            look_at = await self._outbox.settle_status(called)
        # Whether the conversation is over shows later; the next turn sees to that.
        rest = [reply for reply in kept[1:] if reply.kind is not ReplyKind.RESOLVE]
        if retry_at is None:
            retry_at = await self._outbox.say_kept(conversation, rest)
        if retry_at is None:
            waited = self.engine.clock() - situation.owed[0].created_at
            self.engine.metrics.answer_seconds.observe(waited)
        self._count(decision, "answered")
        ending = Ending.DONE if retry_at is None else Ending.WAITING
        return End(ending=ending, retry_at=retry_at, look_at=look_at)

    async def _leave(self, situation: Situation, decision: Decision) -> End:
        """Say nothing: a human answers, or nobody need."""
        if not situation.owed:
            return End()
        await self.engine.db.write(turns.leave, self.lease, seen=situation.owed)
        self.log.info("left to a human", reason=decision.reason)
        self._count(decision, "silent")
        return End(record=self._record(decision, "silent"))

    def _overtaken(self, decision: Decision, reason: str) -> End:
        """Drop the draft; what is still owed is answered by the next turn."""
        self.log.info("draft dropped", reason=reason)
        self._count(decision, "dropped")
        ending = Ending.DONE
        if reason == Verdict.SUPERSEDED:
            ending = Ending.SUPERSEDED
        draft = self._unsaid or (self._speech and self._speech.text) or None
        record = self._record(decision, reason, draft=draft)
        return End(ending=ending, record=record)

    async def _load(self) -> Situation:
        situation = await self.engine.db.read(
            turns.load, self.lease, history=self.engine.history
        )
        bot = self.engine.serving(situation.conversation.inbox)
        if bot is not self.engine:
            self.engine, self._outbox = bot, Outbox(bot, self.lease, self.log)
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
        toolbox = self._toolbox
        return TurnRecord(
            id=self.id,
            conversation_id=self.lease.conversation_id,
            decision=decision.route,
            reason=decision.reason,
            outcome=outcome,
            model=self._model,
            tokens=self._bill.tokens or None,
            cost=self._bill.cost,
            draft=draft,
            tools=toolbox.calls if toolbox else (),
            sources=[dataclasses.asdict(each) for each in toolbox.sources]
            if toolbox
            else (),
            started_at=self.started_at,
            latency_ms=round((self.engine.clock() - self.started_at) * 1000),
        )


def _public_text(drafts: Sequence[Draft]) -> str:
    return "\n\n".join(d.content for d in drafts if d.kind not in FOR_AGENTS)


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
