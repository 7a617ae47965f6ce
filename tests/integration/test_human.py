"""Human mode over HTTP: the switch, who may use it, and what it remembers."""

import pytest
from test_webhook import SIGNED, delivery, post_signed, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def demo(database_url):
    async with serving(database_url) as client:
        yield client


async def toggle(client, **body):
    return await client.post("/toggle-human", json=body)


async def test_switch_for_all_is_told_and_persisted(database_url):
    """An operator who switched the bot off before a restart finds it off."""
    async with serving(database_url) as client:
        switched = await toggle(client, enabled=True)
    async with serving(database_url) as client:
        after = await client.get("/human-status")

    assert switched.json() == {"human_mode": True, "conversation_id": None}
    assert after.json() == {"human_mode": True, "conversation_id": None}


async def test_switch_for_one_leaves_the_others_alone(demo):
    ours = (await demo.post("/conversations", json={})).json()["id"]
    other = (await demo.post("/conversations", json={})).json()["id"]
    switched = await toggle(demo, enabled=True, conversation_id=ours)
    status = [
        (await demo.get("/human-status", params={"conversation_id": c})).json()
        for c in (ours, other)
    ]

    assert switched.json() == {"human_mode": True, "conversation_id": ours}
    assert [s["human_mode"] for s in status] == [True, False]


async def test_one_is_in_human_mode_when_all_are(demo):
    ours = (await demo.post("/conversations", json={})).json()["id"]
    await toggle(demo, enabled=True)
    status = await demo.get("/human-status", params={"conversation_id": ours})

    assert status.json() == {"human_mode": True, "conversation_id": ours}


async def test_chatwoot_number_is_remembered_for_when_it_appears(demo):
    switched = await toggle(demo, enabled=True, conversation_id=150)
    status = await demo.get("/human-status", params={"conversation_id": 150})
    never_seen = await demo.get("/human-status", params={"conversation_id": 151})

    assert switched.json() == {"human_mode": True, "conversation_id": 150}
    assert status.json() == {"human_mode": True, "conversation_id": 150}
    assert never_seen.json() == {"human_mode": False, "conversation_id": 151}


async def test_switching_a_chatwoot_conversation_there_and_back(database_url):
    async with serving(database_url, worker=False, **SIGNED) as client:
        await post_signed(client, delivery())
        await toggle(client, enabled=True, conversation_id=150)
        silent = await post_signed(client, delivery(id=811))
        await toggle(client, enabled=False, conversation_id=150)
        answered = await post_signed(client, delivery(id=812))

    assert silent.json()["route"] == "human"
    assert answered.json()["route"] == "bot"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "enabled"),
        ({"enabled": "yes"}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"enabled": True, "conversation_id": "150"}, "conversation_id"),
        ({"enabled": True, "conversation_id": -1}, "conversation_id"),
        ({"enabled": True, "conversation_id": 2**70}, "conversation_id"),
        ({"enabled": True, "conversation_id": {"a": 1}}, "conversation_id"),
        ({"enabled": True, "all": 1}, "all"),
    ],
    ids=str,
)
async def test_wrong_body_is_422_and_names_the_field(demo, body, field):
    answer = await toggle(demo, **body)

    assert answer.status_code == 422
    assert field in answer.json()["fields"]
    assert answer.json()["error"]["code"] == "validation_failed"


async def test_broken_json_is_400(demo):
    answer = await demo.post("/toggle-human", content=b"{")

    assert answer.status_code == 400


async def test_unknown_conversation_of_ours_is_404(demo):
    unknown = "c_0000000000000000"
    switched = await toggle(demo, enabled=True, conversation_id=unknown)
    status = await demo.get("/human-status", params={"conversation_id": unknown})

    assert switched.status_code == status.status_code == 404


@pytest.mark.parametrize(
    ("client_address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {"host": "[::1]:8000"}, 200),
        ("127.0.0.1", {"host": "localhost:8000"}, 200),
        (
            "127.0.0.1",
            {"host": "localhost:8000", "origin": "http://localhost:8000"},
            200,
        ),
        ("127.0.0.1", {"origin": "http://localhost:8000"}, 403),
        ("10.0.0.7", {}, 403),
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.7"}, 403),
        ("127.0.0.1", {"host": "evil.example"}, 403),
        ("127.0.0.1", {"origin": "https://evil.example"}, 403),
        ("127.0.0.1", {"origin": "null"}, 403),
        ("127.0.0.1", {"origin": "http://["}, 403),
        ("127.0.0.1", {"host": "["}, 403),
        ("127.0.0.1", {"x-real-ip": "203.0.113.7"}, 403),
    ],
)
async def test_without_admin_token_only_the_machine_itself_may(
    tmp_path, client_address, headers, status
):
    """A proxy, a foreign page or a rebound name must not pass for the operator."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, client=client_address) as client:
        answers = [
            await client.post(
                "/toggle-human", json={"enabled": False}, headers=headers
            ),
            await client.get("/human-status", headers=headers),
            await client.get("/metrics", headers=headers),
        ]

    assert [answer.status_code for answer in answers] == [status] * 3


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer geh\u00e9im", 401),
        ("Basic streng-geheimes-wort", 401),
        ("Bearer streng-geheimes-wort", 200),
        ("bearer streng-geheimes-wort", 200),
    ],
)
async def test_admin_token_is_asked_of_everybody(tmp_path, authorization, status):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    headers = {"authorization": authorization.encode()} if authorization else {}
    async with serving(
        url, client="10.0.0.7", ADMIN_TOKEN="streng-geheimes-wort"
    ) as client:
        answer = await client.get("/human-status", headers=headers)

    assert answer.status_code == status
