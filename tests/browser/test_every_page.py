"""What all pages promise: accessible, small, quiet, at home."""

import re
from pathlib import Path

import pytest
from pages import button
from playwright.sync_api import Page, expect

STATIC = Path(__file__).parents[2] / "static"
LIMIT = 100 * 1024  # bytes, as the files lie in the folder
TOKEN = "a-token-that-only-agents-have"


def problems(page: Page, axe: str) -> list[str]:
    """Everything that axe-core objects to, with the elements.

    It writes styles of its own, so such a page is opened without our policy.
    """
    page.wait_for_function(
        "() => document.getAnimations().every((a) => a.playState !== 'running' || "
        "a.effect.getTiming().iterations === Infinity)"
    )
    page.evaluate(axe)
    found = page.evaluate(
        """async () => (await axe.run(document, {
            runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',
                'best-practice'],
        })).violations"""
    )
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found
        for node in violation["nodes"]
    ]


def chat(page: Page) -> None:
    page.get_by_label("Your message").fill("Can I talk to a human, please?")
    page.get_by_label("Your message").press("Enter")
    expect(page.get_by_text("Waiting for a human…")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_demo_is_accessible(open_page, axe, theme, width):
    """Empty, in use, and with the agent's side open."""
    size = {"width": width, "height": 800}
    page = open_page(color_scheme=theme, viewport=size, bypass_csp=True)
    assert problems(page, axe) == []
    chat(page)
    assert problems(page, axe) == []

    if width == 390:
        page.get_by_role("tab", name="Agent").click()
    page.get_by_role("option").first.click()
    button(page, "Why: decisions of the bot").click()
    expect(page.locator(".why-panel details[open]")).to_be_visible()

    assert problems(page, axe) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_console_is_accessible(open_page, axe, service, theme):
    """The list, a conversation held by the bot, one held by the agent."""
    name = f"Accessible, {theme}"  # the other theme's is in the list, too
    service.visitor_says("Hi", name=name)
    page = open_page(path="/console", color_scheme=theme, bypass_csp=True)
    page.get_by_role("option").filter(has_text=name).click()
    page.get_by_label("Your answer").fill("Hello")
    page.get_by_label("Your answer").press("Enter")
    expect(button(page, "Take over and send")).to_be_visible()
    assert problems(page, axe) == []

    button(page, "Take over and send").click()
    expect(page.get_by_text("Sent", exact=True)).to_be_visible()

    assert problems(page, axe) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_sign_in_is_accessible(open_page, axe, serve, theme):
    """The first thing an agent meets."""
    service = serve(ADMIN_TOKEN=TOKEN)
    page = open_page(path="/console", of=service, color_scheme=theme, bypass_csp=True)
    page.get_by_label("Token").fill("wrong")
    button(page, "Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("ADMIN_TOKEN")

    assert problems(page, axe) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/?embed=1", "/dashboard-app"])
def test_panels_are_accessible(open_page, axe, path, theme):
    """The pages that live inside other pages."""
    page = open_page(path=path, color_scheme=theme, is_ready=False, bypass_csp=True)
    page.wait_for_load_state("networkidle")

    assert problems(page, axe) == []


@pytest.mark.parametrize("path", ["/", "/console", "/dashboard-app", "/?embed=1"])
def test_page_is_quiet_and_its_policy_lets_nothing_in(open_page, seen, service, path):
    """A clean console, one host, and no inline script anywhere."""
    page = open_page(path=path, is_ready=False)
    page.wait_for_load_state("networkidle")

    policy = page.request.get(service.url + path).headers["content-security-policy"]

    assert seen.console == []
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    html = page.request.get(service.url + path).text()
    assert not re.search(r"<script(?! [^>]*src=)|<style|\sstyle=|\son\w+=", html)


def weight(urls: set[str]) -> int:
    """Bytes of scripts and styles."""
    files = {url.split("/static/")[1] for url in urls if "/static/" in url}
    sources = [name for name in files if name.endswith((".js", ".css"))]
    return sum((STATIC / name).stat().st_size for name in sources)


def test_pages_stay_small(open_page, seen, service):
    """Each page is small, and so is the console that the demo loads after the chat."""
    weights = {}
    for path in ("/?embed=1", "/dashboard-app", "/console", "/"):
        seen.requests.clear()
        page = open_page(path=path, is_ready=False)
        page.wait_for_load_state("networkidle")
        parts = {True: set(), False: set()}
        for url in seen.requests:
            parts["/console/" in url].add(url)
        weights[path] = {"page": weight(parts[False]), "console": weight(parts[True])}

    assert all(w["page"] < LIMIT for w in weights.values()), weights
    assert all(w["console"] < LIMIT for w in weights.values()), weights
    assert weights["/?embed=1"]["console"] == 0


def test_nothing_of_the_pages_is_markup_from_text():
    """No way to turn words into elements is used, so none can be abused."""
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|srcdoc"
    for path in STATIC.rglob("*.js"):
        assert not re.search(ways, path.read_text("utf-8")), path
