"""Chatwoot opens what the bot owns: the bot takes it back, unless an agent has it."""

import pytest
from scene import NOWHERE, installed

pytestmark = pytest.mark.anyio

SNOOZED = {"snoozed_until": 2e9}
RELEASES = pytest.mark.parametrize("release", ["4.16", "4.17", "4.18"])


@pytest.fixture(scope="module")
def sweeping(tmp_path_factory):
    """A service with a bot's token that sweeps all the time."""
    folder = tmp_path_factory.mktemp("sweeping")
    with installed(folder, SWEEP_INTERVAL_SECONDS=0.5) as installation:
        yield installation


@pytest.fixture(scope="module")
def releasing(tmp_path_factory):
    """The same; its operator wants the team to have such conversations."""
    folder = tmp_path_factory.mktemp("releasing")
    settings = {"SWEEP_INTERVAL_SECONDS": 0.5, "RECOVER": "release"}
    with installed(folder, **settings) as installation:
        yield installation


@pytest.fixture(scope="module")
def reading(tmp_path_factory):
    """A service that does not sweep, with a user's token."""
    folder = tmp_path_factory.mktemp("reading")
    settings = {"SWEEP_INTERVAL_SECONDS": 0, "CHATWOOT_USER_TOKEN": "user-token"}
    with installed(folder, **settings) as installation:
        yield installation


@pytest.fixture(scope="module")
def deaf(tmp_path_factory):
    """A service that does not sweep, with a bot's token alone."""
    folder = tmp_path_factory.mktemp("deaf")
    with installed(folder, SWEEP_INTERVAL_SECONDS=0) as installation:
        yield installation


def owners(here, cid):
    """Return whom Chatwoot names: the agent and the bot."""
    target = here.conversation(cid)
    return target.assignee_id, target.assignee_agent_bot_id


def unassigned(here):
    """Return what an agent finds in the list of that name."""
    world = here.chatwoot.world
    return [
        cid
        for cid, each in world.conversations.items()
        if each.status == "open"
        and each.assignee_id is None
        and not world.is_owned(each)
    ]


async def lose(here, cid, *texts):
    """Have the contact write while Chatwoot does not reach the service."""
    here.chatwoot.webhook_url = NOWHERE
    for text in texts:
        said = await here.chatwoot.contact_says(text, conversation=cid)
    await here.chatwoot.settled()
    here.chatwoot.webhook_url = here.url
    return said.conversation_id


async def later(here):
    """Wait until the service has looked again at what was opened by now.

    What is opened later is looked at later.
    """
    cid = await lose(here, None, "Is that all?")
    await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")
    await here.chatwoot.settled()


# An agent, a rule or the operator decides.


@RELEASES
async def test_agent_who_opens_a_conversation_keeps_it(sweeping, release):
    """Between the two saves of "open" it looks like a failed delivery."""
    async with sweeping.scene(release=release) as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_status(cid, "open")
        await later(here)
        silent = await here.ignores(cid, "Maria?")

    assert silent
    assert here.chatwoot.status(cid) == "open"
    assert owners(here, cid) == (12, None)


async def test_agent_whose_second_save_was_not_delivered_keeps_it(sweeping):
    """The second look shows who has it."""
    async with sweeping.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        conversation = here.conversation(cid)
        here.chatwoot.world.save(conversation, status="open")
        await here.chatwoot.settled()
        here.chatwoot.faults.deliveries.drop = 1.0
        await here.chatwoot.set_status(cid, "open")
        here.chatwoot.faults.deliveries.drop = 0.0
        await later(here)

    assert here.chatwoot.status(cid) == "open"
    assert owners(here, cid) == (12, None)


async def test_agent_who_replied_unheard_is_not_talked_over(sweeping):
    """A bot sees the newest message only, and that is the contact's thanks."""
    async with sweeping.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        await lose(here, cid, "Is anybody there?")
        here.chatwoot.faults.deliveries.drop = 1.0
        await here.chatwoot.agent_says(cid, "Maria here.")
        await here.chatwoot.contact_says("Thank you, Maria", conversation=cid)
        here.chatwoot.faults.deliveries.drop = 0.0
        await here.chatwoot.until(lambda: cid in unassigned(here))
        await here.quiet()

    assert here.answers(cid) == ["Answer to: Hi"]


@RELEASES
async def test_agent_who_replied_meanwhile_is_not_talked_over(sweeping, release):
    """The team finds the conversation; the bot ends its ownership and no more."""
    async with sweeping.scene(release=release) as here:
        cid = await here.answered("Hi")
        await lose(here, cid, "Is anybody there?")
        await here.chatwoot.agent_says(cid, "Maria here.")
        await here.chatwoot.until(lambda: owners(here, cid) == (None, None))
        silent = await here.ignores(cid, "Thank you, Maria")

    assert silent
    assert here.chatwoot.status(cid) == "open"
    assert here.answers(cid) == ["Answer to: Hi"]


@RELEASES
async def test_agent_who_is_assigned_meanwhile_is_not_talked_over(sweeping, release):
    """An assignment opens nothing where it is open already, and counts all the same."""
    async with sweeping.scene(release=release) as here:
        cid = await here.answered("Hi")
        await lose(here, cid, "Is anybody there?")
        await here.chatwoot.assign(cid, 12)
        await later(here)
        silent = await here.ignores(cid, "Maria?")

    assert silent
    assert here.chatwoot.status(cid) == "open"
    assert owners(here, cid) == (12, None)
    assert here.answers(cid) == ["Answer to: Hi"]


@pytest.mark.parametrize("way", ["note", "label", "attribute"])
async def test_agent_who_wants_silence_has_it(sweeping, way):
    """What asks for it may come before the bot has taken the conversation back."""
    async with sweeping.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        await lose(here, cid, "Is anybody there?")
        if way == "note":
            await here.chatwoot.agent_says(cid, "/bot off", private=True)
        elif way == "label":
            await here.chatwoot.set_labels(cid, ["bot-off"])
        else:
            await here.chatwoot.set_custom_attributes(cid, {"bot": "off"})
        await here.chatwoot.until(lambda: cid in unassigned(here))
        await here.quiet()

    assert here.answers(cid) == ["Answer to: Hi"]


@RELEASES
async def test_operator_may_leave_such_conversations_to_the_team(releasing, release):
    async with releasing.scene(release=release) as here:
        known = await here.answered("Hi")
        await lose(here, known, "Is anybody there?")
        new = await lose(here, None, "Do you ship to Norway?")
        await here.chatwoot.until(
            lambda: [owners(here, c) for c in (known, new)] == [(None, None)] * 2
        )
        assert unassigned(here) == [known, new]
        await here.quiet()

    assert here.answers(known) == ["Answer to: Hi"]
    assert here.answers(new) == []


async def test_contact_who_asked_for_a_person_meanwhile_gets_one(sweeping):
    """What is taken back is not handed back: it may call a human like any other."""
    async with sweeping.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        await lose(here, cid, "A human, please")
        await here.chatwoot.until(lambda: here.chatwoot.notes(cid))
        await here.chatwoot.until(lambda: cid in unassigned(here))

    assert len(here.answers(cid)) == 2
    assert "A human, please" not in here.asked()


async def test_chatwoot_that_stumbles_at_the_second_look_strands_nobody(deaf):
    """It answers 500, as it does a bot that asks for a conversation with a team."""
    async with deaf.scene(release="4.17") as here:
        cid = await here.answered("Hi")
        await lose(here, cid, "Is anybody there?")
        here.chatwoot.faults.api("status", status=500, call="show")
        await here.chatwoot.set_priority(cid, "high")
        await here.chatwoot.until(lambda: cid in unassigned(here), timeout=10)


# Snoozes.


@RELEASES
@pytest.mark.parametrize("end", ["by its time", "by the contact"])
async def test_end_of_a_snooze_while_we_are_away_is_noticed(sweeping, end, release):
    """No delivery tells of it; the question of before is answered too."""
    async with sweeping.scene(release=release) as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_status(cid, "snoozed", **SNOOZED)
        await here.chatwoot.settled()
        here.chatwoot.webhook_url = NOWHERE
        if end == "by its time":
            await here.chatwoot.snooze_ends(cid)
        else:
            await here.chatwoot.contact_says("Any news?", conversation=cid)
        await here.chatwoot.settled()
        here.chatwoot.webhook_url = here.url
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")
        if end == "by the contact":
            await here.chatwoot.wait_for_replies(cid, 2)
        await here.quiet()

    asked = ["Answer to: Any news?"] if end == "by the contact" else []
    assert here.answers(cid) == ["Answer to: Hi", *asked]


@pytest.mark.parametrize("service", ["deaf", "reading"])
async def test_end_of_a_snooze_fetches_what_was_missed(request, service):
    """The delivery of the message was lost, and that of the end of the snooze came."""
    async with request.getfixturevalue(service).scene(release="4.17") as here:
        cid = await here.answered("Hi")
        await here.chatwoot.set_status(cid, "snoozed", **SNOOZED)
        await here.chatwoot.settled()
        here.chatwoot.faults.deliveries.drop = 1.0
        await here.chatwoot.contact_says("Any news?", conversation=cid)
        here.chatwoot.faults.deliveries.drop = 0.0
        await here.chatwoot.set_priority(cid, "high")
        await here.chatwoot.wait_for_replies(cid, 2)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")
        await here.quiet()

    assert here.answers(cid) == ["Answer to: Hi", "Answer to: Any news?"]


# Commands.


@pytest.mark.parametrize("command", ["/bot on", "/bot retry"])
@pytest.mark.parametrize("service", ["deaf", "reading"])
async def test_command_answers_what_was_lost_and_nothing_twice(
    request, service, command
):
    """An agent who sees an unanswered question sends the bot to it."""
    async with request.getfixturevalue(service).scene(release="4.16") as here:
        cid = await here.answered("First question")
        here.chatwoot.faults.deliveries.drop = 1.0
        await here.chatwoot.contact_says("Second question", conversation=cid)
        here.chatwoot.faults.deliveries.drop = 0.0
        await here.chatwoot.agent_says(cid, command, private=True)
        await here.chatwoot.wait_for_replies(cid, 2)
        await here.quiet()

    answers = ["Answer to: First question", "Answer to: Second question"]
    assert here.answers(cid) == answers


@RELEASES
@pytest.mark.parametrize("service", ["deaf", "reading"])
async def test_commands_after_a_failed_delivery_answer_it_once(
    request, service, release
):
    """`/bot on`, and `/bot retry` because that seems to take too long."""
    slow = {"delay_s": 0.5}
    async with request.getfixturevalue(service).scene(
        release=release, model=slow
    ) as here:
        cid = await here.answered("First question")
        await lose(here, cid, "Second question")
        await here.chatwoot.agent_says(cid, "/bot on", private=True)
        await here.chatwoot.agent_says(cid, "/bot retry", private=True)
        await here.chatwoot.wait_for_replies(cid, 2)
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "pending")
        await here.quiet()

    answers = ["Answer to: First question", "Answer to: Second question"]
    assert here.answers(cid) == answers


# New conversations with a bot's token alone.


async def test_new_conversations_are_found_over_gaps_and_other_inboxes(sweeping):
    """Numbers are missing where one was deleted, and others are not ours."""
    async with sweeping.scene(release="4.17") as here:
        world = here.chatwoot.world
        await here.answered("Hi")
        here.chatwoot.faults.deliveries.drop = 1.0
        world.office.add_inbox("Mail", "Channel::Email", id=999_999)
        said = await here.chatwoot.contact_says("Hi", inbox=999_999)
        foreign = said.conversation_id
        deleted = (await here.chatwoot.contact_says("Hi")).conversation_id
        new = (await here.chatwoot.contact_says("Norway?")).conversation_id
        deleted_one = world.conversations.pop(deleted)
        await here.chatwoot.wait_for_replies(new, 1)
        world.conversations[deleted] = deleted_one
        here.chatwoot.faults.deliveries.drop = 0.0

    assert here.answers(foreign) == []
    assert here.answers(new) == ["Answer to: Norway?"]


async def test_new_conversation_is_found_behind_one_that_was_delivered(sweeping):
    """A later one that reached us must not hide the earlier one that did not."""
    async with sweeping.scene(release="4.17") as here:
        await here.answered("Hi")
        await later(here)
        here.chatwoot.faults.deliveries.drop = 1.0
        lost = [(await here.chatwoot.contact_says("Norway?")).conversation_id]
        lost += [(await here.chatwoot.contact_says("Norway?")).conversation_id]
        here.chatwoot.faults.deliveries.drop = 0.0
        await here.chatwoot.contact_says("And Sweden?")
        for cid in lost:
            await here.chatwoot.wait_for_replies(cid, 1)

    assert [here.answers(cid) for cid in lost] == [["Answer to: Norway?"]] * 2


async def test_agents_command_in_public_is_no_answer_to_what_was_missed(reading):
    """It went to the contact by mistake; the contact still waits."""
    async with reading.scene(release="4.16") as here:
        cid = await here.answered("Hi")
        here.chatwoot.faults.deliveries.drop = 1.0
        await here.chatwoot.contact_says("Second question", conversation=cid)
        await here.chatwoot.agent_says(cid, "/bot summary")
        here.chatwoot.faults.deliveries.drop = 0.0
        await here.chatwoot.agent_says(cid, "/bot on", private=True)
        await here.chatwoot.wait_for_replies(cid, 2)
        await here.quiet()

    assert here.answers(cid) == ["Answer to: Hi", "Answer to: Second question"]
