"""Many inboxes, many bots: each has its own name, words, team, hours and token."""

import asyncio
import subprocess
import sys

import httpx
import pytest
from service import Service, environment

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.server import Simulator

pytestmark = pytest.mark.anyio

ADAS, BOBS, LONELY = 3, 7, 9
BOTS = """
[[bots]]
inboxes = [3]
name = "Ada"
languages = ["de"]

[bots.handoff]
team = 2

[[bots.handoff.rules]]
because = "Legal matters are for a human."
says = ["lawyer*"]

[[bots.handoff.rules]]
unsupported = true

[[bots.handoff.rules]]
because = "A customer with a contract."
attributes = { plan = "gold" }

[[bots]]
inboxes = [7]
prompt = "You sell bicycles."
token_env = "BOB_TOKEN"
secret_env = "BOB_SECRET"
# One minute a week, which is not now as long as this test is young.
business_hours = "Sun 03:00-03:01"
timezone = "Pacific/Kiritimati"

[bots.handoff]
keywords = ["mechanic"]
labels = ["workshop"]
"""


def by_whom(messages):
    """Answer with the prompt, so that the contact reads whose words these are."""
    return messages[0]["content"].splitlines()[0][:40]


def office():
    """Return a Chatwoot with two bots, and an inbox that is another's business."""
    chatwoot = Simulator(
        webhook_url="http://127.0.0.1:9/", secret="the-secret-of-ada", bot_token="t-ada"
    )
    people = chatwoot.world.office
    bob = people.add_bot("Bob", access_token="t-bob", secret="the-secret-of-bob")
    people.add_inbox("Bicycles", "Channel::WebWidget", id=BOBS, agent_bot_id=bob.id)
    people.add_inbox(
        "Jobs", "Channel::WebWidget", id=LONELY, agent_bot_id=chatwoot.world.bot.id
    )
    return chatwoot


def served(folder, chatwoot, model, bots=BOTS, **settings):
    (folder / "bots.toml").write_text(bots)
    return Service(
        folder,
        CHATWOOT_BASE_URL=chatwoot.base_url,
        CHATWOOT_API_TOKEN="t-ada",
        CHATWOOT_WEBHOOK_SECRET="the-secret-of-ada",
        BOB_TOKEN="t-bob",
        BOB_SECRET="the-secret-of-bob",
        BOTS_FILE="bots.toml",
        OPENAI_BASE_URL=model.base_url,
        **settings,
    )


async def shown(service, path):
    """Return what the service answers to an agent."""
    async with httpx.AsyncClient(base_url=service.url) as client:
        return await client.get(path, headers=service.agent)


def attach(chatwoot, service):
    for bot in chatwoot.world.office.bots.values():
        bot.outgoing_url = f"{service.url}/webhook/chatwoot"


async def test_each_inbox_is_answered_by_its_own_bot(tmp_path):
    """With its own token, and the model is told its own job."""
    async with ModelStandIn(reply=by_whom) as model, office() as chatwoot:
        with served(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            ada = await chatwoot.contact_says("Hallo!", inbox=ADAS)
            bob = await chatwoot.contact_says("Hello!", inbox=BOBS)
            [adas] = await chatwoot.wait_for_replies(ada.conversation_id, 1)
            [bobs] = await chatwoot.wait_for_replies(bob.conversation_id, 1)
            await chatwoot.settled()
            ready = (await shown(service, "/health/ready")).json()

        prompts = {each["messages"][0]["content"] for each in model.requests}

    assert adas.content.startswith("You are Ada")
    assert bobs.content == "You sell bicycles."
    assert {adas.sender_id, bobs.sender_id} == set(chatwoot.world.office.bots)
    assert any("no other languages than these (ISO 639-1): de" in p for p in prompts)
    assert ready["llm"]["circuit"] == "closed"
    # Every delivery was let in, whichever secret it was signed with.
    assert all(attempt.is_success for attempt in chatwoot.delivery_log)


async def test_each_bot_calls_humans_in_its_own_way(tmp_path):
    async with ModelStandIn(reply=by_whom) as model, office() as chatwoot:
        with served(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            ada = await chatwoot.contact_says("I want a human.", inbox=ADAS)
            bob = await chatwoot.contact_says("Get me a mechanic.", inbox=BOBS)
            ids = ada.conversation_id, bob.conversation_id
            for cid in ids:
                await chatwoot.until(lambda cid=cid: chatwoot.notes(cid))
            await chatwoot.settled()
            [adas], [bobs] = (chatwoot.replies(cid) for cid in ids)
        of_ada, of_bob = (chatwoot.world.conversations[cid] for cid in ids)

    assert adas.content.startswith("Ich gebe Sie an einen Kollegen weiter")
    assert "when our team is back on Sunday, 03:00" in bobs.content
    assert (of_ada.team_id, of_ada.label_list) == (2, ())
    assert (of_bob.team_id, of_bob.label_list) == (None, ("workshop",))


def lists(chatwoot):
    """Return how often conversations were listed."""
    return sum(call.path.endswith("/conversations") for call in chatwoot.calls)


async def test_inbox_without_a_bot_is_left_alone(tmp_path):
    """Its deliveries come here all the same, when it shares the URL."""
    async with ModelStandIn() as model, office() as chatwoot:
        with served(
            tmp_path,
            chatwoot,
            model,
            CHATWOOT_ACCOUNT_ID=1,
            CHATWOOT_USER_TOKEN="user-token",
            SWEEP_INTERVAL_SECONDS=0.2,
        ) as service:
            attach(chatwoot, service)
            lonely = await chatwoot.contact_says("Any jobs?", inbox=LONELY)
            await chatwoot.settled()
            answers = {attempt.body for attempt in chatwoot.delivery_log}
            asked = await chatwoot.contact_says("Hi", inbox=ADAS)
            await chatwoot.wait_for_replies(asked.conversation_id, 1)
            # Also by the sweep, which lists the account's pending conversations.
            before = lists(chatwoot)
            await chatwoot.until(lambda: lists(chatwoot) > before + 1)
            cid = lonely.conversation_id
            said = chatwoot.replies(cid), chatwoot.notes(cid)

    assert answers == {'{"status":"ignored","reason":"other_inbox"}'}
    assert said == ([], [])
    assert chatwoot.status(cid) == "pending"


async def test_operators_rule_calls_a_human_and_agents_read_why(tmp_path):
    async with ModelStandIn(reply=by_whom) as model, office() as chatwoot:
        with served(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            asked = await chatwoot.contact_says("My lawyers will call!", inbox=ADAS)
            cid = asked.conversation_id
            await chatwoot.until(lambda: chatwoot.notes(cid))
            [note] = chatwoot.notes(cid)
            metrics = (await shown(service, "/metrics")).text

    assert chatwoot.status(cid) == "open"
    why = note.content.split("\n\n")[1]
    assert why.startswith(
        "A rule of the bot's operator calls a human here: Legal matters are for a human"
    )
    assert 'handovers_total{reason="operator_rule"} 1.0' in metrics


async def test_attribute_calls_a_human_until_an_agent_gives_it_to_the_bot(tmp_path):
    """Humans outrank rules: what an agent hands to the bot stays with it."""
    async with ModelStandIn(reply=by_whom) as model, office() as chatwoot:
        with served(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            asked = await chatwoot.contact_says("Hi", inbox=ADAS)
            cid = asked.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            await chatwoot.set_custom_attributes(cid, {"plan": "gold", "phone": "1"})
            await chatwoot.contact_says("And now?", conversation=cid)
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            [note] = await chatwoot.until(lambda: chatwoot.notes(cid))
            await chatwoot.settled()

            await chatwoot.agent_says(cid, "/bot on", private=True)
            await chatwoot.until(lambda: chatwoot.status(cid) == "pending")
            await chatwoot.settled()
            await chatwoot.contact_says("So?", conversation=cid)
            replies = await chatwoot.wait_for_replies(cid, 3)

    assert "A customer with a contract." in note.content
    assert [reply.content[:11] for reply in replies] == [
        "You are Ada",
        "Ich gebe Si",
        "You are Ada",
    ]


async def test_what_chatwoot_cannot_show_calls_a_human_where_a_rule_says_so(tmp_path):
    async with ModelStandIn(reply=by_whom) as model, office() as chatwoot:
        with served(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            odd = await chatwoot.contact_sends_unsupported(inbox=ADAS)
            ignored = await chatwoot.contact_sends_unsupported(inbox=BOBS)
            await chatwoot.until(lambda: chatwoot.notes(odd.conversation_id))
            await chatwoot.settled()
            [note] = chatwoot.notes(odd.conversation_id)
            silent = chatwoot.replies(ignored.conversation_id)

    assert "The contact sent what neither Chatwoot nor" in note.content
    assert chatwoot.status(odd.conversation_id) == "open"
    assert silent == []


async def test_bot_that_was_removed_leaves_its_contacts_to_a_human(tmp_path):
    """A contact who was promised an answer is not forgotten by an edited file."""
    async with ModelStandIn(delay_s=30) as model, office() as chatwoot:
        with served(tmp_path, chatwoot, model) as service:
            attach(chatwoot, service)
            asked = await chatwoot.contact_says("Do you sell bells?", inbox=BOBS)
            await model.until(lambda: model.started == 1)
            service.kill()
        model.delay_s = 0
        only_ada = BOTS[: BOTS.rindex("[[bots]]")]
        with served(tmp_path, chatwoot, model, bots=only_ada) as service:
            attach(chatwoot, service)
            cid = asked.conversation_id
            await chatwoot.until(lambda: chatwoot.status(cid) == "open", timeout=30)
            [told] = await chatwoot.wait_for_replies(cid, 1)

    assert told.content.startswith("I am passing you on")


async def test_web_chat_has_the_bot_that_names_it(tmp_path):
    async with ModelStandIn(reply=by_whom) as model:
        (tmp_path / "bots.toml").write_text(
            '[[bots]]\ninboxes = ["web"]\nname = "Eve"\n'
            '[[bots]]\nprompt = "You serve the rest."'
        )
        with Service(
            tmp_path, BOTS_FILE="bots.toml", OPENAI_BASE_URL=model.base_url
        ) as service:
            body = {
                "event": "message_created",
                "id": 1,
                "content": "Hi",
                "message_type": "incoming",
                "content_type": "text",
            }
            async with httpx.AsyncClient(base_url=service.url) as client:
                answered = await client.post("/webhook/chatwoot", json=body)
            ready = (await shown(service, "/health/ready")).json()

    assert answered.json()["reply"].startswith("You are Eve")
    assert ready["bot_name"] == "Eve"


async def test_broken_file_refuses_the_start_with_its_line(tmp_path):
    """And after a restart, too: yesterday's file is not in use any more."""
    (tmp_path / "bots.toml").write_text(BOTS.replace("team = 2", "taem = 2"))
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "chatwoot_bot", "serve"],
        cwd=tmp_path,
        env=environment(
            BOTS_FILE="bots.toml",
            BOB_TOKEN="t-bob",
            BOB_SECRET="the-secret-of-bob",
            PORT=0,
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert (
        "bots.toml:8 handoff.taem: is not a known key; did you mean team?"
        in done.stderr
    )
