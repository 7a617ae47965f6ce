"""Agents, contacts and our own calls at the same moment: the store's part of it."""

import json
from dataclasses import replace

import pytest
from arrivals import RULES, says, shows
from test_turns import NOW, claim, conversation, finish, keep, load, take

from chatwoot_bot.core.conversation import State, Status
from chatwoot_bot.core.events import Kind
from chatwoot_bot.core.routing import Routing
from chatwoot_bot.store import dead, replies, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.replies import FOR_AGENTS, ReplyKind

pytestmark = pytest.mark.anyio


def labelled(arrival, *labels):
    event = arrival.event
    seen = replace(event.conversation, labels=labels, attributes={})
    return replace(arrival, event=replace(event, conversation=seen))


def note(text, *, clock, at, status=Status.OPEN):
    """An agent's private note."""
    return says(
        Kind.AGENT_NOTE, content=text, status=status, clock=clock, private=True, at=at
    )


async def held(db):
    now = await conversation(db)
    return now.state, now.status, now.wanted_status


async def bot_is_given_the_conversation(db):
    """By a note, and the worker is telling Chatwoot that it is pending; its lease."""
    await take(db, says(at=1_000.0))
    await take(db, shows(Status.OPEN, clock=200.0))
    await take(db, note("/bot on", clock=210.0, at=1_200.0))
    [lease] = await claim(db, now=1_201.0)
    await db.write(turns.tell_status, lease, Status.PENDING)
    return lease


async def test_agent_who_speaks_while_pending_is_on_its_way_sees_it_opened(db):
    lease = await bot_is_given_the_conversation(db)
    await take(db, says(Kind.AGENT_REPLY, status=Status.OPEN, clock=211.0, at=1_202.0))
    await db.write(turns.status_set, lease, Status.PENDING, at=213.0)
    due_at = await finish(db, lease)

    assert await held(db) == (State.HUMAN, Status.PENDING, Status.OPEN)
    assert due_at == NOW


async def test_our_own_pending_gives_nothing_back_to_the_bot(db):
    """Its event arrives before the answer to our call, after the agent's reply."""
    lease = await bot_is_given_the_conversation(db)
    await take(db, says(Kind.AGENT_REPLY, status=Status.OPEN, clock=211.0, at=1_202.0))
    await take(db, shows(Status.PENDING, clock=212.0, at=1_203.0))
    await db.write(turns.status_set, lease, Status.PENDING, at=213.0)

    assert await held(db) == (State.HUMAN, Status.PENDING, Status.OPEN)


@pytest.mark.parametrize("event_first", [True, False])
async def test_handover_that_is_taken_back_at_once_leaves_it_to_the_bot(
    db, event_first
):
    """`/bot on` while Chatwoot is being told that the conversation is open."""
    await take(db, says(at=1_000.0, content="A human, please"))
    [lease] = await claim(db)
    await keep(db, lease, await load(db, lease), (ReplyKind.HANDOVER, "One comes."))
    await db.write(turns.tell_status, lease, Status.OPEN)
    await take(db, note("/bot on", status=Status.PENDING, clock=101.0, at=1_011.0))
    if event_first:
        await take(db, shows(Status.OPEN, clock=102.0, at=1_012.0))
    await db.write(turns.status_set, lease, Status.OPEN, at=103.0)

    assert await held(db) == (State.AI, Status.OPEN, Status.PENDING)


async def test_bot_that_hands_over_while_pending_is_on_its_way_is_seen(db):
    lease = await bot_is_given_the_conversation(db)
    await take(db, says(content="Hm", status=Status.OPEN, clock=214.0, at=1_202.0))
    await keep(db, lease, await load(db, lease), (ReplyKind.HANDOVER, "One comes."))
    await db.write(turns.status_set, lease, Status.PENDING, at=215.0)

    assert await held(db) == (State.HANDOVER_PENDING, Status.PENDING, Status.OPEN)


async def test_human_who_gives_it_back_later_is_believed(db):
    """What was told once is not our own doing for ever."""
    lease = await bot_is_given_the_conversation(db)
    await db.write(turns.status_set, lease, Status.PENDING, at=213.0)
    await finish(db, lease)
    await take(db, shows(Status.OPEN, clock=220.0, at=1_210.0))
    taken = await held(db)
    await take(db, shows(Status.PENDING, clock=230.0, at=1_220.0))

    assert taken[0] is State.HUMAN
    assert await held(db) == (State.AI, Status.PENDING, None)


async def test_what_is_replayed_for_agents_stays_with_agents(db):
    """A note of the dead letters is not read by the contact."""
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    situation = await load(db, lease)
    drafts = (
        (ReplyKind.HANDOVER, "One comes."),
        (ReplyKind.ROUTING, json.dumps({"team_id": 2})),
        (ReplyKind.HANDOVER_NOTE, "A difficult customer."),
        (ReplyKind.NOTE, "The model is down."),
    )
    _, kept = await keep(db, lease, situation, *drafts)
    for reply in kept:
        await db.write(
            replies.refused, lease, reply, error="403", in_doubt=False, note="", now=NOW
        )
        await db.write(dead.revive, reply.key, now=NOW)
    again = {
        r.key: r.kind for r in await db.read(replies.unsaid, lease.conversation_id)
    }

    assert [again[reply.key] for reply in kept[1:]] == [r.kind for r in kept[1:]]
    assert again[kept[0].key] is ReplyKind.REPLAY
    assert all(reply.kind in FOR_AGENTS for reply in kept[1:])


async def test_routing_leaves_a_conversation_to_the_agent_who_has_it(db):
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    drafts = (ReplyKind.HANDOVER, "One comes."), (ReplyKind.ROUTING, "{}")
    _, kept = await keep(db, lease, await load(db, lease), *drafts)
    before = await db.write(replies.begin_attempt, lease, kept[1], now=NOW)
    await take(db, says(Kind.AGENT_REPLY, clock=110.0, at=1_011.0))
    after = await db.write(replies.begin_attempt, lease, kept[1], now=NOW)

    assert (before, after) == (True, False)


async def test_label_that_silences_the_bot_silences_it_after_a_resolve(db):
    await take(db, labelled(says(at=1_000.0)))
    await take(db, labelled(shows(Status.PENDING, clock=210.0), "bot-off"))
    await take(db, labelled(shows(Status.OPEN, clock=211.0), "bot-off"))
    await take(db, labelled(shows(Status.RESOLVED, clock=220.0), "bot-off"))
    resolved = await held(db)
    back = labelled(says(clock=230.0, at=2_000.0), "bot-off")
    result = await take(db, back)

    assert resolved == (State.AI, Status.RESOLVED, None)
    assert str(result.decision.route) == "human"
    assert await held(db) == (State.HUMAN, Status.PENDING, Status.OPEN)


@pytest.mark.parametrize("command", ["on", "off", "retry"])
async def test_note_in_a_resolved_conversation_reopens_nothing(db, command):
    await take(db, says(at=1_000.0))
    await take(db, shows(Status.RESOLVED, clock=200.0))
    await take(
        db, note(f"/bot {command}", status=Status.RESOLVED, clock=210.0, at=1_200.0)
    )

    now = await conversation(db)
    assert (now.status, now.wanted_status) == (Status.RESOLVED, None)
    assert now.owed_since is None


async def test_contact_who_deletes_one_of_two_questions_is_not_late_for_the_other(db):
    """After `/bot retry` the wait counts from then on, however old the question."""
    for number in (11, 12):
        await take(db, says(at=1_000.0, message_id=number))
    [lease] = await claim(db)
    situation = await load(db, lease)
    _, [reply] = await keep(db, lease, situation)
    said = {"external_id": 13, "now": NOW}
    await db.write(replies.delivered, situation.conversation, reply, **said)
    await finish(db, lease)
    await take(db, note("/bot retry", status=Status.PENDING, clock=300.0, at=5_000.0))
    gone = says(Kind.DELETED, message_id=12, clock=301.0, at=5_001.0)
    gone = replace(gone, event=replace(gone.event, name="message_updated"))
    await take(db, gone)

    assert (await conversation(db)).owed_since == 5_000.0


async def test_line_under_a_resolved_request_outlives_its_last_message(db):
    await take(db, says(at=1_000.0, message_id=11, content="First"))
    await take(db, says(at=1_001.0, message_id=12, content="Last"))
    await take(db, shows(Status.RESOLVED, clock=200.0))
    gone = says(Kind.DELETED, message_id=12, clock=201.0, at=1_300.0)
    gone = replace(gone, event=replace(gone.event, name="message_updated"))
    await take(db, gone)
    await take(db, says(message_id=14, content="New", clock=202.0, at=1_400.0))
    [lease] = await claim(db, now=1_500.0)
    transcript = (await load(db, lease)).transcript

    assert [(m.content, m.closes) for m in transcript] == [
        ("First", False),
        (None, True),
        ("New", False),
    ]


@pytest.mark.parametrize("failure", ["refused", "withdrawn", "undelivered"])
async def test_human_who_is_called_after_the_turn_is_called_to_the_right_team(
    db, failure
):
    """A reply that fails later is a handover like any other."""
    routing = Routing(team_id=2)
    await take(db, says(at=1_000.0))
    [lease] = await claim(db)
    _, [reply] = await keep(db, lease, await load(db, lease))
    if failure == "refused":
        why = {"error": "422", "in_doubt": False, "note": "Sorry.", "now": NOW}
        await db.write(replies.refused, lease, reply, routing=routing, **why)
    elif failure == "withdrawn":
        await db.write(replies.withdraw, lease, reply, routing=routing, now=NOW)
    else:
        failed = says(Kind.UNDELIVERED, reply_key=reply.key, clock=210.0, at=1_012.0)
        await db.write(accept, [failed], replace(RULES, routing=routing))
    unsaid = await db.read(replies.unsaid, lease.conversation_id)
    kinds = [each.kind for each in unsaid]

    assert sorted(kinds) == [ReplyKind.NOTE, ReplyKind.ROUTING]
    assert (await held(db))[0] is State.HANDOVER_PENDING


@pytest.mark.parametrize("customer_is_back", [False, True])
async def test_last_word_of_an_agent_stays_above_the_line_however_late(
    db, customer_is_back
):
    """Chatwoot delivers the resolve first; the message was written before it."""
    await take(db, says(at=1_000.0, message_id=11, content="A human"))
    await take(db, shows(Status.RESOLVED, clock=200.0))
    back = says(message_id=14, content="New", clock=202.0, at=1_400.0)
    word = says(Kind.AGENT_REPLY, message_id=12, content="Bye", clock=199.0, at=1_401.0)
    arrivals = [back, word] if customer_is_back else [word, back]
    for arrival in arrivals:
        await take(db, arrival)
    [lease] = await claim(db, now=1_500.0)
    transcript = (await load(db, lease)).transcript

    assert [(m.content, m.closes) for m in transcript] == [
        ("A human", False),
        ("Bye", True),
        ("New", False),
    ]


async def test_message_that_reopens_is_below_the_line_whatever_overtakes_it(db):
    """Chatwoot saves the conversation again after it, and may deliver that first."""
    await take(db, says(at=1_000.0, message_id=11, content="Thanks"))
    await take(db, shows(Status.RESOLVED, clock=200.0))
    await take(db, shows(Status.PENDING, clock=203.0, at=1_400.0))
    await take(db, says(message_id=14, content="New", clock=202.0, at=1_400.0))
    [lease] = await claim(db, now=1_500.0)
    transcript = (await load(db, lease)).transcript

    assert [(m.content, m.closes) for m in transcript] == [
        ("Thanks", True),
        ("New", False),
    ]


@pytest.mark.parametrize("status", [Status.PENDING, Status.OPEN])
@pytest.mark.parametrize("clock", [199.0, 200.0, 201.0])
async def test_agents_word_from_before_the_contact_came_back_silences_nobody(
    db, status, clock
):
    """An account's webhook may show the conversation as it is a little later."""
    await take(db, says(at=1_000.0, message_id=11, status=status))
    await take(db, shows(Status.RESOLVED, clock=200.0))
    await take(db, says(message_id=14, status=status, clock=202.0, at=1_400.0))
    word = says(Kind.AGENT_REPLY, message_id=12, status=status, clock=clock)
    await take(db, word)
    now = await conversation(db)

    assert (now.state, now.owed_since) == (State.AI, 1_400.0)


async def test_late_question_of_a_closed_request_leaves_the_line_where_it_was(db):
    """It is answered with the open request, which it does not close."""
    await take(db, says(at=1_000.0, message_id=11, content="Thanks"))
    await take(db, shows(Status.RESOLVED, clock=200.0))
    await take(db, says(message_id=14, content="New", clock=202.0, at=1_400.0))
    [lease] = await claim(db, now=1_500.0)
    situation = await load(db, lease)
    _, [reply] = await keep(db, lease, situation)
    said = {"external_id": 15, "now": NOW}
    await db.write(replies.delivered, situation.conversation, reply, **said)
    await finish(db, lease)
    await take(db, says(message_id=12, content="Late", clock=199.0, at=1_501.0))
    await take(db, says(message_id=16, content="Yes", clock=204.0, at=1_501.0))
    [lease] = await claim(db, now=1_600.0)
    transcript = (await load(db, lease)).transcript

    assert [(m.content, m.closes) for m in transcript] == [
        ("Thanks", True),
        ("New", False),
        ("It is on its way.", False),
        ("Late", False),
        ("Yes", False),
    ]


async def test_last_word_that_comes_together_with_the_resolve_is_above_the_line(db):
    await take(db, says(at=1_000.0, message_id=11, content="A human"))
    question = says(message_id=12, content="?", clock=150.0, at=1_400.0)
    resolve = shows(Status.RESOLVED, clock=200.0)
    word = says(Kind.AGENT_REPLY, message_id=13, content="Bye", clock=199.0)
    await db.write(accept, [question, resolve, word], RULES)
    await take(db, says(message_id=14, content="New", clock=202.0, at=1_400.0))
    [lease] = await claim(db, now=1_500.0)
    transcript = (await load(db, lease)).transcript

    assert [m.closes for m in transcript] == [False, False, True, False]
