"""Quote the passage that a search has found, with its source."""

from typing import NamedTuple

from ..core.sentences import full_sentences
from ..tools.toolbox import Toolbox
from .search import NAME as SEARCH_SHOP
from .using import offers, use

SEARCH_KNOWLEDGE = "search_knowledge"
MAX_QUERY = 500
# Of a passage: what a contact reads in a chat.
MAX_QUOTED = 600


class Quote(NamedTuple):
    """What a document says, and which one."""

    text: str
    source: str


def quotes_shop(toolbox: Toolbox | None) -> bool:
    """Return whether the invented shop's documents are what there is to quote."""
    return offers(toolbox, SEARCH_SHOP)


async def quote(question: str, toolbox: Toolbox | None) -> Quote | None:
    """Return what the documents say of *question*; None for nothing."""
    query = " ".join(question[:MAX_QUERY].split())
    if toolbox is None or len(query) < 2:
        return None
    for name in (SEARCH_KNOWLEDGE, SEARCH_SHOP):
        if offers(toolbox, name):
            return _first_passage((await use(toolbox, name, query=query)).text)
    return None


def _first_passage(told: str) -> Quote | None:
    """Return the best passage of what the search tells a model; see its `PASSAGE`."""
    _, begins, rest = told.partition("<passage number=")
    head, _, text = rest.partition("\n</passage>")[0].partition("\n\n")
    named = dict(line.partition(": ")[::2] for line in head.splitlines())
    if not begins or "Title" not in named:
        return None
    source = ", ".join(filter(None, (named["Title"], named.get("Link"))))
    return Quote(_shortened(text), source)


def _shortened(text: str) -> str:
    if len(text) <= MAX_QUOTED:
        return text
    return full_sentences(text[:MAX_QUOTED]) or f"{text[: MAX_QUOTED - 1]}…"
