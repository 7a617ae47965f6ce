"""What models are told: one file for each text, word for word as a model reads it.

`docs/explanation/prompt.md` gives the reason of each line. A line holds one sentence
or one rule.
Names in braces are filled in by the code that uses the text.
"""

from functools import cache
from importlib import resources


@cache
def text(name: str) -> str:
    """Return the text in ``<name>.md``, without white space around it."""
    file = resources.files(__package__).joinpath(f"{name}.md")
    return file.read_text("utf-8").strip()


def rules(name: str) -> tuple[str, ...]:
    """Return a text that is a list of rules, without their dashes."""
    return tuple(line.removeprefix("- ") for line in text(name).splitlines())
