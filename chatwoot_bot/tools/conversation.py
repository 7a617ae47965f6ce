"""Tools that act on the conversation, together with the answer and not before."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field, StringConstraints

from ..texts import text
from .base import Call, Result, Tool

Note = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)
]


class _Escalation(pydantic.BaseModel):
    reason: Annotated[str, Field(description=text("escalate_to_human_reason"))] = ""


async def _escalate(given: _Escalation, call: Call) -> Result:
    reason = given.reason.strip()[:500] or "it gave no reason."
    return Result(text="A human is called.", handover=reason)


# The one tool of every bot: a contact can always reach an agent.
ESCALATE = Tool(
    name="escalate_to_human",
    description=text("escalate_to_human"),
    arguments=_Escalation,
    run=_escalate,
    lenient=True,
)


class _Nothing(pydantic.BaseModel):
    pass


async def _resolve(given: _Nothing, call: Call) -> Result:
    return Result(
        text="The conversation will be resolved after your answer, unless the contact "
        "writes again.",
        resolve=True,
    )


RESOLVE = Tool(
    name="resolve_conversation",
    description=text("resolve_conversation"),
    arguments=_Nothing,
    run=_resolve,
)


class _Note(pydantic.BaseModel):
    text: Annotated[Note, Field(description=text("add_private_note_text"))]


async def _add_note(given: _Note, call: Call) -> Result:
    return Result(text="The note will be added.", notes=(given.text,))


ADD_NOTE = Tool(
    name="add_private_note",
    description=text("add_private_note"),
    arguments=_Note,
    run=_add_note,
    for_agents=True,
)


SET_LABEL = "set_label"


def set_label(labels: Sequence[str]) -> Tool:
    """Return the tool that adds one of *labels* to the conversation."""
    # A type made of values that are known only now.
    allowed: Any = Literal[tuple(labels)]
    about = Field(description=text("set_label_label"))
    arguments = pydantic.create_model("Label", label=(allowed, about))

    async def run(given: pydantic.BaseModel, call: Call) -> Result:
        label: str = given.label  # type: ignore[attr-defined]
        return Result(text="The label will be added.", labels=(label,))

    return Tool(
        name=SET_LABEL,
        description=text("set_label"),
        arguments=arguments,
        run=run,
        for_agents=True,
    )
