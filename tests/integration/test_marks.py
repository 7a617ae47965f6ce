"""What operators' rules heed of a conversation, on SQLite and on PostgreSQL."""

from dataclasses import replace
from functools import partial

import pytest
from arrivals import RULES, says, shows

from chatwoot_bot.core.conversation import Status
from chatwoot_bot.core.decision import Policy, Route
from chatwoot_bot.core.rules import Rule, attribute_mark, label_mark
from chatwoot_bot.store.accept import accept
from chatwoot_bot.store.conversations import find

pytestmark = pytest.mark.anyio

HEEDING = Policy(
    rules=(
        Rule(because="x", labels=(label_mark("vip"),)),
        Rule(because="y", attributes=(attribute_mark("plan", "gold"),)),
    )
)
ACCEPT = partial(accept, rules=replace(RULES, bots={3: replace(RULES, policy=HEEDING)}))


async def take(db, arrival, **shown):
    """Take an arrival that shows its labels and attributes."""
    seen = replace(arrival.event.conversation, **shown)
    arrival = replace(arrival, event=replace(arrival.event, conversation=seen))
    return await db.write_grouped(ACCEPT, arrival)


async def conversation(db, display_id=150):
    found = await db.write(find, {"account_id": 1, "display_id": display_id})
    return found[0]


async def test_label_that_a_rule_names_calls_a_human(db):
    accepted = await take(db, says(), labels=("vip", "other"))

    assert accepted.decision.route is Route.HANDOVER
    assert (await conversation(db)).marks == "label vip"


async def test_contacts_attribute_counts_like_the_conversations(db):
    shown = {"labels": (), "contact_attributes": {"plan": "Gold", "phone": "1"}}
    accepted = await take(db, says(), **shown)

    assert accepted.decision.detail == "y"
    assert (await conversation(db)).marks == "attribute plan=gold"


async def test_nothing_is_kept_where_no_rule_asks_for_it(db):
    accepted = await take(db, says(inbox=4), labels=("vip",))

    assert accepted.decision.route is Route.BOT
    assert (await conversation(db)).marks == ""


async def test_what_shows_no_labels_or_is_older_changes_nothing(db):
    await take(db, says(clock=100.0), labels=("vip",))
    await take(db, shows(Status.PENDING, clock=200.0))
    await take(db, says(clock=50.0), labels=())

    assert (await conversation(db)).marks == "label vip"

    await take(db, says(clock=300.0), labels=())

    assert (await conversation(db)).marks == ""


async def test_conversation_that_was_given_back_is_the_bots_until_it_is_resolved(db):
    shown = {"labels": ("vip",)}
    await take(db, shows(Status.OPEN, clock=1.0))
    await take(db, shows(Status.PENDING, clock=2.0))
    given = await take(db, says(clock=3.0), **shown)
    await take(db, shows(Status.RESOLVED, clock=4.0))
    again = await take(db, says(clock=5.0), **shown)

    assert (given.decision.route, again.decision.route) == (Route.BOT, Route.HANDOVER)


async def test_conversation_that_an_operator_named_first_learns_its_inbox(db):
    """Or it would be served by the bot for all others."""
    await take(db, says(inbox=None), labels=())
    await take(db, says(inbox=3), labels=())

    assert (await conversation(db)).inbox == 3
