"""What a contact reads while the model does not answer."""

import pytest
from factories import assignment, message

from chatwoot_bot.language import languages
from chatwoot_bot.responders.apology import ApologyResponder

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "code"),
    [("Where is my order?", "en"), ("Wo ist meine Bestellung?", "de"), ("", "en")],
)
async def test_it_says_in_the_contacts_language_that_it_cannot_look_it_up(text, code):
    """And not that it were a demo."""
    answer = await ApologyResponder().respond(assignment([message(text)]))

    assert answer.text == languages()[code].no_model
    assert "demo" not in answer.text


async def test_it_speaks_no_language_that_the_bot_does_not():
    answer = await ApologyResponder(["fr"]).respond(assignment([message("Hello you")]))

    assert answer.text == languages()["fr"].no_model
