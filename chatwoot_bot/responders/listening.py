"""What a listener hears of an answer: only what the contact may read."""

from collections.abc import Collection

from ..core.answer_text import AnswerText
from .base import Listener


class AnswerListener:
    """Pass on to *inner* what is the answer, whichever responder writes it."""

    def __init__(self, inner: Listener, tools: Collection[str]) -> None:
        self._inner = inner
        self._tools = tools
        self._reading = AnswerText(tools)

    def hear(self, piece: str) -> None:
        """Take the next piece of what the model writes."""
        given = self._reading.hear(piece)
        if given.withdrawn:
            self._inner.forget()
        if given.text:
            self._inner.hear(given.text)

    def forget(self) -> None:
        """Forget what has been heard: the answer begins anew."""
        self._reading = AnswerText(self._tools)
        self._inner.forget()
