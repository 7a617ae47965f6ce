"""Messages in the strict form that some models' templates demand.

After the system prompt, user and assistant take turns, and the user begins. Mistral's
and Gemma's templates refuse everything else.
"""

from collections.abc import Sequence

from .transcript import ImagePart, ModelMessage, TextPart

# Stands where the contact has not spoken yet.
BEGUN = "[The conversation begins here.]"


def in_turns(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return *messages* with those of one side in a row joined, and a user's first.

    What an assistant says together with calls is joined to what it said before.
    Results of tools stay as they are: they belong to the call before them.
    """
    lines: list[ModelMessage] = []
    for message in messages:
        last = lines[-1] if lines else None
        if message["role"] == "assistant" and (last is None or _is_system(last)):
            last = {"role": "user", "content": BEGUN}
            lines.append(last)
        if last is not None and _are_one(last, message):
            lines[-1] = _joined(last, message)
        else:
            lines.append(message)
    return lines


def without_system(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return *messages* with the system prompt as the beginning of the user's first."""
    if not messages or not _is_system(messages[0]):
        return list(messages)
    prompt: ModelMessage = {"role": "user", "content": messages[0]["content"]}
    return in_turns([prompt, *messages[1:]])


def _is_system(message: ModelMessage) -> bool:
    return message["role"] == "system"


def _are_one(first: ModelMessage, second: ModelMessage) -> bool:
    same = first["role"] == second["role"]
    return same and first["role"] in ("user", "assistant") and "tool_calls" not in first


def _joined(first: ModelMessage, second: ModelMessage) -> ModelMessage:
    before, after = first["content"], second["content"]
    joined = second.copy()
    if isinstance(before, str) and isinstance(after, str):
        joined["content"] = f"{before}\n\n{after}"
    elif before and after:
        joined["content"] = [*_parts(before), *_parts(after)]
    else:
        joined["content"] = before or after
    return joined


def _parts(
    content: str | Sequence[TextPart | ImagePart],
) -> Sequence[TextPart | ImagePart]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content
