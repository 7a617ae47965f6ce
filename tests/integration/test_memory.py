"""Who remembers what of whom, what it costs, and who has written too much."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest
from arrivals import RULES, says, shows
from test_chat import begin, messages, say
from test_webhook import rows, serving

from chatwoot_bot.core.conversation import Status
from chatwoot_bot.core.decision import Policy
from chatwoot_bot.core.events import Kind
from chatwoot_bot.responders.base import Answer, Usage
from chatwoot_bot.simulator.llm import ModelStandIn, ToolCall
from chatwoot_bot.store import memory, schema, spending
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find
from chatwoot_bot.store.memory import Recalled
from chatwoot_bot.store.spending import Bill
from chatwoot_bot.store.strain import strain

pytestmark = pytest.mark.anyio

NOW = 1_784_538_914.0
KNOWING = replace(RULES, attributes=("plan",))
REMEMBERING = replace(RULES, remembers=True)
FREE = Bill(tokens=0, cost=None)


async def take(db, arrival, *, rules=RULES, **shown):
    """Take an arrival that shows more of its conversation."""
    seen = replace(arrival.event.conversation, **shown)
    arrival = replace(arrival, event=replace(arrival.event, conversation=seen))
    return await db.write_grouped(partial(accept, rules=rules), arrival)


async def conversation(db, display_id=150):
    found = await db.write(find, {"account_id": 1, "display_id": display_id})
    return found[0]


async def sum_up(db, summary="Wants blue.", display_id=150, bill=FREE):
    """Sum up all that was said since the last summary."""
    this = await conversation(db, display_id)
    past = await db.read(memory.past, this.id)
    return await db.write(
        memory.remember,
        this.id,
        summary,
        of=past.messages,
        after=past.until,
        bill=bill,
        now=NOW,
    )


async def recall(db, display_id=150, *, earlier=False):
    this = await conversation(db, display_id)
    return await db.read(memory.recall, this, earlier=earlier)


async def test_only_named_attributes_are_kept(db):
    shown = {"contact_attributes": {"plan": "gold", "iban": "DE00"}, "attributes": {}}
    await take(db, says(), rules=KNOWING, **shown)
    await take(db, says(conversation=151), **shown)

    assert (await conversation(db)).attributes == '{"plan": "gold"}'
    assert (await conversation(db, 151)).attributes == ""


async def test_what_is_shown_later_takes_its_place_and_what_is_older_does_not(db):
    new, old = {"plan": "gold"}, {"plan": "none"}
    await take(db, says(clock=100.0), rules=KNOWING, attributes={})
    await take(db, says(clock=200.0), rules=KNOWING, attributes=new, contact_name="Ada")
    await take(db, says(clock=50.0), rules=KNOWING, attributes=old, contact_name="Eve")

    this = await conversation(db)
    assert (this.attributes, this.contact_name) == ('{"plan": "gold"}', "Ada")


async def test_conversation_takes_the_place_of_nothing_that_the_contact_says(db):
    """A visitor sets the conversation's attributes in Chatwoot's widget."""
    contact, visitor = {"plan": "none"}, {"plan": "gold"}
    told = []
    for more in (
        {"contact_attributes": contact, "attributes": visitor},
        {"contact_attributes": None, "attributes": visitor},
    ):
        await take(db, says(), rules=KNOWING, **more)
        told.append((await conversation(db)).attributes)

    assert told == ['{"plan": "none"}'] * 2


async def test_summary_goes_on_where_the_last_one_ended(db):
    await take(db, says(content="One."))
    await sum_up(db)
    await take(db, says(content="Two."))
    past = await db.read(memory.past, (await conversation(db)).id)

    assert past.summary == "Wants blue."
    assert [message.content for message in past.messages] == ["Two."]
    assert await recall(db) == Recalled(summary="Wants blue.")


async def test_summary_of_what_was_taken_back_meanwhile_is_not_kept(db):
    await take(db, says(message_id=7))
    this = await conversation(db)
    past = await db.read(memory.past, this.id)
    await take(db, says(Kind.DELETED, message_id=7))
    keep = partial(memory.remember, summary="x", of=past.messages, after=None)
    kept = await db.write(keep, this.id, bill=FREE, now=NOW)

    assert not kept
    assert (await conversation(db)).summary is None


async def test_deleted_message_is_forgotten_with_the_summary_that_tells_of_it(db):
    await take(db, says(message_id=7))
    await sum_up(db)
    await take(db, says(Kind.DELETED, message_id=7))

    assert (await conversation(db)).summary is None


async def test_only_one_of_two_summaries_is_kept(db):
    await take(db, says())
    this = await conversation(db)
    past = await db.read(memory.past, this.id)
    await sum_up(db)
    keep = partial(memory.remember, summary="x", of=past.messages, after=None)

    assert not await db.write(keep, this.id, bill=FREE, now=NOW)


async def test_resolve_forgets(db):
    await take(db, says())
    await sum_up(db)
    await take(db, shows(Status.RESOLVED))

    assert (await conversation(db)).summary is None


async def resolved(db, display_id, contact, inbox=3):
    """A conversation of *contact* that is over, and summed up."""
    about = {"conversation": display_id, "inbox": inbox}
    await take(db, says(**about), rules=REMEMBERING, contact=contact)
    await take(db, shows(Status.RESOLVED, **about), rules=REMEMBERING)
    await sum_up(db, f"About {display_id}.", display_id)


async def test_resolve_is_looked_at_where_contacts_are_remembered(db):
    """Somebody has to sum it up."""
    await take(db, says(), rules=REMEMBERING)
    await take(db, shows(Status.RESOLVED, at=1_100.0), rules=REMEMBERING)

    assert (await conversation(db)).due_at == 1_100.0


async def test_contact_is_remembered_and_nobody_else(db):
    await resolved(db, 150, "ada")
    await resolved(db, 151, "eve")
    await take(db, says(conversation=152), rules=REMEMBERING, contact="ada")
    await sum_up(db, "Open, so not told.", 152)
    await take(db, says(conversation=153), rules=REMEMBERING, contact="ada")
    await take(db, says(conversation=154), rules=REMEMBERING)

    assert await recall(db, 153, earlier=True) == Recalled(earlier=("About 150.",))
    assert await recall(db, 153) == Recalled()
    assert await recall(db, 154, earlier=True) == Recalled()


async def test_earlier_request_in_the_same_conversation_is_remembered(db):
    await resolved(db, 150, "ada")
    await take(db, says(clock=300.0), rules=REMEMBERING, contact="ada")

    assert await recall(db, earlier=True) == Recalled(earlier=("About 150.",))
    assert await recall(db) == Recalled()


async def test_costs_are_summed_up_by_conversation_and_day(db):
    for number in range(12):
        await take(db, says(conversation=number + 1))
        bill = Bill(tokens=100, cost=0.5)
        this = await conversation(db, number + 1)
        await db.write(spending.charge, this.id, bill, now=NOW)
    await db.write(spending.charge, this.id, Bill(tokens=7, cost=None), now=NOW)
    today = await db.read(spending.on_day, NOW)

    assert (today.tokens, today.cost) == (1_207, 6.0)
    assert (await db.read(spending.on_day, NOW - 86_400)).tokens == 0
    assert (await conversation(db, 12)).spent == 0.5


async def test_summary_costs_too_whether_it_is_kept_or_not(db):
    await take(db, says())
    await sum_up(db, bill=Bill(tokens=10, cost=0.25))

    assert (await conversation(db)).spent == 0.25


async def test_resolve_begins_a_new_account(db):
    await take(db, says())
    await sum_up(db, bill=Bill(tokens=10, cost=0.25))
    await take(db, shows(Status.RESOLVED))

    assert (await conversation(db)).spent == 0.0


async def test_contacts_messages_of_the_last_hour_count_in_all_conversations(db):
    for number, at in enumerate((NOW - 4_000, NOW - 3_000, NOW - 20, NOW - 10)):
        await take(db, says(conversation=150 + number % 2, at=at), contact="ada")
    await take(db, says(Kind.AGENT_REPLY, at=NOW - 5), contact="ada")
    await take(db, says(conversation=160, at=NOW - 5), contact="eve")
    policy = Policy(contact_messages_per_hour=50)
    this = await conversation(db)

    borne = await db.read(strain, this, policy, now=NOW)
    assert borne.messages_in_hour == 3
    assert (await db.read(strain, this, Policy(), now=NOW)).messages_in_hour == 0


@pytest.fixture
async def model():
    async with ModelStandIn(reply=answer) as model:
        yield model


def answer(messages):
    return "Wants a blue one." if is_summary(messages) else "Yes."


def is_summary(messages):
    return messages[0]["content"].startswith("Summarize")


def connected(database_url, model, **settings):
    named = {"OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": "gpt-4o-mini"}
    return serving(database_url, **named, **settings)


async def until(check):
    """Wait for what nobody tells of."""
    async with asyncio.timeout(10):
        while not (found := await check()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def ask(client, conversation, visitor, text):
    said = await say(client, conversation, visitor, text)
    after = said.json()["id"]
    news = await messages(client, conversation, visitor, after=after)
    return news["items"]


async def summary_of(client, conversation):
    mine = schema.conversations.c.id == conversation["id"]
    [row] = await rows(client, schema.conversations, mine)
    return row["summary"]


async def test_model_is_told_in_short_what_it_does_not_see_any_more(
    database_url, model
):
    async with connected(database_url, model, HISTORY_TOKENS="100") as client:
        this, visitor = await begin(client, name="Tomas")
        for number in range(12):
            await ask(client, this, visitor, f"Question {number} is a long one. " * 4)
        await until(partial(summary_of, client, this))
        await ask(client, this, visitor, "And now?")

    asked = [r["messages"] for r in model.requests if not is_summary(r["messages"])]
    system, *shown = [message["content"] for message in asked[-1]]
    assert 1 <= len(model.requests) - len(asked) <= 6
    assert "Wants a blue one." in system
    assert '"Tomas"' in system
    assert "channel: web chat" in system
    assert shown[-1] == "And now?"
    assert not any("Question 0" in text for text in shown)


async def test_visitor_is_remembered_in_the_next_chat_and_nobody_else(
    database_url, model
):
    async with connected(database_url, model, REMEMBER_CONTACTS="true") as client:
        first, visitor = await begin(client, user_id="u-1")
        await ask(client, first, visitor, "I want a blue one.")
        await client.post(f"/conversations/{first['id']}/resolve")
        await until(partial(summary_of, client, first))
        created = await client.post(
            "/conversations", json={"user_id": "u-1"}, headers=visitor
        )
        again = created.json()
        own = {"authorization": f"Bearer {again['token']}"}
        await ask(client, again, own, "It is me.")
        told = model.requests[-1]["messages"][0]["content"]
        # The same name proves nothing.
        other, stranger = await begin(client, user_id="u-1")
        await ask(client, other, stranger, "It is me, too.")

    asked = [r["messages"] for r in model.requests if not is_summary(r["messages"])]
    assert "Wants a blue one." in told
    assert "Wants a blue one." not in asked[-1][0]["content"]


async def is_waiting(client, conversation):
    shown = (await client.get(f"/conversations/{conversation['id']}")).json()
    return shown["state"] == "handover_pending"


async def test_limit_on_a_contacts_messages_calls_a_human_without_the_model(
    database_url, model
):
    async with connected(database_url, model, CONTACT_MESSAGES_PER_HOUR="2") as client:
        this, visitor = await begin(client)
        for text in ("One", "Two"):
            await ask(client, this, visitor, text)
        asked = len(model.requests)
        await ask(client, this, visitor, "Three")
        await say(client, this, visitor, "Four")
        await until(partial(is_waiting, client, this))
        turns = await client.get(f"/conversations/{this['id']}/turns")

    reasons = [turn["reason"] for turn in turns.json()["items"]]
    assert reasons.count("rate_limit") == 1
    assert len(model.requests) == asked


@pytest.mark.parametrize("limit", ["MAX_COST_PER_CONVERSATION", "MAX_COST_PER_DAY"])
async def test_limit_on_money_calls_a_human_without_the_model(
    database_url, model, limit
):
    async with connected(database_url, model, **{limit: "0.000001"}) as client:
        this, visitor = await begin(client)
        await ask(client, this, visitor, "One")
        asked = len(model.requests)
        await ask(client, this, visitor, "Two")
        turns = (await client.get(f"/conversations/{this['id']}/turns")).json()["items"]
        stats = (await client.get("/stats")).json()
        metrics = (await client.get("/metrics")).text

    assert [turn["reason"] for turn in turns] == ["spend_limit", "default"]
    assert len(model.requests) == asked
    cost = turns[-1]["cost"]
    assert cost > 0
    assert stats["outcomes"]["cost"] == pytest.approx(cost)
    assert stats["today"]["cost"] == pytest.approx(cost)
    assert (stats["currency"], turns[0]["currency"]) == ("USD", "USD")
    assert "chatwoot_bot_model_cost_total 0.0\n" not in metrics


COUNTS = {
    "none": None,
    "impossible": {"prompt_tokens": 10**30, "completion_tokens": -1},
    "infinite": {"prompt_tokens": float("inf"), "completion_tokens": "x"},
}


@pytest.mark.parametrize("counts", COUNTS)
async def test_limit_on_money_works_without_the_counts_of_the_server(
    database_url, model, counts
):
    """Nor does an impossible count keep the contact from an answer."""
    model.usage = lambda *_: COUNTS[counts]
    async with connected(database_url, model, MAX_COST_PER_DAY="0.000001") as client:
        this, visitor = await begin(client)
        await ask(client, this, visitor, "One")
        await ask(client, this, visitor, "Two")
        turns = (await client.get(f"/conversations/{this['id']}/turns")).json()["items"]
        metrics = (await client.get("/metrics")).text

    assert [turn["reason"] for turn in turns] == ["spend_limit", "default"]
    assert turns[1]["estimated"]
    assert 0 < turns[1]["tokens"] < 10_000
    assert turns[1]["cost"] > 0
    assert "chatwoot_bot_model_tokens_estimated_total 0.0\n" not in metrics


class Stopped:
    """A responder that is stopped at its first answer, when its model has begun."""

    model = "gpt-4o-mini"
    asked: list[str]
    thinking: asyncio.Event

    async def respond(self, assignment, listener=None):
        self.asked.append(assignment.turn_id)
        if len(self.asked) > 1:
            return Answer(text="Done.", model=self.model, usage=Usage(prompt=7))
        assignment.meter.add(self.model, Usage(prompt=1_000, completion=10))
        self.thinking.set()
        await asyncio.Event().wait()


async def test_stopped_answer_is_billed(database_url, model):
    """The contact has written more; what the model has read is paid for."""
    Stopped.asked, Stopped.thinking = [], asyncio.Event()
    own = {"RESPONDER": f"{__name__}:Stopped"}
    async with connected(database_url, model, **own) as client:
        this, visitor = await begin(client)
        await say(client, this, visitor, content="One")
        async with asyncio.timeout(10):
            await Stopped.thinking.wait()
        await ask(client, this, visitor, "Two")
        turns = (await client.get(f"/conversations/{this['id']}/turns")).json()["items"]

    assert [turn["tokens"] for turn in turns] == [7, 1_010]
    assert turns[1]["cost"] > 0
    assert not turns[0]["estimated"]


async def test_call_of_a_human_has_cost_something_too(database_url, model):
    """The model was asked; that the contact reads none of it makes it no cheaper."""
    model.reply = ToolCall(name="escalate_to_human", arguments={"reason": "x"})
    async with connected(database_url, model) as client:
        this, visitor = await begin(client)
        await ask(client, this, visitor, "One")
        turns = (await client.get(f"/conversations/{this['id']}/turns")).json()

    assert turns["items"][-1]["reason"] == "model_asked"
    assert turns["items"][-1]["cost"] > 0
