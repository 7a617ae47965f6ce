"""The calls of humans, contacts' programs and platform apps."""

import httpx
import pytest

from chatwoot_bot.simulator import Simulator

pytestmark = pytest.mark.anyio

ACCOUNT = "/api/v1/accounts/1"


@pytest.fixture
async def sim():
    async with Simulator(
        webhook_url="http://127.0.0.1:9", keep_pending_on_bot_failure=True
    ) as sim:
        yield sim


@pytest.fixture
async def user(sim):
    async with httpx.AsyncClient(
        base_url=sim.base_url + ACCOUNT,
        headers={"api_access_token": "user-token"},
        timeout=5,
    ) as client:
        yield client


@pytest.fixture
async def cid(sim):
    return (await sim.contact_says("Hi", name="Nora Berg")).conversation_id


async def test_bot_may_begin_a_conversation(sim, cid, user):
    """An active bot makes it pending, whatever status was asked for."""
    contact = sim.world.conversations[cid].contact
    body = {
        "source_id": contact.source_id,
        "inbox_id": 3,
        "status": "open",
        "message": {"content": "We are back"},
    }

    answer = await user.post(
        "/conversations", json=body, headers={"api_access_token": "bot-token"}
    )

    made = answer.json()
    assert (answer.status_code, made["status"]) == (200, "pending")
    assert made["meta"]["sender"]["id"] == contact.id
    assert sim.messages(made["id"])[0].sender_type == "agent_bot"


async def test_conversation_needs_a_known_contact(user):
    """404 without one."""
    answer = await user.post("/conversations", json={"contact_id": 9, "inbox_id": 3})

    assert answer.status_code == 404


async def test_deleted_message_is_only_a_mark(sim, cid, user):
    """With its own keys gone."""
    [message] = sim.messages(cid)

    answer = await user.delete(f"/conversations/{cid}/messages/{message.id}")
    unknown = await user.delete(f"/conversations/{cid}/messages/999")

    assert answer.json()["content"] == "This message was deleted"
    assert answer.json()["content_attributes"] == {"deleted": True}
    assert unknown.status_code == 404


async def test_status_of_a_message_is_for_api_inboxes(sim, cid, user):
    """403 elsewhere."""
    [message] = sim.messages(cid)
    path = f"/conversations/{cid}/messages/{message.id}"

    refused = await user.patch(path, json={"status": "failed"})
    sim.world.inbox.channel = "Channel::Api"
    taken = await user.patch(path, json={"status": "failed", "external_error": "no"})
    again = await user.post(f"{path}/retry")

    assert (refused.status_code, refused.json()) == (
        403,
        {"error": "Message status update is only allowed for API inboxes"},
    )
    assert taken.json()["status"] == "failed"
    assert taken.json()["content_attributes"]["external_error"] == "no"
    assert (again.json()["status"], again.json()["content_attributes"]) == ("sent", {})


async def test_muting_resolves_and_keeps_it_so(sim, cid, user):
    """An empty 200."""
    answer = await user.post(f"/conversations/{cid}/mute")
    await sim.contact_says("Hello?", conversation=cid)
    shown = (await user.get(f"/conversations/{cid}")).json()
    await user.post(f"/conversations/{cid}/unmute")

    assert (answer.status_code, answer.content) == (200, b"")
    assert (shown["muted"], shown["status"]) == (True, "resolved")
    assert sim.world.conversations[cid].muted is False


async def test_seen_and_unread(sim, cid, user):
    """The counter that agents see."""
    seen = (await user.post(f"/conversations/{cid}/update_last_seen")).json()
    unread = (await user.post(f"/conversations/{cid}/unread")).json()

    assert (seen["unread_count"], unread["unread_count"]) == (0, 1)


async def test_counts(sim, cid, user):
    """Of the open ones unless asked otherwise."""
    await sim.set_status(cid, "open")

    counts = (await user.get("/conversations/meta")).json()["meta"]

    assert counts == {
        "mine_count": 1,
        "assigned_count": 1,
        "unassigned_count": 0,
        "all_count": 1,
    }


async def test_uploaded_file_is_attached_by_its_id(cid, user):
    """The other way to send one."""
    kept = await user.post(
        "/upload", files={"attachment": ("a.txt", b"hello", "text/plain")}
    )
    body = {"content": "Here", "attachments": [kept.json()["blob_id"]]}
    answer = await user.post(f"/conversations/{cid}/messages", json=body)
    forged = await user.post(
        f"/conversations/{cid}/messages", json={"content": "x", "attachments": ["no"]}
    )

    [attachment] = answer.json()["attachments"]
    assert attachment["data_url"] == kept.json()["file_url"]
    assert (attachment["file_type"], forged.status_code) == ("file", 422)


async def test_contacts(sim, cid, user):
    """Found, made, and changed: custom attributes are merged here."""
    made = await user.post(
        "/contacts",
        json={"inbox_id": 3, "name": "Lena", "phone_number": "+15550100"},
    )
    contact = made.json()["payload"]["contact"]
    path = f"/contacts/{contact['id']}"
    for attributes in ({"a": 1}, {"b": 2}):
        changed = await user.patch(path, json={"custom_attributes": attributes})
    found = (await user.get("/contacts/search", params={"q": "nora"})).json()
    taken = await user.post("/contacts", json={"phone_number": "+15550100"})
    wrong = await user.post("/contacts", json={"phone_number": "0555"})
    theirs = await user.get(f"/contacts/{found['payload'][0]['id']}/conversations")

    assert changed.json()["payload"]["custom_attributes"] == {"a": 1, "b": 2}
    assert made.json()["payload"]["contact_inbox"]["inbox"]["id"] == 3
    assert [each["name"] for each in found["payload"]] == ["Nora Berg"]
    assert (taken.status_code, wrong.status_code) == (422, 422)
    assert [each["id"] for each in theirs.json()["payload"]] == [cid]
    assert (await user.get("/contacts")).json()["meta"]["count"] == 2
    assert (await user.get("/contacts/999")).status_code == 404


async def test_platform_app_has_an_api_of_its_own(sim):
    """No secret there, and no other token opens it."""
    url = f"{sim.base_url}/platform/api/v1/agent_bots"
    async with httpx.AsyncClient() as client:
        answers = [
            await client.get(url, headers={"api_access_token": token})
            for token in ("platform-token", "user-token")
        ]

        profile = await client.get(
            f"{sim.base_url}/api/v1/profile",
            headers={"api_access_token": "platform-token"},
        )

    assert profile.json()["error"].endswith("is not authorized for bots")
    assert list(answers[0].json()[0]) == [
        "id",
        "name",
        "description",
        "outgoing_url",
        "account_id",
        "access_token",
    ]
    assert (answers[1].status_code, answers[1].json()) == (
        401,
        {"error": "Invalid access_token"},
    )


async def test_program_of_an_api_inbox_writes_for_its_customers(sim):
    """Contact, conversation, message, typing, read: without any token."""
    inbox = sim.world.office.add_inbox("App", "Channel::Api")
    base = f"{sim.base_url}/public/api/v1/inboxes/{inbox.identifier}"
    async with httpx.AsyncClient() as client:
        contact = (await client.post(f"{base}/contacts", json={"name": "Lena"})).json()
        conversations = f"{base}/contacts/{contact['source_id']}/conversations"
        conversation = (await client.post(conversations, json={})).json()
        here = f"{conversations}/{conversation['id']}"
        said = await client.post(
            f"{here}/messages", json={"content": "Hi", "echo_id": "e"}
        )
        await client.post(f"{here}/toggle_typing", json={"typing_status": "on"})
        await sim.agent_says(conversation["id"], "Hello")
        await sim.agent_says(conversation["id"], "secret", private=True)
        await client.post(f"{here}/update_last_seen")
        listed = (await client.get(f"{here}/messages")).json()
        nobody = await client.get(f"{base}/contacts/nobody/conversations/1/messages")

    assert (said.json()["message_type"], said.json()["echo_id"]) == (0, "e")
    assert [each["content"] for each in listed] == ["Hi", "Hello"]
    assert listed[1]["status"] == "read"
    assert (conversation["status"], nobody.status_code) == ("open", 404)
