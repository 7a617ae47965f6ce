"""Chatwoot's sequences of events, one by one: what contact and agents see of the bot.

The numbers are the rows of docs/chatwoot/deliveries.md#sequences.
"""

import pytest
from scene import NOWHERE, add_webhook

from chatwoot_bot.simulator.routes import WEBHOOK_EVENTS
from chatwoot_bot.simulator.world import BOT_FAILURE

pytestmark = pytest.mark.anyio


async def test_1_opened_widget_is_no_message(bot):
    """Neither a visitor's first look nor a returning one's is answered."""
    async with bot.scene() as here:
        await here.chatwoot.contact_opens_widget()
        cid = await here.answered("Hi")
        await here.chatwoot.contact_opens_widget(conversation=cid)
        await here.quiet()

    assert here.asked() == ["Hi"]
    assert here.answers(cid) == ["Answer to: Hi"]
    assert set(here.verdicts(cid, "webwidget_triggered")) == {"not_message_created"}
    # What the visitor has now seen becomes read, one event each.
    assert set(here.verdicts(cid, "message_updated")) == {"not_message_created"}


async def test_2_first_message_is_answered_once_whatever_chatwoot_says_beside_it(bot):
    """Greeting, out of office, e-mail box, and the creation that comes as a diff."""
    async with bot.scene() as here:
        add_webhook(here, WEBHOOK_EVENTS)
        here.chatwoot.faults.deliveries.creation_noise = True
        await here.chatwoot.set_inbox(
            greeting_enabled=True,
            greeting_message="Welcome!",
            working_hours_enabled=True,
            out_of_office_message="We sleep.",
            enable_email_collect=True,
        )
        by_day = await here.answered("Do you ship to Norway?")
        await here.chatwoot.set_inbox(is_closed=True)
        by_night = await here.answered("And to Iceland?")
        box = here.chatwoot.messages(by_night)[3]
        await here.chatwoot.contact_gives_email(box.id, "lena@example.com")
        await here.quiet()

    assert box.content_type == "input_email"
    assert here.asked() == ["Do you ship to Norway?", "And to Iceland?"]
    for cid in (by_day, by_night):
        # Both routes bring the question, its three templates and the answer.
        assert sorted(here.verdicts(cid, "message_created")) == (
            ["bot", "duplicate", *["own_echo"] * 2, *["template"] * 6]
        )
        assert len(here.answers(cid)) == 1
        assert here.chatwoot.status(cid) == "pending"
        assert not here.chatwoot.notes(cid)


async def test_3_own_reply_comes_back_and_is_not_answered(bot):
    """Echo, cleared waiting time, sent, delivered, read."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        [reply] = here.chatwoot.replies(cid)
        for report in ("delivered", "read"):
            await here.chatwoot.channel_reports(reply.id, report)
        await here.quiet()

    assert here.asked() == ["Hi"]
    assert sorted(here.verdicts(cid, "message_created")) == ["bot", "own_echo"]
    assert set(here.verdicts(cid, "conversation_updated")) == {"not_message_created"}
    assert here.chatwoot.status(cid) == "pending"


async def test_4_next_message_is_answered_although_nobody_waits_by_chatwoots_clock(bot):
    """`waiting_since` is 0 in it, and the update that sets it again is no message."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.asks(cid, "Where is my order?")
        await here.quiet()

    assert here.answers(cid) == ["Answer to: Hi", "Answer to: Where is my order?"]


async def test_5_events_of_the_bots_own_handover_are_no_takeover(bot):
    """Message and note arrive; what follows is for humans until it is given back."""
    async with bot.scene() as here:
        cid = await here.handed_over("I want a human, please")
        await here.chatwoot.contact_says("Hello?", conversation=cid)
        await here.quiet()
        owner = here.conversation(cid).assignee_agent_bot_id
        told = len(here.answers(cid)), len(here.chatwoot.notes(cid))
        asked = here.asked()

        await here.chatwoot.set_status(cid, "pending")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Are you a bot?")

    assert asked == []
    assert told == (1, 1)
    assert owner is None
    assert answer == "Answer to: Are you a bot?"
    assert here.verdicts(cid, "conversation_opened") == ["not_message_created"]


async def test_6_human_who_is_assigned_silences_the_bot(bot):
    """It was pending for the bot; who is assigned since then has taken it."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.assign(cid)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        silent = await here.ignores(cid, "And now?")

    assert silent
    assert here.conversation(cid).assignee_id == 12


async def test_6_human_who_was_assigned_before_a_resolve_does_not_silence_it(bot):
    """Pending with a human assignee is normal."""
    async with bot.scene(release="4.16") as here:
        cid = await here.answered("Hi")
        await here.chatwoot.assign(cid)
        await here.chatwoot.set_status(cid, "resolved")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "And now?")

    assert answer == "Answer to: And now?"
    assert here.chatwoot.status(cid) == "pending"
    assert here.conversation(cid).assignee_id == 12


async def test_7_human_reply_silences_the_bot_and_the_team_sees_the_conversation(bot):
    """Chatwoot leaves it pending; the update that follows does not wake the bot."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.agent_says(cid, "Maria here.")
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        await here.chatwoot.contact_says("Thanks, Maria", conversation=cid)
        await here.quiet()

    assert here.asked() == ["Hi"]
    assert len(here.answers(cid)) == 1
    assert here.verdicts(cid, "message_created")[-1] == "human"
    # It is no longer the bot's, so it is in the list of the unassigned.
    assert here.conversation(cid).assignee_agent_bot_id is None


async def test_8_resolve_and_its_survey_are_not_answered(bot):
    async with bot.scene() as here:
        await here.chatwoot.set_inbox(csat_survey_enabled=True)
        cid = await here.answered("Hi")
        await here.chatwoot.set_status(cid, "resolved")
        survey = here.chatwoot.messages(cid)[-1]
        await here.chatwoot.contact_rates(survey.id, 5, "Quick and clear")
        await here.quiet()

    assert survey.content_type == "input_csat"
    assert here.asked() == ["Hi"]
    assert len(here.answers(cid)) == 1
    assert here.chatwoot.status(cid) == "resolved"


async def test_9_returning_customer_is_answered_and_the_old_request_is_over(bot):
    """The human assignee stays; "a human, please" of last week is not repeated."""
    async with bot.scene() as here:
        cid = await here.handed_over("A human, please")
        await here.chatwoot.set_status(cid, "open")
        await here.chatwoot.agent_says(cid, "Refunded.")
        await here.chatwoot.set_status(cid, "resolved")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Do you ship to Norway?")
        await here.quiet()

    assert answer == "Answer to: Do you ship to Norway?"
    assert here.chatwoot.status(cid) == "pending"
    assert here.conversation(cid).assignee_id == 12
    lines = here.shown("Do you ship to Norway?")
    boundary = next(n for n, line in enumerate(lines) if "resolved" in line)
    assert "A human, please" in lines[:boundary]
    assert lines[boundary + 1 :] == ["Do you ship to Norway?"]


async def test_10_customer_who_writes_while_snoozed_is_answered(bot):
    """Chatwoot opens it and leaves the bot its owner, so that no agent finds it."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_status(cid, "snoozed", snoozed_until=2e9)
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Any news?")
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")

    assert answer == "Answer to: Any news?"
    assert here.asked() == ["Hi", "Any news?"]


async def test_11_after_a_failed_delivery_the_bot_takes_the_conversation_back(bot):
    """And knows what came in the meantime, as far as Chatwoot shows it to a bot."""
    async with bot.scene(retry_s=0.01) as here:
        cid = await here.answered("Hi")
        here.chatwoot.webhook_url = NOWHERE
        await here.chatwoot.contact_says("Are you there?", conversation=cid)
        await here.chatwoot.settled()
        opened = here.chatwoot.messages(cid)[-1].content
        here.chatwoot.webhook_url = here.url
        answer = await here.asks(cid, "Hello?")
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")
        await here.quiet()

    assert opened == BOT_FAILURE
    assert answer == "Answer to: Hello?"
    assert here.answers(cid) == ["Answer to: Hi", answer]


async def test_12_labels_priority_attributes_and_team_change_nothing(bot):
    """Neither a reason to speak nor one to be silent."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_labels(cid, ["billing"])
        await here.chatwoot.set_priority(cid, "high")
        await here.chatwoot.set_custom_attributes(cid, {"plan": "gold"})
        await here.chatwoot.set_team(cid, 2)
        await here.quiet()
        silent = here.answers(cid)
        await here.asks(cid, "And now?")

    assert silent == ["Answer to: Hi"]
    assert here.asked() == ["Hi", "And now?"]
    assert here.chatwoot.status(cid) == "pending"


async def test_3_1_who_has_merely_looked_has_done_nothing(bot):
    """An agent opens the conversation, the contact reads: no takeover, no answer."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.agent_reads(cid)
        await here.chatwoot.contact_reads(cid)
        await here.quiet()
        await here.asks(cid, "And now?")

    assert here.asked() == ["Hi", "And now?"]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_3_3_events_in_any_order_and_twice_mean_the_same(bot, seed):
    """Opened, status changed, updated: Chatwoot's workers promise no order."""
    async with bot.scene(seed=seed) as here:
        cid = await here.answered("Hi")
        here.chatwoot.faults.deliveries.reorder_s = 0.3
        here.chatwoot.faults.deliveries.duplicate = 0.5
        await here.chatwoot.set_status(cid, "open")
        await here.chatwoot.set_status(cid, "resolved")
        await here.chatwoot.settled()
        await here.chatwoot.contact_says("One more thing", conversation=cid)
        await here.chatwoot.wait_for_replies(cid, 2)
        await here.chatwoot.set_status(cid, "open")
        await here.chatwoot.settled()
        await here.chatwoot.contact_says("Maria?", conversation=cid)
        here.chatwoot.faults.clear()
        await here.quiet()

    assert here.asked() == ["Hi", "One more thing"]
    assert len(here.answers(cid)) == 2


async def test_3_4_opening_without_any_status_event_is_seen_all_the_same(bot):
    """Auto-assignment swallows them: one update with the assignee is all."""
    async with bot.scene(release="4.16") as here:
        await here.chatwoot.set_inbox(enable_auto_assignment=True)
        cid = await here.answered("Hi")
        await here.chatwoot.automation_opens(cid)
        await here.chatwoot.settled()
        await here.chatwoot.contact_says("Hello?", conversation=cid)
        await here.quiet()

    assert here.chatwoot.status(cid) == "open"
    assert here.verdicts(cid, "conversation_status_changed") == []
    assert here.asked() == ["Hi"]
    assert here.verdicts(cid, "message_created")[-1] == "human"


async def test_3_4_handover_without_any_status_event_is_done_all_the_same(bot):
    """The agent who is assigned at that moment swallows the events of the bot's own."""
    async with bot.scene() as here:
        await here.chatwoot.set_inbox(enable_auto_assignment=True)
        cid = await here.handed_over()
        await here.chatwoot.contact_says("Hello?", conversation=cid)
        await here.quiet()

    assert here.conversation(cid).assignee_id == 12
    assert here.verdicts(cid, "conversation_opened") == []
    assert here.asked() == []
    assert (len(here.answers(cid)), len(here.chatwoot.notes(cid))) == (1, 1)
    assert here.verdicts(cid, "message_created")[-1] == "human"
