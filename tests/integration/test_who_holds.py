"""Who holds a conversation when agents and Chatwoot do what is seldom tried."""

from dataclasses import replace
from functools import partial

import pytest
from arrivals import RULES, says, shows

from chatwoot_bot.core.conversation import State, Status
from chatwoot_bot.core.decision import Route, decide
from chatwoot_bot.core.events import Kind
from chatwoot_bot.store import human, replies, sweeping, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.replies import Draft, ReplyKind
from chatwoot_bot.store.turns import Ending, TurnRecord, Verdict

pytestmark = pytest.mark.anyio

ACCEPT = partial(accept, rules=RULES)
OPEN, PENDING, RESOLVED = Status.OPEN, Status.PENDING, Status.RESOLVED
NOW = 1_010.0


async def take(db, arrival):
    return await db.write_grouped(ACCEPT, arrival)


async def conversation(db, display_id=150):
    found = await db.write(find, {"account_id": 1, "display_id": display_id})
    return found[0]


async def hold(db, *, enabled, display_id=150):
    return await db.write(
        human.hold,
        conversation_id=None,
        display_id=display_id,
        enabled=enabled,
        now=NOW,
        rules=RULES,
    )


def saying(arrival, *labels, **attributes):
    """The same with labels and custom attributes."""
    seen = arrival.event.conversation
    seen = replace(seen, labels=labels, attributes=attributes)
    return replace(arrival, event=replace(arrival.event, conversation=seen))


def showing(arrival, *, labels=(), attributes=None):
    return saying(arrival, *labels, **(attributes or {}))


def record_of(lease, decision="bot", reason="default", *, turn_id="t_1"):
    return TurnRecord(
        id=turn_id,
        conversation_id=lease.conversation_id,
        decision=decision,
        reason=reason,
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )


async def turn(db, text="It is on its way.", turn_id="t_1"):
    """Have the bot answer what is owed; return the verdict and the reply's key."""
    [lease] = await db.write(turns.claim, now=NOW, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    record = TurnRecord(
        id=turn_id,
        conversation_id=lease.conversation_id,
        decision="bot",
        reason="default",
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )
    verdict, _ = await db.write(
        turns.keep,
        lease,
        record,
        seen=situation.conversation,
        answered=situation.owed,
        drafts=[Draft(ReplyKind.ANSWER, text)],
        now=NOW,
    )
    await db.write(turns.finish, lease, RULES, ending=Ending.DONE, now=NOW)
    return verdict


async def told(db, status, *, at):
    """Have the worker tell Chatwoot a status; *at* is what its answer is dated."""
    [lease] = await db.write(turns.claim, now=NOW, limit=1)
    await db.write(turns.tell_status, lease, status)
    await db.write(turns.status_set, lease, status, at=at)
    await db.write(turns.finish, lease, RULES, ending=Ending.DONE, now=NOW)


# An inbox is judged by how its conversations begin.


async def test_given_back_in_a_plain_inbox_silences_no_other_conversation(db):
    """There an agent gives back by setting pending, and new ones are open as ever."""
    await take(db, says(conversation=1, status=OPEN, clock=1.0))
    await take(db, says(Kind.AGENT_REPLY, conversation=1, status=OPEN, clock=2.0))
    await take(db, shows(PENDING, conversation=1, clock=3.0))

    new = await take(db, says(conversation=2, status=OPEN))

    assert new.decision.route is Route.BOT
    assert await db.read(sweeping.inboxes) == {3: False}


async def test_one_given_back_at_first_sight_does_not_make_a_bots_inbox(db):
    """The service may be younger than the conversation."""
    for number in (1, 2):
        await take(db, says(conversation=number, status=OPEN))
    await take(db, shows(PENDING, conversation=3))

    new = await take(db, says(conversation=4, status=OPEN))

    assert new.decision.route is Route.BOT


async def test_what_a_bots_inbox_shows_open_is_a_humans(db):
    for number in (1, 2, 3):
        await take(db, says(conversation=number))

    opened = await take(db, says(conversation=4, status=OPEN))

    assert opened.decision.route is Route.HUMAN
    assert await db.read(sweeping.inboxes) == {3: True}


async def test_inbox_whose_bot_was_disconnected_is_a_plain_one_after_a_while(db):
    for number in range(1, 21):
        await take(db, says(conversation=number, at=1_000.0 + number))
    routes = [
        (await take(db, says(conversation=n, status=OPEN, at=1_000.0 + n)))
        for n in range(21, 41)
    ]

    assert routes[0].decision.route is Route.HUMAN
    assert routes[-1].decision.route is Route.BOT


async def test_number_that_an_operator_named_begins_when_chatwoot_shows_it(db):
    await hold(db, enabled=True, display_id=1)
    await take(db, says(conversation=1))

    assert (await conversation(db, 1)).began_pending
    assert await db.read(sweeping.inboxes) == {3: True}


async def test_contact_of_a_plain_inbox_who_comes_back_is_the_bots(db):
    """Given back once, resolved, and open again as all that begins there."""
    await take(db, says(status=OPEN, clock=1.0))
    await take(db, shows(PENDING, clock=2.0))
    await take(db, shows(RESOLVED, clock=3.0))

    back = await take(db, says(status=OPEN, clock=4.0))

    assert back.decision.route is Route.BOT


# An agent whose webhook was lost.


async def test_agents_first_reply_is_heard_although_its_webhook_was_lost(db):
    """The next payload shows that there was one."""
    await take(db, says(clock=100.0))
    await turn(db)
    await take(db, says(Kind.BOT_MESSAGE, reply_key="t_1.0", clock=101.0))

    thanks = await take(db, says(clock=130.0, first_reply_at=120.0))

    now = await conversation(db)
    assert thanks.decision.route is Route.HUMAN
    assert (now.state, now.wanted_status) == (State.HUMAN, OPEN)


async def test_first_reply_of_long_ago_is_no_news_after_a_release(db):
    """It stays in every payload for ever."""
    await take(db, says(clock=100.0))
    await take(db, shows(OPEN, clock=130.0))
    await take(db, shows(PENDING, clock=140.0))

    again = await take(db, says(clock=150.0, first_reply_at=120.0))

    assert again.decision.route is Route.BOT


async def test_first_reply_is_heeded_once(db):
    """A note gives the conversation back, and no later payload takes it again."""
    await take(db, says(clock=100.0))
    await take(db, says(clock=130.0, first_reply_at=120.0))
    note = {"content": "/bot on", "private": True, "clock": 140.0}
    await take(db, says(Kind.AGENT_NOTE, first_reply_at=120.0, **note))

    again = await take(db, says(clock=150.0, first_reply_at=120.0))

    assert again.decision.route is Route.BOT


async def test_agents_reply_that_came_is_not_heard_a_second_time(db):
    await take(db, says(clock=100.0))
    await take(db, says(Kind.AGENT_REPLY, clock=120.0))
    note = {"content": "/bot on", "private": True, "clock": 121.0}
    await take(db, says(Kind.AGENT_NOTE, **note))

    again = await take(db, says(clock=150.0, first_reply_at=120.0))

    assert again.decision.route is Route.BOT


async def test_own_reply_with_a_users_token_is_no_agent_in_a_plain_inbox(db):
    """Chatwoot takes it for a human's, and dates the first reply by it."""
    await take(db, says(status=OPEN, clock=100.0))
    await turn(db)
    ours = says(Kind.BOT_MESSAGE, reply_key="t_1.0", status=OPEN, clock=101.0)
    await take(db, ours)

    again = await take(db, says(status=OPEN, clock=130.0, first_reply_at=101.0))

    assert again.decision.route is Route.BOT


async def test_own_reply_with_a_users_token_is_no_agent_in_a_bots_inbox(db):
    """Its echo says so, and from then on no echo is waited for."""
    await take(db, says(clock=100.0))
    await turn(db)
    echo = {"reply_key": "t_1.0", "by_user": True, "first_reply_at": 101.0}
    await take(db, says(Kind.BOT_MESSAGE, clock=101.0, **echo))
    again = await take(db, says(clock=130.0, first_reply_at=101.0))
    await take(db, shows(RESOLVED, clock=140.0))
    await take(db, says(conversation=151, clock=200.0))
    await turn(db, turn_id="t_2")
    other = await conversation(db, 151)
    [reply] = await db.read(replies.unsaid, other.id)
    await db.write(replies.delivered, other, reply, external_id=7_777, now=NOW)

    next_one = await take(db, says(conversation=151, clock=230.0, first_reply_at=201.0))

    assert again.decision.route is Route.BOT
    assert next_one.decision.route is Route.BOT


async def test_first_reply_says_nothing_while_our_own_is_under_way(db):
    """It may be that one; the payload after its echo is clearer."""
    await take(db, says(clock=100.0))
    await turn(db)

    meanwhile = await take(db, says(clock=101.5, first_reply_at=101.0))
    await take(db, says(Kind.BOT_MESSAGE, reply_key="t_1.0", clock=102.0))
    later = await take(db, says(clock=130.0, first_reply_at=101.0))

    assert meanwhile.decision.route is Route.BOT
    assert later.decision.route is Route.HUMAN


# A label or an attribute that has not changed.


async def test_attribute_of_weeks_ago_does_not_take_a_reopened_conversation(db):
    await take(db, saying(says(status=OPEN, clock=100.0), bot="on"))
    await take(db, saying(shows(RESOLVED, clock=200.0), bot="on"))
    await hold(db, enabled=True)

    await take(db, saying(shows(OPEN, clock=300.0), bot="on"))
    await take(db, saying(says(Kind.AGENT_REPLY, status=OPEN, clock=310.0), bot="on"))
    await take(db, saying(says(status=OPEN, clock=320.0), bot="on"))

    assert (await conversation(db)).state is State.HUMAN


async def test_attribute_does_not_undo_an_agent_who_reopens_a_bots_conversation(db):
    await take(db, saying(says(clock=100.0), bot="on"))
    await take(db, saying(shows(RESOLVED, clock=200.0), bot="on"))

    reopened = await take(db, saying(shows(OPEN, clock=300.0), bot="on"))

    now = await conversation(db)
    assert reopened.interrupts == "agent_joined"
    assert (now.state, now.wanted_status) == (State.HUMAN, None)


async def test_attribute_at_first_sight_takes_nothing_from_an_agent(db):
    """Chatwoot shows an agent's reply; the attribute may be older."""
    seen = says(status=OPEN, clock=100.0, first_reply_at=90.0)

    result = await take(db, saying(seen, bot="on"))

    assert result.decision.route is Route.HUMAN


async def test_attribute_does_not_undo_an_operator_before_the_first_sight(db):
    await hold(db, enabled=True)

    result = await take(db, saying(says(), bot="on"))

    assert result.decision.route is Route.HUMAN


async def test_label_set_in_human_mode_keeps_the_bot_silent_when_it_ends(db):
    await db.write(human.set_human_mode, enabled=True)
    await take(db, saying(says(clock=100.0)))
    await take(db, saying(shows(OPEN, clock=110.0), "bot-off"))
    await db.write(human.set_human_mode, enabled=False)

    assert await db.write(human.end_human_mode, now=NOW, rules=RULES) == []
    assert (await conversation(db)).state is State.HANDOVER_PENDING


async def test_label_that_is_taken_off_leaves_an_agent_alone(db):
    """It silenced the bot, then an agent came: now they are the reason."""
    await take(db, saying(says(clock=100.0)))
    await take(db, saying(shows(PENDING, clock=110.0), "bot-off"))
    await take(db, saying(says(Kind.AGENT_REPLY, clock=120.0), "bot-off"))

    await take(db, saying(shows(OPEN, clock=130.0)))

    assert (await conversation(db)).state is State.HUMAN


async def test_label_that_came_after_the_agent_releases_nothing(db):
    await take(db, saying(says(Kind.AGENT_REPLY, clock=120.0)))
    await take(db, saying(shows(OPEN, clock=130.0), "bot-off"))
    await take(db, saying(shows(OPEN, clock=140.0)))

    assert (await conversation(db)).state is State.HUMAN


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"labels": ()}, {"attributes": {"bot": "on"}}),
        ({"labels": ("bot-off",)}, {"labels": ()}),
        ({"attributes": {"bot": "off"}}, {"attributes": {"bot": "on"}}),
        ({"attributes": {"bot": "off"}}, {"attributes": {}}),
    ],
    ids=str,
)
async def test_no_label_or_attribute_takes_a_conversation_from_an_agent(
    db, before, after
):
    """A visitor can change both through Chatwoot's widget."""
    await take(db, showing(says(clock=100.0), **before))
    reply = says(Kind.AGENT_REPLY, clock=120.0)
    await take(db, showing(reply, **before))
    await take(db, showing(shows(OPEN, clock=125.0), **before))

    await take(db, showing(shows(OPEN, clock=130.0), **after))

    now = await conversation(db)
    assert (now.state, now.wanted_status) == (State.HUMAN, None)


# The limit of answers.


@pytest.mark.parametrize("back", ["release", "/bot on", "pending"])
async def test_given_back_the_bot_may_answer_as_often_as_at_first(db, back):
    await take(db, says(clock=100.0, at=1_000.0))
    await turn(db)
    counted = (await conversation(db)).bot_turns
    match back:
        case "release":
            await hold(db, enabled=False)
        case "pending":
            await take(db, shows(OPEN, clock=110.0))
            await take(db, shows(PENDING, clock=120.0))
        case _:
            note = {"content": back, "private": True, "clock": 120.0}
            await take(db, says(Kind.AGENT_NOTE, **note))

    assert (counted, (await conversation(db)).bot_turns) == (1, 0)


# Human mode for all.


async def test_whoever_writes_in_human_mode_is_shown_to_the_team(db):
    """Chatwoot hides what is pending."""
    await db.write(human.set_human_mode, enabled=True)

    silent = await take(db, says(at=1_000.0))

    now = await conversation(db)
    assert silent.decision.route is Route.HUMAN
    assert (now.wanted_status, now.due_at) == (OPEN, 1_000.0)


async def test_what_waited_when_human_mode_came_is_shown_to_the_team(db):
    await take(db, says())
    await db.write(human.set_human_mode, enabled=True)

    verdict = await turn(db)
    [lease] = await db.write(turns.claim, now=NOW + 60.0, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    await db.write(turns.leave, lease, seen=situation.owed, now=NOW)

    now = await conversation(db)
    assert verdict is Verdict.SILENCED
    assert (now.state, now.wanted_status) == (State.HANDOVER_PENDING, OPEN)


async def test_after_human_mode_the_bot_answers_and_has_it_pending_again(db):
    await db.write(human.set_human_mode, enabled=True)
    await take(db, says(clock=100.0))
    await told(db, OPEN, at=110.0)
    await db.write(human.set_human_mode, enabled=False)
    await db.write(human.end_human_mode, now=NOW, rules=RULES)

    again = await take(db, says(status=OPEN, clock=120.0))

    assert again.decision.route is Route.BOT
    assert (await conversation(db)).wanted_status is PENDING


async def test_agent_who_replied_in_human_mode_keeps_it_afterwards(db):
    await db.write(human.set_human_mode, enabled=True)
    await take(db, says(clock=100.0))
    await told(db, OPEN, at=110.0)
    await take(db, says(Kind.AGENT_REPLY, status=OPEN, clock=115.0))
    await db.write(human.set_human_mode, enabled=False)

    again = await take(db, says(status=OPEN, clock=120.0))

    assert again.decision.route is Route.HUMAN
    assert (await conversation(db)).wanted_status is None


# A resolve of our own, whose time we know roughly.


async def resolved_here(db, *, at):
    await take(db, says(clock=100.0))
    mine = (await conversation(db)).id
    await db.write(human.resolve, conversation_id=mine, now=NOW, rules=RULES)
    await told(db, RESOLVED, at=at)


async def test_message_right_after_a_resolve_of_ours_is_answered(db):
    """Chatwoot dates its answers by the second, and the contact was faster."""
    await resolved_here(db, at=201.0)

    back = await take(db, says(status=PENDING, clock=200.4))

    now = await conversation(db)
    assert back.decision.route is Route.BOT
    assert (now.status, now.status_at) == (PENDING, 200.4)


async def resolving(db):
    """Resolved by us, and Chatwoot is to be told."""
    await take(db, says(clock=100.0))
    mine = (await conversation(db)).id
    await db.write(human.resolve, conversation_id=mine, now=NOW, rules=RULES)
    [lease] = await db.write(turns.claim, now=NOW, limit=1)
    return lease


async def decided(db, lease):
    situation = await db.read(turns.load, lease, history=40)
    return decide(
        situation.owed, situation.conversation, human_mode=False, policy=RULES.policy
    ).route


async def test_contact_who_writes_before_chatwoot_is_told_goes_on(db):
    lease = await resolving(db)
    await take(db, says(clock=101.0))

    assert not await db.write(turns.tell_status, lease, RESOLVED)
    assert (await conversation(db)).wanted_status is None
    assert await decided(db, lease) is Route.BOT


@pytest.mark.parametrize("order", ["MSE", "MES", "SME"])
async def test_contact_who_writes_while_chatwoot_is_told_is_answered(db, order):
    """In whatever order come the message, the answer to our request, and its event."""
    lease = await resolving(db)
    assert await db.write(turns.tell_status, lease, RESOLVED)
    for step in order:
        match step:
            case "M":
                await take(db, says(clock=100.5))
            case "S":
                await db.write(turns.status_set, lease, RESOLVED, at=102.0)
            case "E":
                await take(db, shows(RESOLVED, clock=101.0))

    assert await decided(db, lease) is Route.BOT
    now = await conversation(db)
    assert (now.status, now.wanted_status) == (PENDING, PENDING)


async def test_agent_who_joins_before_chatwoot_is_told_keeps_it(db):
    lease = await resolving(db)
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))

    assert not await db.write(turns.tell_status, lease, RESOLVED)
    assert (await conversation(db)).state is State.HUMAN


async def test_agent_who_joins_before_chatwoot_is_told_sees_it(db):
    await resolving(db)
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))

    assert (await conversation(db)).wanted_status is OPEN


async def test_wish_for_a_human_is_shown_though_the_mode_was_on_before(db):
    """Chatwoot has not been told of the mode yet, and must be all the same."""
    await db.write(human.set_human_mode, enabled=True)
    await take(db, says(clock=100.0))
    await db.write(human.set_human_mode, enabled=False)
    await db.write(turns.hurry, now=NOW, owed_before=NOW)
    [lease] = await db.write(turns.claim, now=NOW, limit=1)
    await take(db, says(content="A human, please.", clock=101.0))
    situation = await db.read(turns.load, lease, history=40)
    record = record_of(lease, "handover", "asked_for_human", turn_id="t_1")
    await db.write(
        turns.keep,
        lease,
        record,
        seen=situation.conversation,
        answered=situation.owed,
        drafts=[Draft(ReplyKind.HANDOVER, "A colleague will come.")],
        now=NOW,
    )

    now = await conversation(db)
    assert (now.state, now.wanted_status) == (State.HANDOVER_PENDING, OPEN)


async def test_late_news_of_our_own_resolve_does_not_undo_the_return(db):
    await resolved_here(db, at=201.0)
    await take(db, says(status=PENDING, clock=200.4))

    await take(db, shows(RESOLVED, clock=200.2))

    assert (await conversation(db)).status is PENDING


async def test_time_that_chatwoot_has_shown_is_believed_before_an_estimate(db):
    """The event of our own doing may come before the answer to the request."""
    await take(db, says(clock=100.0))
    mine = (await conversation(db)).id
    await db.write(human.resolve, conversation_id=mine, now=NOW, rules=RULES)
    [lease] = await db.write(turns.claim, now=NOW, limit=1)
    await db.write(turns.tell_status, lease, RESOLVED)
    await take(db, shows(RESOLVED, clock=200.2))
    await db.write(turns.status_set, lease, RESOLVED, at=202.0)

    assert (await conversation(db)).status_at == 200.2


async def test_muted_contact_stays_unanswered(db):
    """Theirs is resolved, and the payload says so."""
    await resolved_here(db, at=201.0)

    muted = await take(db, says(status=RESOLVED, clock=200.4))

    assert muted.decision.reason == "resolved"


async def test_what_an_agents_resolve_overtook_is_not_answered(db):
    """It was written before, and delivered late."""
    await take(db, says(clock=100.0))
    await take(db, shows(RESOLVED, clock=200.0))

    late = await take(db, says(status=PENDING, clock=150.0))

    assert late.decision.reason == "resolved"


async def test_what_an_agents_second_resolve_overtook_is_not_answered(db):
    """The contact had come back in between, and the news comes backwards."""
    await take(db, says(clock=100.0))
    await take(db, shows(RESOLVED, clock=200.0))
    await take(db, shows(RESOLVED, clock=300.0))

    late = await take(db, says(status=PENDING, clock=250.0))

    assert late.decision.reason == "resolved"


async def test_later_news_of_our_own_resolve_does_not_silence_who_was_faster(db):
    await resolved_here(db, at=201.0)
    await take(db, shows(RESOLVED, clock=205.0))

    back = await take(db, says(status=PENDING, clock=200.4))

    assert back.decision.route is Route.BOT


# A switch in a resolved conversation.


@pytest.mark.parametrize("enabled", [True, False])
async def test_switch_reopens_no_resolved_conversation(db, enabled):
    await take(db, says(clock=100.0))
    await take(db, shows(RESOLVED, clock=200.0))

    await hold(db, enabled=enabled)

    now = await conversation(db)
    assert (now.status, now.wanted_status) == (RESOLVED, None)


# The bot takes a conversation for finished.


async def ends(db, *drafts):
    """An answer after which the bot wants to resolve; the next turn has begun."""
    await take(db, says(clock=100.0))
    [lease] = await db.write(turns.claim, now=NOW, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    record = record_of(lease, "bot", "default", turn_id="t_end")
    await db.write(
        turns.keep,
        lease,
        record,
        seen=situation.conversation,
        answered=situation.owed,
        drafts=[*drafts, Draft(ReplyKind.RESOLVE, "")],
        now=NOW,
    )
    *_, end = (await db.read(turns.load, lease, history=40)).unsaid
    return lease, end


async def test_contact_has_the_time_to_say_more(db):
    lease, end = await ends(db)
    over_at = await db.write(human.resolve_when_quiet, lease, end, RULES, now=NOW)
    due_at = await db.write(
        turns.finish, lease, RULES, ending=Ending.DONE, now=NOW, look_at=over_at
    )

    assert over_at == due_at == NOW + RULES.max_wait_s
    assert (await conversation(db)).wanted_status is None


async def test_contact_who_says_nothing_more_has_finished(db):
    lease, end = await ends(db)
    later = NOW + RULES.max_wait_s
    again = await db.write(human.resolve_when_quiet, lease, end, RULES, now=later)

    assert again is None
    assert (await conversation(db)).wanted_status is RESOLVED


async def test_contact_who_goes_on_is_answered_at_once(db):
    """Also where they write in the very moment in which the wait begins."""
    lease, end = await ends(db)
    over_at = await db.write(human.resolve_when_quiet, lease, end, RULES, now=NOW)
    await take(db, says(clock=101.0, at=NOW))
    due_at = await db.write(
        turns.finish, lease, RULES, ending=Ending.DONE, now=NOW, look_at=over_at
    )
    [lease] = await db.write(turns.claim, now=NOW + 2, limit=1)
    later = NOW + RULES.max_wait_s
    await db.write(human.resolve_when_quiet, lease, end, RULES, now=later)

    assert due_at == NOW + RULES.quiet_s
    assert (await conversation(db)).wanted_status is None
    assert (await db.read(turns.load, lease, history=40)).unsaid == []


async def test_answer_that_is_not_said_yet_is_not_dropped_by_its_end(db):
    """Chatwoot is down for longer than the contact is given to say more."""
    lease, end = await ends(db, Draft(ReplyKind.ANSWER, "Goodbye!"))
    later = NOW + 10 * RULES.max_wait_s
    again = await db.write(human.resolve_when_quiet, lease, end, RULES, now=later)

    assert again > later
    unsaid = (await db.read(turns.load, lease, history=40)).unsaid
    assert [reply.kind for reply in unsaid] == ["answer", "resolve"]


async def test_agent_who_joins_has_the_last_word(db):
    lease, end = await ends(db)
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))
    later = NOW + RULES.max_wait_s
    await db.write(human.resolve_when_quiet, lease, end, RULES, now=later)

    assert (await conversation(db)).wanted_status is not RESOLVED
