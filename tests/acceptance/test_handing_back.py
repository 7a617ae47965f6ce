"""Every way of handing a conversation back, whoever spoke last, over real HTTP.

`tests/integration/test_unanswered.py` has the rules behind the table.
"""

import asyncio

import httpx
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_release")]

QUESTIONS = ("A human, please", "Hello?")
ANSWER = "Answer to: Hello?"


async def call(here, method, path, body=None, *, token=None):
    """Call the service as its operator, or with a visitor's token."""
    token = token or here.service.settings.get("ADMIN_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=here.service.url) as client:
        answer = await client.request(method, path, json=body, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


async def mode(here, *, enabled, conversation=None):
    body = {"enabled": enabled}
    if conversation is not None:
        body["conversation_id"] = conversation
    await call(here, "POST", "/toggle-human", body)


class InChatwoot:
    """An agent has replied to a contact whom the bot had answered before."""

    def __init__(self, here):
        self.here = here

    async def begin(self):
        self.cid = await self.here.answered("Hi")

    async def taken(self):
        await self.agent_says("Maria here.")
        status = self.here.chatwoot.status
        await self.here.chatwoot.until(lambda: status(self.cid) == "open")

    async def contact_says(self, text):
        await self.here.chatwoot.contact_says(text, conversation=self.cid)
        await self.here.chatwoot.settled()

    async def agent_says(self, text, **how):
        await self.here.chatwoot.agent_says(self.cid, text, **how)
        await self.here.chatwoot.settled()

    async def answers(self):
        return self.here.answers(self.cid)[1:]

    async def answered_again(self):
        await self.here.chatwoot.wait_for_replies(self.cid, 2)

    async def is_the_bots(self):
        status = self.here.chatwoot.status
        await self.here.chatwoot.until(lambda: status(self.cid) == "pending")

    async def our_id(self):
        found = await call(self.here, "GET", f"/conversations?display_id={self.cid}")
        return found["items"][0]["id"]

    @property
    def number(self):
        return self.cid


class InWebChat(InChatwoot):
    """The same in the web chat of the service."""

    async def begin(self):
        made = await call(self.here, "POST", "/conversations", {})
        self.id, self.token = made["id"], made["token"]
        await self.contact_says("Hi")
        await self.said(lambda sent: sent.count("ai") == 1)

    async def taken(self):
        await self.agent_says("Maria here.")

    async def contact_says(self, text):
        path = f"/conversations/{self.id}/messages"
        await call(self.here, "POST", path, {"content": text}, token=self.token)

    async def agent_says(self, text):
        body = {"content": text, "sender": "agent"}
        await call(self.here, "POST", f"/conversations/{self.id}/messages", body)

    async def messages(self):
        path = f"/conversations/{self.id}/messages"
        return (await call(self.here, "GET", path, token=self.token))["items"]

    async def said(self, enough):
        """Wait until *enough* of those who have written."""
        async with asyncio.timeout(15):
            while not enough([each["sender"] for each in await self.messages()]):
                await self.hear()

    async def hear(self):
        """Wait for the next message, or for a second."""
        last = (await self.messages())[-1]["id"]
        path = f"/conversations/{self.id}/messages?after={last}"
        headers = {"authorization": f"Bearer {self.token}", "prefer": "wait=1"}
        async with httpx.AsyncClient(base_url=self.here.service.url) as client:
            await client.get(path, headers=headers, timeout=10)

    async def answers(self):
        said = [m["content"] for m in await self.messages() if m["sender"] == "ai"]
        return said[1:]

    async def answered_again(self):
        await self.said(lambda senders: senders.count("ai") == 2)

    async def is_the_bots(self):
        path = f"/conversations/{self.id}"
        found = await call(self.here, "GET", path, token=self.token)
        assert found["state"] == "ai"

    async def our_id(self):
        return self.id

    @property
    def number(self):
        return self.id


async def marked_as_pending(place):
    await place.here.chatwoot.set_status(place.cid, "pending")


async def commanded(place):
    await place.here.chatwoot.agent_says(place.cid, "/bot on", private=True)


async def retried(place):
    await place.here.chatwoot.agent_says(place.cid, "/bot retry", private=True)


async def bot_assigned(place):
    """Chatwoot up to 4.16 leaves it open; we set it to pending."""
    await place.here.chatwoot.assign_bot(place.cid)


async def bot_assigned_and_pending(place):
    """Since 4.17 Chatwoot sets both in one change."""
    world, target = place.here.chatwoot.world, place.here.conversation(place.cid)
    owner = {"assignee_id": None, "assignee_agent_bot_id": 4}
    world.save(target, status="pending", **owner)


async def released(place):
    """The API's way."""
    await call(place.here, "POST", f"/conversations/{await place.our_id()}/release", {})


async def switched_off_for_one(place):
    """The console's way, and that of the app in Chatwoot's dashboard."""
    await mode(place.here, enabled=False, conversation=place.number)


WAYS = {
    InChatwoot: (
        marked_as_pending,
        commanded,
        bot_assigned,
        bot_assigned_and_pending,
        released,
        switched_off_for_one,
    ),
    InWebChat: (released, switched_off_for_one),
}
TABLE = [(place, way) for place, ways in WAYS.items() for way in ways]
# It asks for an answer, whoever spoke last.
RETRY = (InChatwoot, retried)


@pytest.mark.parametrize(("place", "way"), [*TABLE, RETRY])
async def test_contact_who_spoke_last_gets_one_answer(bot, place, way):
    """To all they wrote meanwhile, and the request for a person is no new one."""
    async with bot.scene() as here:
        story = place(here)
        await story.begin()
        await story.taken()
        for question in QUESTIONS:
            await story.contact_says(question)
        await here.quiet()
        before = await story.answers()

        await way(story)
        await story.answered_again()
        await here.quiet()

        assert before == []
        assert await story.answers() == [ANSWER]
        assert here.asked() == ["Hi", "Hello?"]
        assert "A human, please" in here.shown("Hello?")
        await story.is_the_bots()


@pytest.mark.parametrize(("place", "way"), TABLE)
async def test_agent_who_spoke_last_has_said_enough(bot, place, way):
    async with bot.scene() as here:
        story = place(here)
        await story.begin()
        await story.taken()
        await story.contact_says("Where is it?")
        await story.agent_says("It left us yesterday.")

        await way(story)
        await here.quiet()

        assert await story.answers() == []
        assert here.asked() == ["Hi"]
        await story.is_the_bots()


async def test_retry_answers_the_contact_though_an_agent_spoke_last(bot):
    """The agent asks for an answer to what the contact wrote last, and gets one."""
    async with bot.scene() as here:
        story = InChatwoot(here)
        await story.begin()
        await story.taken()
        await story.contact_says("Where is it?")
        await story.agent_says("Let me ask the bot.")

        await retried(story)
        await story.answered_again()
        await here.quiet()

        assert await story.answers() == ["Answer to: Where is it?"]
        await story.is_the_bots()


async def test_contact_who_ends_a_snooze_is_the_bots(bot):
    """Chatwoot opens it, but no agent has it: the bot answers, once."""
    async with bot.scene() as here:
        story = InChatwoot(here)
        await story.begin()
        await here.chatwoot.set_status(story.cid, "snoozed")
        await here.chatwoot.settled()

        await story.contact_says("Hello?")
        await story.answered_again()
        await here.quiet()

        assert await story.answers() == [ANSWER]
        await story.is_the_bots()


@pytest.mark.parametrize("last", ["agent", "contact"])
async def test_end_of_a_snooze_leaves_to_an_agent_what_they_have_answered(bot, last):
    """They find it in the list of what is nobody's, whoever spoke last."""
    async with bot.scene() as here:
        story = InChatwoot(here)
        await story.begin()
        await story.taken()
        await here.chatwoot.set_status(story.cid, "snoozed")
        await here.chatwoot.settled()

        if last == "agent":
            await here.chatwoot.snooze_ends(story.cid)
        else:
            await story.contact_says("Any news?")
        await here.quiet()

        assert await story.answers() == []
        assert here.chatwoot.status(story.cid) == "open"
        assert here.conversation(story.cid).assignee_agent_bot_id is None


@pytest.mark.parametrize("place", WAYS)
async def test_who_wrote_in_human_mode_waits_and_is_answered_when_it_ends(bot, place):
    """Waiting, so agents see it and count it; then nobody is forgotten."""
    async with bot.scene() as here:
        story = place(here)
        await story.begin()
        await mode(here, enabled=True)
        try:
            await story.contact_says("Hello?")
            await here.chatwoot.settled()
            waiting = await call(here, "GET", f"/conversations/{await story.our_id()}")
            stats = await call(here, "GET", "/stats")
            silent = await story.answers()
        finally:
            await mode(here, enabled=False)
        await story.answered_again()
        await here.quiet()

        assert (waiting["state"], waiting["reason"]) == (
            "handover_pending",
            "human_mode",
        )
        assert stats["now"]["waiting_for_human"] >= 1
        assert silent == []
        assert await story.answers() == [ANSWER]
        await story.is_the_bots()


@pytest.mark.parametrize("last", ["agent", "contact"])
@pytest.mark.parametrize("place", WAYS)
async def test_agent_who_took_one_in_human_mode_keeps_it(bot, place, last):
    async with bot.scene() as here:
        story = place(here)
        await story.begin()
        await mode(here, enabled=True)
        try:
            await story.contact_says("Hello?")
            await story.agent_says("Maria here.")
            if last == "contact":
                await story.contact_says("Thank you, Maria")
        finally:
            await mode(here, enabled=False)
        await here.quiet()

        assert await story.answers() == []
        assert here.asked() == ["Hi"]


# Takeovers that are no reply.


async def test_agent_who_is_assigned_stops_the_answer(bot):
    """On 4.16 too, where Chatwoot leaves the conversation pending."""
    async with bot.scene(model={"delay_s": 0.5}) as here:
        said = await here.chatwoot.contact_says("Where is my order?")
        cid = said.conversation_id
        await here.chatwoot.until(lambda: here.conversation(cid).typing)
        await here.chatwoot.assign(cid)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        silent = await here.ignores(cid, "Are you there?")

    assert here.answers(cid) == []
    assert silent
    assert here.conversation(cid).assignee_id == 12


async def test_customer_who_comes_back_to_an_old_assignee_is_the_bots(bot):
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await here.chatwoot.assign(cid)
        await here.chatwoot.agent_says(cid, "Maria here.")
        await here.chatwoot.set_status(cid, "resolved")
        await here.chatwoot.settled()
        answer = await here.asks(cid, "Do you ship to Norway?")

    assert answer == "Answer to: Do you ship to Norway?"
    assert here.conversation(cid).assignee_id == 12
    assert here.chatwoot.status(cid) == "pending"


async def test_auto_assignment_after_a_handover_leaves_the_handover_as_it_is(bot):
    """Chatwoot assigns an agent by itself as soon as the conversation is open."""
    async with bot.scene() as here:
        await here.chatwoot.set_inbox(enable_auto_assignment=True)
        said = await here.chatwoot.contact_says("A human, please")
        cid = said.conversation_id
        await here.chatwoot.until(lambda: here.chatwoot.notes(cid), timeout=5)
        await here.chatwoot.settled()
        found = await call(here, "GET", f"/conversations?display_id={cid}")

    assert here.conversation(cid).assignee_id is not None
    assert found["items"][0]["state"] == "handover_pending"
    assert len(here.answers(cid)) == 1


# What is not an agent's for certain.


@pytest.mark.parametrize(
    ("silenced", "undone", "name"),
    [
        ({"labels": ["bot-off"]}, {"labels": []}, "`bot-off`"),
        ({"bot": "off"}, {"bot": "on"}, "`bot`"),
    ],
    ids=str,
)
async def test_visitor_who_takes_the_silence_back_wakes_nobody(
    bot, silenced, undone, name
):
    """Chatwoot's widget lets visitors remove labels and set attributes."""
    async with bot.scene() as here:
        cid = await here.answered("Hi")
        await marked(here, cid, silenced)
        await here.chatwoot.until(lambda: here.chatwoot.notes(cid))
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        await marked(here, cid, undone)
        silent = await here.ignores(cid, "Now you must answer")
        notes = [note.content for note in here.chatwoot.notes(cid)]
        await here.chatwoot.agent_says(cid, "/bot on", private=True)
        await here.chatwoot.wait_for_replies(cid, 2)

    assert silent
    assert name in notes[0]
    assert "write `/bot on` as a private note" in notes[0]
    assert here.answers(cid)[1:] == ["Answer to: Now you must answer"]


async def marked(here, cid, marks):
    labels = marks.get("labels")
    if labels is not None:
        await here.chatwoot.set_labels(cid, labels)
    else:
        await here.chatwoot.set_custom_attributes(cid, marks)
    await here.chatwoot.settled()


async def test_command_that_went_to_the_contact_is_neither_obeyed_nor_an_answer(
    bot, monkeypatch
):
    """The composer's switch between reply and note is easily missed."""
    # A payload that shows the agent's first reply before the reply itself arrives
    # silences the bot, as it should.
    monkeypatch.setattr("chatwoot_bot.simulator.deliveries.CONCURRENCY", 1)
    async with bot.scene(model={"delay_s": 0.5}) as here:
        said = await here.chatwoot.contact_says("Where is my order?")
        cid = said.conversation_id
        await here.chatwoot.until(lambda: here.conversation(cid).typing)
        await here.chatwoot.agent_says(cid, "/bot off")
        await here.chatwoot.wait_for_replies(cid, 1)
        await here.chatwoot.until(lambda: here.chatwoot.notes(cid))
        await here.quiet()
        [note] = here.chatwoot.notes(cid)

    assert here.answers(cid) == ["Answer to: Where is my order?"]
    assert "`/bot off` went to the contact" in note.content
    assert here.chatwoot.status(cid) == "pending"
