"""What is owed at a kill is answered within seconds of the restart."""

import asyncio
import time

import pytest
from harness import connected, simulated

from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio

OWED = 40
FIRST_S = 10.0
LAST_S = 20.0


async def test_40_replies_owed_at_a_kill_come_soon_after_the_restart(tmp_path):
    """The contacts wait for a start of the process, not for a lease of minutes."""
    replied_at = []

    def note(message):
        if message.is_reply:
            replied_at.append(time.monotonic())

    async with (
        ModelStandIn(delay_s=60.0) as model,
        simulated(on_message=note) as chatwoot,
    ):
        service = connected(tmp_path, chatwoot, model)
        with service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            said = [await chatwoot.contact_says(f"m{n}") for n in range(OWED)]
            await model.until(lambda: model.started == OWED)
            await chatwoot.settled()
            assert service.kill() == -9
        model.delay_s = 0.1
        began = time.monotonic()
        await asyncio.to_thread(service.start)
        try:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            await chatwoot.until(lambda: len(replied_at) >= OWED, timeout=60)
            await chatwoot.settled()
            assert service.stop() == 0
        finally:
            service.kill()

    first_s, last_s = replied_at[0] - began, replied_at[-1] - began
    print(f"\nrecovery: first {first_s:.2f} s, last of {OWED} {last_s:.2f} s")
    answers = [
        [reply.content for reply in chatwoot.replies(m.conversation_id)] for m in said
    ]
    assert answers == [[f"Answer to: m{n}"] for n in range(OWED)]
    assert first_s < FIRST_S
    assert last_s < LAST_S
