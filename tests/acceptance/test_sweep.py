"""What was missed is treated as if it had been delivered: label, channel, inbox."""

from dataclasses import replace

import pytest
from test_agents import connected, simulated, with_model

from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio

USER = {"CHATWOOT_USER_TOKEN": "user-token"}


async def started_once(folder, chatwoot, **settings):
    """Only what is newer than the service's first start is swept."""
    with connected(folder, chatwoot, **settings):
        pass
    chatwoot.faults.deliveries.drop = 1.0


async def test_swept_message_has_its_channel_and_its_labels(tmp_path):
    """An SMS is split as always, and a label silences the bot as always."""
    long = "\n\n".join(["word " * 50] * 6)
    async with (
        ModelStandIn(reply=long) as model,
        simulated(channel="Channel::TwilioSms") as chatwoot,
    ):
        settings = USER | with_model(model)
        await started_once(tmp_path, chatwoot, **settings)
        silenced = (await chatwoot.contact_says("Hi")).conversation_id
        await chatwoot.set_labels(silenced, ["bot-off"])
        answered = (await chatwoot.contact_says("Hi too")).conversation_id
        with connected(tmp_path, chatwoot, **settings):
            await chatwoot.until(lambda: len(chatwoot.replies(answered)) >= 5)
            await chatwoot.until(lambda: chatwoot.notes(silenced))

        longest = max(len(reply.content) for reply in chatwoot.replies(answered))
        assert longest <= 320
        assert not chatwoot.replies(silenced)
        assert chatwoot.status(silenced) == "open"


async def test_sweep_leaves_other_inboxes_alone(tmp_path):
    async with simulated() as chatwoot:
        here = USER | {"SWEEP_INTERVAL_SECONDS": 1}
        await started_once(tmp_path, chatwoot, **here)
        missed = await chatwoot.contact_says("Hi")
        with connected(tmp_path, chatwoot, CHATWOOT_INBOX_ID=77, **here):
            await sweeps(chatwoot, 2)
        elsewhere = list(chatwoot.replies(missed.conversation_id))
        with connected(tmp_path, chatwoot, CHATWOOT_INBOX_ID=3, **here):
            await chatwoot.wait_for_replies(missed.conversation_id, 1)

    assert elsewhere == []


async def test_sweep_asks_nothing_about_what_is_older_than_the_bot(tmp_path):
    async with simulated() as chatwoot:
        old = (await chatwoot.contact_says("Before the bot")).conversation_id
        [message] = chatwoot.world.conversations[old].messages
        hours_ago = replace(message, created_at=message.created_at - 7_200)
        chatwoot.world.conversations[old].messages[:] = [hours_ago]
        with connected(tmp_path, chatwoot, SWEEP_INTERVAL_SECONDS=1, **USER):
            await sweeps(chatwoot, 3)

    assert not chatwoot.replies(old)
    assert not [call for call in chatwoot.calls if call.path.endswith("/messages")]


async def sweeps(chatwoot, times):
    def lists():
        return [c for c in chatwoot.calls if c.path.endswith("/conversations")]

    await chatwoot.until(lambda: len(lists()) > times)
