"""A conversation's life with a bot, as in docs/chatwoot/conversations.md."""

import httpx
import pytest
from scene import NOWHERE

from chatwoot_bot.simulator.records import Draft

pytestmark = pytest.mark.anyio


# New.


async def test_new_conversation_is_pending_and_the_bots(bot):
    async with bot.scene() as here:
        cid = await here.answered("Hi")

    assert here.chatwoot.status(cid) == "pending"
    assert here.conversation(cid).assignee_agent_bot_id == 4


async def test_without_a_bot_in_the_inbox_new_conversations_are_open_and_answered(bot):
    """The plain account webhook: the bot answers until a human shows up."""
    async with bot.scene(agent_bot=False) as here:
        cid = await here.answered("Hi")
        again = await here.asks(cid, "And now?")
        await here.chatwoot.agent_says(cid, "Maria here.")
        await here.chatwoot.settled()
        silent = await here.ignores(cid, "Thanks, Maria")

    assert here.chatwoot.status(cid) == "open"
    assert again == "Answer to: And now?"
    assert silent


async def test_without_a_bot_in_the_inbox_a_handover_holds_until_resolve(bot):
    """Open it was, and open it stays: nothing but the bot's memory keeps it silent."""
    async with bot.scene(agent_bot=False) as here:
        cid = await here.handed_over()
        silent = await here.ignores(cid, "Hello?")
        await here.chatwoot.set_status(cid, "resolved")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Do you ship to Norway?")

    assert silent
    assert here.chatwoot.status(cid) == "open"
    assert answer == "Answer to: Do you ship to Norway?"


async def test_conversation_that_a_human_answered_before_the_bot_came_is_theirs(bot):
    """`first_reply_created_at`: only humans set it."""
    async with bot.scene(agent_bot=False) as here:
        here.chatwoot.faults.deliveries.drop = 1.0
        said = await here.chatwoot.contact_says("Hi")
        cid = said.conversation_id
        await here.chatwoot.agent_says(cid, "Maria here.")
        await here.chatwoot.settled()
        here.chatwoot.faults.clear()
        silent = await here.ignores(cid, "Thanks, Maria")

    assert silent


async def test_api_inbox_that_calls_the_bot_back_is_answered(bot):
    """The third route; an incoming message is one although a program sent it."""
    async with bot.scene(channel="Channel::Api", agent_bot=False) as here:
        here.chatwoot.world.office.webhooks.clear()
        await here.chatwoot.set_inbox(webhook_url=here.url)
        cid = await here.answered("Hi")
        await here.quiet()

    assert here.answers(cid) == ["Answer to: Hi"]
    assert {m.status for m in here.chatwoot.messages(cid)} == {"sent"}


async def test_bot_that_was_assigned_by_hand_answers(bot):
    """Its events come to it without a connection to the inbox, and it sets the status.

    Source: docs/chatwoot/deliveries.md#bots.
    """
    async with bot.scene(release="4.16") as here:
        await here.chatwoot.set_inbox(agent_bot_id=None)
        said = await here.chatwoot.contact_says("Anyone?")
        cid = said.conversation_id
        await here.chatwoot.assign_bot(cid)
        answer = await here.asks(cid, "Hello?")

        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")

    assert answer == "Answer to: Hello?"


async def test_blocked_contact_is_not_answered(bot):
    """Theirs is resolved from the beginning."""
    async with bot.scene() as here:
        contact = here.chatwoot.world.ledger.new_contact(blocked=True)
        cid = here.chatwoot.world.new_conversation(contact).id
        silent = await here.ignores(cid, "Buy cheap watches")

    assert silent
    assert here.verdicts(cid, "message_created") == ["blocked_contact"]


async def test_who_answers_a_campaign_is_answered(bot):
    """The campaign itself has no sender, as a human on a phone has none."""
    async with bot.scene() as here:
        contact = here.chatwoot.world.ledger.new_contact()
        target = here.chatwoot.world.new_conversation(contact)
        campaign = Draft(content="20 % off!", additional_attributes={"campaign_id": 7})
        here.chatwoot.world.post(target, campaign)
        answer = await here.asks(target.id, "On shoes as well?")

    # In whatever order the two were delivered.
    assert "campaign" in here.verdicts(target.id, "message_created")
    assert answer == "Answer to: On shoes as well?"
    assert here.chatwoot.status(target.id) == "pending"


# Reuse, and coming back.


async def test_second_conversation_of_a_contact_is_another_one(bot):
    """Where nothing locks a contact to one, a human holds the first and not this."""
    async with bot.scene() as here:
        first = await here.handed_over()
        contact = here.conversation(first).contact
        second = here.chatwoot.world.new_conversation(contact).id
        answer = await here.asks(second, "Do you ship to Norway?")

    assert answer == "Answer to: Do you ship to Norway?"
    assert here.shown("Do you ship to Norway?") == ["Do you ship to Norway?"]
    assert here.chatwoot.status(first) == "open"


async def test_muted_contact_is_not_answered(bot):
    """Their messages arrive, and the conversation stays resolved."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.mute(cid)
        await here.chatwoot.settled()
        silent = await here.ignores(cid, "Why?")

    assert silent
    assert here.chatwoot.status(cid) == "resolved"
    assert here.verdicts(cid, "message_created")[-1] == "resolved"


@pytest.mark.parametrize("agent_bot", [True, False])
async def test_agents_last_word_after_the_resolve_does_not_hold_the_next_request(
    bot, agent_bot
):
    """Pending or open again: either way the contact came back, and nobody has it."""
    async with bot.scene(agent_bot=agent_bot) as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_status(cid, "resolved")
        await here.chatwoot.agent_says(cid, "Have a nice day!")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Do you ship to Norway?")

    assert answer == "Answer to: Do you ship to Norway?"
    assert here.chatwoot.status(cid) == ("pending" if agent_bot else "open")


async def test_return_is_noticed_although_its_status_events_were_lost(bot):
    """Resolved, and pending again: the message alone tells of both."""
    async with bot.scene() as here:
        cid = await here.handed_over()
        await here.chatwoot.agent_says(cid, "Refunded.")
        await here.chatwoot.settled()
        here.chatwoot.webhook_url = ""
        await here.chatwoot.set_status(cid, "resolved")
        here.conversation(cid).status = "pending"
        here.chatwoot.webhook_url = here.url
        answer = await here.asks(cid, "Do you ship to Norway?")

    assert here.verdicts(cid, "conversation_resolved") == []
    assert answer == "Answer to: Do you ship to Norway?"


async def test_takeover_is_noticed_although_its_status_events_were_lost(bot):
    """An agent opens it without a word; the next message says so."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        here.chatwoot.faults.deliveries.drop = 1.0
        await here.chatwoot.set_status(cid, "open")
        await here.chatwoot.settled()
        here.chatwoot.faults.clear()
        silent = await here.ignores(cid, "Maria?")

    assert here.verdicts(cid, "conversation_opened") == []
    assert silent


# Humans.


async def test_one_given_back_in_a_plain_inbox_leaves_the_others_to_the_bot(bot):
    """An agent sets it to pending there; new conversations are open as ever."""
    async with bot.scene(agent_bot=False) as here:
        first = await here.answered("Hi")
        await here.chatwoot.agent_says(first, "The bot can do that.")
        await here.chatwoot.settled()  # or the reply's payload says pending already
        await here.chatwoot.set_status(first, "pending")
        await here.chatwoot.settled()
        again = await here.asks(first, "Where is my order?")
        second = await here.answered("Do you ship to Norway?")

    assert again == "Answer to: Where is my order?"
    assert here.chatwoot.status(second) == "open"
    assert here.answers(second) == ["Answer to: Do you ship to Norway?"]


async def test_agent_whose_webhook_was_lost_is_not_talked_over(bot):
    """The contact's thanks show that an agent has replied."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        here.chatwoot.faults.deliveries.drop = 1.0
        await here.chatwoot.agent_says(cid, "Maria here.")
        await here.chatwoot.settled()
        here.chatwoot.faults.clear()
        silent = await here.ignores(cid, "Thanks, Maria")

    assert silent
    assert here.chatwoot.status(cid) == "open"


async def test_who_writes_in_human_mode_is_shown_to_the_team(bot):
    """And is the bot's again when it ends."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await human_mode_for_all(here, enabled=True)
        await here.chatwoot.contact_says("Anybody there?", conversation=cid)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        await human_mode_for_all(here, enabled=False)
        await here.chatwoot.wait_for_replies(cid, 2)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")
        answer = await here.asks(cid, "Hello?")

    assert here.answers(cid)[1] == "Answer to: Anybody there?"
    assert answer == "Answer to: Hello?"


async def human_mode_for_all(here, *, enabled):
    async with httpx.AsyncClient(headers=here.service.agent) as client:
        url = f"{here.service.url}/toggle-human"
        assert (await client.post(url, json={"enabled": enabled})).is_success


async def test_reply_from_the_paired_phone_is_a_humans(bot):
    """Outgoing, nobody's, and the bot steps back as from any agent."""
    async with bot.scene(channel="Channel::Whatsapp") as here:
        cid = await here.answered("Hi")
        await here.chatwoot.phone_echo(cid, "Jim here, I will call you.")
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        silent = await here.ignores(cid, "Thanks, Jim")

    assert silent
    assert here.conversation(cid).assignee_agent_bot_id is None


async def test_reply_from_the_phone_as_a_fork_tells_it_is_a_humans(bot):
    """fazer-ai's names for it instead of `external_echo`."""
    async with bot.scene(channel="Channel::Whatsapp") as here:
        cid = await here.answered("Hi")
        told = {"external_created_at": 1784538914, "external_sender_name": "Jim"}
        echo = Draft(content="Jim here.", content_attributes=told, status="delivered")
        here.chatwoot.world.post(here.conversation(cid), echo)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        silent = await here.ignores(cid, "Thanks, Jim")

    assert silent


async def test_automation_that_writes_is_no_human(bot):
    """Nobody's as well, but with its rule's number."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.automation_says(cid, "Did you know our app?")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Where is my order?")

    assert answer == "Answer to: Where is my order?"
    assert here.chatwoot.status(cid) == "pending"


async def test_note_of_an_agent_changes_nothing(bot):
    """Colleagues talk to each other; the contact still waits for the bot."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.agent_says(cid, "A regular of ours.", private=True)
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Where is my order?")

    assert answer == "Answer to: Where is my order?"
    assert "A regular of ours." not in here.shown("Where is my order?")


async def test_human_who_is_assigned_and_opens_it_has_it(bot):
    """What Chatwoot after 4.16.2 does in one step."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.assign(cid)
        here.chatwoot.world.save(here.conversation(cid), status="open")
        await here.chatwoot.settled()
        silent = await here.ignores(cid, "Maria?")

    assert silent
    assert owners(here, cid) == (12, None)


def owners(here, cid):
    """Return whom Chatwoot names: the human and the bot."""
    target = here.conversation(cid)
    return target.assignee_id, target.assignee_agent_bot_id


async def test_opened_by_a_rule_is_for_humans_whoever_owns_it(bot):
    """Chatwoot leaves the bot its owner, so that no agent would find it."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.automation_opens(cid)
        await here.chatwoot.until(lambda: owners(here, cid) == (None, None))
        silent = await here.ignores(cid, "Hello?")

    assert silent
    assert here.chatwoot.status(cid) == "open"


async def test_pending_again_is_the_bots_again_and_the_human_stays_assigned(bot):
    async with bot.scene() as here:
        cid = await here.handed_over()
        await here.chatwoot.set_status(cid, "open")
        await here.chatwoot.agent_says(cid, "The bot can do that.")
        await here.chatwoot.set_status(cid, "pending")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Where is my order?")

    assert answer == "Answer to: Where is my order?"
    assert owners(here, cid) == (12, None)


async def test_assigning_the_bot_gives_it_back(bot):
    """Chatwoot leaves the status as it is (up to 4.16.2), so the bot sets it."""
    async with bot.scene(release="4.16") as here:
        cid = await here.handed_over()
        await here.chatwoot.assign_bot(cid)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")
        answer = await here.asks(cid, "Where is my order?")

    assert answer == "Answer to: Where is my order?"
    assert owners(here, cid) == (None, 4)


# Chatwoot itself.


async def test_resolved_by_the_clock_is_over(bot):
    """Auto-resolve closes what is open; who comes back is answered."""
    async with bot.scene() as here:
        cid = await here.handed_over()
        here.chatwoot.world.set_status(here.conversation(cid), "resolved", by="System")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Do you ship to Norway?")

    assert answer == "Answer to: Do you ship to Norway?"
    assert here.chatwoot.status(cid) == "pending"


async def test_agent_who_snoozes_stops_the_answer(bot):
    """Somebody has looked at it, and decided that it can wait."""
    async with bot.scene(model={"delay_s": 0.5}) as here:
        said = await here.chatwoot.contact_says("Where is my order?")
        cid = said.conversation_id
        await here.chatwoot.until(lambda: here.conversation(cid).typing)
        await here.chatwoot.set_status(cid, "snoozed", snoozed_until=2e9)
        await here.quiet()

    assert here.answers(cid) == []
    assert here.chatwoot.status(cid) == "snoozed"


async def test_end_of_a_snooze_gives_the_bot_its_conversation_back(bot):
    """It is still the owner, and no agent would find the conversation."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_status(cid, "snoozed", snoozed_until=2e9)
        await here.chatwoot.snooze_ends(cid)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")
        answer = await here.asks(cid, "Any news?")

    assert answer == "Answer to: Any news?"


async def test_visitor_who_ends_the_conversation_hears_no_more(bot):
    """The widget's button while the bot is thinking; a new question is a new one."""
    async with bot.scene(model={"delay_s": 0.5}) as here:
        said = await here.chatwoot.contact_says("Where is my order?")
        cid = said.conversation_id
        await here.chatwoot.until(lambda: here.conversation(cid).typing)
        await here.chatwoot.contact_resolves(cid)
        await here.quiet()
        silent = here.answers(cid)
        here.model.delay_s = 0
        answer = await here.asks(cid, "Do you ship to Norway?")

    assert silent == []
    assert answer == "Answer to: Do you ship to Norway?"


async def test_template_between_question_and_answer_is_neither(bot):
    """Out of office comes while the bot is thinking: nothing is dropped or doubled."""
    async with bot.scene(model={"delay_s": 0.3}) as here:
        said = await here.chatwoot.contact_says("Where is my order?")
        cid = said.conversation_id
        await here.chatwoot.until(lambda: here.conversation(cid).typing)
        await here.chatwoot.template_says(cid, "We sleep.")
        await here.chatwoot.wait_for_replies(cid, 1)
        await here.quiet()

    assert here.asked() == ["Where is my order?"]
    assert here.answers(cid) == ["Answer to: Where is my order?"]


async def test_typing_is_shown_while_the_bot_thinks_and_not_afterwards(bot):
    """Nor when a human holds the conversation."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.until(lambda: len(here.conversation(cid).typing) == 2)
        await here.chatwoot.agent_says(cid, "Maria here.")
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        await here.ignores(cid, "Thanks, Maria")

    assert here.conversation(cid).typing == ["on", "off"]


async def test_after_the_channels_window_agents_read_the_answer(bot):
    """Chatwoot would take it, and the contact would not get it."""
    async with bot.scene(channel="Channel::Whatsapp", model={"delay_s": 0.3}) as here:
        said = await here.chatwoot.contact_says("Hi")
        cid = said.conversation_id
        await here.chatwoot.window_closes(cid)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        await here.chatwoot.until(lambda: here.chatwoot.notes(cid))
        await here.quiet()

    assert here.answers(cid) == []
    assert "Answer to: Hi" in here.chatwoot.notes(cid)[0].content


async def test_pending_although_a_delivery_failed_is_still_the_bots(bot):
    """`keep_pending_on_bot_failure`: the next message is answered as ever."""
    async with bot.scene(keep_pending_on_bot_failure=True, retry_s=0.01) as here:
        cid = await here.answered("Hi")
        here.chatwoot.webhook_url = NOWHERE
        await here.chatwoot.contact_says("Are you there?", conversation=cid)
        await here.chatwoot.settled()
        here.chatwoot.webhook_url = here.url
        answer = await here.asks(cid, "Hello?")

    assert here.chatwoot.status(cid) == "pending"
    assert answer == "Answer to: Hello?"


async def test_bot_that_was_disconnected_is_silent_until_it_is_back(bot):
    """Its conversations stay pending, and theirs to whom they were assigned."""
    async with bot.scene(release="4.16") as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_inbox(agent_bot_id=None)
        await here.chatwoot.assign(cid)
        await here.chatwoot.settled()
        heard = len(here.chatwoot.delivery_log)
        await here.chatwoot.contact_says("Are you there?", conversation=cid)
        await here.chatwoot.settled()
        deaf = len(here.chatwoot.delivery_log) == heard
        await here.chatwoot.set_inbox(agent_bot_id=4)
        answer = await here.asks(cid, "Hello?")

    assert deaf
    assert here.chatwoot.status(cid) == "pending"
    assert answer == "Answer to: Hello?"


# What is not to be answered, and older releases.


async def test_mail_of_a_machine_is_not_answered(bot):
    """Two machines would write to each other for ever; a person's mail is answered."""
    async with bot.scene(channel="Channel::Email") as here:
        machine = await here.chatwoot.contact_says("I am away.", auto_reply=True)
        person = await here.answered("Where is my order?")
        await here.quiet()

    assert here.verdicts(machine.conversation_id, "message_created") == ["auto_reply"]
    assert here.answers(machine.conversation_id) == []
    assert here.answers(person) == ["Answer to: Where is my order?"]


async def test_what_chatwoot_cannot_show_is_not_answered(bot):
    async with bot.scene(channel="Channel::Whatsapp") as here:
        said = await here.chatwoot.contact_sends_unsupported()
        await here.quiet()

    cid = said.conversation_id
    assert here.verdicts(cid, "message_created") == ["unsupported"]
    assert here.answers(cid) == []


async def test_older_release_is_served_from_question_to_handover_and_back(bot):
    """Unsigned, without delivery ids, `account` or owner; bots may read nothing."""
    async with bot.scene() as here:
        here.chatwoot.faults.deliveries.without_delivery_id = True
        here.chatwoot.faults.deliveries.old_shapes = True
        for call in ("show", "toggle_typing_status"):
            here.chatwoot.faults.api("status", status=401, times=None, call=call)
        cid = await here.answered("Hi")
        await here.chatwoot.contact_says("A human, please", conversation=cid)
        await here.chatwoot.until(lambda: here.chatwoot.notes(cid))
        await here.chatwoot.settled()
        silent = await here.ignores(cid, "Hello?")
        await here.chatwoot.set_status(cid, "resolved")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Do you ship to Norway?")

    assert silent
    assert answer == "Answer to: Do you ship to Norway?"
    sent = b"".join(attempt.sent for attempt in here.chatwoot.delivery_log)
    assert b"assignee_type" not in sent
    refused = {call.path.rpartition("/")[2] for call in here.chatwoot.calls}
    assert {str(cid), "toggle_typing_status"} <= refused
