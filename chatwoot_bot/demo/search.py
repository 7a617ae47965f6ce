"""`search_shop`: the demo looks up what its invented shop has written down."""

import asyncio
from collections.abc import Sequence

from ..knowledge.search import Passage
from ..tools.base import Call, Result, Tool
from ..tools.knowledge import Arguments, found
from .shop import pebblewick

NAME = "search_shop"
NOTHING = "None of the shop's documents answers this."


def search_shop(knowledge: Tool) -> Tool:
    """Return the tool that searches the shop, where there is nothing better.

    Args:
        knowledge: searches the operator's own documents, which take its place.
    """

    async def is_offered() -> bool:
        return knowledge.offered is not None and not await knowledge.offered()

    async def run(arguments: Arguments, call: Call) -> Result:
        # In a thread, because the first search reads the documents.
        passages = await asyncio.to_thread(_find, arguments.query)
        if not passages:
            return Result(text=NOTHING)
        return found(arguments.query, passages)

    return Tool(
        name=NAME,
        description="Search the documents of the demo's invented shop.",
        arguments=Arguments,
        run=run,
        offered=is_offered,
    )


def _find(question: str) -> Sequence[Passage]:
    return pebblewick().find(question, limit=1)
