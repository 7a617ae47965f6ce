"""What a turn says: asked of the responder, looked over, and cut to fit the channel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from .briefing import brief
from .core.answer_text import answer_in
from .core.conversation import Conversation
from .core.decision import Decision, Route
from .core.notes import Done
from .core.outgoing import compose, note_instead
from .core.routing import Routing
from .engine import Engine
from .errors import ResponderError
from .guard import Guard
from .hub import Speech
from .responders.base import Answer, Assignment, Listener, Meter, Responder
from .responders.listening import AnswerListener
from .responders.places import Patience
from .store.calls_made import calls_made, done_of
from .store.leases import Lease
from .store.replies import FOR_AGENTS, Draft, ReplyKind
from .store.spending import NOTHING
from .store.turns import Situation
from .thinking import Thinking
from .tools.base import Source
from .tools.journal import Journal
from .tools.toolbox import Toolbox

# Of Chatwoot's clock, which dates messages, against ours, which dates turns.
SKEW_S = 60.0


class Drafting:
    """Find out what to say in one turn.

    Args:
        since: returns from when on the contact's time limits count, of when they asked.

    Attributes:
        model: that wrote the answer; None without an answer.
        bill: what that took.
        withheld: an answer that gave away what it must not.
        leaves_out: the transcript was too long for the model.
        finish_reason: how the model's server says that its answer ended.
    """

    def __init__(
        self,
        engine: Engine,
        lease: Lease,
        thinking: Thinking,
        *,
        turn_id: str,
        since: Callable[[float], float],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self.model: str | None = None
        self.bill = NOTHING
        self._meter = Meter()
        self._patience = Patience()
        self._since = since
        self.withheld: str | None = None
        self.leaves_out = False
        self.finish_reason: str | None = None
        self._engine = engine
        self._lease = lease
        self._thinking = thinking
        self._turn_id = turn_id
        self._log = log
        self._toolbox: Toolbox | None = None
        self._speech: Speech | None = None
        self._text: str | None = None
        self._guard: Guard | None = None

    async def draft(
        self, situation: Situation, decision: Decision
    ) -> tuple[Sequence[Draft], Decision]:
        """Return what to say, and why; the answer may turn out to be a handover."""
        try:
            drafts, decision = await self._find(situation, decision)
        finally:
            # Also of what was stopped, or has failed and came to a handover.
            for reading in self._meter.take():
                self.bill += self._engine.bill_for(*reading)
        self._text = _public_text(drafts)
        return drafts, decision

    async def _find(
        self, situation: Situation, decision: Decision
    ) -> tuple[Sequence[Draft], Decision]:
        if decision.route is Route.HANDOVER:
            drafts = await self._handover(situation, decision.reason, decision.detail)
            return drafts, decision
        if situation.conversation.channel == "web":
            hub, conversation_id = self._engine.hub, situation.conversation.id
            self._speech = Speech(hub, conversation_id, self._turn_id)
        assignment = await self._assignment(situation)
        self._guard = guard = Guard(
            self._engine.guardrail,
            situation.transcript,
            assignment.toolbox,
            told=(assignment.facts, assignment.memory),
        )
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
        """Return the responder's answer, or None and the reason for a handover."""
        listener = guard.listens(self._speech)
        if listener is not None:
            listener = AnswerListener(listener, _names(assignment))
        try:
            answer = await self._thinking.think(
                self._respond(assignment, listener),
                for_s=self.time_left_s(situation),
                waited_s=lambda: self._patience.waited_s,
            )
        except TimeoutError:
            return Decision(Route.HANDOVER, "answer_deadline"), None
        except ResponderError as error:
            self._engine.metrics.model_failures.inc()
            self._log.warning("model failed", error=str(error))
            self.finish_reason = error.finish_reason
            if self._engine.fallback is None:
                return Decision(Route.HANDOVER, "model_failed"), None
            decision = Decision(Route.BOT, "model_failed")
            answer = await self._fall_back(self._engine.fallback, assignment, listener)
        self.model = answer.model
        self.finish_reason = answer.finish_reason or self.finish_reason
        return decision, answer

    def _judge(self, decision: Decision, answer: Answer, guard: Guard) -> Decision:
        """Return *decision*, or the handover that replaces its answer."""
        why = answer.handover
        if why is None and self._toolbox is not None:
            why = self._toolbox.handover
        if why is not None:
            return Decision(Route.HANDOVER, "model_asked", guard.for_agents(why))
        if answer.declined:
            return Decision(Route.HANDOVER, answer.declined)
        if guard.withholds(answer):
            self.withheld = answer.text
            self._engine.metrics.guarded.labels("withheld").inc()
            return Decision(Route.HANDOVER, "guardrail")
        return decision

    def _defused(self, answer: Answer, guard: Guard) -> Answer:
        defused = guard.defused(answer)
        if defused.text != answer.text:
            self._engine.metrics.guarded.labels("defused").inc()
        return defused

    def _speak(self, conversation: Conversation, answer: Answer) -> Sequence[Draft]:
        channel = conversation.chatwoot_channel or conversation.channel
        parts = compose(answer.text, answer.options, channel)
        return [Draft(ReplyKind.ANSWER, *part) for part in parts]

    async def _respond(
        self, assignment: Assignment, listener: Listener | None
    ) -> Answer:
        answer = await self._metered(self._engine.responder, assignment, listener)
        called = answer.handover or (assignment.toolbox and assignment.toolbox.handover)
        if not answer.text.strip() and not called and not answer.declined:
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
        return await self._thinking.think(self._metered(fallback, assignment, listener))

    async def _metered(
        self, responder: Responder, assignment: Assignment, listener: Listener | None
    ) -> Answer:
        """Have *responder* answer, and bill one that knows no meter."""
        before = len(self._meter.readings)
        answer = await responder.respond(assignment, listener)
        if len(self._meter.readings) == before:
            self._meter.add(answer.model, answer.usage)
        # Whoever wrote it: thoughts and calls are no answer.
        return replace(answer, text=answer_in(answer.text, _names(assignment)))

    async def _assignment(self, situation: Situation) -> Assignment:
        """Return what the responder is told, and what it may do."""
        conversation = situation.conversation
        for_agents = self._engine.channels[conversation.channel].takes_notes
        tools = [
            tool
            for tool in self._engine.tools
            if (for_agents or not tool.for_agents)
            and await tool.is_of_use(conversation, self._engine.clock())
        ]
        self._toolbox = Toolbox(
            tools,
            Journal(
                db=self._engine.db,
                lease=self._lease,
                turn_id=self._turn_id,
                clock=self._engine.clock,
            ),
            conversation=conversation,
            transcript=situation.transcript,
            now=self._engine.clock(),
        )
        await self._toolbox.open()
        told = await brief(self._engine, situation)
        self.leaves_out = told.leaves_out
        return Assignment(
            transcript=told.shown,
            conversation=conversation,
            toolbox=self._toolbox,
            turn_id=self._turn_id,
            facts=told.facts,
            memory=told.memory,
            meter=self._meter,
            patience=self._patience,
        )

    def _beside(self, decision: Decision, guard: Guard) -> Sequence[Draft]:
        """Return what the model has asked for besides an answer."""
        toolbox = self._toolbox
        if toolbox is None:
            return ()
        drafts = [Draft(ReplyKind.NOTE, guard.for_agents(n)) for n in toolbox.notes]
        if toolbox.labels:
            labels = Routing(labels=tuple(toolbox.labels))
            drafts.append(Draft(ReplyKind.LABELS, labels.to_json()))
        if toolbox.resolve and decision.route is Route.BOT:
            drafts.append(Draft(ReplyKind.RESOLVE, ""))
        return drafts

    async def _handover(
        self, situation: Situation, reason: str, detail: str = ""
    ) -> Sequence[Draft]:
        channel = self._engine.channels[situation.conversation.channel]
        handover, transcript = self._engine.handover, situation.transcript
        text = handover.tell(
            transcript,
            reason,
            now=self._engine.clock(),
            someone_online=await channel.someone_online(situation.conversation),
        )
        parts = compose(text, (), situation.conversation.chatwoot_channel)
        drafts = [Draft(ReplyKind.HANDOVER, *part) for part in parts]
        if channel.takes_notes:
            done = await self._done(situation)
            drafts += handover.for_agents(transcript, reason, detail, done=done)
        return drafts

    async def _done(self, situation: Situation) -> Sequence[Done]:
        """Return what the model has called since the transcript began."""
        begun = min((each.created_at for each in situation.transcript), default=0.0)
        made = await self._engine.db.glance(
            calls_made, situation.conversation.id, since=begun - SKEW_S
        )
        return [*made, *done_of(self.calls)]

    def as_notes(
        self, situation: Situation, drafts: Sequence[Draft], decision: Decision
    ) -> tuple[Sequence[Draft], Decision]:
        """Return what agents get when a reply would not reach the contact."""
        public = [draft for draft in drafts if draft.kind not in FOR_AGENTS]
        rest = [draft for draft in drafts if draft.kind in FOR_AGENTS]
        if decision.route is Route.BOT:
            decision = Decision(Route.HANDOVER, "cannot_reply")
            handover = self._engine.handover
            rest = [draft for draft in rest if draft.kind is not ReplyKind.RESOLVE]
            rest += handover.for_agents(situation.transcript, decision.reason)
        text = "\n\n".join(draft.content for draft in public)
        channel = situation.conversation.chatwoot_channel
        if self._guard is not None:
            text = self._guard.for_agents(text)
        note = note_instead(text, channel, self._engine.rules.say)
        return [Draft(ReplyKind.NOTE, note), *rest], decision

    def time_left_s(self, situation: Situation) -> float:
        """Return how long the contact can still be asked to wait."""
        since = self._since(situation.owed[0].owed_at) + self._patience.waited_s
        waited = self._engine.clock() - since
        return self._engine.rules.policy.answer_deadline_s - waited

    @property
    def in_line_s(self) -> float:
        """Return how long the turn has waited for a place at the model's server."""
        return self._patience.waited_s

    @property
    def calls(self) -> Sequence[Mapping[str, Any]]:
        """What the model has called, see `Toolbox.calls`."""
        return self._toolbox.calls if self._toolbox else ()

    @property
    def sources(self) -> Sequence[Source]:
        """What the answer rests on."""
        return self._toolbox.sources if self._toolbox else ()

    @property
    def has_effects(self) -> bool:
        """Whether tools have changed anything that the answer tells of."""
        return self._toolbox is not None and self._toolbox.has_effects

    @property
    def unsaid(self) -> str | None:
        """What was going to be said, as far as it was written."""
        return self._text or (self._speech and self._speech.text) or None

    def spoken(self) -> None:
        """Let what was streamed stand: it has become a reply."""
        if self._speech is not None:
            self._speech.close()

    async def close(self) -> None:
        """Take back what was only streamed; wait for tools to come to their end."""
        if self._speech is not None:
            self._speech.forget()
            self._speech.close()  # to one as well that speaks on all the same
        if self._toolbox is not None:
            await self._toolbox.wait()


def _names(assignment: Assignment) -> Sequence[str]:
    """Return the names of the tools that are offered."""
    return [t.name for t in assignment.toolbox.tools] if assignment.toolbox else ()


def _public_text(drafts: Sequence[Draft]) -> str:
    return "\n\n".join(d.content for d in drafts if d.kind not in FOR_AGENTS)
