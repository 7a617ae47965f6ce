"""How a model without tools still calls a colleague: by a word.

Its server has refused the tools. What the model may do then, and what it writes to
hand the conversation over, stands at the end of its system prompt.
"""

import json
from collections.abc import Sequence

from ..core.transcript import ModelMessage, ToolCall
from .base import Listener

WORD = "CALL_A_COLLEAGUE"
# The tool that the word stands for.
ESCALATE = "escalate_to_human"
TOLD = (
    "You have no tools at the moment: you cannot look anything up, nor book or change "
    "anything, so do not promise it. When the contact asks for a person, or when you "
    f"cannot help, write nothing but {WORD}: and one sentence for the colleague."
)


def told(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return *messages* with what the model has to know at the end of its prompt."""
    if not messages or messages[0]["role"] != "system":
        return list(messages)
    prompt = messages[0].copy()
    prompt["content"] = f"{messages[0]['content']}\n\n{TOLD}"
    return [prompt, *messages[1:]]


def call_in(text: str) -> ToolCall | None:
    """Return the call that *text* stands for, if it begins with the word."""
    begin, _, reason = text.strip().strip("*`").partition(WORD)
    if begin.strip(" \n*`\"'") or WORD not in text:
        return None
    given = json.dumps({"reason": reason.strip(" \n:*`\"'")}, ensure_ascii=False)
    return {
        "id": "call_0",
        "type": "function",
        "function": {"name": ESCALATE, "arguments": given},
    }


class Holding:
    """Keep from *listener* what may become the word."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._held = ""
        self._is_text = False

    def hear(self, piece: str) -> None:
        """Pass on the next piece of the text, once it cannot be the word."""
        if self._is_text:
            self._listener.hear(piece)
            return
        self._held += piece
        begin = self._held.lstrip(" \n*`\"'")
        if WORD.startswith(begin) or begin.startswith(WORD):
            return
        self._is_text = True
        self._listener.hear(self._held)

    def forget(self) -> None:
        """Forget what has been heard: the answer begins anew."""
        self._held, self._is_text = "", False
        self._listener.forget()
