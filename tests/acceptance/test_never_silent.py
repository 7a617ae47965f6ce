"""Whatever fails, the contact gets an answer or a human: over real HTTP."""

import hmac
import subprocess
import sys
import time

import httpx
import pytest
from service import Service, environment
from test_reply import SECRET, attach, connected, simulated

from chatwoot_bot.simulator.llm import ModelStandIn


def with_model(model):
    return {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k"}


def replay(service, *arguments):
    """Run `chatwoot-bot replay` beside the running service."""
    done = subprocess.run(
        [sys.executable, "-m", "chatwoot_bot", "replay", *arguments],
        cwd=service.folder,
        env=environment(**service.settings) | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stdout


def signed(body):
    timestamp = str(int(time.time()))
    text = timestamp.encode() + b"." + body
    digest = hmac.digest(SECRET.encode(), text, "sha256").hex()
    return {
        "x-chatwoot-timestamp": timestamp,
        "x-chatwoot-signature": f"sha256={digest}",
    }


@pytest.mark.anyio
async def test_contact_who_waits_too_long_gets_an_apology_and_a_human(tmp_path):
    """The model hangs, and the operator allowed it to for ten minutes."""
    async with ModelStandIn(delay_s=60) as model, simulated() as chatwoot:
        settings = {"LLM_TIMEOUT_SECONDS": 600, "ANSWER_DEADLINE_SECONDS": 2}
        with connected(tmp_path, chatwoot, **settings, **with_model(model)) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hello?")
            cid = said.conversation_id
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.until(lambda: chatwoot.notes(cid))

    [reply] = chatwoot.replies(cid)
    assert reply.content.startswith("Sorry")
    assert "waited too long" in chatwoot.notes(cid)[0].content
    assert model.finished == 0


@pytest.mark.anyio
async def test_limit_of_bot_turns_calls_a_human(tmp_path):
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot, MAX_BOT_TURNS=1) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hi")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.contact_says("And now?", conversation=cid)
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")

    assert len(chatwoot.replies(cid)) == 2


@pytest.mark.anyio
async def test_refused_reply_calls_a_human_and_can_be_replayed(tmp_path):
    """Chatwoot refuses for good: a note, an open conversation, a dead letter."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            attach(chatwoot, service)
            chatwoot.faults.api("status", status=422)
            said = await chatwoot.contact_says("Hi")
            cid = said.conversation_id
            await chatwoot.until(lambda: chatwoot.status(cid) == "open")
            await chatwoot.until(lambda: chatwoot.notes(cid))
            silent = list(chatwoot.replies(cid))
            _, listed = replay(service)
            code, said_again = replay(service, "--all")
            await chatwoot.wait_for_replies(cid, 1)
            _, nothing = replay(service)

    assert silent == []
    assert "422" in listed
    assert (code, "queued for the service" in said_again) == (0, True)
    assert "There are no dead letters" in nothing


@pytest.mark.anyio
async def test_delivery_that_was_not_understood_is_listed(tmp_path):
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            body = b'{"event": 5}'
            headers = signed(body)
            url = f"{service.url}/webhook/chatwoot"
            async with httpx.AsyncClient() as client:
                await client.post(url, content=body, headers=headers)
            _, listed = replay(service)
            code, problem = replay(service, "delivery:1")

    assert "delivery:1" in listed
    assert (code, "cannot be parsed" in problem) == (1, True)


@pytest.mark.anyio
async def test_message_whose_webhook_was_lost_is_answered(tmp_path):
    """The service was down when Chatwoot tried, and Chatwoot tries once."""
    async with simulated() as chatwoot:
        service = connected(
            tmp_path,
            chatwoot,
            CHATWOOT_USER_TOKEN="user-token",
            SWEEP_INTERVAL_SECONDS=1,
        )
        with service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hi")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            chatwoot.faults.deliveries.drop = 1.0
            await chatwoot.contact_says("Still there?", conversation=cid)
            new = await chatwoot.contact_says("Hello from another visitor")
            await chatwoot.wait_for_replies(cid, 2)
            await chatwoot.wait_for_replies(new.conversation_id, 1)


@pytest.mark.anyio
async def test_all_that_was_missed_is_answered_not_only_the_last_message(tmp_path):
    """ "I want a refund." "Hello?" A bot that only saw the second looks stupid."""
    async with ModelStandIn() as model, simulated() as chatwoot:
        settings = {"CHATWOOT_USER_TOKEN": "user-token", **with_model(model)}
        settings |= {"CHATWOOT_INBOX_ID": 3}
        with connected(tmp_path, chatwoot, **settings):
            pass  # from its first start on
        chatwoot.faults.deliveries.drop = 1.0
        first = await chatwoot.contact_says("I want a refund.")
        await chatwoot.contact_says("Hello?", conversation=first.conversation_id)
        with connected(tmp_path, chatwoot, **settings, SWEEP_INTERVAL_SECONDS=300):
            await chatwoot.wait_for_replies(first.conversation_id, 1)
        asked = [m["content"] for m in model.requests[-1]["messages"]]

    assert asked[-2:] == ["I want a refund.", "Hello?"]


@pytest.mark.anyio
async def test_bots_token_alone_finds_what_was_missed_where_it_knows(tmp_path):
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot, SWEEP_INTERVAL_SECONDS=1) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Hi")
            cid = said.conversation_id
            await chatwoot.wait_for_replies(cid, 1)
            await chatwoot.settled()
            chatwoot.faults.deliveries.drop = 1.0
            await chatwoot.contact_says("Still there?", conversation=cid)
            await chatwoot.wait_for_replies(cid, 2)


@pytest.mark.anyio
async def test_model_that_is_down_is_not_hammered(tmp_path):
    """After five failures the fallback comes at once, until the model is back."""
    async with ModelStandIn() as model, simulated() as chatwoot:
        model.fail(500, times=100)
        with connected(
            tmp_path, chatwoot, LLM_FALLBACK="mock", **with_model(model)
        ) as service:
            attach(chatwoot, service)
            for _ in range(8):
                said = await chatwoot.contact_says("Hi")
                await chatwoot.wait_for_replies(said.conversation_id, 1)
            async with httpx.AsyncClient(headers=service.agent) as client:
                ready = await client.get(f"{service.url}/health/ready")
                metrics = await client.get(f"{service.url}/metrics")

    assert len(model.requests) < 8 * 3
    assert ready.status_code == 200
    assert ready.json()["llm"]["circuit"] in ("open", "half_open")
    assert 'chatwoot_bot_circuit_open{circuit="llm"} 1.0' in metrics.text


def test_second_process_on_one_sqlite_file_is_refused(tmp_path):
    """With a clear message instead of a corrupt story."""
    with Service(tmp_path) as service:
        other = subprocess.run(
            [sys.executable, "-m", "chatwoot_bot", "serve"],
            cwd=tmp_path,
            env=environment(**service.settings),
            capture_output=True,
            text=True,
            timeout=30,
        )

    assert other.returncode == 1
    assert "another process uses" in other.stderr
    assert "Traceback" not in other.stderr
