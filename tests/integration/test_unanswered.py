"""An agent hands a conversation back: what is unanswered is answered, once.

The table: every way of handing back, whoever spoke last, in Chatwoot and in the web
chat. `tests/acceptance/test_handing_back.py` plays it over HTTP.
"""

from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, message_ids, says, shows

from chatwoot_bot.core.assignments import Assigned
from chatwoot_bot.core.conversation import Sender, State, Status
from chatwoot_bot.core.decision import Route, decide
from chatwoot_bot.core.events import Event, Kind, Said
from chatwoot_bot.store import chat, human, replies, schema, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.arrivals import Arrival
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.replies import Draft, ReplyKind
from chatwoot_bot.store.turns import Ending, TurnRecord

pytestmark = pytest.mark.anyio

ACCEPT = partial(accept, rules=RULES)
OPEN, PENDING = Status.OPEN, Status.PENDING
BACK = 5_000.0  # when the conversation is handed back, our clock
CLOCK = 500.0  # the same, Chatwoot's clock
QUESTIONS = ("Where is it?", "Is a human there?")
KINDS = {Sender.CONTACT: Kind.CONTACT_MESSAGE, Sender.AGENT: Kind.AGENT_REPLY}


async def take(db, *arrivals):
    return await db.write(accept, arrivals, RULES)


async def hold(db, *, enabled, at=BACK, **which):
    which = {"conversation_id": None, "display_id": None} | which
    await db.write(human.hold, enabled=enabled, now=at, rules=RULES, **which)


async def owed(db):
    m = schema.messages.c
    query = sa.select(m.content).where(m.owed).order_by(m.id)
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


def assigned(status, **whom):
    """A conversation_updated of an assignment."""
    arrival = shows(status, clock=CLOCK, at=BACK)
    seen = replace(arrival.event.conversation, assigned=Assigned(**whom))
    return replace(arrival, event=replace(arrival.event, conversation=seen))


class InChatwoot:
    """Conversation 150, which the bot has answered and an agent has taken."""

    def __init__(self, db):
        self.db = db
        self.clock = 100.0
        self.status = PENDING

    async def says(self, *texts, sender=Sender.CONTACT, **more):
        for text in texts:
            self.clock += 1
            message = {"content": text, "clock": self.clock, "status": self.status}
            await take(self.db, says(KINDS[sender], at=self.clock, **message, **more))

    async def is_agents(self):
        await self.says("The bot knows this.")
        await answer(self.db)
        await self.says("I am here.", sender=Sender.AGENT)
        self.status = OPEN
        await take(self.db, shows(OPEN, clock=self.clock + 0.5))

    async def row(self):
        found = await self.db.write(find, {"account_id": 1, "display_id": 150})
        return found[0]

    async def release(self):
        await hold(self.db, enabled=False, display_id=150)


class InWebChat:
    """A conversation of the web chat."""

    def __init__(self, db):
        self.db = db
        self.id = None

    async def says(self, *texts, sender=Sender.CONTACT):
        for text in texts:
            said = Said(external_id=None, sender=sender, content=text, client_id=text)
            event = Event(name="message_created", kind=KINDS[sender], message=said)
            about = {"channel": "web", "conversation_id": self.id}
            await take(self.db, Arrival(event=event, received_at=1_000.0, **about))

    async def is_agents(self):
        row = await self.db.write(chat.create, user_id=None, name=None, now=1.0)
        self.id = row["id"]
        await self.says("The bot knows this.")
        await answer(self.db)
        await self.says("I am here.", sender=Sender.AGENT)

    async def row(self):
        found = await self.db.write(find, {"id": self.id})
        return found[0]

    async def release(self):
        await hold(self.db, enabled=False, conversation_id=self.id)


async def answer(db, text="It left us.", *, now=2_000.0, kind=ReplyKind.ANSWER):
    """Have the bot answer what is owed; return the messages and the replies."""
    [lease] = await db.write(turns.claim, now=now, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    record = TurnRecord(
        id=f"t_{now:.0f}",
        conversation_id=lease.conversation_id,
        decision="bot",
        reason="default",
        outcome="kept",
        started_at=now,
        latency_ms=1,
    )
    how = {"seen": situation.conversation, "answered": situation.owed, "now": now}
    _, kept = await db.write(
        turns.keep, lease, record, drafts=[Draft(kind, text)], **how
    )
    for reply in kept:
        in_web = situation.conversation.channel == "web"
        external_id = None if in_web else next(message_ids)
        said = {"external_id": external_id, "now": now}
        await db.write(replies.delivered, situation.conversation, reply, **said)
    await db.write(turns.finish, lease, RULES, ending=Ending.DONE, now=now)
    return situation


async def marked_as_pending(place):
    await take(place.db, shows(PENDING, clock=CLOCK, at=BACK))


async def commanded(place):
    note = {"content": "/bot on", "private": True, "status": OPEN}
    await take(place.db, says(Kind.AGENT_NOTE, **note, clock=CLOCK, at=BACK))


async def bot_assigned(place):
    """Chatwoot up to 4.16 leaves the status to us."""
    await take(place.db, assigned(OPEN, bot=4))


async def bot_assigned_and_pending(place):
    """Since 4.17 Chatwoot sets it in the same change."""
    await take(place.db, assigned(PENDING, bot=4))


async def released(place):
    """The panel and the console, and human mode switched off for one."""
    await place.release()


async def taken_and_released(place):
    """Human mode for one, on and off."""
    which = (await place.row()).id
    await hold(place.db, enabled=True, conversation_id=which, at=4_000.0)
    await place.release()


WAYS = {
    InChatwoot: (
        marked_as_pending,
        commanded,
        bot_assigned,
        bot_assigned_and_pending,
        released,
        taken_and_released,
    ),
    InWebChat: (released, taken_and_released),
}
TABLE = [(place, way) for place, ways in WAYS.items() for way in ways]


@pytest.mark.parametrize(("place", "way"), TABLE)
async def test_contact_who_spoke_last_is_answered_once(db, place, way):
    """At once, together, within the deadline, and without calling a person again."""
    here = place(db)
    await here.is_agents()
    await here.says(*QUESTIONS)

    await way(here)

    now = await here.row()
    assert (now.state, now.owed_since, now.due_at) == (State.AI, BACK, BACK)
    situation = await answer(db, now=BACK)
    assert [message.content for message in situation.owed] == list(QUESTIONS)
    assert {message.owed_at for message in situation.owed} == {BACK}
    decision = decide(
        situation.owed, situation.conversation, human_mode=False, policy=RULES.policy
    )
    assert decision.route is Route.BOT
    if place is InChatwoot:
        assert PENDING in (now.status, now.wanted_status)
    await way(here)  # it has been answered since
    assert await owed(db) == []


@pytest.mark.parametrize(("place", "way"), TABLE)
async def test_nothing_is_said_when_the_agent_spoke_last(db, place, way):
    here = place(db)
    await here.is_agents()
    await here.says(*QUESTIONS)
    await here.says("You will have it tomorrow.", sender=Sender.AGENT)

    await way(here)

    now = await here.row()
    assert (now.state, now.owed_since) == (State.AI, None)
    assert await owed(db) == []


@pytest.mark.parametrize("place", WAYS)
async def test_end_of_human_mode_hands_back_what_waits_because_of_it(db, place):
    here = place(db)
    await here.is_agents()
    await here.release()
    await db.write(human.set_human_mode, enabled=True)
    await here.says(*QUESTIONS)
    waiting = await here.row()

    await db.write(human.set_human_mode, enabled=False)
    changes = await db.write(human.end_human_mode, now=BACK, rules=RULES)

    now = await here.row()
    assert waiting.state is State.HANDOVER_PENDING
    assert [change.due_at for change in changes] == [BACK]
    assert (now.state, now.owed_since, now.due_at) == (State.AI, BACK, BACK)
    assert await owed(db) == list(QUESTIONS)
    assert await db.write(human.end_human_mode, now=BACK, rules=RULES) == []


@pytest.mark.parametrize("place", WAYS)
async def test_end_of_human_mode_leaves_agents_what_they_have(db, place):
    here = place(db)
    await here.is_agents()
    await here.release()
    await db.write(human.set_human_mode, enabled=True)
    await here.says(*QUESTIONS)
    await here.says("I take this one.", sender=Sender.AGENT)
    await here.says("Thank you.")

    await db.write(human.set_human_mode, enabled=False)
    changes = await db.write(human.end_human_mode, now=BACK, rules=RULES)

    assert changes == []
    assert (await here.row()).state is State.HUMAN


async def test_human_mode_that_is_on_again_hands_nothing_back(db):
    await db.write(human.set_human_mode, enabled=True)
    await InChatwoot(db).says(*QUESTIONS)

    assert await db.write(human.end_human_mode, now=BACK, rules=RULES) == []


async def test_many_are_handed_back_a_few_at_a_time(db):
    """Webhooks must not wait until a thousand conversations are."""
    await db.write(human.set_human_mode, enabled=True)
    await take(db, *(says(conversation=number) for number in range(1, 8)))
    await db.write(human.set_human_mode, enabled=False)

    handed_back = [
        len(await db.write(human.end_human_mode, now=BACK, rules=RULES, limit=3))
        for _ in range(4)
    ]

    assert handed_back == [3, 3, 1, 0]


# What counts as a reply, and what is still unanswered.


async def test_template_of_chatwoot_is_no_reply(db):
    """It asks for an address, or says that the office is closed."""
    here = InChatwoot(db)
    await here.is_agents()
    await here.says("Where is it?")
    await take(db, says(Kind.BOT_MESSAGE, content="How do we reach you?", clock=110.0))

    await here.release()

    assert await owed(db) == ["Where is it?"]


async def test_what_belongs_to_a_resolved_request_stays_unanswered(db):
    here = InChatwoot(db)
    await here.is_agents()
    await here.says("Never mind.")
    await take(db, shows(Status.RESOLVED, clock=120.0))
    here.clock, here.status = 130.0, PENDING
    await here.says("A new thing.")
    await hold(db, enabled=True, display_id=150)

    await here.release()

    assert await owed(db) == ["A new thing."]


async def test_resolved_conversation_is_handed_back_in_silence(db):
    here = InChatwoot(db)
    await here.is_agents()
    await here.says("Never mind.")
    await take(db, shows(Status.RESOLVED, clock=120.0))

    await here.release()

    assert await owed(db) == []


async def test_deleted_message_is_not_answered(db):
    here = InChatwoot(db)
    await here.is_agents()
    await here.says("My card is 4111", message_id=777)
    await take(db, says(Kind.DELETED, message_id=777, clock=111.0))

    await here.release()

    assert await owed(db) == []


async def test_order_is_that_of_writing_and_not_of_arrival(db):
    """The agent's reply was delivered late; it answers what came before it."""
    here = InChatwoot(db)
    await here.is_agents()
    await here.says("Where is it?", message_id=2_000_001)
    await here.says("And the bill?", message_id=2_000_003)
    await here.says("On its way.", sender=Sender.AGENT, message_id=2_000_002)

    await here.release()

    assert await owed(db) == ["And the bill?"]


async def test_message_and_hand_back_that_arrive_together(db):
    """One transaction for both: the message is not stored yet."""
    here = InChatwoot(db)
    await here.is_agents()

    await take(
        db,
        says(content="Where is it?", status=OPEN, clock=110.0),
        shows(PENDING, clock=CLOCK, at=BACK),
    )

    assert await owed(db) == ["Where is it?"]
    assert (await here.row()).due_at == BACK


@pytest.mark.parametrize("command", ["on", "retry"])
async def test_hand_back_before_the_bot_has_answered_at_all(db, command):
    """It was silenced while it thought, and nobody wrote anything else."""
    here = InChatwoot(db)
    await here.says("Where is it?")
    await take(db, says(Kind.AGENT_NOTE, content="/bot off", private=True, clock=110.0))

    note = {"content": f"/bot {command}", "private": True}
    await take(db, says(Kind.AGENT_NOTE, **note, clock=CLOCK, at=BACK))

    assert await owed(db) == ["Where is it?"]


async def kept(db, kind=ReplyKind.ANSWER, *, now=2_000.0):
    """Have a turn keep an answer, and stop before it is sent; return the lease."""
    [lease] = await db.write(turns.claim, now=now, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    record = TurnRecord(
        id="t_kept",
        conversation_id=lease.conversation_id,
        decision="handover" if kind is ReplyKind.HANDOVER else "bot",
        reason="default",
        outcome="kept",
        started_at=now,
        latency_ms=1,
    )
    how = {"seen": situation.conversation, "answered": situation.owed, "now": now}
    drafts = [Draft(kind, "It left us."), Draft(kind, "On Monday.")]
    _, made = await db.write(turns.keep, lease, record, drafts=drafts, **how)
    return lease, made


async def states(db):
    r = schema.replies.c
    query = sa.select(r.state).where(r.kind != "note").order_by(r.position)
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


async def test_answer_that_was_being_sent_is_looked_for_and_not_written_again(db):
    """It was withdrawn in the middle of its sending: it may have arrived."""
    here = InChatwoot(db)
    await here.says("Where is it?")
    lease, _ = await kept(db)
    await hold(db, enabled=True, display_id=150)
    await db.write(turns.finish, lease, RULES, ending=Ending.DONE, now=2_000.0)
    assert await states(db) == ["dropped", "dropped"]

    await here.release()

    assert (await states(db), await owed(db)) == (["open", "open"], [])
    assert (await here.row()).due_at == BACK


async def test_answer_that_was_certainly_not_sent_is_written_again(db):
    here = InChatwoot(db)
    await here.says("Where is it?")
    lease, made = await kept(db)
    lost = {"in_doubt_until": None, "error": "no connection"}
    await db.write(replies.not_delivered, made[0], **lost)
    ending = {"ending": Ending.WAITING, "now": 2_000.0, "retry_at": 9_000.0}
    await db.write(turns.finish, lease, RULES, **ending)
    await hold(db, enabled=True, display_id=150)

    await here.release()

    assert (await states(db), await owed(db)) == (["dropped"] * 2, ["Where is it?"])


async def test_announced_human_who_hands_back_unheard_leaves_it_to_the_bot(db):
    """The sentence that announces a human was never said, and is not true any more."""
    here = InChatwoot(db)
    await here.says("Is a human there?")
    lease, _ = await kept(db, ReplyKind.HANDOVER)
    ending = {"ending": Ending.WAITING, "now": 2_000.0, "retry_at": 9_000.0}
    await db.write(turns.finish, lease, RULES, **ending)

    await here.release()

    assert await owed(db) == ["Is a human there?"]


async def test_answer_dropped_in_human_mode_is_owed_when_it_ends(db):
    """It was kept and not yet said; then nobody would have answered."""
    here = InChatwoot(db)
    await here.says("Where is it?")
    lease, made = await kept(db)
    lost = {"in_doubt_until": None, "error": "no connection"}
    await db.write(replies.not_delivered, made[0], **lost)
    await db.write(human.set_human_mode, enabled=True)

    begun = await db.write(replies.begin_attempt, lease, made[0], now=2_001.0)
    waiting = await here.row()
    await db.write(turns.finish, lease, RULES, ending=Ending.DONE, now=2_002.0)
    await db.write(human.set_human_mode, enabled=False)
    await db.write(human.end_human_mode, now=BACK, rules=RULES)

    assert (begun, waiting.state) == (False, State.HANDOVER_PENDING)
    assert waiting.wanted_status is OPEN
    assert await owed(db) == ["Where is it?"]


async def test_effects_that_no_answer_has_told_of_are_found_again(db):
    """Or the tool would book the same call a second time."""
    here = InChatwoot(db)
    await here.says("Book a call.")
    row = {
        "key": "e_1",
        "conversation_id": (await here.row()).id,
        "turn_id": "t_1",
        "name": "book",
        "arguments": "{}",
        "created_at": 1_000.0,
        "settled": True,
    }
    await db.write(lambda tx: tx.execute(sa.insert(schema.effects), row))
    await hold(db, enabled=True, display_id=150)

    await here.release()

    query = sa.select(schema.effects.c.settled)
    assert await db.read(lambda tx: tx.execute(query).scalar()) is False


async def test_turn_that_runs_while_the_conversation_comes_back_answers_nothing_twice(
    db,
):
    here = InChatwoot(db)
    await here.says("Where is it?")
    [lease] = await db.write(turns.claim, now=2_000.0, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    await hold(db, enabled=True, display_id=150)
    await here.release()

    await db.write(turns.leave, lease, seen=situation.owed, now=2_001.0)
    due_at = await db.write(turns.finish, lease, RULES, ending=Ending.DONE, now=BACK)

    assert await owed(db) == ["Where is it?"]
    assert due_at is not None and due_at <= BACK + RULES.quiet_s


async def test_contact_who_asks_again_after_the_hand_back_gets_a_person(db):
    here = InChatwoot(db)
    await here.is_agents()
    await here.says("A human, please.")
    await here.release()
    here.clock = CLOCK + 1
    await here.says("No, a human!")

    [lease] = await db.write(turns.claim, now=9_000.0, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    decision = decide(
        situation.owed, situation.conversation, human_mode=False, policy=RULES.policy
    )

    assert (decision.route, decision.reason) == (Route.HANDOVER, "asked_for_human")


@pytest.mark.parametrize("place", WAYS)
async def test_bots_conversation_with_the_contacts_word_last_has_a_deadline(db, place):
    """The invariant: state ai, the contact spoke last, so somebody has to come."""
    here = place(db)
    await here.is_agents()
    await here.says("Where is it?")
    for enabled in (False, True, False):
        if enabled:
            await db.write(human.set_human_mode, enabled=True)
            await here.says("Hello?")
            continue
        await db.write(human.set_human_mode, enabled=False)
        await db.write(human.end_human_mode, now=BACK, rules=RULES)
        await here.release()

    late = await db.write(turns.hurry, now=9_000.0, owed_before=8_000.0)

    assert (await here.row()).state is State.AI
    assert (await here.row()).owed_since is not None
    assert late == 0  # it is due already
    assert (await here.row()).due_at <= 9_000.0
