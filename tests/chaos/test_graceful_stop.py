"""SIGTERM in the middle of turns loses nothing and repeats nothing."""

import asyncio
import time

import pytest
from harness import connected, simulated

from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio

SOON_S = 10.0


async def test_turns_at_a_stop_finish_or_are_handed_to_the_next_process(tmp_path):
    """Ten models answer within the grace period, ten never do."""
    async with ModelStandIn(delay_s=2.0) as model, simulated() as chatwoot:
        service = connected(tmp_path, chatwoot, model)
        with service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            quick = [await chatwoot.contact_says(f"quick {n}") for n in range(10)]
            await model.until(lambda: model.started == 10)
            model.fail("timeout", times=10)
            stuck = [await chatwoot.contact_says(f"stuck {n}") for n in range(10)]
            await model.until(lambda: model.started == 20)
            await chatwoot.settled()
            assert model.finished == 0
            began = time.monotonic()
            assert await asyncio.to_thread(service.stop) == 0
            stopped_s = time.monotonic() - began
        finished = [len(chatwoot.replies(m.conversation_id)) for m in quick]
        held = [len(chatwoot.replies(m.conversation_id)) for m in stuck]
        model.delay_s = 0.1
        began = time.monotonic()
        await asyncio.to_thread(service.start)
        try:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            await chatwoot.until(
                lambda: all(chatwoot.replies(m.conversation_id) for m in stuck),
                timeout=60,
            )
            answered_s = time.monotonic() - began
            await chatwoot.settled()
            assert service.stop() == 0
        finally:
            service.kill()

    print(f"\ngraceful stop: {stopped_s:.1f} s; the rest after {answered_s:.2f} s")
    assert finished == [1] * 10
    assert held == [0] * 10
    counts = [len(chatwoot.replies(m.conversation_id)) for m in quick + stuck]
    assert counts == [1] * 20
    assert answered_s < SOON_S


async def test_conversation_answered_during_a_stop_stays_with_the_bot(tmp_path):
    """A reply comes back as an event; if nobody takes it, Chatwoot calls humans."""
    async with ModelStandIn(delay_s=2.0) as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model) as service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            said = [await chatwoot.contact_says(f"question {n}") for n in range(3)]
            await model.until(lambda: model.started == 3)
            await chatwoot.settled()
            assert await asyncio.to_thread(service.stop) == 0
        await chatwoot.settled()

    assert [len(chatwoot.replies(m.conversation_id)) for m in said] == [1] * 3
    assert {chatwoot.status(m.conversation_id) for m in said} == {"pending"}
