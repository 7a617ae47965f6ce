"""The calls of tools in a streamed answer, put together as the server sent them.

What a server puts on a call besides a name and arguments (Gemini's signature of its
thoughts) goes back with it. The pieces of two calls are told apart by their index, and
by more than that: Gemini gives each call the index 0.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ..core.text import storable
from ..core.textual_calls import MAX_CALLS, TextualCall
from ..core.transcript import ToolCall
from ..core.window import tokens
from ..errors import ResponderError
from .base import TOO_LONG

# Characters of all calls together: arguments, and what the server puts on them.
MAX_ARGUMENTS = 100_000
SYNTAX = re.compile(r'[\\"{}\[\]]')
OWN = ("index", "id", "type", "function")
OWN_OF_FUNCTION = ("name", "arguments")


@dataclass(slots=True)
class _Call:
    """A call of which some pieces have come.

    Attributes:
        id: the server's; "" for none.
        more: the server's own fields, of the call and of its function.
    """

    index: object
    id: str
    kind: str
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    more_of_function: dict[str, Any] = field(default_factory=dict)
    depth: int = 0
    has_begun: bool = False
    is_quoted: bool = False
    is_escaped: bool = False

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are an object, as far as its brackets tell."""
        return self.has_begun and self.depth <= 0 and not self.is_quoted

    def add(self, arguments: str) -> None:
        self.pieces.append(arguments)
        if not arguments:
            return
        read_from = int(self.is_escaped)
        for found in SYNTAX.finditer(arguments):
            if found.start() < read_from:
                continue
            if found[0] == "\\":
                read_from = found.start() + 2
            elif found[0] == '"':
                self.is_quoted = not self.is_quoted
            elif not self.is_quoted:
                self.depth += 1 if found[0] in "{[" else -1
                self.has_begun = True
        self.is_escaped = read_from > len(arguments)

    def begin_again(self) -> None:
        """Forget the arguments; `{}` only stood for those that come now."""
        self.pieces, self.depth, self.has_begun = [], 0, False


class Calls:
    """Put the calls of one answer together."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._length = 0

    def take(self, piece: Mapping[str, Any]) -> None:
        """Take the next piece of a call.

        Raises:
            ResponderError: there are too many characters.
        """
        function = piece.get("function") or {}
        name = storable(function.get("name") or "")
        arguments = _written(function.get("arguments"))
        self._bound(len(arguments))
        call = self._call_of(piece, name, arguments)
        if call is None:
            return
        call.name = call.name or name
        self._keep(call.more, piece, OWN)
        self._keep(call.more_of_function, function, OWN_OF_FUNCTION)
        if call.is_complete and call.arguments.strip() == "{}" and arguments.strip():
            call.begin_again()
        if not call.is_complete:
            call.add(arguments)

    def all(self) -> tuple[ToolCall, ...]:
        """Return the calls, in their order."""
        made: list[ToolCall] = []
        for number, call in enumerate(self._calls):
            known = {each["id"] for each in made}
            own = call.id or own_id(number)
            function = {"name": call.name, "arguments": call.arguments}
            form = {
                **call.more,
                "id": own if own not in known else f"{own}-{number}",
                "type": call.kind,
                "function": {**call.more_of_function, **function},
            }
            made.append(cast(ToolCall, form))
        return tuple(made)

    @property
    def written(self) -> int:
        """Return about how many tokens the calls have taken so far."""
        return sum(tokens(c.name) + tokens(c.arguments) for c in self._calls)

    def _bound(self, characters: int) -> None:
        self._length += characters
        if self._length > MAX_ARGUMENTS:
            raise ResponderError(
                f"calls of tools have more than {MAX_ARGUMENTS} characters",
                retryable=False,
                kind=TOO_LONG,
            )

    def _call_of(
        self, piece: Mapping[str, Any], name: str, arguments: str
    ) -> _Call | None:
        """Return the call that the piece belongs to; None when there are too many."""
        own = str(piece.get("id") or "")
        known = self._known(piece.get("index"), own)
        if known is not None and not _begins_another(known, own, name, arguments):
            known.id = known.id or own
            return known
        if len(self._calls) >= MAX_CALLS:
            return None
        call = _Call(
            index=piece.get("index"),
            id=own,
            kind=str(piece.get("type") or "function"),
            name=name or (known.name if known is not None else ""),
        )
        self._calls.append(call)
        return call

    def _known(self, index: object, own: str) -> _Call | None:
        """Return the last call with the same index, or else id; or just the last."""
        for call in reversed(self._calls):
            if index is not None:
                is_it = call.index == index
            else:
                is_it = not own or call.id == own
            if is_it:
                return call
        return None

    def _keep(
        self, kept: dict[str, Any], piece: Mapping[str, Any], known: Sequence[str]
    ) -> None:
        """Keep the fields of *piece* that are the server's own."""
        for name, value in piece.items():
            if name in known or name in kept or value is None:
                continue
            written = storable(json.dumps(value, ensure_ascii=False))
            self._bound(len(name) + len(written))
            kept[storable(name)] = json.loads(written, parse_constant=str)


def _begins_another(known: _Call, own: str, name: str, arguments: str) -> bool:
    """Return whether a piece with the index of *known* is another call all the same."""
    if own and known.id and own != known.id:
        return bool(name) or known.is_complete
    if name and known.name and name != known.name:
        return True
    if not known.is_complete or not arguments.strip():
        return False
    stands_in = not name and known.arguments.strip() == "{}"
    return not stands_in and arguments != known.arguments


def _written(arguments: object) -> str:
    """Return the arguments as the text that they should be; some send an object."""
    if isinstance(arguments, dict | list):
        return json.dumps(arguments)
    if arguments is not None and not isinstance(arguments, str):
        raise TypeError("arguments are neither text nor an object")
    return arguments or ""


def own_id(number: int) -> str:
    """Return an id for a call without one, as also Mistral's server accepts it."""
    return f"call{number:05}"


def from_text(calls: Sequence[TextualCall]) -> tuple[ToolCall, ...]:
    """Return calls that a model wrote as text in the form of the API."""
    return tuple(
        {
            "id": own_id(number),
            "type": "function",
            "function": {
                "name": storable(call.name),
                "arguments": storable(call.arguments[:MAX_ARGUMENTS]),
            },
        }
        for number, call in enumerate(calls[:MAX_CALLS])
    )
