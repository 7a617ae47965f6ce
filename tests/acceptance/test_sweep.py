"""What was missed is treated as if it had been delivered: label, channel, inbox."""

from dataclasses import replace

import pytest
from test_agents import attach, connected, simulated, with_model

from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio

EACH_RELEASE = pytest.mark.usefixtures("each_release")
USER = {"CHATWOOT_USER_TOKEN": "user-token", "CHATWOOT_INBOX_ID": 3}


async def started_once(folder, chatwoot, **settings):
    """Only what is newer than the service's first start is swept."""
    with connected(folder, chatwoot, **settings):
        pass
    chatwoot.faults.deliveries.drop = 1.0


@EACH_RELEASE
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
        with connected(tmp_path, chatwoot, **here | {"CHATWOOT_INBOX_ID": 77}):
            await sweeps(chatwoot, 2)
        elsewhere = list(chatwoot.replies(missed.conversation_id))
        with connected(tmp_path, chatwoot, **here):
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


async def test_sweep_leaves_inboxes_alone_that_nobody_has_told_it_of(tmp_path):
    """A user's token shows the pending conversations of another bot as well."""
    async with simulated() as chatwoot:
        here = USER | {"SWEEP_INTERVAL_SECONDS": 1, "CHATWOOT_INBOX_ID": ""}
        await started_once(tmp_path, chatwoot, **here)
        others = (await chatwoot.contact_says("Hi")).conversation_id
        with connected(tmp_path, chatwoot, **here):
            await sweeps(chatwoot, 2)

    assert not chatwoot.replies(others)


async def test_what_was_missed_in_an_inbox_without_an_agent_bot_is_answered(tmp_path):
    """There conversations are open, and Chatwoot tries its webhook once."""
    async with simulated(agent_bot=False) as chatwoot:
        here = USER | {"SWEEP_INTERVAL_SECONDS": 1, "CHATWOOT_INBOX_ID": ""}
        with connected(tmp_path, chatwoot, **here) as service:
            attach(chatwoot, service)
            known = (await chatwoot.contact_says("Hi")).conversation_id
            humans = (await chatwoot.contact_says("Hi")).conversation_id
            for cid in (known, humans):
                await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.agent_says(humans, "I am Ann.")
            await chatwoot.settled()
            chatwoot.faults.deliveries.drop = 1.0
            await chatwoot.contact_says("Hi Ann!", conversation=humans)
            await chatwoot.contact_says("Still there?", conversation=known)
            new = (await chatwoot.contact_says("Hello")).conversation_id
            await chatwoot.wait_for_replies(known, 2)
            await chatwoot.wait_for_replies(new, 1)

    assert len(chatwoot.replies(humans)) == 1  # from before Ann came


@EACH_RELEASE
async def test_bots_token_alone_sweeps_open_conversations_too(tmp_path):
    async with simulated(agent_bot=False) as chatwoot:
        with connected(tmp_path, chatwoot, SWEEP_INTERVAL_SECONDS=1) as service:
            attach(chatwoot, service)
            cid = (await chatwoot.contact_says("Hi")).conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            chatwoot.faults.deliveries.drop = 1.0
            await chatwoot.contact_says("Still there?", conversation=cid)
            await chatwoot.wait_for_replies(cid, 2)


@pytest.mark.parametrize("after", ["template", "note"])
async def test_contact_behind_a_template_or_a_note_is_not_missed(tmp_path, after):
    """The newest message is nobody's answer, and the one before it was lost too."""
    async with simulated() as chatwoot:
        await started_once(tmp_path, chatwoot, **USER)
        missed = (await chatwoot.contact_says("Hi")).conversation_id
        if after == "template":
            await chatwoot.template_says(missed, "We are closed.")
        else:
            await chatwoot.agent_says(missed, "Who is that?", private=True)
        with connected(tmp_path, chatwoot, **USER):
            await chatwoot.wait_for_replies(missed, 1)

    assert len(chatwoot.replies(missed)) == 1


@pytest.mark.parametrize("when", ["at the beginning", "later"])
async def test_contact_before_a_template_that_was_delivered_is_not_missed(
    tmp_path, when
):
    """Their webhook was lost, and that of Chatwoot's own greeting was not."""
    async with simulated() as chatwoot:
        here = USER | {"SWEEP_INTERVAL_SECONDS": 1}
        with connected(tmp_path, chatwoot, **here) as service:
            attach(chatwoot, service)
            cid = None
            if when == "later":
                cid = (await chatwoot.contact_says("Hi")).conversation_id
                await chatwoot.wait_for_replies(cid, 1)
                await chatwoot.settled()
            chatwoot.faults.deliveries.drop = 1.0
            cid = (
                await chatwoot.contact_says("A refund", conversation=cid)
            ).conversation_id
            chatwoot.faults.deliveries.drop = 0.0
            await chatwoot.template_says(cid, "We will be with you.")
            await chatwoot.wait_for_replies(cid, 2 if when == "later" else 1)


@EACH_RELEASE
async def test_agent_whose_reply_was_missed_is_not_talked_over(tmp_path):
    """Whether theirs is the newest message, or the contact has thanked for it."""
    async with simulated() as chatwoot:
        here = USER | {"SWEEP_INTERVAL_SECONDS": 1}
        with connected(tmp_path, chatwoot, **here) as service:
            attach(chatwoot, service)
            numbers = [(await chatwoot.contact_says("Hi")).conversation_id]
            numbers.append((await chatwoot.contact_says("Hi")).conversation_id)
            for cid in numbers:
                await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            chatwoot.faults.deliveries.drop = 1.0
            for cid in numbers:
                await chatwoot.agent_says(cid, "I am Ann.")
            await chatwoot.contact_says("Thanks, Ann", conversation=numbers[1])
            for cid in numbers:
                await chatwoot.until(lambda cid=cid: chatwoot.status(cid) == "open")
            await sweeps(chatwoot, len(lists(chatwoot)) + 2)

    assert [len(chatwoot.replies(cid)) for cid in numbers] == [1, 1]


def lists(chatwoot):
    return [c for c in chatwoot.calls if c.path.endswith("/conversations")]


async def sweeps(chatwoot, times):
    await chatwoot.until(lambda: len(lists(chatwoot)) > times)


async def test_sweep_leaves_ignored_contacts_alone(tmp_path):
    async with simulated() as chatwoot:
        here = USER | {"SWEEP_INTERVAL_SECONDS": 1}
        await started_once(tmp_path, chatwoot, **here)
        missed = await chatwoot.contact_says("Hi")
        chatwoot.world.conversations[
            missed.conversation_id
        ].contact.identifier = "1@g.us"
        with connected(tmp_path, chatwoot, **here):
            await sweeps(chatwoot, 2)

        assert not chatwoot.replies(missed.conversation_id)
