"""How much of a conversation the model is shown, and what is left out.

Pure. Tokens are counted by a rule of thumb: four characters of an alphabet, or one of
Chinese, Japanese or Korean. That is near enough for a limit, and takes no tables.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .conversation import Message

# Han, kana and Hangul, with their punctuation and full-width forms.
CJK = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]")
# Of one message: who says it.
OVERHEAD = 4
# Of a picture, as OpenAI counts one of middle size.
IMAGE = 800
# Tokens of a message that is cut, however many others wait beside it.
LEAST = 100
CUT = (
    "\n[… {count} characters of this message are left out here, because it is too "
    "long. Say so if they may matter. …]\n"
)


@dataclass(frozen=True, slots=True)
class Window:
    """What the model is shown, and what is not, each oldest first."""

    shown: Sequence[Message]
    cut: Sequence[Message]


def tokens(text: str) -> int:
    """Return about how many tokens *text* has."""
    dense = 0 if text.isascii() else len(CJK.findall(text))
    return dense + -(-(len(text) - dense) // 4)


def weight(message: Message) -> int:
    """Return about how many tokens *message* takes, with what came with it."""
    count = OVERHEAD + tokens(message.content or "")
    for attachment in message.attachments:
        count += tokens(attachment.text or "") + IMAGE * bool(attachment.image)
    return count


def fit(transcript: Sequence[Message], budget: int) -> Window:
    """Show the newest messages that fit together, and whatever is owed an answer.

    Of what is owed, a message that alone takes more than its share of the budget is
    cut in the middle, and the model is told so.

    Args:
        transcript: oldest first.
        budget: in tokens.
    """
    transcript = _within(transcript, budget)
    left = budget - sum(weight(message) for message in transcript if message.owed)
    shown: list[Message] = []
    cut: list[Message] = []
    for message in reversed(transcript):
        if message.owed:
            shown.append(message)
            continue
        # Once below zero it stays there: no older one slips into what is left, and
        # none is even weighed.
        if left >= 0:
            left -= weight(message)
        (cut if left < 0 else shown).append(message)
    return Window(shown[::-1], cut[::-1])


def cut_in_the_middle(text: str, size: int) -> str:
    """Return *text* with its beginning and its end, about *size* characters of it."""
    if len(text) <= size:
        return text
    head = size - size // 2
    tail = text[len(text) - size // 2 :] if size > 1 else ""
    return text[:head] + CUT.format(count=len(text) - size) + tail


def _within(transcript: Sequence[Message], budget: int) -> Sequence[Message]:
    """Return the transcript with what is owed cut to *budget*, if it must be."""
    owed = [message for message in transcript if message.owed]
    if not owed or sum(weight(message) for message in owed) <= budget:
        return transcript
    share = max(budget // len(owed), LEAST)
    return [_cut(each, share) if each.owed else each for each in transcript]


def _cut(message: Message, share: int) -> Message:
    text = message.content or ""
    count = tokens(text)
    if count <= share:
        return message
    return replace(message, content=cut_in_the_middle(text, share * len(text) // count))
