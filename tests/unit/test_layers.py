"""The dependency rule, checked on the imports themselves."""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "chatwoot_bot"

# part -> what it may import from this package
ALLOWED = {
    "errors": set(),
    "breaker": set(),
    "chores": {"errors", "thinking"},
    "prices": {"errors"},
    "http": set(),
    "imports": {"errors"},
    "presets": set(),
    "bots": {"core", "endpoints", "errors", "language", "tables"},
    "endpoints": {"core", "tables"},
    "tables": set(),
    "handover": {"core", "language", "store"},
    "envfile": {"errors"},
    "hub": set(),
    "relay": {"errors", "hub", "store"},
    "logs": {"core"},
    "metrics": {"breaker"},
    "settings": {
        "bots",
        "core",
        "envfile",
        "errors",
        "language",
        "presets",
        "prices",
        "store",
        "texts",
    },
    "wording": set(),
    "answering": {
        "breaker",
        "core",
        "errors",
        "responders",
        "settings",
        "store",
        "wording",
    },
    "language": {"core"},
    "core": {"core", "errors", "texts"},
    "demo": {"core", "demo", "knowledge", "language", "tools"},
    "knowledge": {"core", "errors", "http", "knowledge", "media", "store"},
    "library": {"bots", "core", "errors", "knowledge", "settings", "store"},
    "store": {"core", "errors", "store"},
    "chatwoot": {"breaker", "chatwoot", "core", "errors"},
    "doctor": {
        "answering",
        "bots",
        "chatwoot",
        "core",
        "doctor",
        "errors",
        "knowledge",
        "library",
        "presets",
        "responders",
        "settings",
        "store",
        "toolkit",
        "tools",
    },
    "channels": {"channels", "chatwoot", "core", "errors"},
    "responders": {
        "breaker",
        "core",
        "demo",
        "errors",
        "imports",
        "language",
        "responders",
        "store",
        "texts",
        "tools",
    },
    "media": {"core", "errors", "http", "media"},
    "booking": {"booking", "breaker", "core", "errors", "store"},
    "tools": {
        "booking",
        "core",
        "errors",
        "http",
        "imports",
        "knowledge",
        "language",
        "store",
        "texts",
        "thinking",
        "tools",
    },
    "toolkit": {
        "booking",
        "core",
        "demo",
        "knowledge",
        "library",
        "settings",
        "store",
        "tools",
        "wording",
    },
    "briefing": {"core", "engine", "store"},
    "guard": {"core", "responders", "tools"},
    "memory": {"core", "engine", "errors", "store", "thinking"},
    "engine": {
        "channels",
        "chores",
        "core",
        "handover",
        "hub",
        "media",
        "metrics",
        "prices",
        "responders",
        "store",
        "tools",
    },
    "outbox": {"channels", "core", "engine", "errors", "store", "thinking"},
    "thinking": set(),
    "drafting": {
        "briefing",
        "core",
        "engine",
        "errors",
        "guard",
        "hub",
        "responders",
        "store",
        "thinking",
        "tools",
    },
    "turn": {
        "channels",
        "core",
        "drafting",
        "engine",
        "memory",
        "outbox",
        "store",
        "thinking",
    },
    "worker": {"engine", "errors", "metrics", "outbox", "store", "turn"},
    "recovery": {"breaker", "errors", "store"},
    "missed": {"chatwoot", "core", "errors", "store"},
    "intake": {"core", "hub", "metrics", "missed", "store", "worker"},
    "sweep": {"chatwoot", "core", "errors", "intake", "missed", "store"},
    "taking_back": {"chatwoot", "errors", "intake", "missed", "store"},
    "web": {
        "__version__",
        "booking",
        "core",
        "errors",
        "handover",
        "hub",
        "intake",
        "metrics",
        "settings",
        "store",
        "web",
    },
    # A stand-in for Chatwoot that shared our code would share our mistakes.
    "simulator": {"simulator"},
}
COMPOSITION = {"app", "commands", "cli", "__main__"}  # may import anything
# vendor -> the only parts that know it
VENDORS = {
    "sqlalchemy": {"store", "web"},  # web: only to name the type of a row
    "alembic": {"store"},
    "starlette": {"web", "app", "simulator", "commands"},
    "uvicorn": {"simulator", "commands"},
    "httpx": {
        "booking",
        "chatwoot",
        "commands",
        "doctor",
        "responders",
        "http",
        "knowledge",
        "library",
        "media",
        "settings",
        "toolkit",
        "tools",
        "answering",
        "app",
        "simulator",
    },
    "langgraph": {"responders"},
    "langchain_core": {"responders"},
    "aiohttp": {"http", "media"},
    "icalendar": {"booking"},
    "pypdf": {"media"},
    "markdown_it": {"knowledge"},
    "snowballstemmer": {"knowledge"},
    "openai": {"responders"},
    "itsdangerous": {"web"},
    "typer": {"cli", "commands"},
    "rich": {"commands"},
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def name_of(path):
    return str(path.relative_to(PACKAGE))


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Yield the dotted name of every import, ours with a leading dot."""
    package = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            tail = tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                dotted = ".".join((*base, *tail, alias.name))
                yield f".{dotted}" if node.level else dotted


def our_parts(path):
    for name in imports(path):
        if name.startswith((".", "chatwoot_bot")):
            yield name.removeprefix("chatwoot_bot").split(".")[1]


def test_every_part_has_its_place():
    """A new module fails here until somebody decides what it may know."""
    assert {part_of(path) for path in MODULES} == ALLOWED.keys() | COMPOSITION


def test_the_rule_has_a_direction():
    """Two parts that may import each other are one part."""
    others = {part: allowed - {part} for part, allowed in ALLOWED.items()}

    assert graphlib.TopologicalSorter(others).prepare() is None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path):
    """core knows nothing; web knows no model, no channel and no turn."""
    part = part_of(path)

    if part not in COMPOSITION:
        assert set(our_parts(path)) <= ALLOWED[part]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_vendor_has_its_part(path):
    """Whoever replaces a library changes one part."""
    known = {name.split(".")[0] for name in imports(path)} & VENDORS.keys()

    assert {vendor for vendor in known if part_of(path) not in VENDORS[vendor]} == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_our_own_modules_are_imported_relatively(path):
    """Except by Alembic's script, which is run by its path."""
    absolute = [name for name in imports(path) if name.startswith("chatwoot_bot")]

    assert not absolute or path.name == "env.py"


def test_core_touches_nothing():
    """Every rule is tested without a file, a socket, a clock or a random number."""
    touching = {"os", "io", "socket", "time", "random", "secrets", "asyncio", "pathlib"}
    known = {
        name.split(".")[0]
        for path in MODULES
        if part_of(path) == "core"
        for name in imports(path)
    }

    assert not known & touching
