"""A conversation that leaves the bot is no longer the bot's, whoever opened it.

Since Chatwoot 4.17 an open conversation that a bot owns is in no list that agents
look at: neither in "Mine" nor in "Unassigned".
"""

import httpx
import pytest
from scene import installed

pytestmark = pytest.mark.anyio

RELEASES = pytest.mark.parametrize("release", ["4.16", "4.17", "4.18"])
MARIA = 12
LETS_GO = {"RECOVER": "release", "SWEEP_INTERVAL_SECONDS": 0}


async def snoozed_until_its_time(here, cid):
    await here.chatwoot.set_status(cid, "snoozed")
    await here.chatwoot.settled()
    here.chatwoot.world.wake(here.conversation(cid))


async def opened_after_a_failed_delivery(here, cid):
    here.chatwoot.world.open_after_failure(here.conversation(cid))


async def opened_by_an_automation(here, cid):
    here.chatwoot.world.set_status(here.conversation(cid), "open", by="a rule")


async def contact_wrote_while_it_was_snoozed(here, cid):
    await here.chatwoot.set_status(cid, "snoozed")
    await here.chatwoot.settled()
    await here.chatwoot.contact_says("Are you still there?", conversation=cid)


async def told_to_be_off(here, cid):
    await here.chatwoot.agent_says(cid, "/bot off", private=True)


async def labelled(here, cid):
    await here.chatwoot.set_labels(cid, ["bot-off"])


async def asked_for_a_human(here, cid):
    await here.chatwoot.contact_says("A human, please", conversation=cid)


async def agent_replied(here, cid):
    await here.chatwoot.agent_says(cid, "Maria here.")


WAYS = (
    snoozed_until_its_time,
    opened_after_a_failed_delivery,
    opened_by_an_automation,
    contact_wrote_while_it_was_snoozed,
    told_to_be_off,
    labelled,
    asked_for_a_human,
    agent_replied,
)


async def unassigned(here):
    """Return the conversations of the agents' list of that name."""
    async with httpx.AsyncClient(headers={"api_access_token": "user-token"}) as client:
        answer = await client.get(
            f"{here.chatwoot.base_url}/api/v1/accounts/1/conversations"
            "?status=open&assignee_type=unassigned"
        )
    return [row["id"] for row in answer.json()["data"]["payload"]]


async def nobodys(here, cid):
    """Wait until the bot owns the conversation no more."""
    conversation = here.conversation(cid)
    await here.chatwoot.until(
        lambda: (
            conversation.status == "open" and conversation.assignee_agent_bot_id is None
        )
    )


def assignments(here):
    """Return what the service has asked Chatwoot to assign."""
    calls = here.chatwoot.calls
    return [call.body for call in calls if call.path.endswith("/assignments")]


@pytest.fixture(scope="session")
def bot(tmp_path_factory):
    """A service whose bot takes nothing back."""
    folder = tmp_path_factory.mktemp("leaving")
    with installed(folder, **LETS_GO) as installation:
        yield installation


@pytest.fixture(scope="session")
def bot_of_admin(tmp_path_factory):
    """The same with an administrator's token, too."""
    folder = tmp_path_factory.mktemp("admin")
    settings = {**LETS_GO, "CHATWOOT_USER_TOKEN": "admin-token"}
    with installed(folder, **settings) as installation:
        yield installation


@pytest.fixture(params=["bot", "bot_of_admin"])
def each(request):
    return request.getfixturevalue(request.param)


@RELEASES
async def test_agents_find_what_has_left_the_bot(each, release):
    """Whichever way it has left: all in one story, because each takes its time."""
    async with each.scene(release=release) as here:
        left = {way: await here.answered("Hi") for way in WAYS}
        for way, cid in left.items():
            await way(here, cid)
        for cid in left.values():
            await nobodys(here, cid)
        listed = await unassigned(here)

    assert [way.__name__ for way, cid in left.items() if cid not in listed] == []


async def test_conversation_that_has_a_team_already_is_released_too(bot):
    """A bot's token cannot read it, so the deliveries have to say enough."""
    async with bot.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_team(cid, 2)
        await here.chatwoot.settled()
        await opened_by_an_automation(here, cid)
        conversation = here.conversation(cid)
        await here.chatwoot.until(
            lambda: conversation.assignee_agent_bot_id is None, timeout=30
        )

    assert conversation.team_id == 2


@RELEASES
async def test_agent_who_opens_it_keeps_it(each, release):
    """Chatwoot shows the bot as its owner until a second save gives it to the agent."""
    async with each.scene(release=release) as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_status(cid, "open")
        await here.quiet()
        asked = assignments(here)

    assert here.conversation(cid).assignee_id == MARIA
    assert asked == []


async def test_agent_who_is_assigned_meanwhile_keeps_it(bot):
    async with bot.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        await opened_by_an_automation(here, cid)
        await here.chatwoot.settled()
        await here.chatwoot.assign(cid, MARIA)
        await here.quiet()
        asked = assignments(here)

    assert here.conversation(cid).assignee_id == MARIA
    assert asked == []


async def test_bot_of_somebody_else_keeps_what_it_owns(each):
    async with each.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        rival = here.chatwoot.world.office.add_bot("Rival").id
        conversation = here.conversation(cid)
        here.chatwoot.world.save(
            conversation, status="open", assignee_agent_bot_id=rival
        )
        await here.quiet()
        asked = assignments(here)

    assert conversation.assignee_agent_bot_id == rival
    assert asked == []


async def test_agents_reply_does_not_make_the_contact_look_unanswered(bot_of_admin):
    """A bot that opens a conversation hands it off: the contact waits from then on."""
    async with bot_of_admin.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        await here.chatwoot.contact_says("Are you real?", conversation=cid)
        await here.chatwoot.agent_says(cid, "I am: Maria here.")
        await nobodys(here, cid)
        await here.quiet()
        conversation = here.conversation(cid)

    assert conversation.waiting_since is None
    assert conversation.assignee_id is None


async def test_service_that_was_stopped_releases_it_after_its_start(tmp_path):
    """What is to be done is stored, like a reply that could not be delivered."""
    with installed(tmp_path, **LETS_GO) as installation:
        async with installation.scene(release="4.17") as here:
            cid = await here.answered("Hi")
            await here.chatwoot.settled()
            here.chatwoot.faults.api("status", status=503, call="assign", times=None)
            await opened_by_an_automation(here, cid)
            await here.chatwoot.until(lambda: assignments(here))
            installation.service.stop()
            here.chatwoot.faults.clear()
            installation.service.start()
            here.chatwoot.webhook_url = here.url
            await nobodys(here, cid)
            listed = await unassigned(here)

    assert cid in listed
