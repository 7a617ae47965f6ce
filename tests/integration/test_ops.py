"""Health, metrics and the page."""

import pytest
import sqlalchemy as sa
from test_webhook import SMALLEST, post, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def demo(tmp_path):
    async with serving(f"sqlite:///{tmp_path / 'store.db'}") as client:
        yield client


async def test_health_is_for_anybody(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, client="203.0.113.7") as client:
        alive = await client.get("/health")
        ready = await client.get("/health/ready")

    assert alive.json()["status"] == "ok"
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["llm"] == {
        "responder": "mock",
        "model": None,
        "circuit": "closed",
        "last_error": None,
    }
    assert ready.json()["chatwoot"]["configured"] is False


async def test_everybody_may_know_whether_the_bot_is_silent(demo):
    """A visitor's page must not promise an answer of it."""
    said = []
    for enabled in (True, False):
        await demo.post("/toggle-human", json={"enabled": enabled})
        said.append((await demo.get("/health/ready")).json()["human_mode"])

    assert said == [True, False]


async def test_ready_says_which_part_is_not(demo):
    await demo.context.db.write(lambda tx: tx.execute(sa.text("DROP TABLE service")))
    answer = await demo.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["human_mode"] is None
    assert answer.json()["database"] == {"ok": False}
    assert answer.json()["worker"]["ok"] is True


async def test_metrics_count_what_happened(demo):
    await post(demo, SMALLEST)
    await post(demo, {})
    text = (await demo.get("/metrics")).text

    assert (
        'chatwoot_bot_deliveries_total{outcome="accepted",reason="default"} 1.0' in text
    )
    assert (
        'chatwoot_bot_deliveries_total{outcome="ignored",reason="no_event"} 1.0' in text
    )
    assert 'chatwoot_bot_turns_total{decision="bot",outcome="answered"} 1.0' in text
    assert 'chatwoot_bot_replies_total{outcome="delivered"} 1.0' in text


async def test_page_and_its_files_forbid_foreign_scripts(demo):
    page = await demo.get("/")
    script = await demo.get("/static/js/visitor.js")

    assert page.headers["content-type"].startswith("text/html")
    assert script.status_code == 200
    for answer in (page, script):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
