"""What was read in a message's attachments stays read."""

from functools import partial

import pytest
import sqlalchemy as sa
from arrivals import RULES, says

from chatwoot_bot.core.attachments import replaced, with_words
from chatwoot_bot.core.conversation import Attachment
from chatwoot_bot.errors import LeaseLostError
from chatwoot_bot.store import schema, turns
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.leases import Lease
from chatwoot_bot.store.readings import keep_reading

pytestmark = pytest.mark.anyio

VOICE = Attachment(kind="audio", line="[audio]", url="https://x/1", size=9)


async def begin(db):
    """A turn over a voice note and a message without anything."""
    take = partial(accept, rules=RULES)
    await db.write_grouped(take, says(content="[audio]", attachments=(VOICE,)))
    await db.write_grouped(take, says(content="Hello?"))
    [lease] = await db.write(turns.claim, now=2_000.0, limit=1)
    return lease


async def load(db, lease):
    return (await db.read(turns.load, lease, history=40)).transcript


async def test_attachments_are_stored_with_their_message(db):
    lease = await begin(db)
    voice, hello = await load(db, lease)

    assert voice.attachments == (VOICE,)
    assert hello.attachments == ()


async def test_what_a_turn_has_heard_the_next_one_knows(db):
    """A voice note is paid for once."""
    lease = await begin(db)
    voice, hello = await load(db, lease)
    heard = replaced(voice, [with_words(VOICE, "Where is it?")])

    await db.write(keep_reading, lease, heard)

    assert await load(db, lease) == [heard, hello]


async def test_paused_process_keeps_nothing(db):
    """Its successor may have read more."""
    lease = await begin(db)
    voice, _ = await load(db, lease)
    heard = replaced(voice, [with_words(VOICE, "Where is it?")])

    with pytest.raises(LeaseLostError):
        await db.write(keep_reading, Lease(lease.conversation_id, "old"), heard)

    assert (await load(db, lease))[0] == voice


async def test_deleted_message_does_not_come_back(db):
    """It was taken back while the turn was listening."""
    lease = await begin(db)
    voice, _ = await load(db, lease)
    gone = sa.update(schema.messages).where(schema.messages.c.id == voice.id)
    await db.write(lambda tx: tx.execute(gone.values(content=None, deleted_at=1.0)))

    await db.write(keep_reading, lease, replaced(voice, [with_words(VOICE, "Hi")]))

    [row, _] = await load(db, lease)
    assert row.content is None
