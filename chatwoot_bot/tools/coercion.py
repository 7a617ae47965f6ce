"""Arguments of a call that fit but for a number where a text belongs.

Small models write ``{"order": 1234}`` for a text, and give up when they are told of it.
"""

import json
import math
from typing import Any, TypeVar

import pydantic

# Longer numbers are no numbers of anything, and Python does not write them out.
LONGEST = 10**100
Arguments = TypeVar("Arguments", bound=pydantic.BaseModel)


def checked(model: type[Arguments], arguments: str) -> Arguments:
    """Return *arguments*, which are JSON, as the model of what a tool takes.

    Raises:
        pydantic.ValidationError: they do not fit.
    """
    try:
        return model.model_validate_json(arguments)
    except pydantic.ValidationError as error:
        places = [each["loc"] for each in error.errors() if _is_number(each)]
        if not places:
            raise
    given = json.loads(arguments)
    for *parents, name in places:
        holder = _at(given, parents)
        if holder is not None and _holds(holder, name):
            holder[name] = str(holder[name])
    return model.model_validate_json(json.dumps(given))


def _is_number(error: Any) -> bool:
    """Return whether a text was expected where a number is."""
    if error["type"] != "string_type":
        return False
    match error["input"]:
        case bool():
            return False
        case int() as number:
            return abs(number) < LONGEST
        case float() as number:
            return math.isfinite(number)
    return False


def _at(given: Any, path: list[int | str]) -> Any:
    """Return what is at *path*; None where pydantic's path is no place in the JSON."""
    for name in path:
        if not _holds(given, name):
            return None
        given = given[name]
    return given


def _holds(holder: Any, name: int | str) -> bool:
    if isinstance(holder, list):
        return isinstance(name, int) and name < len(holder)
    return isinstance(holder, dict) and name in holder
