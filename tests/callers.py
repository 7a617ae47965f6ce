"""Calls of tools as the toolbox makes them, for contacts of the web chat."""

import itertools

from chatwoot_bot.core.conversation import Conversation, State
from chatwoot_bot.store import chat
from chatwoot_bot.tools.base import Call, ToolError

keys = itertools.count(1)


class Caller:
    """A model that speaks with one contact, and calls its tools."""

    def __init__(self, tools, conversation_id, *, now):
        self.tools = {tool.name: tool for tool in tools}
        self.conversation_id = conversation_id
        self.now = now
        self.transcript = ()

    async def call(self, name, /, *, key=None, **arguments):
        """Call a tool as JSON has it; a key that was used before is a repeat."""
        tool = self.tools[name]
        call = Call(
            key=key or f"k_{next(keys)}",
            conversation=Conversation(
                id=self.conversation_id, channel="web", state=State.AI
            ),
            transcript=self.transcript,
            now=self.now,
        )
        return await tool.run(tool.arguments.model_validate(arguments), call)

    async def refused(self, name, /, **arguments):
        """Call a tool that cannot do it; return its words."""
        try:
            result = await self.call(name, **arguments)
        except ToolError as error:
            return str(error)
        raise AssertionError(f"{name} did it: {result.text}")


async def begun(db, *, user_id=None, visitor=None, now=1_000.0):
    """A conversation of the web chat; return its row."""
    return await db.write(
        chat.create, user_id=user_id, name=None, visitor=visitor, now=now
    )
