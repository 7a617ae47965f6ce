"""Markdown tables of texts that were not written for them."""

import re
from collections.abc import Iterable, Sequence

# As docstrings name an argument.
ARGUMENT = re.compile(r"\B\*(\w+)\*\B")
# Outside of code, these would be markup.
MARKUP = re.compile(r"([*<|\[\]])")


def plain(text: str) -> str:
    """Return *text* as it reads, except for `code`."""
    marked = ARGUMENT.sub(r"`\1`", " ".join(text.split()).replace("``", "`"))
    parts = re.split(r"(`[^`]*`)", marked)
    return "".join(_cell(part) for part in parts)


def _cell(part: str) -> str:
    if part.startswith("`"):
        return part.replace("|", "\\|")
    return MARKUP.sub(r"\\\1", part)


def code(text: object) -> str:
    """Return *text* as code for a cell."""
    return f"`{text}`".replace("|", "\\|") if str(text) else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or nothing without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    rule = f"|{'---|' * len(head)}"
    return "\n".join([f"| {' | '.join(head)} |", rule, *lines]) + "\n"
