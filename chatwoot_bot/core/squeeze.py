"""Make a request shorter, for a model whose context is too small for it. Pure."""

from collections.abc import Sequence

from .transcript import ImagePart, ModelMessage, TextPart
from .window import cut_in_the_middle

# Characters below which cutting a text further is no use.
SHORTEST = 200
LEFT_OUT = "\n[The rest is left out: there is no room for it.]"


def halved(messages: Sequence[ModelMessage]) -> list[ModelMessage] | None:
    """Return *messages* with half of what can be spared; None when nothing can.

    The older half of the history goes, and the second half of what tools have found.
    What the contact waits for an answer to is cut only when nothing else is left, and
    then in the middle.
    """
    begin = 1 if messages and messages[0]["role"] == "system" else 0
    if len(messages) == begin:
        return None
    first = _unanswered_from(messages, begin)
    history = messages[begin:first]
    kept = history[-(len(history) // 2) :] if len(history) > 1 else []
    rest = [_shorter_result(message) for message in messages[first:]]
    shorter = [*messages[:begin], *kept, *rest]
    if shorter != list(messages):
        return shorter
    longest = max(range(first, len(messages)), key=lambda n: _size(messages[n]))
    cut = _cut(messages[longest])
    if cut is None:
        return None
    return [*messages[:longest], cut, *messages[longest + 1 :]]


def _unanswered_from(messages: Sequence[ModelMessage], begin: int) -> int:
    """Return where the contact's last words begin; what was called follows them."""
    last = len(messages) - 1
    while last > begin and messages[last]["role"] != "user":
        last -= 1
    while last > begin and messages[last - 1]["role"] == "user":
        last -= 1
    return last


def _shorter_result(message: ModelMessage) -> ModelMessage:
    text = message["content"]
    if message["role"] != "tool" or not isinstance(text, str):
        return message
    text = text.removesuffix(LEFT_OUT)
    if len(text) <= 2 * SHORTEST:
        return message
    shorter = message.copy()
    shorter["content"] = text[: len(text) // 2] + LEFT_OUT
    return shorter


def _size(message: ModelMessage) -> int:
    return len(_text(message)) if message["role"] == "user" else -1


def _text(message: ModelMessage) -> str:
    content = message["content"] or ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _cut(message: ModelMessage) -> ModelMessage | None:
    text = _text(message)
    if message["role"] != "user" or len(text) <= 2 * SHORTEST:
        return None
    shorter = message.copy()
    cut = cut_in_the_middle(text, len(text) // 2)
    if isinstance(message["content"], str):
        shorter["content"] = cut
    else:
        pictures = [p for p in message["content"] or () if p["type"] != "text"]
        parts: list[TextPart | ImagePart] = [{"type": "text", "text": cut}]
        shorter["content"] = [*parts, *pictures]
    return shorter
