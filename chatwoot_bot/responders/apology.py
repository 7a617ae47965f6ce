"""Answer while the model does not: say so, in the contact's language."""

from collections.abc import Sequence

from ..core.conversation import Message, Sender
from ..language import language_of
from .base import Answer, Assignment, Listener


class ApologyResponder:
    """Says that it cannot look anything up right now. See `Responder`.

    Args:
        languages: codes of those that the bot speaks; all when empty.
    """

    name = "apology"
    model: str | None = None

    def __init__(self, languages: Sequence[str] = ()) -> None:
        self._languages = languages

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Apologize; never fails and never is empty."""
        said = assignment.transcript
        contact = [m.content or "" for m in said if m.sender is Sender.CONTACT]
        others = [m.content or "" for m in said if m.sender is not Sender.CONTACT]
        text = language_of(contact, others, among=self._languages).no_model
        if listener is not None:
            listener.hear(text)
        return Answer(text=text)

    async def summarize(
        self, transcript: Sequence[Message], *, so_far: str | None = None
    ) -> Answer | None:
        """Return None: that takes a model."""
        return None
