"""What the store's tables must show, told by what has happened: a picture of them.

Written from the README and not from the store, so that the two can disagree.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from arrivals import says, shows

from chatwoot_bot.core.conversation import Message, State, Status
from chatwoot_bot.core.events import Kind
from chatwoot_bot.outbox import MAX_BACKOFF_S
from chatwoot_bot.store import turns
from chatwoot_bot.store.arrivals import MAX_RESTARTS, Accepted, Arrival
from chatwoot_bot.store.deliveries import Outcome
from chatwoot_bot.store.leases import Lease
from chatwoot_bot.store.replies import IN_DOUBT_S, Reply, ReplyKind
from chatwoot_bot.store.turns import Ending, Verdict

NUMBERS = (150, 151)
FOR_CONTACTS = (ReplyKind.ANSWER, ReplyKind.HANDOVER)


class Fate(StrEnum):
    """What becomes of a request."""

    DONE = "done"
    UNANSWERED = "done, but the answer never came"
    LATE = "given up, and done at the last moment"
    LOST = "given up, and never done"
    UNREACHED = "no connection"
    REFUSED = "refused for good"

    @property
    def is_done(self) -> bool:
        return self in (Fate.DONE, Fate.UNANSWERED)


class Chatwoot:
    """What Chatwoot holds, and the webhooks that have not arrived yet."""

    def __init__(self) -> None:
        self.clock = 100.0
        self.status = dict.fromkeys(NUMBERS, Status.PENDING)
        self.posted: dict[str, int] = {}  # by key, in the order of posting
        self.on_the_way: list[tuple[float, int, Reply]] = []
        self.webhooks: list[Arrival] = []

    def add(self, kind: Kind, number: int, **details: Any) -> int:
        """Send the webhook of a message; return the message's id."""
        self.clock += 1
        told = {"message_id": int(self.clock), "delivery_id": f"d_{self.clock}"}
        told |= {"status": self.status[number], "clock": self.clock} | details
        self.webhooks.append(says(kind, conversation=number, **told))
        return int(self.clock)

    def set_status(self, number: int, status: Status) -> float:
        """Set the status, send its webhook if it is another; return the clock."""
        if status is not self.status[number]:
            self.clock += 1
            self.status[number] = status
            shown = shows(status, conversation=number, clock=self.clock)
            self.webhooks.append(replace(shown, delivery_id=f"d_{self.clock}"))
        return self.clock

    def post(self, number: int, reply: Reply, fate: Fate) -> None:
        """Treat a request as *fate* will have it."""
        if fate.is_done:
            self._say(number, reply)
        elif fate is Fate.LATE:
            until = reply.attempted_at + IN_DOUBT_S
            self.on_the_way.append((until, number, reply))

    def _say(self, number: int, reply: Reply) -> None:
        assert reply.key not in self.posted, "a reply is said twice"
        details = {"reply_key": reply.key, "private": reply.kind not in FOR_CONTACTS}
        self.posted[reply.key] = self.add(Kind.BOT_MESSAGE, number, **details)

    def land(self, now: float) -> None:
        """Do what was given up, at the last moment."""
        for late in [late for late in self.on_the_way if late[0] <= now]:
            self.on_the_way.remove(late)
            self._say(*late[1:])


@dataclass
class Question:
    """A contact's message."""

    number: int
    owed: bool
    turn_id: str | None = None
    is_deleted: bool = False


@dataclass
class Kept:
    """A reply; *is_promised* until something comes first.

    Attributes:
        is_in_doubt: it may have been posted without our knowing.
    """

    number: int
    kind: ReplyKind
    state: str = "open"
    is_promised: bool = True
    is_in_doubt: bool = False

    def end(self, state: str) -> None:
        if self.state == "open":
            self.state, self.is_promised = state, False

    def is_said(self) -> None:
        if self.state in ("open", "dropped"):
            self.state = "delivered"

    def is_wanted_after_all(self) -> None:
        if self.state == "dropped":
            self.state, self.is_promised = "open", True


@dataclass
class Holder:
    """Who holds a conversation.

    Attributes:
        wanted: the status that Chatwoot has still to be told.
        told: the status that it is being told; the news of it is no news.
        status_at: Chatwoot's clock at the newest status.
        given_back_at: the same, when somebody gave the bot the conversation.
        restarts: turns that were superseded in a row.
        waits_for_mode: it waits for a human because of human mode, and of nothing else.
        closed_at: Chatwoot's clock when it was last resolved.
    """

    state: State = State.AI
    status: Status = Status.PENDING
    wanted: Status | None = None
    told: Status | None = None
    status_at: float = 0.0
    given_back_at: float = 0.0
    restarts: int = 0
    waits_for_mode: bool = False
    closed_at: float = 0.0

    def sees(self, status: Status, clock: float) -> tuple[bool, bool]:
        """Believe a status.

        Returns:
            Whether the bot must fall silent, and whether an agent has handed back.
        """
        if clock < self.status_at:
            return False, False
        is_news = status not in (self.status, self.wanted, self.told)
        if is_news or status is self.wanted:
            self.wanted = None
        if status is self.told:
            self.told = None
        is_over_again = status is Status.RESOLVED is self.status
        was_resolved = self.status is Status.RESOLVED
        self.status, self.status_at = status, clock
        if is_news and status in (Status.OPEN, Status.SNOOZED):
            self.state = State.HUMAN
        elif is_news:
            self.give_back()
        elif is_over_again:
            self.given_back_at = clock
        if status is Status.RESOLVED and (is_news or is_over_again):
            self.closed_at = clock
        is_handed_back = is_news and status is Status.PENDING and not was_resolved
        return is_news and status is not Status.PENDING, is_handed_back

    def give_back(self) -> None:
        self.state, self.given_back_at = State.AI, self.status_at

    def leave_to(self, state: State, *, for_mode: bool = False) -> None:
        """Leave it to humans, and have Chatwoot show it to them."""
        self.state, self.waits_for_mode = state, for_mode
        self.show_to_humans()

    def show_to_humans(self) -> None:
        if Status.PENDING in (self.wanted or self.status, self.told):
            self.want(Status.OPEN)

    def is_shown_to_humans(self) -> bool:
        return (self.wanted or self.status) is Status.OPEN

    def want(self, status: Status) -> None:
        is_so = status is self.status and self.told in (None, status)
        self.wanted = None if is_so else status


class Picture:
    """The tables, as far as they must be as they are."""

    def __init__(self) -> None:
        self.human_mode = False
        self.holders = {number: Holder() for number in NUMBERS}
        self.questions: dict[int, Question] = {}
        self.replies: dict[str, Kept] = {}  # in the order of keeping
        self.seen: set[object] = set()  # deliveries and messages
        self.spoken: set[tuple[int, int]] = set()  # number and id of each public reply
        self.now = 0.0
        self.owed_at: dict[int, float] = {}  # when a question was handed back
        self.numbers: dict[str, int] = {}  # by the conversation's id
        self.before: dict[str, Any] = {}  # conversations, before this transaction
        self.beaten: set[str] = set()

    def may_answer(self, number: int) -> bool:
        return self.holders[number].state is State.AI and not self.human_mode

    def may_say(self, reply: Kept) -> bool:
        if reply.kind is ReplyKind.HANDOVER:
            return self.holders[reply.number].state is State.HANDOVER_PENDING
        return reply.kind is not ReplyKind.ANSWER or self.may_answer(reply.number)

    def holds(self, lease: Lease) -> bool:
        """Return whether *lease* is the newest of its conversation."""
        row = self.before.get(lease.conversation_id)
        return row is not None and row.lease == lease.token

    # What happens to the tables; named after the store's functions

    def after_accept(
        self, results: Sequence[Accepted], arrivals: Sequence[Arrival], _: object
    ) -> None:
        for arrival, result in zip(arrivals, results, strict=True):
            seen = arrival.event.conversation
            if result.conversation_id is not None:
                self.numbers[result.conversation_id] = seen.display_id
            if not self._is_new(arrival.delivery_id):
                assert result.outcome is Outcome.DUPLICATE
                continue
            self.now = arrival.received_at
            holder = self.holders[seen.display_id]
            is_silent, is_back = holder.sees(seen.status, seen.updated_at)
            if is_silent:
                self._fall_silent(seen.display_id)
            if is_back:
                self._owe_unanswered(seen.display_id)
            if arrival.event.message is not None:
                self._hear(arrival, seen.display_id, seen.updated_at)

    def _is_new(self, each: object) -> bool:
        is_new = each not in self.seen
        self.seen.add(each)
        return is_new

    def _hear(self, arrival: Arrival, number: int, clock: float) -> None:
        message, kind = arrival.event.message, arrival.event.kind
        key = message.external_id
        if kind is Kind.DELETED:
            self._delete(key, number)
        elif kind is Kind.UNDELIVERED:
            self._not_arrived(self.replies[message.reply_key], message)
        elif kind is Kind.BOT_MESSAGE:
            self._say(self.replies[message.reply_key], key)
        elif not self._is_new(key):
            pass
        elif kind is Kind.CONTACT_MESSAGE:
            self._ask(key, number, message.content)
        elif kind is Kind.AGENT_REPLY:
            self._reply(key, number, clock)
        elif kind is Kind.AGENT_NOTE:
            self._obey(message.content, number)
            self.replies[f"note_1_{key}"] = Kept(number, ReplyKind.NOTE)

    def _reply(self, key: int, number: int, clock: float) -> None:
        self.spoken.add((number, key))
        if clock >= self.holders[number].given_back_at:
            self.holders[number].leave_to(State.HUMAN)
            self._fall_silent(number)

    def _say(self, reply: Kept, message_id: int) -> None:
        reply.is_said()
        if reply.kind in FOR_CONTACTS:
            self.spoken.add((reply.number, message_id))

    def _delete(self, key: int, number: int) -> None:
        deleted = self.questions.setdefault(key, Question(number, owed=False))
        deleted.owed, deleted.is_deleted = False, True
        self.seen.add(key)

    def _ask(self, key: int, number: int, content: str) -> None:
        holder = self.holders[number]
        owed = self.may_answer(number) and holder.status is not Status.RESOLVED
        self.questions[key] = Question(number, owed)
        if self.human_mode:
            if holder.state is State.AI and holder.status is not Status.RESOLVED:
                holder.leave_to(State.HANDOVER_PENDING, for_mode=True)
                self._fall_silent(number)
            holder.show_to_humans()
        elif owed and "human" not in content and holder.is_shown_to_humans():
            holder.want(Status.PENDING)

    def _not_arrived(self, reply: Kept, message: Any) -> None:
        if reply.state == "dead":
            return
        reply.state, reply.is_promised = "dead", False
        note = f"{message.reply_key}.undelivered.{message.external_id}"
        self.replies[note] = Kept(reply.number, ReplyKind.NOTE)
        if self.holders[reply.number].state is State.AI:
            self.holders[reply.number].leave_to(State.HANDOVER_PENDING)
            self._fall_silent(reply.number)

    def _obey(self, note: str, number: int) -> None:
        if note == "/bot off":
            self.holders[number].leave_to(State.HUMAN)
            self._fall_silent(number)
        elif note == "/bot on":
            self._hand_back(number)

    def _hand_back(self, number: int) -> None:
        holder = self.holders[number]
        holder.give_back()
        self._owe_unanswered(number)
        if holder.status is not Status.RESOLVED:
            holder.want(Status.PENDING)

    def _owe_unanswered(self, number: int) -> None:
        """Owe what the contact wrote since the last reply, or look for its answer."""
        holder = self.holders[number]
        if holder.status is Status.RESOLVED:
            return
        replied = [each for of, each in self.spoken if of == number]
        last = max([holder.closed_at, *replied])
        for key, question in self.questions.items():
            waits = question.number == number and key > last and not question.owed
            if not waits or question.is_deleted:
                continue
            answers = self._answers(question.turn_id)
            if any(reply.state in ("open", "delivered") for reply in answers):
                continue
            if any(r.state == "dropped" and r.is_in_doubt for r in answers):
                for reply in answers:
                    reply.is_wanted_after_all()
                continue
            question.owed, self.owed_at[key] = True, self.now

    def _answers(self, turn_id: str | None) -> list[Kept]:
        return [
            reply
            for key, reply in self.replies.items()
            if turn_id and key.startswith(f"{turn_id}.")
            if reply.kind is ReplyKind.ANSWER
        ]

    def _fall_silent(self, number: int) -> None:
        """A human or a resolve came first: what is not said yet is not owed."""
        for question in self.questions.values():
            question.owed = question.owed and question.number != number
        for reply in self.replies.values():
            if reply.number == number and reply.kind in FOR_CONTACTS:
                reply.end("dropped")

    def after_hold(
        self, _: Accepted, *, display_id: int, enabled: bool, now: float, **__: object
    ) -> None:
        self.now, holder = now, self.holders[display_id]
        if not enabled:
            self._hand_back(display_id)
            return
        holder.state, holder.waits_for_mode = State.HUMAN, False
        self._fall_silent(display_id)
        if holder.status is not Status.RESOLVED:
            holder.want(Status.OPEN)

    def after_set_human_mode(self, _: None, *, enabled: bool) -> None:
        self.human_mode = enabled

    def after_end_human_mode(self, _: object, *, now: float, **__: object) -> None:
        self.now = now
        for number, holder in self.holders.items():
            if holder.state is State.HANDOVER_PENDING and holder.waits_for_mode:
                self._hand_back(number)

    def after_keep(
        self,
        result: tuple[Verdict, Sequence[Reply]],
        lease: Lease,
        record: turns.TurnRecord,
        *,
        answered: Sequence[Message],
        **_: object,
    ) -> None:
        verdict, kept = result
        number = self.numbers[lease.conversation_id]
        mine = {key: q for key, q in self.questions.items() if q.number == number}
        owed = {key for key, question in mine.items() if question.owed}
        seen = {message.external_id for message in answered}
        is_over = self.holders[number].restarts >= MAX_RESTARTS
        if verdict is not Verdict.KEPT:
            assert verdict is Verdict.SILENCED or not is_over, "a talker gets no answer"
            return
        assert seen & owed and self.may_answer(number), "the bot pushes in"
        assert seen == owed or is_over, "it answers something else"
        for key in seen & owed:
            mine[key].owed, mine[key].turn_id = False, record.id
        self.replies |= {reply.key: Kept(number, reply.kind) for reply in kept}
        self.replies[kept[0].key].is_in_doubt = True  # its sending follows at once
        if kept[0].kind is ReplyKind.HANDOVER:
            self.holders[number].leave_to(State.HANDOVER_PENDING)

    def after_leave(
        self, _: None, lease: Lease, *, seen: Sequence[Message], **__: object
    ) -> None:
        number = self.numbers[lease.conversation_id]
        is_resolved = self.holders[number].status is Status.RESOLVED
        for message in seen:
            if is_resolved or not self.may_answer(number):
                question = self.questions[message.external_id]
                question.turn_id = None if question.owed else question.turn_id
                question.owed = False
        if self.human_mode and not is_resolved:
            self._wait_for_human(number)

    def _wait_for_human(self, number: int) -> None:
        holder = self.holders[number]
        if holder.state is State.AI:
            holder.leave_to(State.HANDOVER_PENDING, for_mode=True)
        else:
            holder.show_to_humans()

    def after_begin_attempt(
        self, is_allowed: bool, _: Lease, reply: Reply, **__: object
    ) -> None:
        kept = self.replies[reply.key]
        if kept.state == "open" and is_allowed:
            kept.is_in_doubt = True
        if not self.may_say(kept):
            was_open = kept.state == "open"
            kept.end("dropped")
            state = self.holders[kept.number].state
            if was_open and kept.kind is ReplyKind.ANSWER and state is State.AI:
                self._fall_silent_but_owe(kept.number)
        assert is_allowed == (kept.state == "open"), "said, or not said, for no reason"

    def _fall_silent_but_owe(self, number: int) -> None:
        """Human mode came before an answer: it is not said, and a human is called."""
        for reply in self.replies.values():
            if reply.number == number and reply.kind in FOR_CONTACTS:
                reply.end("dropped")
        self.holders[number].leave_to(State.HANDOVER_PENDING, for_mode=True)

    def after_delivered(
        self,
        _: None,
        conversation: object,
        reply: Reply,
        *,
        external_id: int,
        **__: object,
    ) -> None:
        kept = self.replies[reply.key]
        if kept.state in ("open", "dropped"):
            self._say(kept, external_id)

    def after_not_delivered(
        self, _: None, reply: Reply, *, in_doubt_until: float | None, **__: object
    ) -> None:
        kept = self.replies[reply.key]
        if kept.state == "open":
            kept.is_in_doubt = in_doubt_until is not None

    def after_refused(self, _: None, lease: Lease, reply: Reply, **__: object) -> None:
        number = self.numbers[lease.conversation_id]
        self.replies[reply.key].end("dead")
        if reply.kind not in FOR_CONTACTS:
            return
        if self.holders[number].state is State.AI:
            self.holders[number].leave_to(State.HANDOVER_PENDING)
            for key, kept in self.replies.items():
                if key.startswith(f"{reply.turn_id}.") and kept.kind in FOR_CONTACTS:
                    kept.end("dead")
        self.replies[f"{reply.key}.refused"] = Kept(number, ReplyKind.NOTE)

    def after_tell_status(self, _: None, lease: Lease, status: Status) -> None:
        self.holders[self.numbers[lease.conversation_id]].told = status

    def after_status_set(
        self, _: None, lease: Lease, status: Status, *, at: float | None
    ) -> None:
        holder = self.holders[self.numbers[lease.conversation_id]]
        holder.told = None
        if status is holder.wanted:
            holder.wanted = None
        if at is not None and at >= holder.status_at and holder.status is not status:
            holder.status, holder.status_at = status, at

    def after_heartbeat(
        self, held: set[Lease], *, leases: Sequence[Lease], **_: object
    ) -> None:
        assert held == set(filter(self.holds, leases))
        self.beaten = {lease.token for lease in held}

    def after_finish(
        self, _: object, lease: Lease, *__: object, ending: Ending, **___: object
    ) -> None:
        holder = self.holders[self.numbers[lease.conversation_id]]
        if ending is Ending.SUPERSEDED:
            holder.restarts += 1
        elif ending is Ending.DONE:
            holder.restarts = 0

    # What must be true after every transaction

    def compare(
        self,
        job: Callable[..., object],
        now: float,
        questions: Iterable[Any],
        replies: Iterable[Any],
        conversations: Sequence[Any],
    ) -> None:
        """Compare the tables with the picture.

        Args:
            job: the function that has written.
        """
        stored = {row.external_id: (row.owed, row.turn_id) for row in questions}
        pictured = {key: (q.owed, q.turn_id) for key, q in self.questions.items()}
        assert stored == pictured, set(stored.items()) ^ set(pictured.items())
        stored = {row.key: row.state for row in replies}
        pictured = {key: kept.state for key, kept in self.replies.items()}
        assert stored == pictured, set(stored.items()) ^ set(pictured.items())
        for row in conversations:
            holder = self.holders[row.display_id]
            shown = row.state, row.status, row.wanted_status, row.restarts
            told = holder.state, holder.status, holder.wanted, holder.restarts
            assert shown == told, (shown, told)
            self._check_lease(row, job, now)
            self._check_times(row, questions, now)
        self.before = {row.id: row for row in conversations}

    def _check_lease(self, row: Any, job: Callable[..., object], now: float) -> None:
        """Check that one worker at a time has it, and for how long."""
        before = self.before.get(row.id, row)
        if row.lease is None:
            ends = (turns.finish, turns.reclaim)
            assert before.lease is None or job in ends, "a lease is taken away"
        elif row.lease != before.lease:
            assert before.lease is None or before.due_at <= now, "two workers have it"
            assert row.due_at == now + turns.LEASE_S
        else:
            assert job is not turns.reclaim, "a dead process keeps it"
            is_beat = job is turns.heartbeat and row.lease in self.beaten
            ends_at = now + turns.LEASE_S if is_beat else before.due_at
            assert row.due_at == ends_at, "a lease is cut short, or longer"

    def _check_times(self, row: Any, questions: Iterable[Any], now: float) -> None:
        """Check that somebody looks at it in time, if anything is left to do."""
        waits = [
            q.created_at if q.owed_at is None else q.owed_at
            for q in questions
            if q.owed and q.conversation_id == row.id
        ]
        is_busy = any(
            reply.number == row.display_id and reply.state == "open"
            for reply in self.replies.values()
        )
        if waits or is_busy or row.wanted_status or row.lease:
            assert row.due_at is not None, "nobody would ever look at it"
            assert row.due_at <= now + MAX_BACKOFF_S
        if row.attempts == 0:  # no turn has left it half done
            assert row.owed_since == min(waits, default=None)
        elif waits:
            assert row.owed_since is not None and row.owed_since <= min(waits)

    def check_promises(self, chatwoot: Chatwoot) -> None:
        """Check that everything is told, in order, once nothing is due."""
        assert not any(question.owed for question in self.questions.values())
        assert not any(reply.state == "open" for reply in self.replies.values())
        for number, holder in self.holders.items():
            assert holder.status is chatwoot.status[number] and holder.wanted is None
            promised = [
                key
                for key, reply in self.replies.items()
                if reply.number == number and reply.is_promised
            ]
            assert set(promised) <= set(chatwoot.posted), "never said"
            # A note for agents may wait for its summary while the contact is answered.
            seen = [key for key in promised if self.replies[key].kind in FOR_CONTACTS]
            said = [key for key in chatwoot.posted if key in seen]
            assert said == seen, f"out of order: {said}"
