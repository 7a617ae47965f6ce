"""The operator's own tools: typed async functions with a docstring (`TOOLS`).

    # shop.py, with TOOLS=shop
    from chatwoot_bot.tools import tool

    @tool(effect="none")
    async def find_order(number: Annotated[str, Field(pattern="R-[0-9]+")]) -> str:
        '''Look an order up by the number on its invoice.'''

An `Args:` section explains parameters. One of the type `Call` gets the call itself.
What the function returns is told to the model: a text, what becomes JSON, or a
`Result`. Without the decorator a tool is taken to change something in the world.
"""

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, TypeVar, get_type_hints

import pydantic
from pydantic import Field

from ..errors import SettingsError
from ..imports import import_module
from .base import TIMEOUT_S, Call, Effect, Result, Tool

Function = TypeVar("Function", bound=Callable[..., Awaitable[Any]])


def tool(
    *, effect: Effect | str = Effect.ONCE, timeout_s: float = TIMEOUT_S
) -> Callable[[Function], Function]:
    """Say how a function may be called.

    Args:
        effect: ``none`` for one that only reads, ``once`` for one that must never run
            twice, ``keyed`` for one that knows by `Call.key` what it has done.
        timeout_s: how long one call may take.
    """

    def mark(function: Function) -> Function:
        function._tool = (Effect(effect), timeout_s)  # type: ignore[attr-defined]
        return function

    return mark


def load(modules: Sequence[str]) -> list[Tool]:
    """Return the tools of *modules*, found as `import` finds them, or right here.

    Raises:
        SettingsError: one of them cannot be used; the message says why, and the fix.
    """
    imported = [import_module(name, setting="TOOLS") for name in modules]
    return [found for module in imported for found in _tools_of(module)]


def _tools_of(module: ModuleType) -> list[Tool]:
    functions = [
        function
        for name, function in vars(module).items()
        if inspect.iscoroutinefunction(function)
        and function.__module__ == module.__name__
        and not name.startswith("_")
    ]
    if not functions:
        raise _unusable(
            f"{module.__name__} holds no tools: write async functions with a docstring"
        )
    return [_tool_of(function) for function in functions]


def _tool_of(function: Callable[..., Awaitable[Any]]) -> Tool:
    where = f"{function.__module__}.{function.__name__}"
    text = inspect.getdoc(function)
    if not text:
        raise _unusable(f"{where} needs a docstring: the model reads it")
    description, _, rest = text.partition("\nArgs:\n")
    hints = get_type_hints(function, include_extras=True)
    named = [name for name, hint in hints.items() if hint is Call and name != "return"]
    arguments = _model(function, hints, dict(_described(rest)), where)
    effect, timeout_s = getattr(function, "_tool", (Effect.ONCE, TIMEOUT_S))

    async def run(given: pydantic.BaseModel, call: Call) -> Result:
        values = {name: getattr(given, name) for name in type(given).model_fields}
        return _result(await function(**values, **dict.fromkeys(named, call)))

    return Tool(
        name=function.__name__,
        description=description.strip(),
        arguments=arguments,
        run=run,
        effect=effect,
        timeout_s=timeout_s,
    )


def _model(
    function: Callable[..., Any],
    hints: dict[str, Any],
    described: dict[str, str],
    where: str,
) -> type[pydantic.BaseModel]:
    """Return what the function takes, as a model to check calls by."""
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise _unusable(f"{where} must not take *{name}")
        if name not in hints:
            raise _unusable(f"{where} needs a type for {name}")
        if hints[name] is Call:
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (hints[name], Field(default, description=described.get(name)))
    forbid = pydantic.ConfigDict(extra="forbid")
    try:
        model: type[pydantic.BaseModel] = pydantic.create_model(
            function.__name__, __config__=forbid, **fields
        )
        model.model_json_schema()
    except (pydantic.errors.PydanticUserError, NameError) as error:
        raise _unusable(
            f"{where} has a parameter of a type that JSON does not know: {error}"
        ) from error
    return model


NEXT_SECTION = re.compile(r"\n(?=\S)")
PARAMETER = re.compile(
    r"^ ++(\w++)(?: \([^)\n]*+\))?+: (.+(?:\n {8}.+)*)", re.MULTILINE
)


def _described(text: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters that the docstring explains, each with its text."""
    section = NEXT_SECTION.split(f"\n{text}", 1)[0]
    for name, said in PARAMETER.findall(section):
        yield name, " ".join(said.split())


def _unusable(problem: str) -> SettingsError:
    return SettingsError({"TOOLS": problem})


def _result(returned: Any) -> Result:
    if isinstance(returned, Result):
        return returned
    if isinstance(returned, str):
        return Result(text=returned)
    if returned is None:
        return Result(text="Done.")
    return Result(text=json.dumps(returned, ensure_ascii=False, default=str))
