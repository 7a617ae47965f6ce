"""Chatwoot is down for a moment: every reply arrives, once."""

import asyncio
import contextlib
import os
import time

import pytest
from checks import answer, question
from harness import connected, simulated

from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio

LONG = os.environ.get("CHAOS") == "long"
OUTAGE_S = 40 if LONG else 8


@pytest.mark.parametrize("kind", ["status", "store_then_status"])
async def test_10_posts_answered_503_are_10_replies_all_the_same(tmp_path, kind):
    """A 503 may come before Chatwoot has stored the message, or after."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            rule = chatwoot.faults.api(kind, status=503, times=10)
            said = [await chatwoot.contact_says("Hi") for _ in range(10)]
            await chatwoot.until(
                lambda: (
                    rule.is_spent
                    and all(chatwoot.replies(m.conversation_id) for m in said)
                ),
                timeout=30,
            )
            await chatwoot.settled()
            assert service.stop() == 0

    counts = [len(chatwoot.replies(m.conversation_id)) for m in said]
    assert counts == [1] * 10
    assert {chatwoot.status(m.conversation_id) for m in said} == {"pending"}


@pytest.mark.parametrize("call", ["*", "show"])
async def test_slow_chatwoot_brings_every_reply(tmp_path, call):
    """Slower than the bot waits for typing and the look, faster than for a message."""
    async with simulated() as chatwoot:
        with connected(tmp_path, chatwoot) as service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            chatwoot.faults.api("delay", delay_s=3.5, times=None, call=call)
            said = [await chatwoot.contact_says("Hi") for _ in range(12)]
            await chatwoot.until(
                lambda: all(chatwoot.replies(m.conversation_id) for m in said),
                timeout=30,
            )

    counts = [len(chatwoot.replies(m.conversation_id)) for m in said]
    assert counts == [1] * 12


async def test_contact_who_writes_on_during_an_outage_hears_nothing_twice(tmp_path):
    """The model must see what was said a moment ago, or it says it again."""
    async with ModelStandIn(reply=answer) as model, simulated() as chatwoot:
        with connected(tmp_path, chatwoot, model) as service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            chatwoot.faults.api("status", status=503)
            said = await chatwoot.contact_says(question(1))
            cid = said.conversation_id
            await chatwoot.until(
                lambda: 503 in {call.status for call in chatwoot.calls}
            )
            await chatwoot.contact_says(question(2), conversation=cid)
            replies = await chatwoot.wait_for_replies(cid, 2, timeout=40)

    assert [reply.content for reply in replies] == ["Answers: m1", "Answers: m2"]


@contextlib.contextmanager
def processes(folder, chatwoot, model, database_url):
    """Start the service as one process, or on PostgreSQL as one web and two workers."""
    if database_url is None:
        roles, settings = [("serve",)], {}
    else:
        roles = [("serve", "--no-worker"), ("worker",), ("worker",)]
        settings = {"DATABASE_URL": database_url}
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(connected(folder, chatwoot, model, *role, **settings))
            for role in roles
        ]


async def rush(folder, kind, database_url=None):
    """Have 60 replies wait for Chatwoot; return what came of it.

    Returns:
        How long after its return each contact waited, the shortest first, and how
        often each was answered.
    """
    gone_at = {}

    async with ModelStandIn(reply=answer) as model, simulated() as chatwoot:

        def posted():
            now = time.monotonic()
            for message in said:
                if chatwoot.replies(message.conversation_id):
                    gone_at.setdefault(message.conversation_id, now)
            return len(gone_at) == len(said)

        with processes(folder, chatwoot, model, database_url) as services:
            chatwoot.webhook_url = f"{services[0].url}/webhook/chatwoot"
            down_at = time.monotonic()
            chatwoot.faults.api(kind, status=503, call="*", times=None)
            said = [await chatwoot.contact_says(question(n)) for n in range(60)]
            await asyncio.sleep(down_at + OUTAGE_S - time.monotonic())
            assert not posted()
            chatwoot.faults.clear()
            back_at = time.monotonic()
            await chatwoot.until(posted, timeout=60)
            await chatwoot.settled()
            assert [service.stop() for service in services] == [0] * len(services)

    waited = sorted(at - back_at for at in gone_at.values())
    print(f"\n95 % within {waited[56]:.1f} s, all within {waited[59]:.1f} s")
    return waited, [len(chatwoot.replies(m.conversation_id)) for m in said]


@pytest.mark.parametrize("kind", ["status", "drop"])
async def test_60_replies_leave_as_soon_as_chatwoot_is_back(tmp_path, kind):
    """Nobody waits out a back-off that was meant for a Chatwoot that is down."""
    waited, counts = await rush(tmp_path, kind)

    assert counts == [1] * 60
    assert waited[56] <= 10, waited
    assert waited[59] <= 20, waited


async def test_60_replies_leave_two_worker_processes_as_soon(tmp_path, postgres_url):
    """Each notices by itself that Chatwoot is back, and neither says it again."""
    waited, counts = await rush(tmp_path, "status", postgres_url)

    assert counts == [1] * 60
    assert waited[56] <= 10, waited
    assert waited[59] <= 20, waited
