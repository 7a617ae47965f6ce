"""The launcher on another site's page."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pages import button, shot
from playwright.sync_api import FrameLocator, Page, expect

TOKEN = "a-token-that-only-agents-have"
SHOP = """<!doctype html><html lang="en"><title>Shop</title>
<link rel="icon" href="data:,">
<body><h1>A shop</h1><p>Nothing of the chat's styles may change this page.</p>
<script src="{url}/widget.js" async data-label="Questions?"></script></body></html>"""


@pytest.fixture(scope="module")
def shop(serve) -> Iterator[tuple]:
    """A site that may embed the chat, under a strict policy; (its url, the bot)."""
    page = {"html": "", "bot": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            bot = page["bot"]
            self.send_header(
                "Content-Security-Policy",
                f"default-src 'self' data:; script-src {bot}; frame-src {bot}",
            )
            self.end_headers()
            self.wfile.write(page["html"].encode())

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    service = serve(CORS_ORIGINS=url, ADMIN_TOKEN=TOKEN)
    page.update(bot=service.url, html=SHOP.format(url=service.url))
    yield url, service
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def visit(shop, open_page, service, seen) -> Page:
    url, bot = shop
    seen.expected |= {one.removeprefix("http://") for one in (url, bot.url)}
    page = open_page(path="/docs", is_ready=False)
    page.goto(url)
    return page


def open_chat(page: Page) -> FrameLocator:
    """Open it, and wait until it works: its HTML is there before its scripts."""
    button(page, "Questions?").click()
    chat = page.frame_locator("iframe")
    expect(chat.get_by_role("heading", name="Ada")).to_be_visible()
    return chat


def test_chat_opens_on_another_site(visit):
    """One script, one button, and the bot answers."""
    launcher = button(visit, "Questions?")
    expect(launcher).to_have_attribute("aria-expanded", "false")
    assert visit.locator("iframe").count() == 0  # nothing is loaded before it is wanted

    chat = open_chat(visit)
    chat.get_by_label("Your message").fill("Hi")
    chat.get_by_label("Your message").press("Enter")

    expect(chat.locator("ol .message.-ai .bubble")).to_have_count(1)
    expect(chat.locator(".app-header")).to_be_hidden()
    expect(chat.locator(".agent-console")).to_be_hidden()


def test_escape_closes_it_and_gives_the_focus_back(visit):
    """From inside the chat and from outside."""
    button(visit, "Questions?").focus()
    visit.keyboard.press("Enter")
    chat = visit.frame_locator("iframe")
    expect(chat.get_by_role("heading", name="Ada")).to_be_visible()

    chat.get_by_label("Your message").press("Escape")
    expect(visit.locator("iframe")).to_be_hidden()
    expect(button(visit, "Questions?")).to_be_focused()
    visit.keyboard.press("Enter")
    expect(visit.locator("iframe")).to_be_visible()
    button(visit, "Close chat").focus()
    visit.keyboard.press("Escape")

    expect(visit.locator("iframe")).to_be_hidden()


def test_what_arrives_while_it_is_closed_is_counted(visit, shop):
    """An answer does not go unnoticed."""
    _, bot = shop
    chat = open_chat(visit)
    chat.get_by_label("Your message").fill("Hi")
    chat.get_by_label("Your message").press("Enter")
    # All of the answer: its end would be news to a chat that is closed by then.
    expect(chat.locator("ol .message.-ai:not(.-streaming) .bubble")).to_have_count(1)
    chat.get_by_label("Your message").press("Escape")
    expect(visit.locator("iframe")).to_be_hidden()

    kept = "JSON.parse(localStorage.getItem('chatwoot-bot.chat')).id"
    path = f"/conversations/{visit.frames[1].evaluate(kept)}/messages"
    bot.call(path, {"content": "This is Mia.", "sender": "agent"}, token=TOKEN)
    expect(visit.get_by_role("button", name="Questions?, 1 new")).to_be_visible()
    visit.get_by_role("button", name="Questions?, 1 new").click()
    button(visit, "Close chat").click()

    expect(button(visit, "Questions?")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_widget_looks(visit, width):
    """Beside the page where there is room, over it on a phone."""
    visit.set_viewport_size({"width": width, "height": 800})
    shot(visit, f"widget-closed-{width}-light")
    chat = open_chat(visit)
    shot(visit, f"widget-{width}-light")

    if width == 390:
        box = visit.locator("iframe").bounding_box()
        assert (box["x"], box["y"], box["width"]) == (0, 0, 390)
    button(chat, "Close").click()

    expect(visit.locator("iframe")).to_be_hidden()
