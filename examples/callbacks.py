"""A tool of one's own, for the graph beside it: a list of people to call back."""

import asyncio
from pathlib import Path

from chatwoot_bot.tools import Call, tool


@tool(effect="once")
async def request_callback(topic: str, call: Call) -> str:
    """Put the contact on the list of those whom we call back.

    Args:
        topic: What the call will be about.
    """
    await asyncio.to_thread(_append, f"{call.conversation.id}: {topic}\n")
    return "They are on the list; somebody calls within a day."


def _append(line: str) -> None:
    with Path("callbacks.txt").open("a") as file:
        file.write(line)
