"""Humans always win: an agent who steps in stops the model, and the draft is gone."""

import time
from functools import partial

import pytest
from harness import connected, finished, simulated, unfinished

from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio


async def test_20_takeovers_during_the_model_call_leave_no_word_of_the_bot(tmp_path):
    """20 model calls are aborted, not finished: no tokens are wasted."""
    async with ModelStandIn(delay_s=20.0) as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model) as service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            said = [await chatwoot.contact_says(f"question {n}") for n in range(20)]
            await model.until(lambda: model.started == 20)
            for message in said:
                await chatwoot.agent_says(message.conversation_id, "I take this one.")
            await model.until(lambda: model.aborted == 20)
            await chatwoot.until(
                lambda: all(chatwoot.status(m.conversation_id) == "open" for m in said)
            )
            await chatwoot.settled()
            assert service.stop() == 0

    assert [chatwoot.replies(m.conversation_id) for m in said] == [[]] * 20
    assert (model.started, model.finished, model.aborted) == (20, 0, 20)
    assert all(chatwoot.typing(m.conversation_id) == ["on", "off"] for m in said)


async def test_agent_heard_by_one_process_stops_the_model_call_of_another(
    tmp_path, postgres_url
):
    """Within 200 ms of the 200: the signal goes through the database."""
    waited_s = []
    async with ModelStandIn(delay_s=30.0) as model, simulated() as chatwoot:
        settings = {"DATABASE_URL": postgres_url}
        web = [
            connected(tmp_path, chatwoot, model, "serve", "--no-worker", **settings)
            for _ in range(2)
        ]
        worker = connected(tmp_path, chatwoot, model, "worker", **settings)
        with web[0], web[1], worker:
            for _ in range(10):
                chatwoot.webhook_url = f"{web[0].url}/webhook/chatwoot"
                said = await chatwoot.contact_says("Hello?")
                await model.until(lambda: model.started > len(waited_s))
                await chatwoot.settled()
                chatwoot.webhook_url = f"{web[1].url}/webhook/chatwoot"
                agent = await chatwoot.agent_says(said.conversation_id, "Mine.")
                await chatwoot.until(partial(_told, chatwoot, agent))
                told_at = time.monotonic()
                await model.until(lambda: model.aborted > len(waited_s))
                waited_s.append(time.monotonic() - told_at)
                await chatwoot.settled()

    print(f"\nstopped after {sorted(round(each * 1000) for each in waited_s)} ms")
    assert (model.started, model.finished, model.aborted) == (10, 0, 10)
    assert not any(chatwoot.replies(each) for each in chatwoot.world.conversations)
    assert max(waited_s) < 0.2


@pytest.mark.parametrize("moment", ["thinking", "posting"])
async def test_agent_who_stepped_in_while_the_service_was_down_is_heard(
    tmp_path, moment
):
    """Nobody could deliver the event, but Chatwoot's status tells who looks."""
    delay_s = {"thinking": 30.0, "posting": 0.0}[moment]
    async with ModelStandIn(delay_s=delay_s) as model, simulated() as chatwoot:
        chatwoot.faults.api("status", status=503, times=None)
        service = connected(tmp_path, chatwoot, model)
        with service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            said = await chatwoot.contact_says("Hello?")
            cid = said.conversation_id
            await model.until(lambda: model.started == 1)
            if moment == "posting":
                await chatwoot.until(lambda: 503 in {c.status for c in chatwoot.calls})
            await chatwoot.settled()
            service.kill()
        chatwoot.faults.clear()
        model.delay_s = 0.0
        await chatwoot.agent_says(cid, "Maria here, I take this one.")
        await chatwoot.settled()
        assert chatwoot.status(cid) == "open"
        with service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            left = await finished(
                chatwoot, partial(unfinished, service.settings["DATABASE_URL"]), 30
            )

    assert left == []
    assert chatwoot.replies(cid) == []


def _told(chatwoot, message):
    return any(
        attempt.message_id == message.id and attempt.is_success
        for attempt in chatwoot.delivery_log
    )
