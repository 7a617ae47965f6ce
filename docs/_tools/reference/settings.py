"""The settings: types and defaults of the model, explanations of `.env.example`."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from chatwoot_bot.settings import Settings

from .tables import code, plain, table

EXAMPLE = Path(__file__).parents[3] / ".env.example"
HEAD = ("Setting", "Type", "Default", "Meaning")
SIMPLE = {
    "boolean": "`true` or `false`",
    "integer": "whole number",
    "number": "number",
    "object": "JSON object",
}
FORMATS = {"password": "secret", "path": "path"}


def text() -> str:
    """Return one table for each section of `.env.example`, in its order."""
    properties = Settings.model_json_schema()["properties"]
    sections: dict[str, list[tuple[str, ...]]] = {}
    for section, name, meaning in explained():
        field = properties[name.lower()]
        row = (_anchored(name), kind(field), default(name.lower()), plain(meaning))
        sections.setdefault(section, []).append(row)
    return "\n".join(
        f"## {section}\n\n{table(HEAD, rows)}" for section, rows in sections.items()
    )


def explained() -> Iterator[tuple[str, str, str]]:
    """Yield section, name and explanation of each setting."""
    section, comment = "", []
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if found := re.fullmatch(r"# --- (.+) ---", line):
            section, comment = found[1], []
        elif line.startswith("# "):
            comment.append(line[2:])
        elif found := re.match(r"([A-Z][A-Z0-9_]*)=", line):
            yield section, found[1], " ".join(comment)
            comment = []
        else:
            comment = []


def _anchored(name: str) -> str:
    return f'<a id="{name.lower()}"></a>`{name}`'


def kind(field: Mapping[str, Any]) -> str:
    """Say in words what a value may be."""
    for branch in field.get("anyOf", ()):
        if branch["type"] != "null":
            return kind(branch)
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        if field["items"]["type"] == "array":
            return "list of `name=value`"
        return f"list of {kind(field['items'])}s"
    name = FORMATS.get(field.get("format", "")) or SIMPLE.get(field["type"], "text")
    return f"{name}{_bounds(field)}"


def _bounds(field: Mapping[str, Any]) -> str:
    least, above = field.get("minimum"), field.get("exclusiveMinimum")
    most = field.get("maximum")
    if least is not None and most is not None:
        return f", {least:,} to {most:,}"
    if above is not None and most is not None:
        return f", above {above:,}, at most {most:,}"
    if least is not None:
        return f", at least {least:,}"
    if longest := field.get("maxLength"):
        return f", at most {longest} characters"
    return ""


def default(name: str) -> str:
    """Return the default as it would stand in `.env`."""
    value = Settings.model_fields[name].default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(f"{value:g}" if isinstance(value, float) else value)
