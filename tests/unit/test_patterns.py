"""No text from outside can hold up the service: each expression is linear.

One event loop serves everybody, and nothing interrupts a regular expression. So each
one in the package is found, and timed on what its own characters suggest.
"""

import ast
import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType

import hostile
import pytest

import chatwoot_bot

PACKAGE = Path(chatwoot_bot.__file__).parent
# It runs when it is imported, and Alembic imports it.
NOT_IMPORTED = ("chatwoot_bot.__main__", "chatwoot_bot.store.migrations.env")
USES = {
    *("compile", "match", "fullmatch", "search", "sub", "subn"),
    *("split", "findall", "finditer"),
}


def modules() -> Iterator[ModuleType]:
    """Yield every module of the package."""
    for found in pkgutil.walk_packages(chatwoot_bot.__path__, "chatwoot_bot."):
        if found.name not in NOT_IMPORTED:
            yield importlib.import_module(found.name)


def patterns_in(value: object, depth: int = 4) -> Iterator[re.Pattern]:
    """Yield the patterns of *value*: itself, or what it holds."""
    if isinstance(value, re.Pattern):
        yield value
    elif depth:
        for each in held_by(value):
            yield from patterns_in(each, depth - 1)


def held_by(value: object) -> Collection[object]:
    """Return what *value* holds, if it is anything that may hold a pattern."""
    match value:
        case Mapping():
            return [*value.keys(), *value.values()]
        case list() | tuple() | set() | frozenset():
            return value
        case FunctionType():
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            named = (value.__kwdefaults__ or {}).values()
            return [*(value.__defaults__ or ()), *named, *cells]
        case type() if value.__module__.startswith("chatwoot_bot"):
            return list(vars(value).values())
        case _ if dataclasses.is_dataclass(value):
            names = [each.name for each in dataclasses.fields(value)]
            return [getattr(value, name, None) for name in names]
    return ()


def all_patterns() -> dict[str, re.Pattern]:
    """Return the package's patterns by where the first of its kind is."""
    found: dict[re.Pattern, str] = {}
    for module in modules():
        for name, value in vars(module).items():
            here = [each for each in patterns_in(value) if each not in found]
            for number, pattern in enumerate(dict.fromkeys(here)):
                place = f"{module.__name__.removeprefix('chatwoot_bot.')}.{name}"
                found[pattern] = place if len(here) == 1 else f"{place}[{number}]"
    return {place: pattern for pattern, place in found.items()}


PATTERNS = all_patterns()


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_expression_is_linear(pattern):
    """On 64,000 characters of whatever it looks for, in any order of two."""
    took, text, length = hostile.slowest(pattern)

    assert took <= hostile.LIMIT_S, f"{took * 1000:.0f} ms at {length} of {text}"


@pytest.mark.parametrize(
    ("expression", "flags"),
    [
        (r"(?:a+)+$", 0),  # exponential
        (r"\[([^\]\n]*)\]\(\s*<?([^\s)>]*)>?[^)\n]*\)", 0),  # cubic
        (rb"(?i)\s*(\xef\xbb\xbf)?\s*<(!doctype html|html)", 0),  # quadratic
        (r"<\s*(/?)\s*file\s*>", re.IGNORECASE),
        (r"[ \t]*\n", 0),
        (r"\w+@\w+", 0),
        (r"\{#[^}]*\}", 0),
    ],
    ids=str,
)
def test_expression_that_is_not_linear_is_noticed(expression, flags):
    """What is measured must be able to fail."""
    took, _, _ = hostile.slowest(re.compile(expression, flags))

    assert took > hostile.LIMIT_S


# Made at run time, of the operator's own phrases; see `test_hostile_text.py`.
MADE_LATER = {
    "core/phrases.py": {"_any_of", "_either_of"},
    "tools/secrets.py": {"__init__"},
}


def test_no_expression_is_hidden_in_a_function():
    """Only those of a module are found, and timed."""
    hidden = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        for function, line in uses_in_functions(tree):
            if function not in MADE_LATER.get(name, ()):
                hidden.append(f"{name}:{line} in {function}")

    assert not hidden, "make them constants of their module: " + ", ".join(hidden)


def uses_in_functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield (function, line) of what compiles an expression when it is called."""
    for outer in ast.walk(tree):
        if not isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for node in ast.walk(outer):
            match node:
                case ast.Attribute(value=ast.Name(id="re"), attr=attr) if attr in USES:
                    yield getattr(outer, "name", "lambda"), node.lineno


def test_every_constant_is_found():
    """A pattern in a place where nobody looks would not be timed."""
    found = {pattern.pattern for pattern in PATTERNS.values()}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr="compile"),
                    args=[ast.Constant(value=expression), *_],
                ):
                    assert expression in found, f"{path}:{node.lineno}"
