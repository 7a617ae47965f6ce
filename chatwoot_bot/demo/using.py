"""How the demo uses the tools of a turn: through the same toolbox as a model."""

import json
from typing import Any, NamedTuple

from ..tools.toolbox import Toolbox


class Told(NamedTuple):
    """What a tool has told; `ok` unless it could not do it."""

    text: str
    ok: bool


def offers(toolbox: Toolbox | None, name: str) -> bool:
    """Return whether a tool may be called in this turn."""
    return toolbox is not None and any(tool.name == name for tool in toolbox.tools)


async def use(toolbox: Toolbox, tool: str, /, **arguments: Any) -> Told:
    """Call a tool that is offered."""
    text = await toolbox.call(tool, json.dumps(arguments, ensure_ascii=False))
    return Told(text, bool(toolbox.calls[-1]["ok"]))


class Said(NamedTuple):
    """What the demo answers.

    Attributes:
        options: quick replies besides the one that asks for a person; None for no
            quick replies at all.
    """

    text: str
    options: tuple[str, ...] | None = None
