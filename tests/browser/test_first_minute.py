"""The first minute of a visitor who has set nothing: from a greeting to a person."""

import pytest
from pages import button, has_no_sideways_scroll, shot
from playwright.sync_api import Locator, Page, expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
NOTICE = "This is a demo"
PERSON = "Talk to a person"


def chat(page: Page) -> Locator:
    """The visitor's panel; the agent console stands beside it."""
    return page.locator("#chat")


def answers(page: Page) -> Locator:
    return chat(page).locator("ol .message.-ai .bubble")


def finished(page: Page, count: int) -> Locator:
    """The newest of *count* answers, once it is written to its end."""
    expect(answers(page)).to_have_count(count)
    expect(chat(page).locator("ol .message[aria-busy=true]")).to_have_count(0)
    return answers(page).last


def say(page: Page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", PHONE),
    ],
)
def test_first_minute(open_page, service, name, options):
    """A greeting, a question with its source, a call, a person; pictures of each."""
    page = open_page(device_scale_factor=2, **options)

    say(page, "Hi")
    expect(finished(page, 1)).to_contain_text(NOTICE)
    expect(button(chat(page), PERSON)).to_be_visible()
    shot(page, f"minute-1-hello-{name}")

    say(page, "What does shipping to France cost?")
    expect(finished(page, 2)).to_contain_text("€9.90 in Europe")
    expect(answers(page).last).to_contain_text("Source: Delivery")
    shot(page, f"minute-2-source-{name}")

    say(page, "I would like to book a call.")
    expect(finished(page, 3)).to_contain_text("at one of these times")
    shot(page, f"minute-3-times-{name}")
    choice = chat(page).locator(".quick-replies .choice").first
    time = choice.text_content()
    choice.click()
    expect(finished(page, 4)).to_contain_text(f"{time} it is.")
    say(page, "Ann Smith, ann@shop.example")
    expect(finished(page, 5)).to_contain_text("Your call is booked, Ann Smith:")
    shot(page, f"minute-4-booked-{name}")

    say(page, "Can I talk to a human, please?")
    expect(page.get_by_text("Waiting for a human…")).to_be_visible()
    finished(page, 6)
    shot(page, f"minute-5-person-{name}")

    stored = "JSON.parse(localStorage.getItem('chatwoot-bot.chat')).id"
    path = f"/bookings?conversation_id={page.evaluate(stored)}"
    [call] = service.call(path)["items"]
    assert (call["name"], call["state"]) == ("Ann Smith", "booked")
    assert [NOTICE in each for each in answers(page).all_text_contents()] == [
        True,
        *[False] * 5,
    ]
    assert has_no_sideways_scroll(page)
