"""JSON schemas in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from .tables import code, plain

Schema = Mapping[str, Any]


def fields(schema: Schema, schemas: Schema) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and meaning of each property of *schema*."""
    schema = resolved(schema, schemas)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        mark = " (required)" if name in required and "default" in schema else ""
        yield code(name), kind(field, schemas) + mark, _meaning(field)


def resolved(schema: Schema, schemas: Schema) -> Schema:
    """Follow a reference."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def kind(field: Schema, schemas: Schema) -> str:
    """Say in words what a value may be."""
    if "$ref" in field:
        target = resolved(field, schemas)
        return kind(target, schemas) if "enum" in target else f"`{target['title']}`"
    if "anyOf" in field:
        return " or ".join(kind(each, schemas) for each in field["anyOf"])
    if "const" in field:
        return code(field["const"])
    if "enum" in field:
        return ", ".join(code(value) for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {kind(field.get('items', {}), schemas)}"
    return str(field.get("type", "any"))


def _meaning(field: Schema) -> str:
    limits = [
        f"{word} {field[key]:,}"
        for key, word in (
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("maxLength", "characters: at most"),
        )
        if isinstance(field.get(key), int)
    ]
    parts = [plain(field.get("description", "")).rstrip("."), ", ".join(limits)]
    if field.get("default") not in (None, "", [], {}):
        parts.append(f"default {code(field['default'])}")
    return "; ".join(part for part in parts if part)
