"""A visitor and an agent, each in a browser of their own, over the real service."""

import re

import pytest
from pages import button, has_no_sideways_scroll, shot, too_small
from playwright.sync_api import Locator, Page, expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
TOKEN = "a-token-that-only-agents-have"


def visitor(page: Page) -> Locator:
    return page.locator("#chat")


def desk(page: Page) -> Locator:
    return page.locator(".agent-console")


def bubbles(panel: Page | Locator, sender: str = "") -> Locator:
    kind = f".-{sender}" if sender else ""
    return panel.locator(f"ol .message{kind} .bubble")


def ask(page: Page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")


def reply(page: Page, text: str) -> None:
    page.get_by_label("Your answer").fill(text)
    page.get_by_label("Your answer").press("Enter")


def is_written(*places: Page | Locator) -> None:
    """Wait until the answers there are written to their end."""
    for place in places:
        expect(place.locator(".message[aria-busy=true]")).to_have_count(0)


def rows(page: Page) -> Locator:
    return page.get_by_role("option")


def row_of(agent: Page, page: Page) -> Locator:
    """The visitor's conversation in the agent's list, wherever it stands."""
    chat = page.evaluate("JSON.parse(localStorage.getItem('chatwoot-bot.chat'))")
    return agent.locator(f"[data-key='{chat['id']}']")


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("option").filter(has_text=name)


@pytest.fixture
def both(open_page):
    """A visitor who has been answered, and an agent who reads along."""
    page = open_page()
    ask(page, "Hi")
    expect(bubbles(visitor(page), "ai")).to_have_count(1)
    agent = open_page(path="/console")
    row_of(agent, page).click()
    expect(bubbles(agent, "ai")).to_have_count(1)
    is_written(page, agent)
    return page, agent


def test_conversation_is_live_for_the_agent(both):
    """Both see the same words, in every state, without a reload."""
    page, agent = both

    ask(page, "Where is my order?")

    expect(bubbles(agent, "user")).to_have_text(["Hi", "Where is my order?"])
    expect(bubbles(agent, "ai")).to_have_count(2)
    expect(bubbles(visitor(page), "ai")).to_have_count(2)
    is_written(page, agent)
    assert (
        bubbles(agent).all_text_contents() == bubbles(visitor(page)).all_text_contents()
    )


def test_handover_there_and_back(both):
    """Ask for a human, get one, and be given back to the bot."""
    page, agent = both

    button(page, "Talk to a human").click()
    expect(row_of(agent, page).locator(".badge")).to_have_text("Waiting")
    expect(agent.locator("[aria-live]").first).to_contain_text("is waiting for a human")
    button(agent, "Take over").click()
    expect(page.get_by_text("You are talking with a human.")).to_be_visible()
    reply(agent, "Hello, this is Mia.")
    expect(bubbles(visitor(page), "agent")).to_have_text("Hello, this is Mia.")
    ask(page, "Hi Mia")
    expect(bubbles(agent, "user").last).to_have_text("Hi Mia")
    answers = bubbles(visitor(page), "ai").count()

    button(agent, "Give back to bot").click()
    expect(row_of(agent, page).locator(".badge")).to_have_text("AI")
    expect(page.get_by_text("You are back with the bot.")).to_be_visible()
    ask(page, "And you, bot?")

    expect(bubbles(visitor(page), "ai")).to_have_count(answers + 1)


def test_writing_while_the_bot_holds_it_offers_to_take_over(both):
    """An agent never talks over the bot by accident."""
    page, agent = both

    reply(agent, "Let me help.")
    offer = button(agent, "Take over and send")
    expect(offer).to_be_focused()
    expect(bubbles(visitor(page), "agent")).to_have_count(0)
    agent.keyboard.press("Enter")

    expect(bubbles(visitor(page), "agent")).to_have_text("Let me help.")
    expect(row_of(agent, page).locator(".badge")).to_have_text("Human")
    expect(agent.get_by_label("Your answer")).to_have_value("")
    expect(agent.get_by_label("Your answer")).to_be_focused()


def test_offer_can_be_declined_without_losing_the_words(both):
    """Cancel means cancel."""
    page, agent = both
    reply(agent, "Let me help.")

    button(agent, "Cancel").click()

    expect(agent.get_by_label("Your answer")).to_have_value("Let me help.")
    expect(bubbles(visitor(page), "agent")).to_have_count(0)


def test_agent_edits_and_deletes_what_they_said(both):
    """A slip is put right in front of the visitor's eyes, and says so."""
    page, agent = both
    button(agent, "Take over").click()
    reply(agent, "Helo")
    expect(bubbles(visitor(page), "agent")).to_have_text("Helo")

    message = agent.locator("ol .message.-agent").first
    message.hover()
    message.get_by_role("button", name="Edit").click()
    expect(agent.get_by_label("Your answer")).to_have_value("Helo")
    reply(agent, "Hello")
    expect(bubbles(visitor(page), "agent")).to_have_text("Hello")
    expect(visitor(page).locator(".message.-agent time")).to_contain_text("edited")
    message.hover()
    message.get_by_role("button", name="Delete").click()
    button(agent.locator(".desk-bar"), "Delete").click()

    expect(bubbles(visitor(page), "agent")).to_have_text("This message was deleted.")
    expect(bubbles(agent, "agent")).to_have_text("This message was deleted.")


def test_resolve_gives_the_next_question_to_the_bot(both):
    """What comes after the end is a new request."""
    page, agent = both
    button(agent, "Take over").click()
    expect(page.get_by_text("You are talking with a human.")).to_be_visible()

    button(agent, "Resolve").click()
    expect(row_of(agent, page).locator(".badge")).to_have_text("AI")
    ask(page, "One more thing")

    expect(bubbles(visitor(page), "ai")).to_have_count(2)


def test_both_see_who_is_typing(both):
    """Somebody is there."""
    page, agent = both
    button(agent, "Take over").click()
    expect(page.get_by_text("You are talking with a human.")).to_be_visible()

    agent.get_by_label("Your answer").press_sequentially("Hello")
    expect(visitor(page).get_by_text("Human Agent is typing…")).to_be_visible()
    agent.get_by_label("Your answer").fill("")
    expect(visitor(page).get_by_text("is typing…")).to_be_hidden()
    page.get_by_label("Your message").press_sequentially("Hello")

    expect(agent.locator(".typing .sender")).to_be_visible()


def test_agent_sees_whether_the_visitor_is_there(both):
    """Nobody answers into an empty room without knowing."""
    page, agent = both
    expect(agent.locator(".presence")).to_contain_text("online")

    page.close()

    expect(agent.locator(".presence")).to_contain_text("away")


def test_why_panel_explains_an_answer(both):
    """Decision, reason, model and delivery of exactly this answer."""
    _, agent = both

    message = agent.locator("ol .message.-ai").first
    message.hover()
    message.get_by_role("button", name="Why did the bot say this?").click()
    panel = agent.locator(".why-panel")
    expect(panel.locator("details[open]")).to_have_count(1)
    expect(panel.locator("details[open]")).to_contain_text("Answered the message")
    expect(panel.locator("details[open] dl")).to_contain_text("Tokens")
    agent.keyboard.press("Escape")

    expect(panel).to_be_hidden()
    expect(message.get_by_role("button")).to_be_focused()


def test_why_panel_shows_what_the_model_called_read_and_cost(both):
    _, agent = both
    call = {"name": "find_order", "arguments": {"number": "R-1"}, "result": "Sent."}
    record = {
        "tokens": 12_345,
        "cost": 0.00123,
        "tools": [
            call | {"ok": True, "ms": 120},
            call | {"ok": False, "ms": 2_300, "result": "There is no such order."},
        ],
        "sources": [
            {"title": "Returns", "url": "https://shop.example/returns"},
            {"title": "Trap", "url": "javascript:alert(1)"},
            {"title": "By hand", "url": None},
        ],
    }

    def with_record(route):
        body = route.fetch().json()
        body["items"][0] |= record
        route.fulfill(json=body)

    agent.route("**/turns", with_record)
    button(agent, "Why: decisions of the bot").click()
    turn = agent.locator(".why-panel details[open]")

    expect(turn.locator("dl")).to_contain_text("12,345")
    expect(turn.locator("dl")).to_contain_text("$0.0012")
    expect(turn.locator(".tool").first).to_contain_text("Done · 120 ms")
    expect(turn.locator(".tool").last).to_contain_text("Failed · 2.3 s")
    expect(turn.get_by_role("link")).to_have_count(1)
    expect(turn.get_by_role("link")).to_have_attribute(
        "href", "https://shop.example/returns"
    )
    shot(agent, "console-why-tools")


def test_strip_tells_what_the_model_has_taken_today(open_page):
    """Nothing before its first answer: a demo without a model has no such line."""
    page = open_page(path="/console")
    expect(page.locator(".health-strip .-queue")).to_contain_text("Queue: 0")
    expect(page.locator(".health-strip .-today")).to_be_hidden()

    def with_figures(route):
        body = route.fetch().json()
        body["today"] = {"tokens": 12_345, "cost": 0.125}
        route.fulfill(json=body)

    page.route("**/stats*", with_figures)
    page.reload()

    today = page.locator(".health-strip .-today")
    expect(today).to_have_text("Today: 12,345 tokens · $0.13")
    shot(page, "console-today")


def test_list_is_walked_by_keyboard(open_page, service):
    """Up and down, and the conversation follows."""
    for name in ("Keyboard one", "Keyboard two", "Keyboard three"):
        service.visitor_says("Hi", name=name)
    agent = open_page(path="/console")
    agent.get_by_label("Search conversations").fill("keyboard")
    expect(rows(agent)).to_have_count(3)

    agent.keyboard.press("ArrowDown")
    expect(agent.get_by_role("heading", level=2)).to_have_text("Keyboard three")
    agent.keyboard.press("ArrowDown")
    agent.keyboard.press("ArrowDown")
    agent.keyboard.press("ArrowDown")
    expect(agent.get_by_role("heading", level=2)).to_have_text("Keyboard one")
    agent.keyboard.press("ArrowUp")
    expect(rows(agent).nth(1)).to_be_focused()

    expect(rows(agent).nth(1)).to_have_attribute("aria-selected", "true")
    expect(agent.get_by_role("heading", level=2)).to_have_text("Keyboard two")
    expect(bubbles(agent, "user")).to_have_text("Hi")


def test_whole_handover_by_keyboard(both):
    """Take over, answer and give back without a mouse."""
    page, agent = both
    button(agent, "Take over").focus()

    agent.keyboard.press("Enter")
    expect(button(agent, "Give back to bot")).to_be_focused()
    agent.get_by_label("Your answer").focus()
    agent.keyboard.type("Hello")
    agent.keyboard.press("Enter")
    expect(bubbles(visitor(page), "agent")).to_have_text("Hello")
    button(agent, "Give back to bot").focus()
    agent.keyboard.press("Enter")

    expect(page.get_by_text("You are back with the bot.")).to_be_visible()


def test_waiting_ones_come_first_and_can_be_filtered(open_page, service):
    """Whoever waits is seen before whoever is served."""
    waiting = service.visitor_says("I want a human", name="Waits")
    service.visitor_says("Hi", name="Is served")
    agent = open_page(path="/console")

    expect(row(agent, "Waits").locator(".badge")).to_have_text("Waiting")
    states = rows(agent).locator(".badge").all_text_contents()
    assert states == sorted(states, key=lambda state: state != "Waiting")
    agent.locator(".filter", has_text="Waiting").click()
    expect(row(agent, "Is served")).to_have_count(0)
    expect(row(agent, "Waits")).to_be_visible()
    service.call(f"/conversations/{waiting}/release", {})

    expect(row(agent, "Waits")).to_have_count(0)


def test_half_written_answer_is_there_when_the_agent_comes_back(open_page, service):
    """Another visitor cannot wait; the words for the first are not lost."""
    for name in ("First draft", "Second draft"):
        chat = service.visitor_says("Hi", name=name)
        service.call(f"/conversations/{chat}/takeover", {})
    agent = open_page(path="/console")
    row(agent, "First draft").click()
    agent.get_by_label("Your answer").fill("I have looked it up and")
    row(agent, "Second draft").click()
    expect(agent.get_by_label("Your answer")).to_have_value("")
    reply(agent, "One moment.")
    expect(bubbles(agent, "agent")).to_have_text("One moment.")
    row(agent, "First draft").click()

    expect(agent.get_by_label("Your answer")).to_have_value("I have looked it up and")


def test_search_finds_names_and_words(open_page, service):
    """One field for both."""
    service.visitor_says("About the blue teapot", name="Ursula")
    agent = open_page(path="/console")
    expect(row(agent, "Ursula")).to_be_visible()

    agent.get_by_label("Search conversations").fill("ursu")
    expect(rows(agent)).to_have_count(1)
    agent.get_by_label("Search conversations").fill("no such words")

    expect(rows(agent)).to_have_count(0)
    expect(agent.get_by_text("No conversation matches.")).to_be_visible()


def test_unread_is_counted_until_somebody_looks(open_page, service):
    """What came while another chat was open is not overlooked."""
    conversation = service.visitor_says("a human please", name="Counted")
    agent = open_page(path="/console")
    page = open_page()
    ask(page, "human")
    expect(visitor(page).get_by_text("Waiting for a human…")).to_be_visible()
    row(agent, "Counted").click()
    mine = row_of(agent, page)
    expect(mine.locator(".badge")).to_have_text("Waiting")

    ask(page, "Hello?")
    ask(page, "Anybody?")
    expect(mine.locator(".unread")).to_have_text(re.compile("[23]"))
    mine.click()

    expect(mine.locator(".unread")).to_be_hidden()
    service.call(f"/conversations/{conversation}/release", {})


def test_console_survives_a_restart_of_the_service(open_page, serve):
    """Agents do not reload; what was said meanwhile is there."""
    service = serve()
    page = open_page(of=service)
    ask(page, "Hi")
    expect(bubbles(visitor(page), "ai")).to_have_count(1)
    agent = open_page(path="/console", of=service)
    row_of(agent, page).click()

    service.stop()
    expect(agent.get_by_role("status")).to_have_text("Reconnecting…")
    expect(page.get_by_role("status")).to_have_text("Reconnecting…")
    ask(page, "Written meanwhile")
    expect(page.get_by_text("Waiting for the connection")).to_be_visible()
    service.start()

    expect(agent.get_by_role("status")).to_have_text("Connected", timeout=20_000)
    expect(bubbles(agent, "user")).to_have_text(["Hi", "Written meanwhile"])
    expect(bubbles(visitor(page), "ai")).to_have_count(2)
    expect(bubbles(agent, "ai")).to_have_count(2)


def test_answer_written_offline_goes_out_later(both):
    """The agent's train has tunnels too."""
    page, agent = both
    button(agent, "Take over").click()
    expect(page.get_by_text("You are talking with a human.")).to_be_visible()

    agent.context.set_offline(True)
    reply(agent, "I am in a tunnel")
    expect(agent.get_by_text("Waiting for the connection")).to_be_visible()
    agent.context.set_offline(False)

    expect(bubbles(visitor(page), "agent")).to_have_text("I am in a tunnel")


def test_agents_sign_in_where_a_token_is_set(open_page, serve):
    """Strangers see a form and nothing else; a wrong token says so."""
    service = serve(ADMIN_TOKEN=TOKEN)
    agent = open_page(path="/console", of=service)

    agent.get_by_label("Token").fill("wrong")
    button(agent, "Sign in").click()
    expect(agent.get_by_role("alert")).to_contain_text("ADMIN_TOKEN")
    expect(rows(agent)).to_have_count(0)
    agent.get_by_label("Token").fill(TOKEN)
    button(agent, "Sign in").click()
    expect(agent.get_by_text("No conversations yet.")).to_be_visible()
    agent.reload()
    expect(agent.get_by_text("No conversations yet.")).to_be_visible()
    button(agent, "Sign out").click()

    expect(agent.get_by_label("Token")).to_be_visible()


def test_sign_in_link_opens_the_console_once(open_page, serve, seen):
    """As the terminal shows it; the code is in the address no longer than needed."""
    service = serve(PUBLIC_URL="http://127.0.0.1:9")
    log = (service.folder / "service.log").read_text()
    code = re.search(rf"{service.url}/console(#sign-in=\S+)", log).group(1)
    agent = open_page(path=f"/console{code}", of=service)
    expect(agent.get_by_text("No conversations yet.")).to_be_visible()
    expect(agent.get_by_text("mock")).to_be_visible()
    assert agent.url == f"{service.url}/console"

    other = open_page(path=f"/console{code}", of=service)
    expect(other.get_by_role("alert")).to_contain_text("works once")
    expect(other.get_by_label("Token")).to_be_visible()
    expect(other.get_by_text("mock")).to_be_hidden()
    assert other.url == f"{service.url}/console"


def test_visitor_of_a_protected_service_can_chat(open_page, serve):
    """The sign-in is the agents' affair."""
    service = serve(ADMIN_TOKEN=TOKEN)
    page = open_page(of=service)

    ask(page, "Hi")

    expect(bubbles(visitor(page), "ai")).to_have_count(1)
    expect(page.get_by_label("Token")).to_be_visible()


def test_demo_shows_both_sides_on_one_screen(open_page):
    """Left the visitor, right the agent: the handover can be watched."""
    page = open_page()
    ask(page, "Hi")
    expect(bubbles(visitor(page), "ai")).to_have_count(1)
    row_of(page, page).click()
    expect(bubbles(desk(page), "ai")).to_have_count(1)

    button(page, "Talk to a human").click()
    button(page, "Take over").click()
    expect(page.get_by_text("You are talking with a human.")).to_be_visible()
    reply(page, "Hello, this is Mia.")

    expect(bubbles(visitor(page), "agent")).to_have_text("Hello, this is Mia.")
    expect(bubbles(desk(page), "agent")).to_have_text("Hello, this is Mia.")


def test_list_stays_inside_its_panel_when_a_visitor_waits(open_page):
    """On a laptop the demo leaves the list little room; its border must stay seen."""
    page = open_page(viewport={"width": 1280, "height": 800})
    ask(page, "I want a human")
    expect(row_of(page, page).locator(".badge")).to_have_text("Waiting")

    listed = page.locator(".conversation-list")
    assert listed.evaluate("(each) => each.scrollWidth <= each.clientWidth")


def test_tabs_switch_sides_on_a_phone(open_page):
    """One side at a time; who waits is counted on the other side's tab."""
    page = open_page(**PHONE)
    ask(page, "Hi")
    expect(bubbles(visitor(page), "ai")).to_have_count(1)
    expect(desk(page)).to_be_hidden()
    button(page, "Talk to a human").click()
    expect(page.get_by_role("tab", name="Agent").locator(".count")).to_be_visible()

    page.get_by_role("tab", name="Visitor").focus()
    page.keyboard.press("ArrowRight")
    expect(visitor(page)).to_be_hidden()
    row_of(page, page).click()
    expect(bubbles(desk(page), "user")).to_have_text("Hi")
    assert has_no_sideways_scroll(page)
    button(page, "Back to the list").click()

    expect(row_of(page, page)).to_be_focused()


@pytest.mark.parametrize("width", [320, 1280])
def test_every_control_of_the_console_is_large_enough(open_page, service, width):
    """44 pixels each way, in the list and in a conversation."""
    service.visitor_says("Hi", name=f"Large {width}")
    agent = open_page(path="/console", viewport={"width": width, "height": 720})
    expect(row(agent, f"Large {width}")).to_be_visible()
    assert too_small(agent) == []

    row(agent, f"Large {width}").click()
    expect(bubbles(agent, "ai")).to_have_count(1)
    reply(agent, "Hello")
    expect(button(agent, "Take over and send")).to_be_visible()

    assert too_small(agent) == []
    assert has_no_sideways_scroll(agent)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_console_looks(open_page, serve, theme, width):
    """What a person should look at, in both themes and at both widths."""
    service = serve()
    for name, *texts in (
        ("Tom O'Brien", "Do you ship to Norway?"),
        ("Aiko Tanaka", "Hello", "What are your opening hours?"),
        ("Priya Nair", "Can I change the size of my order?"),
        ("Jonas Weber", "Thanks, that helped!"),
        ("Maria Lopez", "My parcel has not arrived.", "Can I talk to a human, please?"),
    ):
        service.visitor_says(*texts, name=name)
    options = PHONE if width == 390 else {}
    agent = open_page(path="/console", of=service, color_scheme=theme, **options)
    expect(row(agent, "Maria").locator(".badge")).to_have_text("Waiting")
    shot(agent, f"console-list-{width}-{theme}")
    row(agent, "Maria").click()
    button(agent, "Take over").click()
    reply(agent, "Hello Maria, this is Ben. Let me look into it.")
    expect(bubbles(agent, "agent")).to_have_count(1)
    expect(agent.get_by_text("Sent", exact=True)).to_be_visible()
    shot(agent, f"console-{width}-{theme}")
    button(agent, "Why: decisions of the bot").click()
    expect(agent.locator(".why-panel details[open]")).to_be_visible()
    shot(agent, f"console-why-{width}-{theme}")

    assert has_no_sideways_scroll(agent)
