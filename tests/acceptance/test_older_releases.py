"""What Chatwoot 4.17 and later do that 4.16 does not, and what the bot makes of it."""

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


@NEWER
async def test_answer_to_a_flow_is_read_by_the_model(bot, release):
    """Its text is a fixed sentence; what the contact filled in stands beside it."""
    async with bot.scene(release=release, channel="Channel::Whatsapp") as here:
        cid = await here.answered("I want to book a table.")
        fields = {
            "date": "3 August",
            "guests": 4,
            "wishes": ["quiet"],
            "flow_token": "x",
        }
        await here.chatwoot.contact_answers_flow(fields, conversation=cid)
        await here.chatwoot.wait_for_replies(cid, 2)
        await here.chatwoot.settled()
        filled = "Form response received\ndate: 3 August\nguests: 4\nwishes: quiet"
        answer = here.answers(cid)[1]
        later = await here.asks(cid, "Is that right?")
        shown = here.shown("Is that right?")

    assert answer == f"Answer to: {filled}"
    assert later == "Answer to: Is that right?"
    assert filled in shown
    assert here.chatwoot.status(cid) == "pending"
