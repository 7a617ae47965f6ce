"""An HTTP endpoint that an operator offers to the model; see `tools.http`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["string", "integer", "number", "boolean"]
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What the model gives with a call.

    Attributes:
        description: for the model; "" when the name says it all.
    """

    name: str
    kind: Kind = "string"
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint.

    Attributes:
        description: for the model: what it does and when to use it.
        url: with ``{name}`` where a parameter goes; never in the host.
        parameters: those without a place in the URL go into the query of a GET or
            DELETE, and into the JSON body of the others.
        headers: as they are sent.
        secret_headers: the same, with what nobody must read.
        key_header: gets the call's key, for a server that knows by it what it has
            done already; None for one that does not.
    """

    name: str
    description: str
    url: str
    method: str = "GET"
    parameters: Sequence[Parameter] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_header: str | None = None
    timeout_s: float = 20.0

    @property
    def placed(self) -> frozenset[str]:
        """Return the names of the parameters that have a place in the URL."""
        return frozenset(PLACEHOLDER.findall(self.url))
