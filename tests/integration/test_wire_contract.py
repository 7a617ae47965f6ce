"""What we ask of Chatwoot's REST API, call by call, and what its refusals make us do.

The shapes and the refusals are those of docs/chatwoot/api.md.
Creating messages, statuses and typing are in `test_chatwoot_client.py`.
"""

import json

import httpx
import pytest
import respx
from factories import conversation, example

from chatwoot_bot.channels.chatwoot import ChatwootChannel
from chatwoot_bot.chatwoot.client import ChatwootClient
from chatwoot_bot.core.conversation import Status
from chatwoot_bot.core.events import Event, Kind, Sighting
from chatwoot_bot.core.routing import Routing
from chatwoot_bot.errors import ChatwootError

pytestmark = pytest.mark.anyio

BASE = "https://chat.example.com"
ACCOUNT = f"{BASE}/api/v1/accounts/1"
ONE = f"{ACCOUNT}/conversations/150"
SHOWN = example("rest_conversation_show__response")
LABELS = example("rest_labels__response")
AGENT = example("rest_assignment__agent_response")
LISTED = example("rest_list_conversations__response")
MESSAGES = example("rest_list_messages__with_activity")
TEAM = {"id": 2, "name": "billing", "description": None, "allow_auto_assign": True}
NEWEST = Event(
    name="message_created",
    kind=Kind.CONTACT_MESSAGE,
    account_id=1,
    inbox_id=3,
    conversation=Sighting(display_id=150, status=Status.PENDING, updated_at=1.0),
)


@pytest.fixture
async def client():
    # Nothing is encrypted here, and reading certificates takes a while.
    async with httpx.AsyncClient(verify=False) as http:
        yield ChatwootClient(http, base_url=BASE, token="t")


@pytest.fixture
def chatwoot():
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{BASE}/api").respond(json={"version": "4.16.2"})
        yield router


def asked(chatwoot):
    """Return the requests: method, path within the account, and body."""
    requests = [call.request for call in chatwoot.calls]
    requests = [each for each in requests if str(each.url).startswith(ACCOUNT)]
    return [
        (
            request.method,
            str(request.url).removeprefix(f"{ACCOUNT}/").removeprefix(ACCOUNT),
            json.loads(request.content) if request.content else None,
        )
        for request in requests
    ]


# Routing.


async def test_labels_are_added_to_those_that_are_there(client, chatwoot):
    """Chatwoot replaces the set."""
    chatwoot.get(f"{ONE}/labels").respond(json=LABELS)
    chatwoot.post(f"{ONE}/labels").respond(json={"payload": ["billing", "vip", "bot"]})

    await client.add_labels(1, 150, ["bot", "vip"])

    assert asked(chatwoot) == [
        ("GET", "conversations/150/labels", None),
        ("POST", "conversations/150/labels", {"labels": ["billing", "vip", "bot"]}),
    ]


async def test_labels_that_are_there_are_left_alone(client, chatwoot):
    chatwoot.get(f"{ONE}/labels").respond(json=LABELS)

    await client.add_labels(1, 150, ["vip"])

    assert len(asked(chatwoot)) == 1


@pytest.mark.parametrize("version", ["4.16.2", None])
async def test_attributes_are_added_to_those_that_are_there(client, chatwoot, version):
    """Chatwoot replaces all of them, up to 4.16.2."""
    chatwoot.get(f"{BASE}/api").respond(json={"version": version})
    shown = SHOWN | {"custom_attributes": {"plan": "gold", "source": "ad"}}
    merged = {"plan": "gold", "source": "bot"}
    chatwoot.get(ONE).respond(json=shown)
    chatwoot.post(f"{ONE}/custom_attributes").respond(
        json={"custom_attributes": merged}
    )

    await client.add_attributes(1, 150, {"source": "bot"})

    assert asked(chatwoot) == [
        ("GET", "conversations/150", None),
        ("POST", "conversations/150/custom_attributes", {"custom_attributes": merged}),
    ]


async def test_newer_chatwoot_merges_attributes_itself(client, chatwoot):
    """So nothing that others set meanwhile is lost, and nothing has to be read."""
    chatwoot.get(f"{BASE}/api").respond(json={"version": "4.17.1"})
    chatwoot.post(f"{ONE}/custom_attributes").respond(json={"custom_attributes": {}})

    await client.add_attributes(1, 150, {"source": "bot"})
    await client.add_attributes(1, 150, {"topic": "refund"})

    assert asked(chatwoot) == [
        ("POST", "conversations/150/custom_attributes", {**each, "merge": True})
        for each in (
            {"custom_attributes": {"source": "bot"}},
            {"custom_attributes": {"topic": "refund"}},
        )
    ]


@pytest.mark.parametrize(
    "add",
    [
        lambda client: client.add_labels(1, 150, ["bot"]),
        lambda client: client.add_attributes(1, 150, {"source": "bot"}),
    ],
    ids=["labels", "attributes"],
)
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="<html>"),  # a bot, and the conversation has a team
        httpx.Response(401, json={"error": "Invalid Access Token"}),
        httpx.Response(200, text="<title>Sign in</title>"),
        httpx.Response(200, json={"payload": None}),
    ],
    ids=["500", "401", "login page", "null"],
)
async def test_what_cannot_be_read_is_not_written_over(client, chatwoot, add, answer):
    """Or an agent's labels would be gone."""
    chatwoot.get().mock(return_value=answer)

    with pytest.raises(ChatwootError):
        await add(client)

    assert [method for method, _, _ in asked(chatwoot)] == ["GET"]


@pytest.mark.parametrize(
    ("given", "body", "answer"),
    [
        ({"team_id": 2}, {"team_id": 2}, TEAM),
        ({"assignee_id": 12}, {"assignee_id": 12}, AGENT),
    ],
)
async def test_team_and_agent_are_assigned_one_at_a_time(
    client, chatwoot, given, body, answer
):
    """In one call the agent would win and the team be lost."""
    chatwoot.post(f"{ONE}/assignments").respond(json=answer)

    await client.assign(1, 150, **given)

    assert asked(chatwoot) == [("POST", "conversations/150/assignments", body)]


@pytest.mark.parametrize("given", [{"team_id": 999}, {"assignee_id": 998}])
async def test_unknown_team_or_agent_is_a_refusal(client, chatwoot, given):
    """Chatwoot answers 200 and null, before 4.17 also for a team."""
    chatwoot.post(f"{ONE}/assignments").respond(json=None)

    with pytest.raises(ChatwootError, match="does not know") as caught:
        await client.assign(1, 150, **given)

    assert not caught.value.retryable


async def test_priority_is_set(client, chatwoot):
    """Chatwoot answers with an empty body."""
    chatwoot.post(f"{ONE}/toggle_priority").respond(200)

    await client.set_priority(1, 150, "high")

    assert asked(chatwoot) == [
        ("POST", "conversations/150/toggle_priority", {"priority": "high"})
    ]


EVERYWHERE = Routing(
    team_id=2,
    assignee_id=12,
    priority="high",
    labels=("bot",),
    attributes={"source": "bot"},
)
WRITES = [
    "conversations/150/custom_attributes",
    "conversations/150/labels",
    "conversations/150/toggle_priority",
    "conversations/150/assignments",
    "conversations/150/assignments",
]


async def test_routing_asks_for_what_a_team_hides_before_it_assigns_one(
    client, chatwoot
):
    """A bot may not show a conversation that has a team; the agent comes last."""
    chatwoot.get(ONE).respond(json=SHOWN)
    chatwoot.get(f"{ONE}/labels").respond(json=LABELS)
    chatwoot.post().respond(json=AGENT | LABELS | {"custom_attributes": {}})

    await ChatwootChannel(client, verify=True).route(conversation(), EVERYWHERE)

    posts = [(path, body) for method, path, body in asked(chatwoot) if method == "POST"]
    assert [path for path, _ in posts] == WRITES
    assert posts[-2:] == [
        (WRITES[-1], {"team_id": 2}),
        (WRITES[-1], {"assignee_id": 12}),
    ]


# Lists, which take a user's token.


@pytest.mark.parametrize(
    ("statuses", "online"),
    [
        (["online"], True),
        (["offline", "online"], True),
        (["offline", "busy"], False),
        ([None], False),
        ([], False),
    ],
)
async def test_agents_are_asked_for(client, chatwoot, statuses, online):
    """An array without a wrapper; busy is not there."""
    agents = [AGENT | {"availability_status": status} for status in statuses]
    chatwoot.get(f"{ACCOUNT}/agents").respond(json=agents)

    assert await client.someone_online(1) is online


async def test_conversations_are_listed_by_status_and_page(client, chatwoot):
    """All assignees, or those of a returning customer would be missing."""
    chatwoot.get(f"{ACCOUNT}/conversations").respond(json=LISTED)

    listed = await client.list_last_messages(1, status=Status.PENDING, page=2)

    [(_, path, _)] = asked(chatwoot)
    assert path == "conversations?status=pending&assignee_type=all&page=2"
    rows = LISTED["data"]["payload"]
    assert [each.event.conversation.display_id for each in listed] == [
        row["id"] for row in rows if row["last_non_activity_message"]
    ]


@pytest.mark.parametrize(
    ("after", "path"),
    [
        (0, "conversations/150/messages"),
        (810, "conversations/150/messages?after=810"),
    ],
)
async def test_messages_are_listed_from_where_we_know_them(
    client, chatwoot, after, path
):
    """Activities are nobody's words, and notes are not for the contact."""
    chatwoot.get(f"{ONE}/messages").respond(json=MESSAGES)

    listed = await client.list_messages(NEWEST, after=after)

    [(_, asked_for, _)] = asked(chatwoot)
    assert asked_for == path
    shown = {message["id"]: message for message in MESSAGES["payload"]}
    assert [each.event.message.external_id for each in listed] == [
        key for key, message in shown.items() if not message["private"]
    ]
    kinds = {each.event.message.external_id: each.event.kind for each in listed}
    assert kinds[810] is Kind.CONTACT_MESSAGE
    assert kinds[811] is Kind.BOT_MESSAGE
    for key, kind in kinds.items():
        if shown[key]["message_type"] == 2:
            assert kind is Kind.OTHER
    assert {each.event.account_id for each in listed} == {1}


async def test_own_replies_are_known_in_a_list(client, chatwoot):
    ours = {"chatwoot_bot": {"reply_key": "r_1"}}
    messages = [
        message | {"content_attributes": ours} if message["id"] == 811 else message
        for message in MESSAGES["payload"]
    ]
    chatwoot.get(f"{ONE}/messages").respond(json=MESSAGES | {"payload": messages})

    keys = await client.list_reply_keys(1, 150, after=810)

    assert {key: value for key, value in keys.items() if value} == {811: "r_1"}
    assert asked(chatwoot) == [("GET", "conversations/150/messages?after=810", None)]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"payload":1}'])
@pytest.mark.parametrize(
    "list_",
    [
        lambda client: client.list_last_messages(1, status=Status.PENDING, page=1),
        lambda client: client.list_messages(NEWEST, after=0),
        lambda client: client.list_reply_keys(1, 150, after=0),
    ],
    ids=["conversations", "messages", "reply keys"],
)
async def test_list_that_is_none_is_an_outage(client, chatwoot, list_, body):
    """A login page with status 200 does not prove that nothing is there."""
    chatwoot.get().respond(200, content=body)

    with pytest.raises(ChatwootError) as caught:
        await list_(client)

    assert caught.value.retryable


# Refusals, and what we do.

ERRORS = example("rest_errors") | {
    "403_status_of_a_message": {
        "error": "Message status update is only allowed for API inboxes"
    },
    "422_missing_parameter": {
        "error": "param is missing or the value is empty: content"
    },
    "500_rails": {"status": 500, "error": "Internal Server Error"},
}
# The two guards let it through within a minute; after a 500 it may be there already.
SEEN_LATER = ("422_message_create", "429_body_text_plain", "500_rails")
GONE = "404"


def refuse(here, name, call, **options):
    body = ERRORS[name]
    here.chatwoot.faults.api(
        "status",
        status=int(name[:3]),
        body=body if isinstance(body, dict) else None,
        call=call,
        **options,
    )


@pytest.mark.parametrize("name", [n for n in ERRORS if n not in (*SEEN_LATER, GONE)])
async def test_refused_reply_is_told_to_humans_in_words(bot, name):
    """It would be refused again."""
    async with bot.scene() as here:
        refuse(here, name, "create_message")
        said = await here.chatwoot.contact_says("Hi")
        cid = said.conversation_id
        await here.chatwoot.until(lambda: here.chatwoot.status(cid) == "open")
        await here.chatwoot.until(lambda: here.chatwoot.notes(cid))
        await here.quiet()

    body = ERRORS[name]
    [note] = here.chatwoot.notes(cid)
    words = body.get("error") or body.get("message") or body["errors"][0]
    assert "Answer to: Hi" in note.content
    assert note.content.endswith(f"\n\nChatwoot refused it: {words}")
    assert here.answers(cid) == []
    assert here.chatwoot.status(cid) == "open"


@pytest.mark.parametrize("name", SEEN_LATER)
async def test_reply_that_passes_later_is_said_later_and_once(bot, name):
    """The contact waits a second longer, and no human is called."""
    async with bot.scene() as here:
        refuse(here, name, "create_message")
        cid = await here.answered("Hi")
        await here.quiet()

    assert here.answers(cid) == ["Answer to: Hi"]
    assert here.chatwoot.notes(cid) == []
    assert here.chatwoot.status(cid) == "pending"


async def test_refused_look_or_sign_holds_no_answer_up(bot):
    """A bot of an old release may neither look at a conversation nor show typing."""
    async with bot.scene() as here:
        for name in ERRORS:
            here.chatwoot.faults.clear()
            for call in ("show", "toggle_typing_status"):
                refuse(here, name, call, times=None)
            cid = await here.answered(name)

            assert here.answers(cid) == [f"Answer to: {name}"]
            paths = {
                call.path.partition("conversations/")[2] for call in here.chatwoot.calls
            }
            assert {f"{cid}", f"{cid}/toggle_typing_status"} <= paths


async def test_reply_of_a_deleted_conversation_is_dropped_after_one_404(bot):
    """There is nobody to be told, and nothing to be opened."""
    async with bot.scene() as here:
        refuse(here, GONE, "create_message")
        cid = (await here.chatwoot.contact_says("Hi")).conversation_id
        await here.chatwoot.until(
            lambda: 404 in [c.status for c in here.chatwoot.calls]
        )
        await here.quiet()

        calls = [call for call in here.chatwoot.calls if f"/{cid}/" in call.path]
        refused = [call.status for call in calls].index(404)
        assert {call.path.rpartition("/")[2] for call in calls[refused + 1 :]} <= {
            "toggle_typing_status"
        }
    assert (here.answers(cid), here.chatwoot.notes(cid)) == ([], [])


async def test_labels_of_a_deleted_conversation_tell_that_it_is_gone(client, chatwoot):
    chatwoot.route().respond(404, json=ERRORS[GONE])

    with pytest.raises(ChatwootError) as caught:
        await ChatwootChannel(client, verify=True).route(conversation(), EVERYWHERE)

    assert caught.value.is_gone


@pytest.mark.parametrize("name", [n for n in ERRORS if n not in (*SEEN_LATER, GONE)])
async def test_routing_that_is_refused_is_left_out(client, chatwoot, name):
    """A team that is not there is no reason to forget the labels."""
    chatwoot.get().respond(json=SHOWN | LABELS)
    chatwoot.post().respond(int(name[:3]), json=ERRORS[name])

    await ChatwootChannel(client, verify=True).route(conversation(), EVERYWHERE)

    posts = [path for method, path, _ in asked(chatwoot) if method == "POST"]
    assert set(posts) == set(WRITES)


@pytest.mark.parametrize("name", SEEN_LATER[:2])
async def test_routing_that_is_refused_for_now_is_done_later(client, chatwoot, name):
    """Whoever kept it tries again."""
    body = ERRORS[name]
    answer = {"json": body} if isinstance(body, dict) else {"text": body}
    chatwoot.route().respond(int(name[:3]), **answer)
    channel = ChatwootChannel(client, verify=True)

    with pytest.raises(ChatwootError) as caught:
        await channel.route(conversation(), Routing(labels=("bot",)))

    assert caught.value.retryable


async def test_routing_that_breaks_chatwoot_is_left_out(client, chatwoot):
    """As where a bot reads a conversation that has a team: it would break again."""
    chatwoot.get().respond(500, json=ERRORS["500_rails"])
    chatwoot.post().respond(json=TEAM)

    await ChatwootChannel(client, verify=True).route(conversation(), EVERYWHERE)

    posts = [path for method, path, _ in asked(chatwoot) if method == "POST"]
    assert posts == WRITES[2:]


@pytest.mark.parametrize("name", ERRORS)
async def test_refused_list_of_agents_says_nothing_of_them(client, chatwoot, name):
    """The contact is then told neither that somebody is there nor that nobody is."""
    body = ERRORS[name]
    answer = {"json": body} if isinstance(body, dict) else {"text": body}
    chatwoot.get(f"{ACCOUNT}/agents").respond(int(name[:3]), **answer)
    channel = ChatwootChannel(client, client, verify=True)

    assert await channel.someone_online(conversation()) is None
