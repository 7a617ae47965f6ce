"""Agents steer the bot from within Chatwoot: notes, labels, attributes."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, says

from chatwoot_bot.core.conversation import State, Status
from chatwoot_bot.core.events import Kind
from chatwoot_bot.store import schema, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.replies import ReplyKind

pytestmark = pytest.mark.anyio

ACCEPT = partial(accept, rules=RULES)


async def take(db, arrival):
    return await db.write_grouped(ACCEPT, arrival)


async def command(db, text, **changes):
    note = says(Kind.AGENT_NOTE, content=text, private=True, **changes)
    return await take(db, note)


async def conversation(db):
    found = await db.write(find, {"account_id": 1, "display_id": 150})
    return found[0]


async def notes(db):
    query = sa.select(schema.replies.c.kind, schema.replies.c.content)
    query = query.where(schema.replies.c.state == "open")
    return [tuple(row) for row in await db.read(lambda tx: tx.execute(query).all())]


async def owed(db):
    query = sa.select(schema.messages.c.content).where(schema.messages.c.owed)
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


def labelled(*labels, attributes=None, clock=100.0, **changes):
    arrival = says(clock=clock, **changes)
    seen = replace(
        arrival.event.conversation, labels=labels, attributes=attributes or {}
    )
    return replace(arrival, event=replace(arrival.event, conversation=seen))


async def test_off_silences_the_bot_and_shows_the_conversation_to_the_team(db):
    await take(db, says())

    result = await command(db, "/bot off", at=1_001.0)

    now = await conversation(db)
    assert (now.state, now.wanted_status) == (State.HUMAN, Status.OPEN)
    assert result.interrupts == "agent_joined"
    assert await owed(db) == []
    [(kind, text)] = await notes(db)
    assert (kind, "silent" in text) == (ReplyKind.NOTE, True)
    assert now.due_at == 1_001.0  # to post the note


async def test_on_gives_the_conversation_back_to_the_bot(db):
    await take(db, says())
    await command(db, "/bot off")

    await command(db, "/bot on", clock=110.0)

    now = await conversation(db)
    assert (now.state, now.wanted_status) == (State.AI, None)
    assert len(await notes(db)) == 2


async def test_retry_has_the_contacts_last_messages_answered_again(db):
    """The bot's answer was wrong, or the agent took over too early."""
    await take(db, says(content="Where is it?", at=1_000.0))
    await take(db, says(content="Order 4711.", at=1_001.0))
    await take(db, says(Kind.AGENT_REPLY, content="Let me see.", at=1_002.0))
    assert await owed(db) == []

    await command(db, "/bot retry", at=5_000.0)

    now = await conversation(db)
    assert now.state is State.AI
    assert await owed(db) == ["Where is it?", "Order 4711."]
    [lease] = await db.write(turns.claim, now=5_000.0, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    # The contact's patience is counted from the retry on.
    assert {message.owed_at for message in situation.owed} == {5_000.0}


async def test_retry_with_nothing_to_answer_says_so(db):
    await take(db, says(Kind.AGENT_REPLY, content="Hello!"))

    await command(db, "/bot retry")

    [(_, text)] = await notes(db)
    assert "no message of the contact" in text


async def test_summary_is_a_note_that_the_model_may_improve(db):
    await take(db, says(content="Where is it?"))

    await command(db, "/bot summary")

    [(kind, text)] = await notes(db)
    assert kind is ReplyKind.HANDOVER_NOTE or kind == "handover_note"
    assert "- **Contact:** Where is it?" in text
    assert (await conversation(db)).state is State.AI


async def test_anything_else_is_answered_by_what_there_is(db):
    await take(db, says())

    await command(db, "/bot dance")

    [(_, text)] = await notes(db)
    assert "`/bot on`" in text
    assert await owed(db)  # and nothing else has happened


async def test_other_notes_neither_wake_nor_silence_anything(db):
    await take(db, says())
    before = await conversation(db)

    result = await command(db, "Nice customer. The /bot is fine.")

    assert await conversation(db) == before
    assert (result.due_at, await notes(db)) == (before.due_at, [])


async def test_note_that_comes_twice_is_obeyed_once(db):
    """One URL on two routes gets every event twice, with different delivery ids."""
    await take(db, says())
    await command(db, "/bot off", message_id=77, delivery_id="a")
    await command(db, "/bot on", message_id=78, delivery_id="b")

    await command(db, "/bot off", message_id=77, delivery_id="c")

    assert (await conversation(db)).state is State.AI
    assert len(await notes(db)) == 2


async def test_commands_at_once_are_obeyed_in_their_order(db):
    await take(db, says())

    await asyncio.gather(command(db, "/bot off"), command(db, "/bot on"))

    assert (await conversation(db)).state is State.AI


@pytest.mark.parametrize(
    "off", [{"labels": ("bot-off",)}, {"attributes": {"bot": "off"}}]
)
async def test_label_or_attribute_silences_and_its_removal_hands_nothing_back(db, off):
    """A visitor can remove a label and change an attribute in Chatwoot's widget."""
    labels, attributes = off.get("labels", ()), off.get("attributes")
    await take(db, labelled())
    await take(db, labelled(*labels, attributes=attributes, clock=110.0))
    silent = (await conversation(db)).state
    for clock in (120.0, 130.0):
        await take(db, labelled(clock=clock))
        await take(db, labelled(*labels, attributes=attributes, clock=clock + 5))

    assert (silent, (await conversation(db)).state) == (State.HUMAN, State.HUMAN)
    [silenced, gone] = [text for _, text in await notes(db)]
    named = "`bot`" if attributes else "`bot-off`"
    assert named in silenced
    assert "stays silent" in gone
    assert all("`/bot on`" in text for text in (silenced, gone))


async def test_label_is_heeded_once_and_does_not_undo_a_command(db):
    """Every payload shows it; only a change is an order."""
    await take(db, labelled("bot-off"))
    await command(db, "/bot on", clock=110.0)

    await take(db, labelled("bot-off", clock=120.0))

    assert (await conversation(db)).state is State.AI


async def test_older_payload_does_not_switch_back(db):
    await take(db, labelled("bot-off", clock=120.0))

    await take(db, labelled(clock=110.0))

    assert (await conversation(db)).state is State.HUMAN


@pytest.mark.parametrize("text", ["/bot off", "/bot", " /Bot RETRY "])
async def test_command_in_a_public_reply_is_no_reply(db, text):
    """The contact reads it, and still waits; the agent learns where commands belong."""
    await take(db, says(content="Where is it?"))
    before = await owed(db)

    slip = says(Kind.AGENT_REPLY, content=text, clock=110.0, message_id=77)
    await take(db, slip)
    await take(db, slip)  # on the other route
    # Chatwoot takes it for the first reply.
    await take(db, says(Kind.BOT_MESSAGE, clock=120.0, first_reply_at=110.0))

    now = await conversation(db)
    assert (now.state, await owed(db)) == (State.AI, before)
    [(kind, note)] = await notes(db)
    assert kind == "note"
    assert f"`{' '.join(text.split())}` went to the contact" in note
    assert now.due_at == 1_000.0  # to post the note
    senders = sa.select(schema.messages.c.sender).order_by(schema.messages.c.id)
    stored = await db.read(lambda tx: tx.execute(senders).scalars().all())
    assert stored == ["user", "system", "ai"]


async def test_command_in_a_public_reply_answers_nothing_that_waits(db):
    await take(db, says(Kind.AGENT_REPLY, content="I am here.", clock=100.0))
    await take(db, says(content="Where is it?", clock=110.0))
    await take(db, says(Kind.AGENT_REPLY, content="/bot on", clock=120.0))
    still = (await conversation(db)).state

    await command(db, "/bot on", clock=130.0)

    assert still is State.HUMAN
    assert await owed(db) == ["Where is it?"]


async def test_public_reply_that_says_more_than_a_command_is_a_reply(db):
    await take(db, says())

    await take(db, says(Kind.AGENT_REPLY, content="/bot off helps, I read.", clock=110))

    assert (await conversation(db)).state is State.HUMAN


async def test_labels_of_others_change_nothing(db):
    await take(db, labelled("vip"))
    await take(db, labelled(clock=110.0))

    assert (await conversation(db)).state is State.AI
    assert await notes(db) == []
