"""Something else answers in Chatwoot's place for a while: nobody is lost by that."""

import asyncio

import httpx
import pytest
from scene import installed
from test_cases import begun

pytestmark = pytest.mark.anyio

HTML = {"content-type": "text/html"}
PAGES = {
    "a proxy's 404": {"status": 404, "text": "404 page not found\n"},
    "a redirect": {
        "status": 301,
        "text": "<html>moved</html>",
        "headers": HTML | {"location": "https://chat.example.com/login?to=secret"},
    },
    "a firewall's 403": {"status": 403, "text": "<html>no</html>", "headers": HTML},
    "a sign-in page": {"status": 200, "text": "<html>hi</html>", "headers": HTML},
    "an empty success": {"status": 200},
    "another program": {
        "status": 200,
        "text": '{"ok": true}',
        "headers": {"content-type": "application/json"},
    },
}
# More than the circuit needs to open.
STRIKES = 7


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with installed(tmp_path_factory.mktemp("outage")) as installation:
        yield installation


def dead(here):
    """Return the line of the metrics that counts dead letters."""
    lines = httpx.get(f"{here.service.url}/metrics").text.splitlines()
    return [line for line in lines if 'outcome="dead"' in line]


@pytest.mark.parametrize("page", PAGES)
async def test_answer_that_is_not_chatwoots_strands_nobody(service, page):
    """Who asked is answered, who wants a human gets one, all of it once."""
    async with service.scene() as here:
        chatwoot, before = here.chatwoot, dead(here)
        chatwoot.faults.api("page", call="*", times=None, **PAGES[page])
        asks = (await chatwoot.contact_says("Where is my parcel?")).conversation_id
        calls = (await chatwoot.contact_says("A human, please")).conversation_id
        await chatwoot.until(lambda: len(chatwoot.calls) >= STRIKES, timeout=30)
        chatwoot.faults.clear()
        await chatwoot.wait_for_replies(asks, 1, timeout=30)
        await chatwoot.until(
            lambda: chatwoot.status(calls) == "open" and chatwoot.notes(calls),
            timeout=30,
        )
        await here.quiet()

        assert dead(here) == before

    assert here.answers(asks) == ["Answer to: Where is my parcel?"]
    assert (chatwoot.status(asks), chatwoot.notes(asks)) == ("pending", [])
    assert len(here.answers(calls)) == len(chatwoot.notes(calls)) == 1


async def test_target_of_a_redirect_is_logged_without_its_query(tmp_path):
    with installed(tmp_path) as installation:
        async with installation.scene() as here:
            here.chatwoot.faults.api(
                "page", call="create_message", times=1, **PAGES["a redirect"]
            )
            await here.answered("Hello?")
    output = installation.service.output

    assert "a redirect to chat.example.com/login; CHATWOOT_BASE_URL must be" in output
    assert "to=secret" not in output


@pytest.mark.parametrize("number", ["01", "02"])
async def test_contact_of_a_restarting_chatwoot_is_answered(tmp_path, number):
    """A proxy answers for it; the contact's next message finds the bot at work."""
    async with begun(tmp_path, number) as played:
        chatwoot, outage = played.here.chatwoot, played.content["chatwoot"]
        first, second = played.deliveries
        kind = {"content-type": outage["content_type"]}
        chatwoot.faults.api(
            "page",
            call="*",
            times=None,
            status=outage["status"],
            text=outage["body"],
            headers=kind | outage.get("headers", {}),
        )
        await played.deliver(first)
        await asyncio.sleep(outage["every_call_for_s"])
        chatwoot.faults.clear()
        await chatwoot.wait_for_replies(150, 1, timeout=30)
        await played.deliver(second)
        await chatwoot.wait_for_replies(150, 2, timeout=15)
        await played.here.quiet()

    assert played.answers(150) == [
        "Answer to: Where is my order 4711?",
        "Answer to: hello?",
    ]
    assert (chatwoot.status(150), chatwoot.notes(150)) == ("pending", [])
