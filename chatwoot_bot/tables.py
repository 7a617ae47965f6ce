"""What the tables of `bots.toml` are made of."""

import re
from typing import Annotated

import pydantic
from pydantic import StringConstraints

NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
# They have no other keys than those that are named.
TABLE = pydantic.ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def environment_name(value: str) -> str:
    """Check that *value* names a variable, and is not what stands in it."""
    # In capitals, so that a token pasted here is not taken for a name, and shown.
    if not NAME.fullmatch(value):
        raise ValueError(
            "must be the name of an environment variable, such as SALES_BOT_TOKEN; "
            "the secret itself belongs there or in .env"
        )
    return value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Variable = Annotated[Text, pydantic.AfterValidator(environment_name)]
