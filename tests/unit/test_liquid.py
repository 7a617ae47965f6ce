"""What Chatwoot's template language finds in a text of ours: nothing, ever."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from liquid import Environment

from chatwoot_bot.core.transcript import escape_liquid
from chatwoot_bot.simulator.liquid import render

JOINER = "\u2060"
KNOWN = {"contact.name": "Eve Example", "contact.email": "ann@example.com"}
PIECES = [
    *("{", "}", "%", "`", "```", "``", "~~~", "\\", "-", " ", "\n", "\n\n    ", JOINER),
    *("{{", "}}", "{%", "%}", "{%-", "-%}", "{{-", "{#", "#}"),
    *("raw", "endraw", "{% raw %}", "{% endraw %}", "{%endraw%}", "{%- endraw -%}"),
    *("contact.name", "{{contact.email}}", "{% for i in (1..3) %}", "{% endfor %}"),
    *(
        "{% if x %}",
        "{% comment %}",
        "{% liquid\necho contact.email\n%}",
        "|",
        "'",
        '"',
    ),
]
TEXTS = st.lists(
    st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=25
).map("".join)


def by_python_liquid(text):
    """Render *text* as Chatwoot does: code spans in `raw`, then Liquid.

    Chatwoot keeps a text that Liquid cannot parse as it is. Here that raises: what is
    escaped must not depend on being broken.
    """
    wrapped = re.sub(r"`(.*?)`", r"{% raw %}`\1`{% endraw %}", text, flags=re.DOTALL)
    contact = {"name": "Eve Example", "email": "ann@example.com"}
    return Environment().from_string(wrapped).render(contact=contact)


def by_the_simulator(text):
    return render(text, KNOWN)


RENDERERS = pytest.mark.parametrize("rendered", [by_python_liquid, by_the_simulator])


@RENDERERS
@given(text=TEXTS)
@example(text="`{% endraw %}{{contact.email}}{% raw %}`")
@example(text="```a`b{{contact.email}}c```")
@example(text="``{{contact.email}}``")
@example(text="~~~\n{{contact.email}}\n~~~")
@example(text="    {{contact.email}}")
@example(text="{`x` {`{{contact.email}}`}}")
@example(text="{`contact.email}}")
@settings(max_examples=300, deadline=None)
def test_escaped_text_is_rendered_as_it_was_written(rendered, text):
    """Neither the company's data nor a loop: the text, but for what shows nothing."""
    shown = rendered(escape_liquid(text))

    assert shown.replace(JOINER, "") == text.replace(JOINER, "")


@RENDERERS
def test_text_that_is_not_escaped_is_executed(rendered):
    """Or the tests above would prove nothing."""
    breakout = "`{% endraw %}{{contact.email}}{% raw %}`"

    assert "ann@example.com" in rendered(breakout)
