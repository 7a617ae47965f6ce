"""What tools and responders of an operator's own import."""

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from chatwoot_bot import tools as tools_module
from chatwoot_bot.core.conversation import Conversation, Message
from chatwoot_bot.responders import base

from .tables import code, plain, table

# In the order in which a reader meets them.
RESPONDER_NAMES = ("Responder", "Assignment", "Answer", "Listener", "Usage", "Meter")
# What else these have is the engine's, and may change in any release.
HELD: Mapping[type, Sequence[str]] = {
    Conversation: (
        "id",
        "channel",
        "chatwoot_channel",
        "account_id",
        "inbox_id",
        "display_id",
        "contact_name",
        "attributes",
    ),
    Message: ("id", "sender", "content", "created_at", "owed", "attachments", "closes"),
}
ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)
SECTION = re.compile(r"\n\n?(Attributes|Args|Raises|Returns):\n(.*?)(?=\n\n|\Z)", re.S)


def tools() -> str:
    """Describe `chatwoot_bot.tools`."""
    return _described(tools_module, tools_module.__all__)


def responders() -> str:
    """Describe `chatwoot_bot.responders.base`, and what an assignment holds."""
    own = _described(base, RESPONDER_NAMES)
    held = "\n".join(_held(of, names) for of, names in HELD.items())
    return f"{own}\n{held}"


def _described(module: Any, names: Iterable[str]) -> str:
    objects = [getattr(module, name) for name in names]
    return "\n".join(
        _class(each) if inspect.isclass(each) else _function(each, "###")
        for each in objects
    )


def _class(of: type) -> str:
    parts = [f"### {of.__name__}", _prose(of), _fields(of), *_methods(of)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _held(of: type, names: Sequence[str]) -> str:
    first = (inspect.getdoc(of) or "").partition("\n")[0]
    return f"### {of.__name__}\n\n{plain(first)}\n\n{_fields(of, names)}"


def _fields(of: type, names: Sequence[str] = ()) -> str:
    if issubclass(of, Enum):
        return f"Values: {', '.join(code(each.value) for each in of)}."
    said = dict(ATTRIBUTE.findall(_section(of, "Attributes")))
    head = ("Field", "Type", "Default", "Meaning")
    if not dataclasses.is_dataclass(of):
        return table(
            ("Attribute", "Meaning"),
            ((code(name), plain(text)) for name, text in said.items()),
        )
    return table(
        head,
        (
            (
                code(f.name),
                code(_type(f.type)),
                _default(f),
                plain(said.get(f.name, "")),
            )
            for f in dataclasses.fields(of)
            if not names or f.name in names
        ),
    )


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default is not dataclasses.MISSING:
        return code(_shown(field.default))
    made = field.default_factory
    return "" if made is dataclasses.MISSING else code(f"{made.__name__}()")


def _shown(value: Any) -> str:
    return repr(value.value if isinstance(value, Enum) else value)


def _type(annotation: Any) -> str:
    text = inspect.formatannotation(annotation)
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)


def _methods(of: type) -> Iterator[str]:
    for name, function in vars(of).items():
        is_own = inspect.isfunction(function) and not name.startswith("_")
        if is_own and not dataclasses.is_dataclass(of):
            yield _function(function, "####", of.__name__)


def _function(function: Any, level: str, owner: str = "") -> str:
    name = f"{owner}.{function.__name__}" if owner else function.__name__
    signature = inspect.signature(function)
    given = [each for each in signature.parameters.values() if each.name != "self"]
    shown = ", ".join(_parameter(each) for each in given)
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    said = [
        f"- {code(each)}: {plain(text)}"
        for section in ("Args", "Raises")
        for each, text in ATTRIBUTE.findall(_section(function, section))
    ]
    call = f"```text\n{prefix}{name}({shown})\n```"
    return "\n\n".join([f"{level} {name}", call, _prose(function), "\n".join(said)])


def _parameter(each: inspect.Parameter) -> str:
    default = "" if each.default is each.empty else f" = {_shown(each.default)}"
    return f"{each.name}: {_type(each.annotation)}{default}"


def _prose(of: Any) -> str:
    text = SECTION.sub("", f"\n\n{inspect.getdoc(of) or ''}")
    return "\n\n".join(plain(part) for part in text.strip().split("\n\n"))


def _section(of: Any, name: str) -> str:
    for found, text in SECTION.findall(f"\n\n{inspect.getdoc(of) or ''}"):
        if found == name:
            return str(text)
    return ""
