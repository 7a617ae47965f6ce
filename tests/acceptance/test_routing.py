"""A human is called: in which order Chatwoot is told, and what if it will not."""

import httpx
import pytest
from scene import installed

pytestmark = pytest.mark.anyio

EACH_RELEASE = pytest.mark.usefixtures("each_release")
WISH = "A human, please"


def steps(chatwoot, cid):
    """Return what has been done in a conversation, in order, as far as it worked."""
    paths = [
        (call.path.partition(f"/conversations/{cid}/")[2], call)
        for call in chatwoot.calls
        if call.status == 200 and call.method == "POST"
    ]
    return [
        "note" if path == "messages" and call.body["private"] else path
        for path, call in paths
        if path and path != "toggle_typing_status"
    ]


def counted(service, line):
    return (
        line
        in httpx.get(f"{service.url}/metrics", headers=service.agent).text.splitlines()
    )


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("routed")
    with installed(folder, HANDOFF_TEAM_ID=2, HANDOFF_LABELS="vip") as installation:
        yield installation


@EACH_RELEASE
async def test_team_follows_the_status_and_labels_go_before_it(routed):
    """Agents see it with its labels; of a bot's conversation Chatwoot picks nobody."""
    async with routed.scene() as here:
        cid = await here.handed_over(WISH)

        assert steps(here.chatwoot, cid) == [
            "messages",
            "labels",
            "toggle_status",
            "assignments",
            "note",
        ]
    assert here.conversation(cid).team_id == 2


@pytest.mark.parametrize("release", ["4.16", "4.18"])
async def test_team_waits_until_the_status_is_set(routed, release):
    """The note does not: agents who look find it."""
    async with routed.scene(release=release) as here:
        chatwoot = here.chatwoot
        chatwoot.faults.api("status", status=503, call="toggle_status", times=3)
        cid = (await chatwoot.contact_says(WISH)).conversation_id
        await chatwoot.until(lambda: here.conversation(cid).team_id, timeout=40)
        await here.quiet()

        assert steps(chatwoot, cid) == [
            "messages",
            "labels",
            "note",
            "toggle_status",
            "assignments",
        ]


async def test_dots_go_with_the_handover_message(routed):
    """They would look as if the colleague were writing already."""
    async with routed.scene() as here:
        chatwoot = here.chatwoot
        chatwoot.faults.api("delay", call="list_labels", delay_s=3.0)
        cid = (await chatwoot.contact_says(WISH)).conversation_id
        await chatwoot.until(lambda: chatwoot.typing(cid) == ["on", "off"])
        noted = list(chatwoot.notes(cid))
        await chatwoot.until(lambda: chatwoot.notes(cid))

    assert noted == []


@EACH_RELEASE
async def test_agents_read_that_a_team_or_an_agent_is_unknown(tmp_path):
    """Chatwoot answers 200 and null, since 4.17 also 404 for a team."""
    with installed(
        tmp_path, HANDOFF_TEAM_ID=999, HANDOFF_ASSIGNEE_ID=998
    ) as installation:
        async with installation.scene() as here:
            cid = await here.handed_over(WISH)
            await here.chatwoot.until(lambda: len(here.chatwoot.notes(cid)) == 2)
            await here.quiet()
            known = counted(
                here.service, 'chatwoot_bot_replies_total{outcome="not_routed"} 1.0'
            )

    *_, said = here.chatwoot.notes(cid)
    assert "did not accept `HANDOFF_TEAM_ID=999`, `HANDOFF_ASSIGNEE_ID=998`" in (
        said.content
    )
    assert known
    assert here.conversation(cid).status == "open"


async def test_note_on_a_refused_reply_waits_for_the_token(tmp_path):
    """A wrong token refuses both; once it is right, agents read what happened."""
    with installed(tmp_path) as installation:
        async with installation.scene() as here:
            chatwoot = here.chatwoot
            chatwoot.faults.api("status", status=401, call="create_message", times=3)
            cid = (await chatwoot.contact_says("Hello there?")).conversation_id
            await chatwoot.until(lambda: chatwoot.notes(cid), timeout=30)
            await here.quiet()
            known = counted(
                here.service, 'chatwoot_bot_replies_total{outcome="dead"} 1.0'
            )

    [note] = chatwoot.notes(cid)
    assert "Answer to: Hello there?" in note.content
    assert (chatwoot.status(cid), here.answers(cid), known) == ("open", [], True)
