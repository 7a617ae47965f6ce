"""What a model reads of tools: all that it needs, and nothing else."""

import json
from datetime import date
from typing import Annotated, Literal

import pydantic
import pytest
from pydantic import Field

from chatwoot_bot.core.window import tokens
from chatwoot_bot.responders.schemas import described
from chatwoot_bot.tools.base import Tool
from chatwoot_bot.tools.booking_forms import (
    Cancellation,
    FreeTimes,
    Move,
    NewCallByEmail,
)
from chatwoot_bot.tools.knowledge import Arguments

FORMS = [FreeTimes, NewCallByEmail, Move, Cancellation, Arguments]


def parameters(form):
    tool = Tool(name="t", description="d", arguments=form, run=None)
    return described(tool)["function"]["parameters"]


@pytest.mark.parametrize("form", FORMS)
def test_each_argument_has_its_type_and_its_description_beside_it(form):
    """Small models read nothing that stands deeper."""
    schema = parameters(form)

    for name, each in schema["properties"].items():
        assert {"type", "description"} <= each.keys(), name
        assert "default" not in each or each["default"] is not None
    assert "anyOf" not in json.dumps(schema)
    assert "description" not in schema


def test_optional_argument_keeps_what_it_is():
    class Form(pydantic.BaseModel):
        """Ours, and no business of the model's."""

        day: Annotated[date, Field(description="Which day.")] | None = None
        kind: Literal["a", "b"] = "a"
        either: int | str = 1
        size: int

    schema = parameters(Form)

    assert schema["properties"] == {
        "day": {"type": "string", "format": "date", "description": "Which day."},
        "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 1},
        "size": {"type": "integer"},
    }
    assert schema["required"] == ["size"]


def test_booking_takes_few_tokens():
    """They are paid for with every answer."""
    count = sum(tokens(json.dumps(parameters(form))) for form in FORMS)

    assert count < 650
