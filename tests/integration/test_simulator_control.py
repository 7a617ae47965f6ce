"""The simulator's own REST API: everything that a test in any language needs."""

import base64

import httpx
import pytest

from chatwoot_bot.simulator import Simulator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sim():
    async with Simulator(webhook_url="", seed=7) as sim:
        yield sim


@pytest.fixture
async def control(sim):
    async with httpx.AsyncClient(
        base_url=f"{sim.base_url}/simulator", timeout=5
    ) as client:
        yield client


async def act(control, name, **arguments):
    return await control.post(f"/actions/{name}", json=arguments)


async def test_it_documents_itself(control):
    """Seed, tokens and every action with its arguments."""
    index = (await control.get("", follow_redirects=True)).json()

    assert (index["seed"], index["account_id"]) == (7, 1)
    assert index["bots"][0]["access_token"] == "bot-token"
    assert index["inboxes"][0]["channel"] == "Channel::WebWidget"
    assert index["actions"]["contact_rates"] == (
        "contact_rates(message_id, rating=5, feedback='') - "
        "Answer the survey; the answer is an object here."
    )
    assert {"contact_says", "agent_says", "set_inbox", "phone_echo"} < set(
        index["actions"]
    )
    assert not {"settled", "until", "outage"} & set(index["actions"])


async def test_people_act_and_are_seen(control):
    """One conversation, from the first word to the status."""
    said = (await act(control, "contact_says", content="Hi")).json()["message"]
    cid = said["conversation_id"]
    await act(control, "agent_says", conversation=cid, content="Hello")
    await act(control, "set_status", conversation=cid, status="resolved")

    shown = (await control.get(f"/conversations/{cid}")).json()

    assert shown["status"] == "resolved"
    assert [each["content"] for each in shown["messages"][:2]] == ["Hi", "Hello"]
    assert shown["carried"] == [shown["messages"][1]["id"]]
    listed = (await control.get("/conversations")).json()["conversations"]
    assert [each["id"] for each in listed] == [cid]


async def test_files_come_as_base64(sim, control):
    """JSON knows no bytes."""
    said = await act(
        control,
        "contact_sends",
        kind="file",
        filename="a.txt",
        content_base64=base64.b64encode(b"hello").decode(),
    )

    attachment = said.json()["message"]["attachments"][0]
    async with httpx.AsyncClient(follow_redirects=True) as client:
        got = await client.get(attachment["data_url"])
    assert (got.text, attachment["extension"]) == ("hello", "txt")


@pytest.mark.parametrize(
    ("name", "arguments", "status", "text"),
    [
        ("contact_explodes", {}, 404, "no action 'contact_explodes'"),
        ("contact_says", {"words": "x"}, 400, "contact_says(content, conversation="),
        ("agent_says", {"conversation": 9, "content": "x"}, 404, "no conversation 9"),
        (
            "contact_picks",
            {"message_id": 9, "title": "", "value": ""},
            404,
            "message 9",
        ),
        ("contact_sends", {"kind": "poem"}, 400, "no attachment 'poem'"),
        ("set_inbox", {"colour": "red"}, 404, "no setting 'colour'"),
    ],
)
async def test_mistakes_are_explained(control, name, arguments, status, text):
    """With what would have been right."""
    answer = await act(control, name, **arguments)

    assert answer.status_code == status
    assert text in answer.json()["error"]


async def test_faults_are_set_shown_and_cleared(sim, control):
    """The same switches as in Python."""
    body = {
        "deliveries": {"duplicate": 0.5},
        "files": {"missing_requests": 2},
        "channel": {"error": "no"},
        "rate_limit": 60,
    }

    changed = (await control.patch("/faults", json=body)).json()
    rule = await control.post("/faults/api", json={"kind": "status", "status": 503})
    bad = await control.patch("/faults", json={"rules": []})
    cleared = (await control.delete("/faults")).json()

    assert changed["deliveries"]["duplicate"] == 0.5
    assert changed["rate_limit"] == 60
    assert rule.json()["status"] == 503
    assert bad.status_code == 400
    assert cleared["api"] == []
    assert cleared["deliveries"]["duplicate"] == 0.0
    assert cleared["rate_limit"] is None


async def test_waiting_for_replies(sim, control):
    """The answer, or 504 with what was seen."""
    said = await sim.contact_says("Hi")
    cid = said.conversation_id
    body = {"conversation": cid, "timeout": 0.05}

    early = await control.post("/wait", json=body)
    async with httpx.AsyncClient(headers={"api_access_token": "bot-token"}) as client:
        path = f"/api/v1/accounts/1/conversations/{cid}/messages"
        await client.post(sim.base_url + path, json={"content": "Yes."})
    late = await control.post("/wait", json=body)

    assert early.status_code == 504
    assert "0 of 1 replies" in early.json()["error"]
    assert [each["content"] for each in late.json()["replies"]] == ["Yes."]
    calls = (await control.get("/calls")).json()["calls"]
    assert [each["token_kind"] for each in calls] == ["bot"]


async def test_deliveries_are_shown_with_what_was_sent(control):
    """From the one that a caller has not seen yet."""
    async with Simulator(webhook_url="http://127.0.0.1:9/") as sim:
        await sim.contact_says("Hi")
        await sim.settled()
        path = f"{sim.base_url}/simulator/deliveries"
        all_of_them = (await control.get(path)).json()
        later = (await control.get(path, params={"after": 1})).json()

    first = all_of_them["deliveries"][0]
    assert (first["event"], first["route"]) == ("message_created", "agent_bot")
    assert '"content":"Hi"' in first["sent"]
    assert len(later["deliveries"]) == len(all_of_them["deliveries"]) - 1
    assert all_of_them["under_way"] == 0
