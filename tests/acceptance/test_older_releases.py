"""What Chatwoot 4.17 and later do of themselves when somebody is assigned."""

import pytest

pytestmark = pytest.mark.anyio

NEWER = pytest.mark.parametrize("release", ["4.17", "4.18", "4.19"])


@NEWER
async def test_assigned_agent_silences_the_bot(bot, release):
    """The assignment opens the conversation."""
    async with bot.scene(release=release) as here:
        cid = await here.answered("Hi")
        await here.chatwoot.assign(cid)
        await here.chatwoot.settled()
        silent = await here.ignores(cid, "Are you there, Maria?")

    assert silent
    assert here.chatwoot.status(cid) == "open"


@NEWER
async def test_assigned_bot_has_the_conversation_again(bot, release):
    """The assignment makes it pending."""
    async with bot.scene(release=release) as here:
        cid = await here.handed_over()
        await here.chatwoot.assign_bot(cid)
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Where is my order?")

    assert answer == "Answer to: Where is my order?"
    assert here.chatwoot.status(cid) == "pending"


@NEWER
async def test_bot_of_another_inbox_answers_where_it_is_assigned(bot, release):
    """Its events come without a connection to the inbox."""
    async with bot.scene(release=release) as here:
        await here.chatwoot.set_inbox(agent_bot_id=None)
        cid = (await here.chatwoot.contact_says("Anyone?")).conversation_id
        await here.chatwoot.assign_bot(cid)
        answer = await here.asks(cid, "Hello?")

    assert answer == "Answer to: Hello?"
    assert here.chatwoot.status(cid) == "pending"
