"""The demo page in Chromium against the real service: every flow a visitor has."""

import json
import re

import pytest
from pages import button, has_no_sideways_scroll, shot, too_small
from playwright.sync_api import Locator, Page, expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
PERSON = "Talk to a person"
REFUSAL = {"error": {"code": "too_long", "message": "The message is too long."}}


def composer(page: Page) -> Locator:
    return page.get_by_label("Your message")


def say(page: Page, text: str) -> None:
    composer(page).fill(text)
    composer(page).press("Enter")


def bubbles(page: Page, sender: str = "") -> Locator:
    """What was said: by user, ai, agent or system; by anybody when left out."""
    kind = f".-{sender}" if sender else ""
    return chat(page).locator(f"ol .message{kind} .bubble")


def senders(page: Page) -> list[str]:
    return chat(page).locator("ol .message .sender").all_text_contents()


def chat(page: Page) -> Locator:
    """The visitor's panel; the agent console stands beside it."""
    return page.locator("#chat")


def conversation_of(page: Page) -> dict[str, str]:
    return page.evaluate("JSON.parse(localStorage.getItem('chatwoot-bot.chat'))")


def ask_and_get_answer(page: Page, text: str = "Hi") -> None:
    before = bubbles(page, "ai").count()
    say(page, text)
    expect(bubbles(page, "ai")).to_have_count(before + 1)
    # A question that comes while the answer is written would take its place.
    expect(chat(page).locator("ol .message[aria-busy=true]")).to_have_count(0)


def agent_says(service, page: Page, text: str) -> None:
    path = f"/conversations/{conversation_of(page)['id']}/messages"
    service.call(path, {"content": text, "sender": "agent"})


def refuse_messages(page: Page) -> None:
    page.route(
        "**/conversations/*/messages",
        lambda route: (
            route.fulfill(status=422, json=REFUSAL)
            if route.request.method == "POST"
            else route.fallback()
        ),
    )


def test_question_is_answered(open_page):
    """The first thing anybody tries."""
    page = open_page()

    ask_and_get_answer(page, "Hi")

    assert senders(page) == ["You", "Bot"]
    expect(bubbles(page, "user")).to_have_text("Hi")
    expect(page.get_by_text("Sent", exact=True)).to_be_visible()
    expect(chat(page).locator(".typing")).to_be_hidden()
    expect(composer(page)).to_have_value("")
    expect(composer(page)).to_be_focused()


def test_bot_is_typing_until_it_answers_or_takes_too_long(open_page):
    """Dots say that somebody is there, and do not lie for ever."""
    page = open_page()
    page.clock.install()
    answers = "**/conversations/*/messages?*"
    page.route(answers, lambda route: route.fulfill(json={"items": [], "next": None}))
    page.route_web_socket("**/ws/conversations/**", lambda socket: None)

    say(page, "Hi")
    expect(page.get_by_text("Sent", exact=True)).to_be_visible()
    expect(chat(page).get_by_text("is typing…")).to_be_visible()
    page.clock.fast_forward(61_000)
    expect(chat(page).get_by_text("is typing…")).to_be_hidden()


def test_header_says_what_answers_here(open_page):
    """Name, model and Chatwoot are on the page, so a demo explains itself."""
    page = open_page()

    expect(page.get_by_role("heading", level=1)).to_have_text("Ada")
    expect(page.locator(".chip.-model")).to_have_text("Model: mock")
    expect(page.get_by_text("Chatwoot not connected")).to_be_visible()
    expect(page).to_have_title("Chat with Ada")


@pytest.mark.parametrize("name", ["Ask a question", "Ask for a human", "Book a call"])
def test_starter_sends_what_it_says(open_page, name):
    """Somebody who does not know what to write needs one click."""
    page = open_page()
    starter = page.locator(".starter", has_text=name)
    words = starter.locator(".words").text_content()

    starter.click()

    expect(bubbles(page, "user")).to_have_text(words)
    expect(bubbles(page, "ai")).to_have_count(1)
    expect(page.locator(".empty-state")).to_be_hidden()


def test_chat_survives_a_reload(open_page):
    """Leaving the page is not leaving the conversation."""
    page = open_page()
    ask_and_get_answer(page)
    before = bubbles(page).all_text_contents()

    page.reload()

    expect(bubbles(page)).to_have_text(before)
    ask_and_get_answer(page, "Still there?")


def test_new_chat_starts_over_and_the_old_one_can_be_opened_again(open_page):
    """A slip on the button must not lose a conversation."""
    page = open_page()
    ask_and_get_answer(page)

    button(page, "New chat").click()
    expect(bubbles(page)).to_have_count(0)
    expect(page.locator(".empty-state")).to_be_visible()
    button(page, "Back to the previous chat").click()

    expect(bubbles(page, "user")).to_have_text("Hi")


def test_human_mode_silences_the_bot_and_says_so(open_page):
    """The pill is the operator's promise: on means not a word from the bot."""
    page = open_page()
    ask_and_get_answer(page)

    button(page, "Human Mode: OFF").click()
    expect(button(page, "Human Mode: ON")).to_be_visible()
    expect(bubbles(page, "system").last).to_contain_text("Human mode is on")
    expect(page.locator(".state-banner")).to_contain_text("The bot is silent")
    say(page, "Anyone there?")
    expect(page.locator(".state-banner")).to_contain_text("Waiting for a human")
    expect(chat(page).locator(".typing")).to_be_hidden()
    assert senders(page)[-2:] == ["System", "You"]
    button(page, "Human Mode: ON").click()
    expect(bubbles(page, "system").filter(has_text="Human mode is off")).to_be_visible()
    # Who wrote meanwhile is answered now.
    expect(bubbles(page, "ai")).to_have_count(2)
    expect(page.locator(".state-banner .box")).to_be_hidden()


def test_visitor_on_another_site_is_promised_no_bot_that_is_silent(open_page, service):
    """The widget's chat has no switch, and still says who answers."""
    service.call("/toggle-human", {"enabled": True})
    page = open_page(path="/?embed=1", is_ready=False)
    expect(chat(page).get_by_text("Bot is silent", exact=True)).to_be_visible()
    say(page, "Hi")
    expect(bubbles(page, "user")).to_have_text("Hi")

    expect(chat(page).locator(".typing")).to_be_hidden()
    expect(button(page, "Back to the bot")).to_be_hidden()


def test_pill_is_green_when_on_and_red_when_off(open_page):
    """Colour and words say the same."""
    page = open_page()

    def redness() -> int:
        colour = button(page, re.compile("Human Mode")).evaluate(
            "(el) => getComputedStyle(el).borderTopColor"
        )
        red, green = (int(part) for part in re.findall(r"\d+", colour)[:2])
        return red - green

    pill = page.locator(".human-pill")
    expect(pill).to_have_text("Human Mode: OFF")
    assert redness() > 0
    pill.click()
    expect(pill).to_have_text("Human Mode: ON")
    page.wait_for_function(
        "() => document.getAnimations().every((a) => a.playState !== 'running')"
    )
    assert redness() < 0


def test_human_mode_switched_elsewhere_is_seen(open_page, service):
    """Two people with the page open must not see two truths."""
    page = open_page()

    service.call("/toggle-human", {"enabled": True})
    # It asks every few seconds, and at once when somebody looks at the tab again.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(button(page, "Human Mode: ON")).to_be_visible()
    expect(bubbles(page, "system")).to_contain_text("Human mode is on")


def test_pill_explains_itself_to_who_may_not_use_it(open_page):
    """From another machine without ADMIN_TOKEN the page works, the pill does not."""
    page = open_page()
    reason = "Only this machine may do that."
    page.route(
        "**/human-status",
        lambda route: route.fulfill(
            status=403, json={"error": {"code": "forbidden", "message": reason}}
        ),
    )

    page.reload()

    pill = page.locator(".human-pill")
    expect(pill).to_have_attribute("aria-disabled", "true")
    expect(pill).to_have_attribute("title", reason)
    expect(page.locator(".refusal")).to_have_text(reason)
    pill.click(force=True)
    expect(pill).to_have_text("Human Mode: OFF")
    ask_and_get_answer(page)


def test_talk_to_a_human_and_back_to_the_bot(open_page):
    """Asking for a person is one click, and so is changing one's mind."""
    page = open_page()
    ask_and_get_answer(page)

    button(page, "Talk to a human").click()
    expect(page.get_by_text("Waiting for a human…")).to_be_visible()
    expect(bubbles(page, "ai")).to_have_count(2)
    button(page, "Back to the bot").click()

    expect(page.get_by_text("Waiting for a human…")).to_be_hidden()
    expect(bubbles(page, "system").last).to_have_text("You are back with the bot.")
    expect(composer(page)).to_be_focused()
    ask_and_get_answer(page, "Hello again")


def test_talk_to_a_human_works_before_anything_was_said(open_page):
    """It is always reachable, also as the first thing."""
    page = open_page()

    button(page, "Talk to a human").click()

    expect(page.get_by_text("Waiting for a human…")).to_be_visible()
    expect(bubbles(page, "ai")).to_have_count(1)


def test_waiting_for_a_human_survives_a_reload(open_page):
    """The banner tells the conversation's state, not the page's memory."""
    page = open_page()
    button(page, "Talk to a human").click()
    expect(page.get_by_text("Waiting for a human…")).to_be_visible()

    page.reload()

    expect(page.get_by_text("Waiting for a human…")).to_be_visible()
    expect(button(page, "Talk to a human")).to_have_attribute("aria-disabled", "true")


def test_agent_reply_arrives_by_itself(open_page, service):
    """The visitor sees that it is a person who writes now."""
    page = open_page()
    ask_and_get_answer(page)

    agent_says(service, page, "Hello, this is Mia.")

    expect(bubbles(page, "agent")).to_have_text("Hello, this is Mia.")
    assert "Human Agent" in senders(page)
    expect(page.get_by_text("You are talking with a human.")).to_be_visible()


def test_everything_by_keyboard(open_page):
    """No mouse: write, break the line, send, ask for a human, go back."""
    page = open_page()
    expect(composer(page)).to_be_focused()

    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(bubbles(page, "user")).to_have_text("first line\nsecond line")
    assert bubbles(page, "user").inner_text() == "first line\nsecond line"
    expect(bubbles(page, "ai")).to_have_count(1)

    expect(button(chat(page), PERSON)).to_be_visible()
    choices = chat(page).locator(".quick-replies .choice").all_text_contents()
    assert choices[-1] == PERSON
    controls = ("Conversation", "New chat", "Talk to a human")
    for name in (*reversed(choices), *controls):
        page.keyboard.press("Shift+Tab")
        here = page.locator(":focus")
        expect(here).to_have_accessible_name(name)
        assert here.evaluate("(el) => getComputedStyle(el).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(button(page, "Back to the bot")).to_be_visible()
    expect(button(page, "Talk to a human")).to_be_focused()
    expect(button(chat(page), PERSON)).to_be_hidden()
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(button(page, "Back to the bot")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Waiting for a human…")).to_be_hidden()
    expect(composer(page)).to_be_focused()


def test_blank_message_is_not_sent(open_page):
    """Enter in an empty field does nothing, and the button says so."""
    page = open_page()

    composer(page).fill("  \n ")
    expect(button(chat(page), "Send")).to_be_disabled()
    composer(page).press("Enter")

    expect(bubbles(page)).to_have_count(0)


def test_composer_grows_with_the_text_and_shrinks_again(open_page):
    """A long message is written in view, and the field has an end."""
    page = open_page()
    height = "(el) => el.getBoundingClientRect().height"
    small = composer(page).evaluate(height)

    composer(page).fill("line\n" * 4)
    grown = composer(page).evaluate(height)
    composer(page).fill("line\n" * 60)
    largest = composer(page).evaluate(height)
    composer(page).fill("")

    assert small < grown < largest <= 240
    assert composer(page).evaluate(height) == small


def test_markup_in_a_message_is_text(open_page, service):
    """A stranger's message, or a model's, cannot put anything into the page."""
    page = open_page()
    nasty = '<img src=x onerror="document.title=1"><b>bold</b> &amp; <script>1</script>'

    ask_and_get_answer(page, nasty)
    agent_says(service, page, nasty)

    expect(bubbles(page, "user")).to_have_text(nasty)
    expect(bubbles(page, "agent")).to_have_text(nasty)
    expect(page.locator(".bubble :not(a, i)")).to_have_count(0)


def test_addresses_are_links_that_give_nothing_away(open_page, service):
    """Only http and https, in a new tab, without opener or referrer."""
    page = open_page()
    ask_and_get_answer(page)

    agent_says(service, page, "See https://a.example/b. Not javascript:alert(1)")

    link = bubbles(page, "agent").get_by_role("link")
    expect(link).to_have_count(1)
    expect(link).to_have_text("https://a.example/b")
    expect(link).to_have_attribute("href", "https://a.example/b")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(link).to_have_attribute("target", "_blank")


def test_refused_message_can_be_sent_again(open_page):
    """What could not be sent is not lost, and says why."""
    page = open_page()
    refuse_messages(page)
    say(page, "Hi")
    expect(page.get_by_text("Not sent. The message is too long.")).to_be_visible()

    page.unroute("**/conversations/*/messages")
    button(page, "Retry").click()

    expect(bubbles(page, "ai")).to_have_count(1)
    expect(bubbles(page, "user")).to_have_count(1)
    expect(button(page, "Retry")).to_be_hidden()


def test_refused_message_can_be_edited(open_page):
    """The text goes back to where it was written."""
    page = open_page()
    refuse_messages(page)
    say(page, "Hi")

    button(page, "Edit").click()

    expect(bubbles(page)).to_have_count(0)
    expect(composer(page)).to_have_value("Hi")
    expect(composer(page)).to_be_focused()


def test_message_written_offline_goes_out_later(open_page):
    """A tunnel is not the end of a conversation."""
    page = open_page()
    ask_and_get_answer(page)

    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_have_text("You are offline")
    say(page, "I am in a tunnel")
    expect(page.get_by_text("Waiting for the connection")).to_be_visible()
    page.context.set_offline(False)

    expect(page.get_by_role("status")).to_have_text("Connected")
    expect(bubbles(page, "ai")).to_have_count(2)
    expect(bubbles(page, "user")).to_have_count(2)


def test_lost_server_is_seen_and_found_again(open_page):
    """A restart of the service heals by itself, and nothing is lost in it."""
    page = open_page()
    ask_and_get_answer(page)

    page.route("**/*", lambda route: route.abort())
    say(page, "Are you there?")
    expect(page.get_by_role("status")).to_have_text("Reconnecting…")
    expect(page.get_by_text("Waiting for the connection")).to_be_visible()
    page.unroute("**/*")

    expect(page.get_by_role("status")).to_have_text("Connected")
    expect(bubbles(page, "ai")).to_have_count(2)
    expect(bubbles(page, "user")).to_have_count(2)


def test_chat_that_the_server_forgot_starts_over(open_page):
    """After a reset of the database nobody is stuck with a dead page."""
    page = open_page()
    page.evaluate(
        """() => localStorage.setItem('chatwoot-bot.chat',
            JSON.stringify({ id: 'c_forgotten', token: 'old' }))"""
    )

    page.reload()

    expect(bubbles(page, "system")).to_contain_text("no longer on the server")
    ask_and_get_answer(page)


def test_page_works_without_storage(open_page):
    """A private window that forbids storage still chats, until it is closed."""
    page = open_page()
    page.add_init_script(
        """Object.defineProperty(window, 'localStorage', {
            get() { throw new DOMException('denied', 'SecurityError'); },
        });"""
    )
    page.reload()

    expect(page.get_by_role("status")).to_have_text("Connected")
    ask_and_get_answer(page)


def test_new_message_does_not_take_the_readers_place(open_page, service):
    """Who reads further up is told, and jumps when they want to."""
    page = open_page()
    ask_and_get_answer(page)
    for number in range(30):
        agent_says(service, page, f"message {number}")
    expect(bubbles(page, "agent").last).to_be_in_viewport()

    scroller = chat(page).get_by_role("log")
    scroller.hover()
    page.mouse.wheel(0, -600)
    expect(button(page, "Newest messages")).to_be_visible()
    place = scroller.evaluate("(el) => el.scrollTop")
    agent_says(service, page, "one more")
    expect(button(page, "1 new message")).to_be_visible()
    assert scroller.evaluate("(el) => el.scrollTop") == place
    button(page, "1 new message").click()

    expect(bubbles(page, "agent").last).to_have_text("one more")
    expect(bubbles(page, "agent").last).to_be_in_viewport()
    expect(chat(page).locator(".jump")).to_be_hidden()


def test_answer_being_written_does_not_take_the_readers_place(open_page, service):
    """Word after word comes in below; the reader is further up."""
    page = open_page()
    lines = []

    def listen_in(line):
        line.connect_to_server()
        lines.append(line)

    page.route_web_socket(re.compile("/ws/conversations/"), listen_in)
    page.reload()
    expect(page.get_by_role("status")).to_have_text("Connected")
    ask_and_get_answer(page)
    for number in range(30):
        agent_says(service, page, f"message {number}")
    expect(bubbles(page, "agent").last).to_be_in_viewport()
    scroller = chat(page).get_by_role("log")
    scroller.hover()
    page.mouse.wheel(0, -600)
    expect(button(page, "Newest messages")).to_be_visible()
    place = scroller.evaluate("(el) => el.scrollTop")

    for text in ("Your ", "parcel ", "is here."):
        body = {"conversation_id": "c", "turn_id": "t_1", "text": text}
        lines[-1].send(json.dumps({"event": "REPLY_CHUNK", "body": body}))

    expect(bubbles(page, "ai").last).to_have_text("Your parcel is here.")
    assert scroller.evaluate("(el) => el.scrollTop") == place


def test_long_chat_opens_at_the_end_and_reads_on_at_the_top(open_page, service):
    """A chat of any length is on the screen at once."""
    page = open_page()
    ask_and_get_answer(page)
    for number in range(70):
        agent_says(service, page, f"message {number}")

    page.reload()
    expect(bubbles(page, "agent").last).to_have_text("message 69")
    expect(bubbles(page, "agent").last).to_be_in_viewport()
    expect(bubbles(page)).to_have_count(50)
    expect(bubbles(page, "user")).to_have_count(0)
    chat(page).get_by_role("log").hover()
    page.mouse.wheel(0, -20_000)

    expect(bubbles(page, "user")).to_have_text("Hi")
    expect(button(chat(page), "Show earlier messages")).to_be_hidden()


def test_message_of_another_tab_appears_once(open_page):
    """Two tabs are one conversation."""
    page = open_page()
    ask_and_get_answer(page)
    second = page.context.new_page()
    second.goto(page.url)
    expect(bubbles(second)).to_have_count(2)

    ask_and_get_answer(second, "From the other tab")

    expect(bubbles(page)).to_have_text(bubbles(second).all_text_contents())


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_scrolls_sideways(open_page, service, width):
    """Small screens, and words that have no place to break."""
    page = open_page(viewport={"width": width, "height": 640})
    assert has_no_sideways_scroll(page)

    ask_and_get_answer(page, "W" * 300)
    agent_says(service, page, "https://a.example/" + "path/" * 60)
    expect(bubbles(page, "agent")).to_be_visible()
    button(page, "Human Mode: OFF").click()
    expect(page.locator(".state-banner .box")).to_be_visible()

    assert has_no_sideways_scroll(page)


@pytest.mark.parametrize("width", [320, 1280])
def test_every_control_is_large_enough_for_a_finger(open_page, width):
    """44 pixels each way."""
    page = open_page(viewport={"width": width, "height": 700})
    refuse_messages(page)
    say(page, "Hi")
    expect(button(page, "Retry")).to_be_visible()
    button(page, "Talk to a human").click()
    expect(button(page, "Back to the bot")).to_be_visible()

    assert too_small(page) == []


def test_page_does_not_jump_while_it_loads(open_page):
    """What arrives late has its place kept."""
    page = open_page()
    page.add_init_script(
        """window.jumped = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) {
                if (!entry.hadRecentInput) window.jumped += entry.value;
            }
        }).observe({ type: 'layout-shift', buffered: true });"""
    )

    page.reload()
    expect(page.get_by_role("status")).to_have_text("Connected")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada")

    assert page.evaluate("window.jumped") < 0.01


def test_reduced_motion_is_respected(open_page):
    """Somebody asked their system for stillness."""
    page = open_page(reduced_motion="reduce")

    ask_and_get_answer(page)

    assert page.evaluate("document.getAnimations().length") == 0


def test_page_is_quiet_and_stays_at_home(open_page, seen, service):
    """A clean console, one host, and a policy that would stop anything else."""
    page = open_page()
    ask_and_get_answer(page)
    button(page, "Talk to a human").click()
    expect(page.get_by_text("Waiting for a human…")).to_be_visible()

    policy = page.request.get(service.url).headers["content-security-policy"]

    assert seen.console == []
    assert all(url.startswith(service.url) for url in seen.requests)
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_looks(open_page, service, theme, width):
    """The states a person should look at, in both themes and at both widths."""
    options = PHONE if width == 390 else {}
    page = open_page(color_scheme=theme, device_scale_factor=2, **options)
    name = f"{width}-{theme}"
    shot(page, f"empty-{name}")

    ask_and_get_answer(page, "Hi! What can you help me with?")
    ask_and_get_answer(page, "Where is my order?")
    shot(page, f"answered-{name}")
    button(page, "Talk to a human").click()
    expect(page.get_by_text("Waiting for a human…")).to_be_visible()
    expect(bubbles(page, "ai")).to_have_count(3)
    shot(page, f"waiting-{name}")
    agent_says(service, page, "Hello, this is Mia. Your parcel arrives tomorrow.")
    expect(page.get_by_text("You are talking with a human.")).to_be_visible()
    shot(page, f"human-{name}")
    button(page, "Human Mode: OFF").click()
    expect(button(page, "Human Mode: ON")).to_be_visible()
    refuse_messages(page)
    say(page, "Thank you, Mia!")
    expect(button(page, "Retry")).to_be_visible()
    shot(page, f"failed-{name}")

    assert has_no_sideways_scroll(page)
