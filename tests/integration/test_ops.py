"""Health, metrics and the page."""

import pytest
import sqlalchemy as sa
from test_webhook import SMALLEST, post, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def demo(tmp_path):
    async with serving(f"sqlite:///{tmp_path / 'store.db'}") as client:
        yield client


ADMIN = "the-operators-token"
FAR_AWAY = {"client": "203.0.113.7", "ADMIN_TOKEN": ADMIN}
AGENT = {"authorization": f"Bearer {ADMIN}"}


async def test_strangers_learn_only_whether_the_service_is_ready(tmp_path):
    """Which model answers, and how it failed last, helps nobody but the operator."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, **FAR_AWAY) as client:
        alive = await client.get("/health")
        ready = await client.get("/health/ready")
        await client.context.db.write(
            lambda tx: tx.execute(sa.text("DROP TABLE service"))
        )
        not_ready = await client.get("/health/ready")

    assert alive.json()["status"] == "ok"
    name = {"bot_name": "Assistant"}
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"} | name)
    assert not_ready.status_code == 503
    assert not_ready.json() == {"status": "not_ready"} | name


async def test_agents_learn_the_parts(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, **FAR_AWAY) as client:
        ready = await client.get("/health/ready", headers=AGENT)

    assert ready.json()["llm"] == {
        "responder": "mock",
        "model": None,
        "circuit": "closed",
        "last_error": None,
        "tools": "offered",
    }
    assert ready.json()["chatwoot"]["configured"] is False
    assert ready.json()["bot_name"] == "Assistant"


async def test_agents_learn_how_the_embeddings_are(tmp_path):
    """Search by words alone goes on, so the service is ready all the same."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    server = {"EMBEDDING_MODEL": "m", "EMBEDDING_BASE_URL": "http://127.0.0.1:9/v1"}
    async with serving(url, **FAR_AWAY, **server) as client:
        ready = await client.get("/health/ready", headers=AGENT)

    assert ready.status_code == 200
    assert ready.json()["embeddings"]["model"] == "m"
    assert {"reachable", "last_error", "chunks_without_vector"} <= set(
        ready.json()["embeddings"]
    )


async def test_visitors_learn_who_answers_and_whether_the_bot_is_silent(tmp_path):
    """Their page must not promise an answer of it."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with serving(url, **FAR_AWAY) as client:
        begun = (await client.post("/conversations", json={})).json()
        visitor = {"authorization": f"Bearer {begun['token']}"}
        said = []
        for enabled in (True, False):
            body = {"enabled": enabled}
            await client.post("/toggle-human", json=body, headers=AGENT)
            said.append((await client.get("/health/ready", headers=visitor)).json())

    shown = {"status": "ready", "bot_name": "Assistant"}
    assert said == [shown | {"human_mode": on} for on in (True, False)]


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
        assert "object-src 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/", "no-cache"),
        ("/?embed=1", "no-cache"),
        ("/console", "no-cache"),
        ("/dashboard-app", "no-cache"),
        ("/widget.js", "no-cache"),
        ("/static/js/visitor.js", "no-cache"),
        ("/openapi.json", "no-cache"),
        ("/conversations", "no-store"),
        ("/conversations/{id}", "no-store"),
        ("/conversations/{id}/messages", "no-store"),
        ("/conversations/{id}/turns", "no-store"),
        ("/users/u-1/conversations", "no-store"),
        ("/bookings", "no-store"),
        ("/bookings/none.ics", "no-store"),
        ("/stats", "no-store"),
        ("/session", "no-store"),
        ("/health/ready", "no-store"),
        ("/metrics", "no-store"),
        ("/nowhere", "no-store"),
    ],
)
async def test_no_cache_keeps_what_is_somebodys(demo, path, kept):
    begun = (await demo.post("/conversations", json={"user_id": "u-1"})).json()
    answer = await demo.get(path.format(id=begun["id"]))

    assert answer.headers.get_list("cache-control") == [kept]


async def test_answers_to_writes_are_kept_by_no_cache(demo):
    begun = await demo.post("/conversations", json={})

    assert begun.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/session", "/nowhere", "/static/js/visitor.js"])
async def test_browsers_that_came_over_tls_come_back_over_tls(demo, path):
    safe = await demo.get(f"https://127.0.0.1{path}")
    plain = await demo.get(path)
    told = await demo.get(path, headers={"x-forwarded-proto": "https"})
    header = "strict-transport-security"

    assert safe.headers[header] == "max-age=31536000"
    # Only uvicorn knows whether the proxy that says so may be believed.
    assert header not in plain.headers
    assert header not in told.headers


@pytest.mark.parametrize("path", ["/", "/session", "/static/js/visitor.js"])
async def test_pages_share_no_window_with_other_sites(demo, path):
    """ASVS 3.4.4, 3.4.5 and 3.4.8."""
    headers = (await demo.get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/conversations", "GET, HEAD, POST"),
        ("POST", "/conversations/c_1/messages/1", "DELETE, PUT"),
        ("PUT", "/session", "DELETE, GET, HEAD, POST"),
        ("GET", "/webhook/chatwoot", "POST"),
        ("TRACE", "/", "GET, HEAD"),
    ],
)
async def test_wrong_method_learns_of_all_the_right_ones(demo, method, path, allowed):
    answer = await demo.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.json()["error"]["code"] == "method_not_allowed"


async def test_head_is_answered_like_get_without_a_body(demo):
    answer = await demo.head("/session")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("post", "/session", {"401", "403", "422", "429"}),
        ("post", "/toggle-human", {"401", "403", "404"}),
        ("get", "/human-status", {"401", "403", "404"}),
        ("post", "/conversations", {"403"}),
        ("post", "/webhook/chatwoot", {"400", "401", "403", "413", "422", "429"}),
    ],
)
async def test_refusals_are_described(demo, method, path, statuses):
    described = (await demo.get("/openapi.json")).json()["paths"][path][method]

    assert statuses <= described["responses"].keys()
