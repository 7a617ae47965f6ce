"""The web chat over several processes on one PostgreSQL: nobody sees the seam."""

import json

import aiohttp
import httpx
import pytest
from service import Service

from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio

WAIT_S = 20


async def next_event(socket, name):
    while True:
        message = await socket.receive(timeout=WAIT_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        event = json.loads(message.data)
        if event["event"] == name:
            return event["body"]


async def test_visitor_agent_and_bot_in_three_processes(tmp_path, postgres_url):
    """The visitor's socket is at one process, the agent's at another, the bot's turn
    runs in a third."""
    settings = {"DATABASE_URL": postgres_url, "SECRET_KEY": "one-key-for-all-of-us"}
    async with ModelStandIn(delay_s=0.5) as model:
        settings |= {"OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": "stand-in"}
        with (
            Service(tmp_path, "serve", "--no-worker", **settings) as one,
            Service(tmp_path, "serve", "--no-worker", **settings) as two,
            Service(tmp_path, "worker", **settings),
        ):
            await _three_processes(one.url, two.url)


async def _three_processes(one, two):
    async with httpx.AsyncClient(base_url=two) as http, aiohttp.ClientSession() as ws:
        begun = await http.post("/conversations", json={"user_id": "u-1"})
        conversation = begun.json()
        room = f"{one}/ws/conversations/{conversation['id']}"
        async with (
            ws.ws_connect(f"{two}/ws/agents") as agent,
            ws.ws_connect(room, params={"token": conversation["token"]}) as visitor,
        ):
            assert (await next_event(agent, "PRESENCE"))["online"] is True
            status = (await http.get("/ws/users/u-1/status")).json()
            assert (status["online"], status["connections"]) == (True, 1)

            await visitor.send_json({"typing": True})
            assert (await next_event(agent, "TYPING"))["sender"] == "user"
            await visitor.send_json({"message": "Hello there"})
            assert (await next_event(agent, "NEW_MESSAGE"))["sender"] == "user"

            chunk = await next_event(visitor, "REPLY_CHUNK")
            answer = await next_event(visitor, "NEW_MESSAGE")
            assert answer["content"] == "Answer to: Hello there"
            assert answer["turn_id"] == chunk["turn_id"]
            assert (await next_event(agent, "NEW_MESSAGE")) == answer

            await agent.send_json(
                {"message": "Maria here", "conversation_id": conversation["id"]}
            )
            heard = await next_event(visitor, "NEW_MESSAGE")
            state = await next_event(visitor, "STATE_CHANGED")
            assert (heard["sender"], state["state"]) == ("agent", "human")

            path = f"/conversations/{conversation['id']}/messages/{heard['id']}"
            await http.put(path, json={"content": "Maria is here"})
            edited = await next_event(visitor, "MESSAGE_UPDATED")
            assert edited["content"] == "Maria is here"

            await visitor.close()
            assert (await next_event(agent, "PRESENCE"))["online"] is False


async def test_human_mode_for_all_stops_the_turns_of_other_processes(
    tmp_path, postgres_url
):
    """Switched where no worker is: the model's call in the worker is aborted."""
    async with ModelStandIn(delay_s=60) as model:
        settings = {
            "DATABASE_URL": postgres_url,
            "QUIET_SECONDS": "0",
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_MODEL": "stand-in",
        }
        with (
            Service(tmp_path, "serve", "--no-worker", **settings) as web,
            Service(tmp_path, "worker", **settings),
        ):
            async with httpx.AsyncClient(base_url=web.url) as http:
                begun = (await http.post("/conversations", json={})).json()
                await http.post(
                    f"/conversations/{begun['id']}/messages",
                    json={"content": "Hello"},
                    headers={"authorization": f"Bearer {begun['token']}"},
                )
                await model.until(lambda: model.started == 1)
                await http.post("/toggle-human", json={"enabled": True})
                await model.until(lambda: model.aborted == 1)

    assert model.finished == 0
