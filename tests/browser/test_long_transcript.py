"""A chat of 5,000 messages, read from the end to the beginning."""

import sqlite3
import time

import pytest
from playwright.sync_api import expect

COUNT = 5_000
PAGE = 50
# A frame of 60 per second takes 17 ms; a reader sees a stutter from about 100.
STUTTER_MS = 100


@pytest.fixture(scope="module")
def long_chat(serve):
    """A service with one conversation of 5,000 messages."""
    service = serve()
    conversation = service.visitor_says(name="Long")
    now = time.time()
    with sqlite3.connect(service.folder / "demo.db") as db:
        db.executemany(
            "INSERT INTO messages (conversation_id, sender, content, created_at)"
            " VALUES (?, ?, ?, ?)",
            [
                (
                    conversation,
                    ("user", "ai")[number % 2],
                    f"message {number} " + "with some words " * (number % 7),
                    now - 60 * (COUNT - number),
                )
                for number in range(COUNT)
            ],
        )
    db.close()
    return service


def test_long_transcript_scrolls_smoothly(open_page, long_chat):
    """All of it is read in, the reader keeps the place, and no frame stutters."""
    agent = open_page(path="/console", of=long_chat)
    agent.get_by_role("option").filter(has_text="Long").click()
    log = agent.get_by_role("log")
    bubbles = agent.locator("ol .message .bubble")
    expect(bubbles.last).to_contain_text(f"message {COUNT - 1} ")
    expect(bubbles.last).to_be_in_viewport()
    assert bubbles.count() == PAGE

    agent.evaluate(
        """async () => {
            const log = document.querySelector('.scroller');
            const rest = () => new Promise((go) => setTimeout(go, 5));
            for (let tries = 0; tries < 4000; tries += 1) {
                const older = document.querySelector('.agent-console .older');
                if (older.hidden) return;
                log.scrollTop = 0;
                await rest();
            }
        }"""
    )
    expect(bubbles).to_have_count(COUNT)
    expect(bubbles.first).to_contain_text("message 0 ")

    longest = log.evaluate(
        """async (log) => {
            const frame = () => new Promise((go) => requestAnimationFrame(go));
            let last = await frame();
            let longest = 0;
            for (let i = 0; i < 120; i += 1) {
                log.scrollTop += 400;
                const now = await frame();
                longest = Math.max(longest, now - last);
                last = now;
            }
            return longest;
        }"""
    )

    assert longest < STUTTER_MS
