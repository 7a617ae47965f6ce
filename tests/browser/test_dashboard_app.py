"""The panel inside Chatwoot: a frame in a page of Chatwoot's, which posts to it."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from pages import button, has_no_sideways_scroll, shot, too_small
from playwright.sync_api import FrameLocator, Page, expect

from chatwoot_bot.simulator import Simulator

SECRET = "a-secret-of-both"
TOKEN = "a-token-that-only-agents-have"
STEP_S = 30


class Chatwoot:
    """The simulator on a thread of its own: the browser's tests are not async."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.simulator = Simulator(webhook_url="http://127.0.0.1:9/", secret=SECRET)
        self.wait_for(self.simulator.__aenter__())

    def wait_for(self, step: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(STEP_S)

    def close(self) -> None:
        self.wait_for(self.simulator.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def chatwoot() -> Iterator[Chatwoot]:
    chatwoot = Chatwoot()
    yield chatwoot
    chatwoot.close()


@pytest.fixture(scope="module")
def connected(serve, chatwoot):
    """A service that answers in an inbox of the simulator."""
    simulator = chatwoot.simulator
    service = serve(
        CHATWOOT_BASE_URL=simulator.base_url,
        RESPONDER="mock",
        CHATWOOT_API_TOKEN="bot-token",
        CHATWOOT_ACCOUNT_ID="1",
        CHATWOOT_WEBHOOK_SECRET=SECRET,
        ADMIN_TOKEN=TOKEN,
    )
    simulator.webhook_url = f"{service.url}/webhook/chatwoot"
    return service


def context_for(conversation: int) -> dict[str, object]:
    """What Chatwoot posts; much more of it is there in reality."""
    return {
        "event": "appContext",
        "data": {
            "conversation": {"id": conversation, "account_id": 1},
            "contact": {"id": 7, "name": "Maria Lopez"},
            "currentAgent": {"id": 1, "name": "Ben"},
        },
    }


def show_in(page: Page, origin: str, url: str, context: dict | None) -> FrameLocator:
    """Let a page at *origin* frame the panel as Chatwoot does."""
    page.goto(f"{origin}/simulator")  # any answer of that server will do
    page.evaluate(
        """({ url, context }) => {
            window.addEventListener('message', (event) => {
                window.asked = event.data;
                event.source.postMessage(JSON.stringify(context), event.origin);
            });
            const frame = document.createElement('iframe');
            frame.frameBorder = '0';
            frame.width = innerWidth - 20;
            frame.height = innerHeight - 20;
            frame.src = `${url}/dashboard-app`;
            document.body.replaceChildren(frame);
        }""",
        {"url": url, "context": context},
    )
    return page.frame_locator("iframe")


@pytest.fixture
def asked(chatwoot, connected) -> int:
    """A conversation in Chatwoot whose contact has asked for a human."""
    step = chatwoot.simulator.contact_says("Can I talk to a human, please?")
    number = chatwoot.wait_for(step).conversation_id
    chatwoot.wait_for(chatwoot.simulator.wait_for_replies(number, 1))
    return number


@pytest.fixture
def page(open_page, connected, chatwoot, seen) -> Page:
    """A browser of an agent's."""
    page = open_page(path="/console", of=connected)
    sign_in(page, connected)
    seen.expected.add(chatwoot.simulator.base_url.removeprefix("http://"))
    return page


def sign_in(page: Page, service) -> None:
    """Have the browser keep the cookie of the sign-in."""
    answer = page.request.post(f"{service.url}/session", data={"token": TOKEN})
    assert answer.ok


def test_panel_signs_in_with_the_operators_token(
    open_page, chatwoot, connected, seen, asked
):
    """Inside the frame, where the console's form is all that a stranger sees."""
    page = open_page(path="/console", of=connected)
    origin = chatwoot.simulator.base_url
    seen.expected.add(origin.removeprefix("http://"))
    panel = show_in(page, origin, connected.url, context_for(asked))
    panel.get_by_label("Token").fill(TOKEN)
    panel.get_by_role("button", name="Sign in").click()

    expect(panel.locator(".badge")).to_have_text("Waiting")


def test_panel_shows_and_switches_who_holds_the_conversation(
    page, chatwoot, connected, asked
):
    """State, reason, messages and the switch, without leaving Chatwoot."""
    origin = chatwoot.simulator.base_url
    panel = show_in(page, origin, connected.url, context_for(asked))

    expect(panel.locator(".badge")).to_have_text("Waiting")
    expect(panel.locator(".why")).to_contain_text("Asked for a human")
    expect(panel.locator(".latest")).to_contain_text("Can I talk to a human, please?")
    expect(panel.locator(".turn")).to_have_count(1)
    assert page.evaluate("window.asked") == "chatwoot-dashboard-app:fetch-info"
    panel.get_by_role("button", name="Take over").click()
    expect(panel.locator(".badge")).to_have_text("Human")
    panel.get_by_role("button", name="Give back to bot").click()

    expect(panel.locator(".badge")).to_have_text("AI")


def test_panel_shows_nothing_of_the_conversation_before(
    page, chatwoot, connected, asked
):
    """An agent who opens another chat must not take over the one before."""
    origin = chatwoot.simulator.base_url
    panel = show_in(page, origin, connected.url, context_for(asked))
    expect(panel.get_by_role("button", name="Take over")).to_be_visible()
    held_up = []
    page.route("**/conversations?*", lambda route: held_up.append(route))
    page.evaluate(
        "(context) => frames[0].postMessage(JSON.stringify(context), '*')",
        context_for(987_654),
    )

    expect(panel.get_by_role("button", name="Take over")).to_be_hidden()
    for route in held_up:
        route.continue_()
    expect(panel.locator(".note")).to_contain_text("does not know this conversation")


def test_only_its_own_chatwoot_may_frame_the_panel(
    page, chatwoot, connected, seen, asked
):
    """Another site gets an empty frame, and the browser says why."""
    stranger = chatwoot.simulator.base_url.replace("127.0.0.1", "localhost")
    seen.expected.add(stranger.removeprefix("http://"))

    with page.expect_console_message(lambda line: "frame-ancestors" in line.text):
        show_in(page, stranger, connected.url, context_for(asked))

    assert page.locator("iframe").content_frame.locator(".dashboard-app").count() == 0
    seen.console.clear()  # that refusal was wanted


def test_console_reads_along_in_chatwoot(page, chatwoot, connected, asked):
    """The transcript, the switch and the way there; no composer."""
    page.goto(f"{connected.url}/console")
    page.locator(".conversation").filter(has_text="Chatwoot").first.click()

    expect(page.locator("ol .message.-user .bubble")).to_have_count(1)
    expect(page.get_by_label("Your answer")).to_be_hidden()
    link = page.get_by_role("link", name="Open in Chatwoot")
    expect(link).to_have_attribute(
        "href", f"{chatwoot.simulator.base_url}/app/accounts/1/conversations/{asked}"
    )
    button(page, "Take over").click()

    row = page.locator(".conversation[aria-selected=true]")
    expect(row.locator(".badge")).to_have_text("Human")


def test_dead_letter_is_replayed_from_the_console(page, chatwoot, connected):
    """What Chatwoot refused is seen, and said after all with one press."""
    simulator = chatwoot.simulator
    simulator.faults.api("status", status=422)
    number = chatwoot.wait_for(simulator.contact_says("Hi")).conversation_id
    page.goto(f"{connected.url}/console")
    strip = page.locator(".health-strip")
    expect(strip.get_by_text("1 dead letter")).to_be_visible(timeout=30_000)

    strip.get_by_text("1 dead letter").click()
    expect(strip.get_by_role("listitem")).to_contain_text("422")
    strip.get_by_role("button", name="Replay").click()

    expect(strip.get_by_text("dead letter")).to_be_hidden()
    chatwoot.wait_for(simulator.wait_for_replies(number, 1))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_panel_looks(open_page, chatwoot, connected, seen, asked, axe, theme, width):
    """In both themes and at both widths, with nothing for axe to say."""
    size = {"width": width, "height": 800}
    page = open_page(
        path="/console",
        of=connected,
        color_scheme=theme,
        viewport=size,
        bypass_csp=True,
    )
    sign_in(page, connected)
    origin = chatwoot.simulator.base_url
    seen.expected.add(origin.removeprefix("http://"))
    panel = show_in(page, origin, connected.url, context_for(asked))
    expect(panel.locator(".badge")).to_have_text("Waiting")
    panel.locator(".turn summary").first.click()
    shot(page, f"dashboard-app-{width}-{theme}")

    frame = page.frames[1]
    frame.evaluate(axe)
    found = frame.evaluate("async () => (await axe.run()).violations.map((v) => v.id)")
    assert found == []
    assert has_no_sideways_scroll(frame)
    assert too_small(frame) == []
