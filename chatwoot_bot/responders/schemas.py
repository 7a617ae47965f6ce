"""Tools in the form of the API, with nothing in it that the model does not need."""

import functools
from collections.abc import Mapping
from typing import Any

from ..tools.base import Tool


@functools.lru_cache
def described(tool: Tool) -> Mapping[str, Any]:
    """Return a tool in the form of the API.

    What may be left out has its plain type, and its description beside it: small
    models read neither `anyOf` nor what stands inside.
    """
    parameters = tool.arguments.model_json_schema()
    for name in ("title", "description"):
        parameters.pop(name, None)  # of a class of ours
    properties = parameters.get("properties", {})
    parameters["properties"] = {name: _plain(each) for name, each in properties.items()}
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters,
        },
    }


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in schema.items() if name != "title"}
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1 and len(schema["anyOf"]) == 2:
        del plain["anyOf"]
        if plain.get("default", ...) is None:
            del plain["default"]
        plain = {**choices[0], **plain}
        plain.pop("title", None)
    return plain
