"""What the browser tests do with any of our pages."""

import os
from pathlib import Path

from playwright.sync_api import Locator, Page


def button(page: Page | Locator, name: str) -> Locator:
    """The button with exactly this name."""
    return page.get_by_role("button", name=name, exact=True)


def shot(page: Page, name: str) -> None:
    """Keep a picture for a person to look at, when a folder for it is named."""
    if folder := os.environ.get("SCREENSHOT_DIR"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


def has_no_sideways_scroll(page: Page) -> bool:
    """Whether neither the page nor a transcript is wider than its place."""
    return page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll('.scroller')]
            .every((el) => el.scrollWidth <= el.clientWidth)"""
    )


def too_small(page: Page) -> list:
    """Controls below 44 pixels, with their size; a link in a text may be."""
    controls = page.locator(
        "button:visible, textarea:visible, input:visible, summary:visible"
    )
    sizes = controls.evaluate_all(
        """(all) => all.map((el) => {
            const { width, height } = el.getBoundingClientRect();
            const name = el.textContent.trim() || el.ariaLabel || el.name || el.id;
            return [name, Math.ceil(width), Math.ceil(height)];
        })"""
    )
    assert sizes
    return [size for size in sizes if min(size[1:]) < 44]
