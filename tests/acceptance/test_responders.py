"""Who answers: a second provider, a responder of one's own; the whole path."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from service import Service, environment
from test_reply import attach, connected, simulated

from chatwoot_bot.language import languages
from chatwoot_bot.simulator.llm import ModelStandIn, ToolCall
from chatwoot_bot.simulator.serving import LocalServer

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[2] / "examples"


async def turns(service, cid):
    async with httpx.AsyncClient(base_url=service.url, headers=service.agent) as http:
        listed = (await http.get("/conversations")).json()["items"]
        [ours] = [each for each in listed if each["display_id"] == cid]
        answer = await http.get(f"/conversations/{ours['id']}/turns")
        return answer.json()["items"]


async def ready(service):
    async with httpx.AsyncClient(base_url=service.url, headers=service.agent) as http:
        return (await http.get("/health/ready")).json(), (
            await http.get("/metrics")
        ).text


def with_two(folder, chatwoot, first, second, **settings):
    return connected(
        folder,
        chatwoot,
        OPENAI_BASE_URL=first.base_url,
        OPENAI_API_KEY="k",
        OPENAI_MODEL="first",
        OPENAI_FALLBACK_BASE_URL=second.base_url,
        OPENAI_FALLBACK_MODEL="second",
        **settings,
    )


async def test_second_provider_answers_when_the_first_fails(tmp_path):
    """The contact notices nothing, and the record says who has answered."""
    async with (
        ModelStandIn() as first,
        ModelStandIn(reply="From the second.") as second,
        simulated() as chatwoot,
    ):
        first.fail(503, times=1_000)
        with with_two(tmp_path, chatwoot, first, second) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hello?")
            replies = await chatwoot.wait_for_replies(said.conversation_id, 1)
            await chatwoot.settled()
            [record] = await turns(service, said.conversation_id)
            parts, metrics = await ready(service)

    assert [reply.content for reply in replies] == ["From the second."]
    assert (len(first.requests), len(second.requests)) == (3, 1)
    assert second.requests[0]["model"] == record["model"] == "second"
    assert parts["llm"]["model"] == "first"
    assert parts["llm_fallback"] == {
        "responder": "openai",
        "model": "second",
        "circuit": "closed",
        "last_error": None,
        "tools": "offered",
    }
    assert 'circuit_open{circuit="llm_fallback"} 0.0' in metrics
    assert "chatwoot_bot_model_failures_total 1.0" in metrics


async def test_first_provider_with_an_open_circuit_is_not_waited_for(tmp_path):
    async with (
        ModelStandIn() as first,
        ModelStandIn() as second,
        simulated() as chatwoot,
    ):
        first.fail(503, times=1_000)
        with with_two(tmp_path, chatwoot, first, second) as service:
            attach(chatwoot, service)
            for number in range(6):
                said = await chatwoot.contact_says(f"Question {number}")
                await chatwoot.wait_for_replies(said.conversation_id, 1)
                await chatwoot.settled()
            parts, metrics = await ready(service)

    # Three attempts for each of the five that open the circuit.
    assert len(first.requests) == 15
    assert len(second.requests) == 6
    assert parts["llm"]["circuit"] in ("open", "half_open")
    assert parts["llm_fallback"]["circuit"] == "closed"
    assert 'circuit_open{circuit="llm"} 1.0' in metrics


async def test_first_provider_that_hangs_costs_its_own_time_only(tmp_path):
    async with (
        ModelStandIn() as first,
        ModelStandIn() as second,
        simulated() as chatwoot,
    ):
        first.fail("timeout")
        with with_two(
            tmp_path, chatwoot, first, second, LLM_FIRST_TOKEN_SECONDS=0.5
        ) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hello?")
            [reply] = await chatwoot.wait_for_replies(said.conversation_id, 1)
            await first.until(lambda: first.aborted == 1)

    assert reply.content == "Answer to: Hello?"


async def test_when_both_fail_a_human_is_called(tmp_path):
    async with (
        ModelStandIn() as first,
        ModelStandIn() as second,
        simulated() as chatwoot,
    ):
        first.fail(400, times=10)
        second.fail(401, times=10)
        with with_two(tmp_path, chatwoot, first, second) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hello?")
            await chatwoot.until(
                lambda: chatwoot.status(said.conversation_id) == "open"
            )
            [record] = await turns(service, said.conversation_id)

    assert record["reason"] == "model_failed"


@pytest.mark.parametrize("order", ["R-1", "R-2"])
async def test_effect_of_the_first_is_not_repeated_by_the_second(tmp_path, order):
    """The first orders and dies; the second is told, or asks for it once more."""
    shutil.copy(EXAMPLES / "callbacks.py", tmp_path)
    call = ToolCall(name="request_callback", arguments={"topic": "R-1"})

    def reply_second(messages):
        if order == "R-1" and messages[-1]["role"] == "tool" and len(messages) < 5:
            return call  # the same once more
        return messages[-1]["content"]

    def reply_first(messages):
        first.fail(503, times=3)
        return call

    async with (
        ModelStandIn(reply=reply_first) as first,
        ModelStandIn(reply=reply_second) as second,
        simulated() as chatwoot,
    ):
        service = with_two(tmp_path, chatwoot, first, second, TOOLS="callbacks")
        with service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Call me about R-1")
            [reply] = await chatwoot.wait_for_replies(said.conversation_id, 1)
            await chatwoot.settled()
            [record] = await turns(service, said.conversation_id)

    roles = [line["role"] for line in second.requests[0]["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert reply.content == "They are on the list; somebody calls within a day."
    assert len((tmp_path / "callbacks.txt").read_text().splitlines()) == 1
    assert record["model"] == "second"
    assert len(record["tools"]) == (2 if order == "R-1" else 1)


async def test_own_responder_of_the_examples_answers_and_calls_a_human(tmp_path):
    shutil.copy(EXAMPLES / "own_responder.py", tmp_path)
    responder = "own_responder:OpeningHours"
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot, RESPONDER=responder) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("When are you open?")
            [reply] = await chatwoot.wait_for_replies(said.conversation_id, 1)
            other = await chatwoot.contact_says("Where is my parcel?")
            cid = other.conversation_id
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.until(lambda: chatwoot.notes(cid))
            parts, _ = await ready(service)

    assert reply.content.startswith("We are open")
    assert "It is not about the opening hours." in chatwoot.notes(cid)[0].content
    assert parts["llm"]["responder"] == responder


async def test_bug_in_an_own_responder_calls_a_human(tmp_path):
    (tmp_path / "buggy.py").write_text(
        "class Buggy:\n"
        "    async def respond(self, assignment, listener=None):\n"
        "        raise ValueError(assignment.transcript[-1].content)\n"
    )
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot, RESPONDER="buggy:Buggy") as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("my password is hunter2")
            await chatwoot.until(
                lambda: chatwoot.status(said.conversation_id) == "open"
            )
            [record] = await turns(service, said.conversation_id)

    [line] = [json.loads(x) for x in service.lines if "responder failed" in x]
    assert (line["error"], line["line"]) == ("ValueError", 3)
    assert record["reason"] == "model_failed"
    assert "hunter2" not in service.output


@pytest.mark.parametrize(
    ("responder", "said"),
    [
        ("nobody:Here", "nobody cannot be imported"),
        ("json:Nobody", "json has no Nobody"),
        ("langgraph:nobody:graph", "nobody cannot be imported"),
    ],
)
def test_start_refuses_what_is_not_there(tmp_path, responder, said):
    ended = subprocess.run(
        [sys.executable, "-m", "chatwoot_bot", "serve"],
        cwd=tmp_path,
        env=environment(RESPONDER=responder, PORT=0),
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ended.returncode == 2
    assert f"RESPONDER: {said}" in ended.stderr


def test_without_the_extra_a_start_imports_none_of_it_and_the_setting_says_so(tmp_path):
    """Half of the installations will not have it."""
    program = (
        "import sys, asyncio\n"
        "from chatwoot_bot.app import running\n"
        "from chatwoot_bot.settings import Settings\n"
        "extra = ('langgraph', 'langchain_core', 'langsmith')\n"
        "async def start(**environ):\n"
        "    url = 'sqlite:///x.db'\n"
        "    settings = Settings.load({'DATABASE_URL': url, **environ})\n"
        "    async with running(settings, with_worker=True):\n"
        "        print([name for name in extra if name in sys.modules])\n"
        "asyncio.run(start())\n"
        "sys.modules.update(dict.fromkeys(extra))\n"
        "asyncio.run(start(RESPONDER='langgraph:shop:graph'))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.stdout.splitlines()[-1] == "[]"
    assert "RESPONDER: needs LangGraph: pip install 'chatwoot-bot[langgraph]'" in (
        ended.stderr
    )


async def test_endpoints_of_bots_toml_are_the_models_tools(tmp_path):
    """Declared in the file, called by the model, with the secret of the environment."""
    heard = []

    async def serve(scope, receive, send):
        heard.append((scope["method"], scope["path"], dict(scope["headers"])))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"state": "on its way"}'})

    def reply(messages):
        if messages[-1]["role"] == "user":
            return ToolCall(name="find_order", arguments={"order": "R-1"})
        return messages[-1]["content"]

    shop = LocalServer(serve, host="127.0.0.1", port=0)
    await shop.start()
    (tmp_path / "bots.toml").write_text(f"""
[[bots]]
[[bots.http_tools]]
name = "find_order"
description = "Look an order up."
url = "http://127.0.0.1:{shop.port}/orders/{{order}}"
parameters = {{ order = "Its number" }}
headers_env = {{ Authorization = "SHOP_TOKEN" }}
""")
    async with ModelStandIn(reply=reply) as model, simulated() as chatwoot:
        with connected(
            tmp_path,
            chatwoot,
            OPENAI_BASE_URL=model.base_url,
            BOTS_FILE="bots.toml",
            SHOP_TOKEN="Bearer hush",
        ) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Where is R-1?")
            [answer] = await chatwoot.wait_for_replies(said.conversation_id, 1)
            await chatwoot.settled()
    await shop.stop()

    [(method, path, headers)] = heard
    assert (method, path) == ("GET", "/orders/R-1")
    assert headers[b"authorization"] == b"Bearer hush"
    assert headers[b"x-chatwoot-conversation-id"] == b"%d" % said.conversation_id
    assert answer.content == '{"state": "on its way"}'
    assert "hush" not in service.output


async def test_refused_key_is_told_everywhere_and_is_no_demo(tmp_path):
    """To the contact in their own language, to the operator by the log and health."""
    async with ModelStandIn() as model:
        model.fail(401, times=10)
        with Service(
            tmp_path, OPENAI_API_KEY="sk-wrong", OPENAI_BASE_URL=model.base_url
        ) as service:
            async with httpx.AsyncClient(base_url=service.url) as client:
                said = await client.post(
                    "/webhook/chatwoot",
                    json={
                        "event": "message_created",
                        "id": 1,
                        "content": "Wo ist meine Bestellung?",
                        "message_type": "incoming",
                        "content_type": "text",
                    },
                )
            parts, _ = await ready(service)

    assert said.json()["reply"] == languages()["de"].no_model
    assert parts["llm"]["circuit"] == "closed"
    assert parts["llm"]["last_error"] == "401"
    assert "it refuses the key; see OPENAI_API_KEY" in service.output
    assert "sk-wrong" not in service.output


STUBBORN = """
import asyncio

class Stubborn:
    async def respond(self, assignment, listener=None):
        while True:
            try:
                await asyncio.sleep(60)
            except BaseException:  # "just try again"
                pass
"""


async def test_responder_that_will_not_stop_costs_nobody_their_human(tmp_path):
    """Neither the contact, nor an operator who stops the service."""
    (tmp_path / "mine.py").write_text(STUBBORN)
    async with simulated() as chatwoot:
        settings = {"RESPONDER": "mine:Stubborn", "ANSWER_DEADLINE_SECONDS": 1}
        with connected(tmp_path, chatwoot, **settings) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hello?")
            await chatwoot.wait_for_replies(said.conversation_id, 1)
            await chatwoot.until(
                lambda: chatwoot.status(said.conversation_id) == "open"
            )
            assert service.stop() == 0

    assert "task ignored its cancellation" in service.output
