"""What models are told: each sentence is reviewed, and has its reason in the docs."""

import re
import string
from importlib import resources
from pathlib import Path

import pytest

from chatwoot_bot import texts
from chatwoot_bot.core.prompt import BUILT_IN, system_prompt
from chatwoot_bot.language import languages
from chatwoot_bot.settings import Settings
from chatwoot_bot.wording import NAMES

NAMED = sorted(
    file.name.removesuffix(".md")
    for file in resources.files(texts).iterdir()
    if file.name.endswith(".md")
)
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "prompt.md"
DOCS = PAGE.read_text("utf-8")
FIELDS = {
    "company": {"company"},
    "found": {"number", "query"},
    "found_nothing_languages": {"languages"},
    "prompt": {"name"},
    "rules": {"mark"},
    "summary": {"language"},
}


@pytest.mark.parametrize("name", NAMED)
def test_each_line_of_a_text_has_its_reason_in_the_documentation(name):
    """A sentence whose reason no one knows is never taken out again."""
    reasons = dict(re.findall(r"^\| (.+?) \| (.+) \|$", DOCS, re.MULTILINE))

    for line in texts.text(name).splitlines():
        assert reasons[line.removeprefix("- ")].strip()


@pytest.mark.parametrize("name", NAMED)
def test_text_names_only_what_is_filled_in(name):
    parts = string.Formatter().parse(texts.text(name))
    assert {field for _, field, _, _ in parts if field} == FIELDS.get(name, set())


def test_prompt_says_when_to_call_a_person_and_what_may_be_told():
    told = system_prompt("You are Ada.", ())

    assert "never tell the contact to write to or ask a colleague" in told
    assert "You cannot look into orders or accounts unless a tool does it." in told
    assert "you may always say what you can help with" in told
    assert "WhatsApp or SMS, write plain text: no Markdown, no headings" in told
    assert len(BUILT_IN) == len(texts.text("rules").splitlines())


@pytest.mark.parametrize("prompt", [{}, {"SYSTEM_PROMPT": "You are Ada."}])
def test_company_stands_in_the_first_line_of_every_prompt(prompt):
    """Or the model does not know what is off topic."""
    told = Settings.load({"COMPANY_NAME": "Velo {Ghent}", **prompt}).prompt()

    first, second, *_ = told.splitlines()
    assert first == "This is the support chat of Velo {Ghent}."
    assert second.startswith("Help with what concerns Velo {Ghent}")
    assert told.endswith(Settings.load(prompt).prompt())


def test_language_of_agents_has_a_name_for_the_model():
    assert NAMES.keys() == languages().keys()
