"""Which tools a bot has: what the operator allows, and nothing else.

`TOOLS` names modules of the operator's own, and what is built in but not for every
bot. A call to a human is always there.
"""

from collections.abc import Iterable, Sequence

from ..errors import SettingsError
from .base import Tool
from .conversation import ADD_NOTE, ESCALATE, RESOLVE, SET_LABEL, set_label
from .operator import load

BUILT_IN = {tool.name: tool for tool in (RESOLVE, ADD_NOTE)}


def allowed(
    names: Sequence[str], *, labels: Sequence[str] = (), others: Iterable[Tool] = ()
) -> tuple[Tool, ...]:
    """Return the tools of a bot.

    Args:
        names: of `TOOLS`: modules, and names of `BUILT_IN`.
        labels: that the model may set.
        others: those that have settings of their own; one of the operator's own with
            the same name takes its place.

    Raises:
        SettingsError: a module cannot be used, two tools have the same name, or
            labels are missing.
    """
    if SET_LABEL in names and not labels:
        problem = f"set TOOL_LABELS to the labels that {SET_LABEL} may set"
        raise SettingsError({"TOOLS": problem})
    built_in = (*BUILT_IN, SET_LABEL)
    own = load([name for name in names if name not in built_in])
    replaced = {tool.name for tool in own}
    tools = [ESCALATE, *(tool for tool in others if tool.name not in replaced)]
    tools += [BUILT_IN[name] for name in names if name in BUILT_IN]
    if labels:
        tools.append(set_label(labels))
    tools += own
    known = set()
    for tool in tools:
        if tool.name in known:
            raise SettingsError({"TOOLS": f"there are two tools named {tool.name}"})
        known.add(tool.name)
    return tuple(tools)
