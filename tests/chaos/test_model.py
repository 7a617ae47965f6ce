"""The store keeps its word whatever happens, and in whatever order.

Hypothesis plays contacts, agents, operators and a Chatwoot that times out, and workers
whose turns stop before everything that they ask of others: there a turn goes on, fails,
dies, or is paused until another worker has its conversation. After every transaction
the tables must be as `picture.py` says.

`CHAOS=long` plays more and longer stories, and PostgreSQL. `CHAOS_SEED=…` begins with
the seed of a story that has failed. To shorten one takes up to five minutes.

Assumed, as in `replies.IN_DOUBT_S`: a message reaches Chatwoot within 15 s of the
moment when its attempt was recorded, or never.
"""

import os
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from arrivals import RULES
from harness import new_seed
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from picture import FOR_CONTACTS, NUMBERS, Chatwoot, Fate, Picture

from chatwoot_bot.core.conversation import Sender, Status
from chatwoot_bot.core.decision import Route, decide
from chatwoot_bot.core.events import Kind
from chatwoot_bot.errors import LeaseLostError, StoreError
from chatwoot_bot.outbox import MAX_BACKOFF_S
from chatwoot_bot.store import human, replies, schema, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.arrivals import MAX_RESTARTS
from chatwoot_bot.store.engine import make_engine, normal_url
from chatwoot_bot.store.leases import Lease
from chatwoot_bot.store.migrations import upgrade
from chatwoot_bot.store.replies import IN_DOUBT_S, Draft, Reply, ReplyKind
from chatwoot_bot.store.turns import Ending, Situation, TurnRecord, Verdict

LONG = os.environ.get("CHAOS") == "long"
ROUNDS = 60 if LONG else 7
SETTINGS = settings(
    # Later examples of a round are mixed from the earlier ones and find little.
    max_examples=9,
    stateful_step_count=60 if LONG else 50,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TABLES = schema.metadata.sorted_tables
ALL = [sa.select(table) for table in TABLES]
PICTURED = [
    sa.select(schema.messages).where(schema.messages.c.sender == Sender.CONTACT),
    sa.select(schema.replies),
    sa.select(schema.conversations),
]
ANSWER = (
    Draft(ReplyKind.ANSWER, "It left us on Monday."),
    Draft(ReplyKind.ANSWER, "It is on its way."),
)
HANDOVER = (
    Draft(ReplyKind.HANDOVER, "A human will."),
    Draft(ReplyKind.HANDOVER_NOTE, "Help!"),
)

A_NUMBER = st.sampled_from((*NUMBERS, NUMBERS[0]))
AN_INDEX = st.integers(-1, 5)
LATELY = st.sampled_from((0, 0, 0, 1, 2, -1))  # the newest, the one before it …
A_SLOT = st.sampled_from((0, 0, 0, 1, 2))
YES_OR_NO = st.booleans()
SELDOM = st.sampled_from((False, False, True))
FATES = st.lists(st.sampled_from((*[Fate.DONE] * 4, *Fate)), min_size=1, max_size=3)

# A turn says what it is about to do, is told how that goes, and does it.
Steps = Generator[str, Fate, Any]
END = "the end"
MOMENTS = ["load", "leave", "think", "keep", "look", "begin_attempt", "post"]
MOMENTS += ["delivered", "not_delivered", "refused", "tell", "status_set", "finish"]
A_MOMENT = st.sampled_from(MOMENTS + [END] * 5)
AMID = st.sampled_from([None, *MOMENTS, "keep", "keep", "begin_attempt"])

Method = TypeVar("Method", bound=Callable[..., None])
EVENTS: list[st.SearchStrategy[tuple[str, dict[str, Any]]]] = []


def event(often: int, **options: st.SearchStrategy[Any]) -> Callable[[Method], Method]:
    """Let a method happen, *often* times as often as the rarest.

    Not a Hypothesis rule for each: those are drawn alike, and the workers would
    hardly get to work.
    """

    def note(method: Method) -> Method:
        name, drawn = st.just(method.__name__), st.fixed_dictionaries(options)
        EVENTS.extend([st.tuples(name, drawn)] * often)
        return method

    return note


class Worker:
    """One turn, as `turn.py` and `outbox.py` run it."""

    def __init__(self, service: "Service", lease: Lease) -> None:
        self.service, self.lease, self.chatwoot = service, lease, service.chatwoot
        self.number = service.picture.numbers[lease.conversation_id]
        self.steps = self.turn()
        self.about_to = next(self.steps)

    def turn(self) -> Steps:
        situation = yield from self.load()
        ending, retry_at = yield from self.work(situation)
        look_at = None
        if situation.conversation.wanted_status is not None:
            look_at = yield from self.tell_status()
        times = {"retry_at": retry_at, "look_at": look_at, "now": self.service.now}
        yield from self.write(turns.finish, self.lease, RULES, ending=ending, **times)

    def write(self, job: Callable[..., Any], *args: Any, **options: Any) -> Steps:
        fate = yield job.__name__
        if fate in (Fate.LATE, Fate.LOST):
            raise StoreError("the database is away")
        result = self.service.write(job, *args, **options)
        if fate is Fate.UNANSWERED:
            raise StoreError("the database went away after the commit")
        return result

    def load(self) -> Steps:
        return self.write(turns.load, self.lease, history=40)

    def work(self, situation: Situation) -> Steps:
        """Do what the conversation needs now; return how it ends, and the next try."""
        unsaid = situation.unsaid
        if situation.owed:
            unsaid = [reply for reply in unsaid if not reply.is_slow]
        for reply in unsaid:
            retry_at = yield from self.say(reply, situation)
            if retry_at is not None:
                return Ending.WAITING, retry_at
        if unsaid:
            situation = yield from self.load()
        route = decide(
            situation.owed,
            situation.conversation,
            human_mode=situation.human_mode,
            policy=RULES.policy,
        ).route
        if route in (Route.BOT, Route.HANDOVER):
            return (yield from self.answer(situation, route))
        if situation.owed:
            about = {"seen": situation.owed, "now": self.service.now}
            yield from self.write(turns.leave, self.lease, **about)
        return Ending.DONE, None

    def answer(self, situation: Situation, route: Route) -> Steps:
        model = yield "think"
        is_handover = route is Route.HANDOVER or model is Fate.REFUSED
        verdict, kept = yield from self.write(
            turns.keep,
            self.lease,
            self.service.record(self.lease),
            seen=situation.conversation,
            answered=situation.owed,
            drafts=HANDOVER if is_handover else ANSWER,
            now=self.service.now,
        )
        for reply in kept:
            retry_at = yield from self.say(reply, situation, is_new=reply is kept[0])
            if retry_at is not None:
                return Ending.WAITING, retry_at
        superseded = verdict is Verdict.SUPERSEDED
        return Ending.SUPERSEDED if superseded else Ending.DONE, None

    def say(self, reply: Reply, situation: Situation, *, is_new: bool = False) -> Steps:
        """Say what is kept, unless it is there; return when to try again."""
        if reply.in_doubt_until is not None and not is_new:
            yield "look"
            if reply.key in self.chatwoot.posted:
                return (yield from self.note(reply, situation))
            if self.service.now < reply.in_doubt_until:
                return reply.in_doubt_until
        if not is_new:
            now, begin = self.service.now, replies.begin_attempt
            if not (yield from self.write(begin, self.lease, reply, now=now)):
                return None
            reply = replace(reply, attempts=reply.attempts + 1, attempted_at=now)
        fate = yield "post"
        too_late = self.service.now >= reply.attempted_at + IN_DOUBT_S
        if too_late and fate not in (Fate.UNREACHED, Fate.REFUSED):
            fate = Fate.LOST  # as assumed above
        self.chatwoot.post(self.number, reply, fate)
        return (yield from self.note(reply, situation, fate))

    def note(self, reply: Reply, situation: Situation, fate: Fate = Fate.DONE) -> Steps:
        """Note what became of a reply; return when to try again."""
        now, error = self.service.now, str(fate)
        if fate is Fate.DONE:
            said = {"external_id": self.chatwoot.posted[reply.key], "now": now}
            conversation = situation.conversation
            yield from self.write(replies.delivered, conversation, reply, **said)
            return None
        if fate is Fate.REFUSED:
            why = {"error": error, "in_doubt": False, "note": "Refused!", "now": now}
            yield from self.write(replies.refused, self.lease, reply, **why)
            return now
        until = None if fate is Fate.UNREACHED else now + IN_DOUBT_S
        options = {"in_doubt_until": until, "error": error}
        yield from self.write(replies.not_delivered, reply, **options)
        return now + min(2.0**reply.attempts, MAX_BACKOFF_S)

    def tell_status(self) -> Steps:
        """Tell Chatwoot the status that we want; return when to try again."""
        wanted = (yield from self.load()).conversation.wanted_status
        if wanted is None:
            return None
        yield from self.write(turns.tell_status, self.lease, wanted)
        fate, at = (yield "tell"), None
        if fate.is_done:
            at = self.chatwoot.set_status(self.number, wanted)
        if fate not in (Fate.DONE, Fate.REFUSED):
            return self.service.now + 8.0
        yield from self.write(turns.status_set, self.lease, wanted, at=at)
        return None


class Service(RuleBasedStateMachine):
    """The service, and everybody who acts on it."""

    def __init__(self, database: sa.Engine) -> None:
        super().__init__()
        self.database = database
        with database.begin() as tx:
            for table in TABLES:
                tx.execute(sa.delete(table))
        self.now = 1_000.0
        self.chatwoot = Chatwoot()
        self.picture = Picture()
        self.workers: dict[int, Worker] = {}
        self.asked: list[tuple[int, int]] = []
        self.turns = 0

    @initialize()
    def both_contacts_are_known(self) -> None:
        for number in NUMBERS:
            self.contact_writes(number, "Hello?")
            self.webhooks_arrive([-1])

    # Contacts, agents, operators

    @event(4, amid=AMID, number=A_NUMBER, content=st.just("Where is it?"))
    @event(2, amid=AMID, number=A_NUMBER, content=st.just("A human, please."))
    def contact_writes(self, number: int, content: str) -> None:
        if self.chatwoot.status[number] is Status.RESOLVED:
            self.chatwoot.status[number] = Status.PENDING
        message_id = self.chatwoot.add(Kind.CONTACT_MESSAGE, number, content=content)
        self.asked.append((message_id, number))

    @event(1, slot=st.just(0))
    def contact_writes_whenever_the_bot_would_answer(self, slot: int) -> None:
        for _ in range(MAX_RESTARTS):
            self.worker_goes_on(slot, [], "keep")
            if worker := self.workers.get(slot):
                self.contact_writes(worker.number, "And another thing.")
                self.webhooks_arrive([-1])
                self.worker_goes_on(slot, [], END)
        self.worker_goes_on(slot, [], "keep")

    @event(2, amid=AMID, pick=LATELY)
    def contact_deletes(self, pick: int) -> None:
        for message_id, number in self.asked[::-1][pick:][:1]:
            self.chatwoot.add(Kind.DELETED, number, message_id=message_id)

    @event(2, amid=AMID, pick=LATELY)
    def channel_fails(self, pick: int) -> None:
        """It took a reply, and then could not bring it to the contact."""
        posted = list(self.chatwoot.posted.items())
        for key, message_id in posted[::-1][pick:][:1]:
            reply = self.picture.replies[key]
            if reply.kind in FOR_CONTACTS:
                ids = {"message_id": message_id, "reply_key": key}
                self.chatwoot.add(Kind.UNDELIVERED, reply.number, **ids)

    @event(2, amid=AMID, number=A_NUMBER)
    def agent_replies(self, number: int) -> None:
        self.chatwoot.add(Kind.AGENT_REPLY, number)

    @event(
        2, amid=AMID, number=A_NUMBER, command=st.sampled_from(("on", "off", "help"))
    )
    def agent_commands(self, number: int, command: str) -> None:
        note = {"content": f"/bot {command}", "private": True}
        self.chatwoot.add(Kind.AGENT_NOTE, number, **note)

    @event(2, amid=AMID, number=A_NUMBER, status=st.sampled_from(Status))
    @event(2, amid=AMID, number=A_NUMBER, status=st.just(Status.PENDING))
    def agent_sets_status(self, number: int, status: Status) -> None:
        self.chatwoot.set_status(number, status)

    @event(2, amid=AMID, number=A_NUMBER, switches=st.sampled_from(([1], [0], [1, 0])))
    def operator_takes_over_or_gives_back(
        self, number: int, switches: Sequence[int]
    ) -> None:
        options = {"conversation_id": None, "now": self.now, "rules": RULES}
        for switch in switches:
            self.write(human.hold, display_id=number, enabled=bool(switch), **options)

    @event(2, fate=st.sampled_from(Fate), is_sent=YES_OR_NO)
    def agent_takes_it_for_a_moment_while_a_reply_is_sent(
        self, fate: Fate, is_sent: bool
    ) -> None:
        """It is withdrawn, and wanted again before anybody knows what became of it."""
        self.worker_goes_on(0, [], "post")
        worker = self.workers.get(0)
        if worker is not None:
            if is_sent:
                self.step(0, fate)
            self.operator_takes_over_or_gives_back(worker.number, [1, 0])

    @event(3, amid=AMID, enabled=SELDOM)
    def operator_switches_human_mode(self, enabled: bool) -> None:
        self.write(human.set_human_mode, enabled=enabled)
        if not enabled:
            self.write(human.end_human_mode, now=self.now, rules=RULES)

    # What comes in, and when

    @event(5, picks=st.lists(AN_INDEX, min_size=1, max_size=4))
    def webhooks_arrive(self, picks: Sequence[int]) -> None:
        """Together, and in any order."""
        queue = self.chatwoot.webhooks
        arrived = [queue.pop(min(pick, len(queue) - 1)) for pick in picks if queue]
        arrived = [replace(arrival, received_at=self.now) for arrival in arrived]
        self.write(accept, arrived, RULES)

    @event(2, pick=AN_INDEX, other_id=YES_OR_NO)
    def webhook_is_sent_twice(self, pick: int, other_id: bool) -> None:
        """Because it was slow, or because two are configured."""
        for again in self.chatwoot.webhooks[pick:][:1]:
            suffix = "b" if other_id else ""
            again = replace(again, delivery_id=f"{again.delivery_id}{suffix}")
            self.chatwoot.webhooks.append(again)

    @event(2, seconds=st.sampled_from([0.5, 2.0, 8.0, 16.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.chatwoot.land(self.now)

    # Workers

    @event(16, slot=A_SLOT, fates=FATES, until=A_MOMENT)
    def worker_goes_on(self, slot: int, fates: Sequence[Fate], until: str) -> None:
        """It does what it has stopped before, and what follows *until* a moment."""
        if slot not in self.workers:
            self.claim(slot)
        for fate in fates:
            self.step(slot, fate)
        while slot in self.workers and self.workers[slot].about_to != until:
            self.step(slot, Fate.DONE)

    def claim(self, slot: int) -> None:
        due_at = self.write(turns.next_due)
        if due_at is not None and not self.workers:
            self.time_passes(max(due_at - self.now, 0.0))
        for lease in self.write(turns.claim, now=self.now, limit=1):
            self.workers[slot] = Worker(self, lease)

    def step(self, slot: int, fate: Fate) -> None:
        worker = self.workers.get(slot)
        if worker is None:
            return
        try:
            worker.about_to = worker.steps.send(fate)
        except (StopIteration, StoreError) as end:
            del self.workers[slot]
            if isinstance(end, StoreError):
                self.end(worker, ending=Ending.FAILED, retry_at=self.now + 1.0)

    def end(self, worker: Worker, **options: Any) -> None:
        if self.picture.holds(worker.lease):
            self.write(turns.finish, worker.lease, RULES, now=self.now, **options)

    def record(self, lease: Lease) -> TurnRecord:
        self.turns += 1
        return TurnRecord(
            id=f"t_{self.turns}",
            conversation_id=lease.conversation_id,
            decision="bot",
            reason="default",
            outcome="kept",
            started_at=self.now,
            latency_ms=1,
        )

    @event(2)
    def workers_beat(self) -> None:
        leases = [worker.lease for worker in self.workers.values()]
        self.write(turns.heartbeat, leases=leases, now=self.now)

    @event(2, slot=A_SLOT, gives_back=YES_OR_NO)
    def worker_ends(self, slot: int, gives_back: bool) -> None:
        """It is killed, or stopped for a deploy and gives back what it holds."""
        if worker := self.workers.pop(slot, None):
            worker.steps.close()
            if gives_back:
                self.end(worker, ending=Ending.GIVEN_BACK)

    @event(1)
    def process_restarts(self) -> None:
        for slot in list(self.workers):
            self.worker_ends(slot, gives_back=False)
        if self.database.dialect.name == "sqlite":
            self.write(turns.reclaim, now=self.now)

    @rule(event=st.sampled_from(EVENTS).flatmap(lambda event: event), is_told=YES_OR_NO)
    def it_happens(self, event: tuple[str, dict[str, Any]], is_told: bool) -> None:
        """Perhaps amid a turn; its webhook, if it has one, comes at once or later."""
        name, options = event
        amid = options.pop("amid", None)
        if amid is not None:
            self.worker_goes_on(0, [], amid)
        getattr(self, name)(**options)
        if is_told:
            self.webhooks_arrive([-1])
        if amid is not None:
            self.worker_goes_on(0, [Fate.DONE], END)

    # The store

    def write(self, job: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Run *job*, a paused worker's in vain, and look at what it has done."""
        leases = [each for each in args if isinstance(each, Lease)]
        may_write = all(map(self.picture.holds, leases))
        before = None if may_write else self.rows(ALL)
        try:
            with self.database.begin() as tx:
                result = job(tx, *args, **options)
        except LeaseLostError:
            assert not may_write, "a lease is lost for no reason"
            assert self.rows(ALL) == before
            raise
        assert may_write, "a paused worker writes over its successor"
        if learn := getattr(self.picture, f"after_{job.__name__}", None):
            learn(result, *args, **options)
        if job not in (turns.load, turns.next_due):
            self.picture.compare(job, self.now, *self.rows(PICTURED))
        return result

    def rows(self, queries: Sequence[Any]) -> list[Sequence[Any]]:
        with self.database.begin() as tx:
            return [tx.execute(query).all() for query in queries]

    # In the end

    def teardown(self) -> None:
        failed = sys.exception() is not None
        for slot in list(self.workers):
            self.worker_ends(slot, gives_back=False)
        if not failed:
            self.everything_gets_done()

    def everything_gets_done(self) -> None:
        """By one healthy worker, and a Chatwoot that works."""
        self.chatwoot.land(float("inf"))
        self.work_until_nothing_is_due()
        self.operator_switches_human_mode(enabled=False)
        self.work_until_nothing_is_due()
        self.picture.check_promises(self.chatwoot)

    def work_until_nothing_is_due(self) -> None:
        for _ in range(100):
            self.webhooks_arrive([0] * len(self.chatwoot.webhooks))
            self.worker_goes_on(0, [], END)
            if self.write(turns.next_due) is None and not self.chatwoot.webhooks:
                return
        pytest.fail("it never comes to rest")


def play(url: str) -> None:
    database = make_engine(sa.make_url(normal_url(url)), writes=True)
    upgrade(database)

    class Here(Service):
        def __init__(self) -> None:
            super().__init__(database)

    first = new_seed() if LONG else int(os.environ.get("CHAOS_SEED", "0"))
    print(f"\nmodel seed={first}")
    try:
        for number in range(first, first + ROUNDS):
            run_state_machine_as_test(seed(number)(Here), settings=SETTINGS)
    except BaseException as error:
        error.add_note(f"CHAOS_SEED={number} plays it again")
        raise
    finally:
        database.dispose()


def test_store_keeps_its_word_in_every_order_of_events() -> None:
    """Nothing lost, nothing said twice, nothing out of order, humans win."""
    play("sqlite://")


if LONG:

    def test_store_on_postgresql_keeps_its_word(postgres_url: str) -> None:
        """The same, on the other database."""
        play(postgres_url)
