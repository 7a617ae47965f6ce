"""Take out of Markdown what only a page needs: jumps, their targets, rules, comments.

In a passage they say nothing, and a link into the page leads nowhere for a contact.
Code stays as it is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

TARGET = re.compile(r"<a\s{1,3}(?:id|name)=[^<>]{1,200}>(?:\s?</a>)?", re.IGNORECASE)
JUMP = re.compile(r"\[([^\[\]\n]{1,300})\]\(#[^()\s]{0,300}\)")
# What makers of pages replace by a table of contents.
CONTENTS = frozenset({"[toc]", "[[_toc_]]", "{:toc}"})
ITEM = re.compile(
    r"(?:[-*+]|\d{1,4}[.)])\s{1,4}\[[^\[\]\n]{1,300}\]\(#[^()\s]{0,300}\)"
)
LISTS = ("bullet_list_open", "ordered_list_open")
CODE = ("fence", "code_block")


def without_noise(lines: Sequence[str], tokens: "Sequence[Token]") -> list[str]:
    """Return *lines*, as many as before, with the noise blanked.

    Args:
        tokens: of the whole text.
    """
    cleaned = list(lines)
    for token in tokens:
        start, end = token.map or (0, 0)
        if token.type == "hr" or _is_contents(token, lines[start:end]):
            cleaned[start:end] = ["\n"] * (end - start)
    code = set(_code(tokens))
    return [
        line if number in code else _plain(line) for number, line in enumerate(cleaned)
    ]


def _code(tokens: "Sequence[Token]") -> Iterator[int]:
    for token in tokens:
        if token.type in CODE and token.map:
            yield from range(*token.map)


def _is_contents(token: "Token", lines: Sequence[str]) -> bool:
    """Return whether a list, or a comment, tells nothing but where to jump."""
    if token.type in LISTS:
        said = [line.strip() for line in lines if line.strip()]
        return bool(said) and all(ITEM.fullmatch(line) for line in said)
    text = token.content.strip()
    return (
        token.type == "html_block"
        and text.startswith("<!--")
        and (text.endswith("-->") and text.count("-->") == 1)
    )


def _plain(line: str) -> str:
    if line.strip().lower() in CONTENTS:
        return "\n"
    return JUMP.sub(r"\1", TARGET.sub("", line))
