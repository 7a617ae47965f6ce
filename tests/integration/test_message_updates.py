"""Edits, deletions, choices and failures of messages we have, in both databases."""

import asyncio
import dataclasses
from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, says, shows

from chatwoot_bot.core.attachments import lines, replaced, with_words
from chatwoot_bot.core.conversation import Attachment, Sender, State, Status
from chatwoot_bot.core.decision import Decision, Route
from chatwoot_bot.core.events import Kind
from chatwoot_bot.store import dead, human, replies, schema, sweeping, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.deliveries import Outcome
from chatwoot_bot.store.readings import keep_reading
from chatwoot_bot.store.replies import ReplyKind
from chatwoot_bot.store.turns import Ending, TurnRecord, Verdict

pytestmark = pytest.mark.anyio

ACCEPT = partial(accept, rules=RULES)
NOW = 1_010.0
REPLY = 9_000_000  # Chatwoot's id of the bot's reply


async def take(db, arrival):
    return await db.write_grouped(ACCEPT, arrival)


def changed(arrival, *, kind=None, said=None, seen=None, **event):
    """*arrival* with other values in its event, message and conversation."""
    old = arrival.event
    message = dataclasses.replace(old.message, **(said or {}))
    conversation = dataclasses.replace(old.conversation, **(seen or {}))
    new = dataclasses.replace(
        old,
        name="message_updated",
        kind=kind or old.kind,
        message=message,
        conversation=conversation,
        **event,
    )
    return dataclasses.replace(arrival, event=new)


def edits(message_id, content, **options):
    arrival = says(message_id=message_id, content=content, **options)
    return changed(arrival, kind=Kind.EDITED, reason="not_message_created")


def deletes(message_id, sender=Sender.CONTACT, **options):
    arrival = says(message_id=message_id, **options)
    return changed(arrival, kind=Kind.DELETED, said={"sender": sender})


def chooses(content="Refund", *, of=REPLY, digest="abc", **options):
    said = {
        "external_id": None,
        "client_id": f"submitted:{of}:{digest}",
        "submitted_to": of,
    }
    return changed(says(content=content, **options), said=said)


def fails(reply_key, message_id=REPLY, error="131026: Undeliverable", **options):
    arrival = says(
        Kind.BOT_MESSAGE, reply_key=reply_key, message_id=message_id, **options
    )
    return changed(arrival, kind=Kind.UNDELIVERED, said={"error": error})


async def claim(db, now=NOW):
    [lease] = await db.write(turns.claim, now=now, limit=1)
    return lease, await db.read(turns.load, lease, history=40)


async def keep(db, lease, situation, *drafts):
    record = TurnRecord(
        id="t_1",
        conversation_id=lease.conversation_id,
        decision="bot",
        reason="default",
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )
    return await db.write(
        turns.keep,
        lease,
        record,
        seen=situation.conversation,
        answered=situation.owed,
        drafts=drafts or ((ReplyKind.ANSWER, "It is on its way."),),
        now=NOW,
    )


async def finish(db, lease):
    await db.write(turns.finish, lease, RULES, ending=Ending.DONE, now=NOW)


async def replied(db):
    """A question that the bot has answered, by message REPLY."""
    await take(db, says(at=1_000.0))
    lease, situation = await claim(db)
    _, [reply] = await keep(db, lease, situation)
    await db.write(
        replies.delivered, situation.conversation, reply, external_id=REPLY, now=NOW
    )
    await finish(db, lease)
    return reply


async def conversation(db):
    found = await db.write(find, {"account_id": 1, "display_id": 150})
    return found[0]


async def rows(db, table, *columns):
    query = sa.select(*(table.c[name] for name in columns)).order_by(*table.primary_key)
    return await db.read(lambda tx: [tuple(row) for row in tx.execute(query)])


# Edits.


async def test_edit_changes_what_will_be_answered(db):
    """The contact meant Tuesday, so the answer is about Tuesday."""
    await take(db, says(message_id=5_001, content="Monday?", at=1_000.0))
    for _ in range(2):
        result = await take(db, edits(5_001, "Tuesday?"))
    _, situation = await claim(db)

    assert [message.content for message in situation.owed] == ["Tuesday?"]
    assert (result.outcome, result.interrupts) == (Outcome.IGNORED, None)


async def test_edit_while_the_bot_thinks_supersedes_its_draft(db):
    await take(db, says(message_id=5_001, content="Monday?", at=1_000.0))
    lease, situation = await claim(db)
    same = await take(db, edits(5_001, "Monday?"))
    other = await take(db, edits(5_001, "Tuesday?"))
    verdict, _ = await keep(db, lease, situation)

    assert (same.interrupts, other.interrupts) == (None, "superseded")
    assert verdict is Verdict.SUPERSEDED


async def test_edit_of_an_answered_message_is_for_the_transcript(db):
    await take(db, says(message_id=5_001, content="Monday?", at=1_000.0))
    lease, situation = await claim(db)
    await keep(db, lease, situation)
    result = await take(db, edits(5_001, "Tuesday?"))

    assert result.interrupts is None
    assert ("Tuesday?",) in await rows(db, schema.messages, "content")


async def test_edit_of_a_message_we_never_had_changes_nothing(db):
    await take(db, edits(5_001, "Tuesday?"))

    assert await rows(db, schema.messages, "content") == []


# Words that Chatwoot has heard in a voice note.

UNHEARD = (Attachment(kind="audio", line="[audio]", url="https://chat/1.ogg"),)


def heard(words):
    return tuple(with_words(each, words) for each in UNHEARD)


def voice(attachments=UNHEARD):
    content = lines(attachments)
    return says(message_id=5_001, content=content, attachments=attachments, at=1_000.0)


def transcribes(words):
    arrival = voice(heard(words))
    return changed(arrival, kind=Kind.EDITED, reason="not_message_created")


async def test_words_that_chatwoot_heard_are_the_contacts(db):
    """Nobody listens to it once more."""
    await take(db, voice())
    for _ in range(2):
        await take(db, transcribes("Where is my order?"))
    _, situation = await claim(db)

    [question] = situation.owed
    assert question.content == "[audio: Where is my order?]"
    assert question.attachments == heard("Where is my order?")


async def test_words_that_come_while_the_bot_thinks_supersede_its_draft(db):
    """It was about to say that it cannot listen."""
    await take(db, voice())
    lease, situation = await claim(db)
    result = await take(db, transcribes("Where is my order?"))
    verdict, _ = await keep(db, lease, situation)

    assert result.interrupts == "superseded"
    assert verdict is Verdict.SUPERSEDED


async def test_words_that_we_have_heard_ourselves_stay(db):
    """Two transcripts differ in a comma; that is no reason to begin again."""
    await take(db, voice())
    lease, situation = await claim(db)
    [question] = situation.transcript
    read = replaced(question, heard("Where's my order?"))
    await db.write(keep_reading, lease, read)
    result = await take(db, transcribes("Where is my order?"))
    verdict, _ = await keep(db, lease, situation)

    assert result.interrupts is None
    assert verdict is Verdict.KEPT
    assert ("[audio: Where's my order?]",) in await rows(db, schema.messages, "content")


async def test_voice_note_and_its_words_at_one_moment(db):
    """Both before the first commit."""
    await asyncio.gather(take(db, voice()), take(db, transcribes("Where is it?")))
    _, situation = await claim(db)

    [question] = situation.owed
    assert question.attachments == heard("Where is it?")


# Deletions.


async def test_message_taken_back_is_not_answered(db):
    """Its text is gone, and nobody waits any more."""
    await take(db, says(message_id=5_001, at=1_000.0))
    await take(db, deletes(5_001))
    await take(db, deletes(5_001))

    now = await conversation(db)
    assert (now.owed_since, now.due_at) == (None, None)
    [(content, owed, deleted_at)] = await rows(
        db, schema.messages, "content", "owed", "deleted_at"
    )
    assert (content, owed, deleted_at) == (None, False, 1_000.0)


async def test_rest_of_a_burst_is_still_answered(db):
    await take(db, says(message_id=5_001, at=1_000.0))
    await take(db, says(message_id=5_002, content="Hello?", at=1_001.0))
    await take(db, deletes(5_001))
    _, situation = await claim(db)

    assert situation.conversation.owed_since == 1_001.0
    assert [message.content for message in situation.owed] == ["Hello?"]


async def test_deletion_while_the_bot_thinks_stops_it(db):
    await take(db, says(message_id=5_001, at=1_000.0))
    lease, situation = await claim(db)
    result = await take(db, deletes(5_001))
    verdict, _ = await keep(db, lease, situation)
    await db.write(turns.finish, lease, RULES, ending=Ending.SUPERSEDED, now=NOW)

    assert result.interrupts == "superseded"
    assert verdict is Verdict.SUPERSEDED
    assert (await conversation(db)).due_at is None


async def test_deletion_leaves_what_is_to_be_said(db):
    """A kept reply, or a status to be told, is still seen to."""
    await take(db, says(message_id=5_001, at=1_000.0))
    lease, situation = await claim(db)
    await keep(db, lease, situation)
    await db.write(
        turns.finish, lease, RULES, ending=Ending.WAITING, now=NOW, retry_at=NOW + 9
    )
    await take(db, says(message_id=5_002, at=1_011.0))
    await take(db, deletes(5_002))

    assert (await conversation(db)).due_at is not None


async def test_message_deleted_before_it_came_stays_deleted(db):
    """Deliveries overtake each other."""
    await take(db, deletes(5_001))
    late = await take(db, says(message_id=5_001, at=1_000.0))

    assert late.outcome is Outcome.DUPLICATE
    assert (await conversation(db)).due_at is None


async def test_bots_deleted_message_leaves_the_transcript(db):
    """An agent took back what the bot said; it must not say so again."""
    await replied(db)
    await take(db, deletes(REPLY, Sender.BOT))
    await take(db, deletes(4_999, Sender.BOT))
    await take(db, says(at=1_020.0))
    _, situation = await claim(db, now=1_030.0)

    assert [m.sender for m in situation.transcript] == [Sender.CONTACT] * 2


async def test_message_and_its_changes_at_one_moment(db):
    """Arrivals that wait together are taken together."""
    arrivals = [
        says(message_id=5_001, at=1_000.0),
        edits(5_001, "Edited.", at=1_000.0),
        says(message_id=5_002, at=1_000.0),
        deletes(5_002, at=1_001.0),
        says(message_id=5_003, at=1_000.0),
    ]
    await db.write(lambda tx: accept(tx, arrivals, RULES))
    _, situation = await claim(db)

    assert [m.content for m in situation.owed] == ["Edited.", "Where is my order?"]


async def test_update_outside_a_known_account_is_left_alone(db):
    """The demo's bodies have no ids worth keeping."""
    arrival = deletes(5_001)
    event = dataclasses.replace(arrival.event, conversation=None, account_id=None)
    alone = dataclasses.replace(arrival, event=event)

    assert (await take(db, alone)).interrupts is None
    assert await rows(db, schema.messages, "content") == []


# Choices.


async def test_choice_is_a_message_of_the_contact(db):
    """Once, however often Chatwoot tells of it."""
    await replied(db)
    first = await take(db, chooses(at=1_020.0))
    again = await take(db, chooses(at=1_021.0))
    _, situation = await claim(db, now=1_030.0)

    assert (first.outcome, again.outcome) == (Outcome.ACCEPTED, Outcome.DUPLICATE)
    assert first.decision.route is Route.BOT
    assert [m.content for m in situation.owed] == ["Refund"]


async def test_choice_stands_where_it_was_made(db):
    """After what was said since the question, and before what follows."""
    await replied(db)
    await take(db, says(Kind.BOT_MESSAGE, content="P.S.", message_id=REPLY + 5))
    await take(db, chooses(at=1_020.0))
    await take(db, says(content="Please", message_id=REPLY + 9, at=1_021.0))
    _, situation = await claim(db, now=1_031.0)

    assert [m.content for m in situation.transcript][1:] == [
        "It is on its way.",
        "P.S.",
        "Refund",
        "Please",
    ]


async def test_another_choice_is_another_message(db):
    await replied(db)
    await take(db, chooses(at=1_020.0))
    await take(db, chooses("Order status", digest="def", at=1_020.5))
    _, situation = await claim(db, now=1_030.0)

    assert [m.content for m in situation.owed] == ["Refund", "Order status"]


async def test_choice_of_a_human_calls_one(db):
    await replied(db)
    result = await take(db, chooses("human", at=1_020.0))

    assert result.decision.route is Route.HANDOVER


async def test_choice_in_human_hands_is_the_humans(db):
    await replied(db)
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))
    result = await take(db, chooses(clock=102.0, at=1_020.0))

    assert result.decision.route is Route.HUMAN


# What did not arrive.


async def test_reply_that_did_not_arrive_calls_a_human_once(db):
    """A dead letter, a note, the humans' queue; the next receipt changes nothing."""
    reply = await replied(db)
    first = await take(db, fails(reply.key))
    again = await take(db, fails(reply.key))
    _, situation = await claim(db)

    assert (first.undelivered, again.undelivered) == (reply.key, None)
    now = situation.conversation
    assert (now.state, now.wanted_status) == (State.HANDOVER_PENDING, Status.OPEN)
    assert [note.kind for note in situation.unsaid] == [ReplyKind.NOTE]
    assert "131026: Undeliverable" in situation.unsaid[0].content
    [letter] = await db.read(dead.list_replies)
    assert (letter["key"], letter["error"]) == (reply.key, "131026: Undeliverable")


async def test_failure_without_our_key_is_known_by_the_message(db):
    """Chatwoot forgets the key when an agent sends the message again."""
    reply = await replied(db)
    other = await take(db, fails(None, message_id=4_998))
    ours = await take(db, fails(None))

    assert (other.undelivered, ours.undelivered) == (None, reply.key)


async def test_failure_after_the_echo_is_known_by_the_message_too(db):
    """The echo was faster than the answer to our request."""
    await take(db, says(at=1_000.0))
    lease, situation = await claim(db)
    _, [reply] = await keep(db, lease, situation)
    await take(db, says(Kind.BOT_MESSAGE, reply_key=reply.key, message_id=REPLY))

    assert (await take(db, fails(None))).undelivered == reply.key


async def test_failure_that_is_faster_than_chatwoots_answer(db):
    """It stays a dead letter when we learn that the message was stored."""
    await take(db, says(at=1_000.0))
    lease, situation = await claim(db)
    _, [reply] = await keep(db, lease, situation)
    failed = await take(db, fails(reply.key))
    await db.write(
        replies.delivered, situation.conversation, reply, external_id=REPLY, now=NOW
    )

    assert failed.undelivered == reply.key
    assert ("dead",) in await rows(db, schema.replies, "state")


async def test_failure_in_human_hands_is_a_note(db):
    """They must know that the contact has not read it; nobody is called again."""
    reply = await replied(db)
    await take(db, says(Kind.AGENT_REPLY, clock=101.0))
    await take(db, shows(Status.OPEN, clock=102.0))
    result = await take(db, fails(reply.key, status=Status.OPEN, clock=103.0))
    _, situation = await claim(db, now=1_200.0)

    assert (result.undelivered, result.interrupts) == (reply.key, None)
    assert situation.conversation.state is State.HUMAN
    assert [note.kind for note in situation.unsaid] == [ReplyKind.NOTE]


async def test_failure_of_somebody_elses_message_is_theirs(db):
    """And a key is worth nothing in another conversation."""
    reply = await replied(db)
    foreign = await take(db, fails(reply.key, conversation=151))
    unknown = await take(db, fails("t_9.0", message_id=4_997))

    assert (foreign.undelivered, unknown.undelivered) == (None, None)


async def test_failed_reply_that_is_replayed_is_sent_again(db):
    """And the old message's failure does not count for the new one."""
    reply = await replied(db)
    await take(db, fails(reply.key))
    await db.write(dead.revive, reply.key, now=NOW)
    lease, situation = await claim(db)
    again = next(one for one in situation.unsaid if one.key == reply.key)
    begun = await db.write(replies.begin_attempt, lease, again, now=NOW)
    await db.write(
        replies.delivered, situation.conversation, again, external_id=REPLY + 1, now=NOW
    )
    old = await take(db, fails(reply.key))
    new = await take(db, fails(reply.key, message_id=REPLY + 1))

    assert (again.in_doubt_until, begun) == (None, True)
    assert (old.undelivered, new.undelivered) == (None, reply.key)


# What carries a reply.


async def test_channel_and_window_are_known_at_first_sight(db):
    seen = {"channel": "Channel::Whatsapp", "can_reply": False}
    await take(db, changed(says(), seen=seen))

    now = await conversation(db)
    assert (now.chatwoot_channel, now.can_reply) == ("Channel::Whatsapp", False)


async def test_window_follows_what_chatwoot_shows_last(db):
    """A late delivery does not shut it, and one without the field says nothing."""
    await take(db, says(clock=100.0))
    unknown = await conversation(db)
    for clock, can_reply in ((110.0, False), (120.0, None), (105.0, True)):
        seen = {"channel": "Channel::Line", "can_reply": can_reply}
        await take(db, changed(says(clock=clock), seen=seen))
    shut = await conversation(db)
    await take(db, changed(says(clock=130.0), seen={"can_reply": True}))

    assert (unknown.chatwoot_channel, unknown.can_reply) == (None, True)
    assert (shut.chatwoot_channel, shut.can_reply) == ("Channel::Line", False)
    assert (await conversation(db)).can_reply is True


async def test_deletion_of_what_human_mode_left_alone(db):
    """Nothing was owed, and nothing is; the team sees the conversation all the same."""
    await db.write(human.set_human_mode, enabled=True)
    await take(db, says(message_id=5_001, at=1_000.0))
    result = await take(db, deletes(5_001))

    now = await conversation(db)
    assert (result.interrupts, now.owed_since) == (None, None)
    assert (now.wanted_status, now.due_at) == (Status.OPEN, 1_000.0)


# Content that comes later.


def empty(message_id, **options):
    return says(Kind.EMPTY, message_id=message_id, content="", **options)


def photo():
    return (Attachment(kind="image", line="[image]", url="https://x/1.png"),)


def brings(message_id, **options):
    arrival = says(
        message_id=message_id, content="[image]", attachments=photo(), **options
    )
    return changed(arrival, kind=Kind.EDITED, reason="not_message_created")


async def test_update_that_brings_the_content_is_that_message(db):
    """Instagram sends a picture like that; it waits for an answer from then on."""
    first = await take(db, empty(5_001, at=1_000.0))
    result = await take(db, brings(5_001, at=1_005.0))
    again = await take(db, brings(5_001, at=1_006.0))
    _, situation = await claim(db, now=1_010.0)

    assert (first.decision, again.decision) == (None, None)
    assert (result.outcome, result.decision.route) == (Outcome.ACCEPTED, Route.BOT)
    [owed] = situation.owed
    assert (owed.content, owed.owed_at, owed.edited_at) == ("[image]", 1_005.0, None)
    assert owed.attachments == photo()
    assert situation.conversation.owed_since == 1_005.0


async def test_content_that_comes_in_the_same_moment_is_answered(db):
    """Both deliveries may be accepted in one transaction."""
    both = [empty(5_001, at=1_000.0), brings(5_001, at=1_000.0)]
    await db.write(accept, both, RULES)
    _, situation = await claim(db)

    assert [message.content for message in situation.owed] == ["[image]"]


async def test_content_that_the_sweep_finds_is_answered(db):
    """Then the update itself was lost."""
    await take(db, empty(5_001, at=1_000.0))
    known = await db.read(sweeping.newest_known, 1, 150)
    result = await take(
        db, says(message_id=5_001, content="[image]", attachments=photo(), at=1_005.0)
    )

    assert known == 0
    assert (result.outcome, result.decision.route) == (Outcome.ACCEPTED, Route.BOT)


async def test_content_that_comes_to_a_human_is_only_stored(db):
    await take(db, empty(5_001, at=1_000.0))
    await take(db, says(Kind.AGENT_REPLY, at=1_001.0, clock=150.0))
    result = await take(db, brings(5_001, at=1_005.0, clock=160.0))

    assert result.decision.route is Route.HUMAN
    assert ("[image]", False) in await rows(db, schema.messages, "content", "owed")


async def test_receipt_of_a_picture_changes_nothing(db):
    await take(db, says(message_id=5_001, content="[image]", attachments=photo()))
    result = await take(db, brings(5_001))

    assert (result.decision, result.changed) == (None, False)


async def test_picture_that_follows_its_caption_is_seen_with_it(db):
    """The caption alone was a message already, so it is no empty one."""
    await take(db, says(message_id=5_001, content="Is it broken?", at=1_000.0))
    lease, situation = await claim(db)
    said = {"content": "Is it broken?\n[image]"}
    shown = changed(brings(5_001), kind=Kind.EDITED, said=said)
    result, again = await take(db, shown), await take(db, shown)
    verdict, _ = await keep(db, lease, situation)
    await finish(db, lease)
    _, situation = await claim(db)

    assert (result.interrupts, again.changed) == ("superseded", False)
    assert verdict is Verdict.SUPERSEDED
    [owed] = situation.owed
    assert (owed.content, owed.attachments) == ("Is it broken?\n[image]", photo())


async def test_empty_message_that_is_deleted_stays_empty(db):
    await take(db, empty(5_001, at=1_000.0))
    await take(db, deletes(5_001))
    result = await take(db, brings(5_001))

    assert result.decision is None
    assert await rows(db, schema.messages, "content", "owed") == [(None, False)]


# Reactions, and mails without a reader.


async def test_reaction_is_shown_to_the_model_only_beside_a_question(db):
    await replied(db)
    react = says(Kind.REACTION, content="👍", clock=150.0)
    react = changed(react, said={"reacts_to": REPLY})
    alone = await take(db, dataclasses.replace(react))
    await take(db, says(content="And in red?", at=1_020.0, clock=160.0))
    other = says(Kind.REACTION, content="❤️", at=1_021.0, clock=161.0)
    beside = await take(db, changed(other, said={"reacts_to": REPLY}))
    _, situation = await claim(db, now=1_040.0)

    assert (alone.decision, beside.decision) == (None, None)
    assert [message.content for message in situation.owed] == ["And in red?"]
    said = [message.content for message in situation.transcript]
    assert "[reaction ❤️ to: It is on its way.]" in said
    assert not any("👍" in text for text in said)


async def test_mail_that_takes_no_reply_is_for_the_team(db):
    """An answer would find nobody; pending, nobody would find the mail."""
    result = await take(db, says(Kind.MACHINE_MESSAGE, at=1_000.0))
    found = await conversation(db)

    assert result.decision is None
    assert (found.wanted_status, found.owed_since) == (Status.OPEN, None)


async def test_mail_that_takes_no_reply_gets_none_when_the_bot_has_it_back(db):
    await take(db, says(Kind.MACHINE_MESSAGE, at=1_000.0, clock=100.0))
    await take(db, shows(Status.OPEN, clock=110.0))
    await take(db, shows(Status.PENDING, clock=120.0))
    found = await conversation(db)

    assert (found.state, found.owed_since) == (State.AI, None)


async def test_same_mail_again_is_answered_once(db):
    """Two automatic answers would write to each other for ever."""
    text = "Ticket {}: we are closed until Monday."
    for number in range(3):
        arrival = says(content=text.format(number), at=1_000.0 + number)
        mail = changed(arrival, seen={"channel": "Channel::Email"})
        result = await take(db, mail)
        if number == 0:
            assert result.decision.route is Route.BOT
        else:
            assert result.decision == Decision(Route.IGNORE, "mail_loop")
