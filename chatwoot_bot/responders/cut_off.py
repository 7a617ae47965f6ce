"""An answer that is cut off at a length limit: asked again, or ended in time."""

from collections.abc import Sequence

import structlog

from ..core.sentences import full_sentences
from ..core.transcript import ModelMessage
from ..errors import ResponderError
from .base import Listener
from .streaming import Said

log = structlog.get_logger(__name__)

SHORTER = (
    "Answer in at most three short sentences: a longer answer of yours was cut off."
)


def shorter(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return the request once more, for a shorter answer."""
    system = messages[0]
    first: ModelMessage = {**system, "content": f"{system['content']}\n\n{SHORTER}"}
    return [first, *messages[1:]]


def in_full(
    said: Said, before: Said | None = None, listener: Listener | None = None
) -> str:
    """Return the full sentences of an answer that is cut off, or of the one before it.

    They are also all that *listener* has heard then.

    Raises:
        ResponderError: there are none.
    """
    log.warning("answer cut off", asked_again=False)
    text = full_sentences(said.text) or full_sentences(before.text if before else "")
    if not text:
        raise ResponderError(
            "the model's answer is cut off at its length limit",
            retryable=False,
            kind="cut_off",
            finish_reason=said.finish,
        )
    if listener is not None:
        listener.forget()
        listener.hear(text)
    return text
