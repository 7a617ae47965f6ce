"""What a model thinks before it speaks or calls; it goes back with its calls.

DeepSeek wants the words of a thought again, and OpenRouter the details in which it
hands on a thought that its maker has signed or sealed. No contact reads any of it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.text import storable

# Characters that are kept; what a model thinks beyond them is counted alone.
MAX_KEPT = 1_000_000
# Of a detail: its pieces are put together. All else is the newest.
TEXTS = ("text", "summary")


class Thoughts:
    """Put the thoughts of one answer together.

    Attributes:
        written: characters, kept or not.
    """

    def __init__(self) -> None:
        self.written = 0
        self._words: list[str] = []
        self._details: list[dict[str, Any]] = []

    def take(self, delta: Mapping[str, Any]) -> None:
        """Take what a delta has of them."""
        words = delta.get("reasoning_content") or ""
        self.written += len(words or delta.get("reasoning") or "")
        if self.written <= MAX_KEPT:
            self._words.append(words)
        for piece in delta.get("reasoning_details") or ():
            written = storable(json.dumps(piece, ensure_ascii=False))
            if not delta.get("reasoning"):
                self.written += len(written)
            if self.written <= MAX_KEPT and isinstance(piece, Mapping):
                self._add(json.loads(written, parse_constant=str))

    def _add(self, piece: dict[str, Any]) -> None:
        last = self._details[-1] if self._details else None
        if last is None or _begins_another(last, piece):
            self._details.append(piece)
            return
        for name, value in piece.items():
            if name in TEXTS and isinstance(value, str):
                last[name] = (last.get(name) or "") + value
            elif value is not None:
                last[name] = value

    @property
    def words(self) -> str:
        """Return what came as `reasoning_content`."""
        return storable("".join(self._words))

    @property
    def details(self) -> Sequence[Mapping[str, Any]]:
        """Return what came as `reasoning_details`."""
        return self._details


def _begins_another(last: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    """Return whether *piece* is none of the same thought; a sealed one comes whole."""
    same = all(
        piece.get(name) in (None, last.get(name)) for name in ("index", "type", "id")
    )
    return not same or "data" in piece
