"""Replies of several parts, with options, and to whom nothing can be said any more."""

from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, says

from chatwoot_bot.core.conversation import State, Status
from chatwoot_bot.core.events import Kind
from chatwoot_bot.core.outgoing import Option
from chatwoot_bot.store import chat, replies, schema, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.replies import Draft, ReplyKind
from chatwoot_bot.store.turns import TurnRecord, Verdict

pytestmark = pytest.mark.anyio

ACCEPT = partial(accept, rules=RULES)
NOW = 1_010.0
TOPICS = (Option("Refund", "refund"), Option("Straße", ""))
PARTS = (
    Draft(ReplyKind.ANSWER, "The first."),
    Draft(ReplyKind.ANSWER, "The second.", TOPICS),
)


async def keep(db, *drafts, decision="bot"):
    """Return the lease, and *drafts* as replies."""
    await db.write_grouped(ACCEPT, says(at=1_000.0))
    [lease] = await db.write(turns.claim, now=NOW, limit=1)
    situation = await db.read(turns.load, lease, history=40)
    record = TurnRecord(
        id="t_1",
        conversation_id=lease.conversation_id,
        decision=decision,
        reason="default",
        outcome="kept",
        started_at=NOW,
        latency_ms=1,
    )
    verdict, kept = await db.write(
        turns.keep,
        lease,
        record,
        seen=situation.conversation,
        answered=situation.owed,
        drafts=drafts,
        now=NOW,
    )
    assert verdict is Verdict.KEPT
    return lease, kept


async def load(db, lease):
    return await db.read(turns.load, lease, history=40)


async def states(db):
    query = sa.select(schema.replies.c.state).order_by(schema.replies.c.position)
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


async def test_parts_are_kept_in_order_with_their_options(db):
    """What a crash leaves over is said as it was meant."""
    lease, kept = await keep(db, *PARTS)
    unsaid = (await load(db, lease)).unsaid

    assert [reply.content for reply in unsaid] == ["The first.", "The second."]
    assert [reply.options for reply in unsaid] == [(), TOPICS]
    assert [reply.options for reply in kept] == [(), TOPICS]


async def test_decision_to_hand_over_calls_a_human_without_a_word(db):
    """The contact cannot be written to, so there is only a note."""
    lease, _ = await keep(db, Draft(ReplyKind.NOTE, "Told you."), decision="handover")

    now = (await load(db, lease)).conversation
    assert (now.state, now.wanted_status) == (State.HANDOVER_PENDING, Status.OPEN)


async def test_what_cannot_be_said_any_more_is_one_note(db):
    """The window closed while Chatwoot was away: agents get all parts, once."""
    lease, kept = await keep(db, *PARTS)
    called = await db.write(replies.withdraw, lease, kept[0], now=NOW)
    situation = await load(db, lease)

    assert called is True
    assert situation.conversation.state is State.HANDOVER_PENDING
    [note] = situation.unsaid
    assert note.kind is ReplyKind.NOTE
    assert note.content.endswith("The first.\n\nThe second.")
    assert await states(db) == ["dropped", "dropped", "open"]


async def test_window_that_closes_between_two_parts(db):
    """What has been said is not repeated to the agents."""
    lease, kept = await keep(db, *PARTS)
    conversation = (await load(db, lease)).conversation
    await db.write(
        replies.delivered, conversation, kept[0], external_id=9_000_000, now=NOW
    )
    await db.write(replies.withdraw, lease, kept[1], now=NOW)

    [note] = (await load(db, lease)).unsaid
    assert note.content.endswith("\n\nThe second.")


async def test_handover_message_that_cannot_be_said_is_a_note(db):
    """Humans have the conversation already."""
    lease, kept = await keep(db, Draft(ReplyKind.HANDOVER, "One moment."))
    called = await db.write(replies.withdraw, lease, kept[0], now=NOW)

    assert called is False
    assert [note.kind for note in (await load(db, lease)).unsaid] == [ReplyKind.NOTE]


async def test_parts_after_a_refused_one_can_be_replayed_with_it(db):
    """Half an answer is worse than none, and a dropped one is lost."""
    lease, kept = await keep(db, *PARTS)
    await db.write(
        replies.refused,
        lease,
        kept[0],
        error="answered 422",
        in_doubt=False,
        note="Refused.",
        now=NOW,
    )

    assert await states(db) == ["dead", "dead", "open"]


async def test_whoever_waits_for_the_reply_is_not_told_what_agents_are_told(db):
    """`Prefer: wait` returns what the contact reads, all parts of it."""
    lease, kept = await keep(
        db,
        *PARTS,
        Draft(ReplyKind.HANDOVER_NOTE, "Hm."),
        Draft(ReplyKind.ROUTING, "{}"),
    )
    situation = await load(db, lease)
    question = situation.transcript[0].id
    before = await db.read(chat.fate, question)
    for number, reply in enumerate(kept[:2]):
        await db.write(
            replies.delivered,
            situation.conversation,
            reply,
            external_id=9_000_000 + number,
            now=NOW,
        )

    assert before.settled is False
    assert (await db.read(chat.fate, question)).answer == "The first.\n\nThe second."


async def test_echo_of_a_part_belongs_to_its_turn(db):
    _, kept = await keep(db, *PARTS)
    await db.write_grouped(
        ACCEPT, says(Kind.BOT_MESSAGE, reply_key=kept[0].key, message_id=9_000_000)
    )
    query = sa.select(schema.messages.c.turn_id).where(
        schema.messages.c.external_id == 9_000_000
    )

    assert await db.read(lambda tx: tx.execute(query).scalar_one()) == "t_1"
