"""The messages and actions of a handover.

The contact reads a sentence in the language of the conversation, and when to expect
somebody. The agents read why, and what it was about. The conversation goes to the
team, agent, priority and labels that the operator has chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .core.conversation import Message, Sender
from .core.hours import Hours
from .core.notes import Done, Say, note
from .core.routing import Routing
from .language import Language, language_of
from .store.replies import Draft, ReplyKind

# What agents read when the bot calls them, by the reason of the decision.
REASONS = {
    "asked_for_human": "The contact asked for a human, so the bot has stepped back.",
    "model_asked": "The bot's model called a human: {detail}",
    "model_failed": "The bot's language model does not answer, so it has stepped back.",
    "model_refused": "The bot's language model refused to answer here.",
    "turn_failed": "The bot failed three times to answer, so it has stepped back.",
    "worker_died": "The bot's worker died again and again here, so it stepped back.",
    "answer_deadline": "The contact has waited too long for the bot's answer.",
    "turn_limit": "The bot has answered as often as it may in one conversation.",
    "rate_limit": "The contact writes more in an hour than the bot may answer.",
    "spend_limit": "The bot's model has cost as much as it may: the limit {detail}.",
    "guardrail": "The bot's answer held what it must not say, so it was withheld. "
    "Somebody may have tried to make it give away its instructions.",
    "operator_rule": "A rule of the bot's operator calls a human here: {detail}",
    "unsupported": "The contact sent what neither Chatwoot nor the bot can show.",
    "cannot_reply": "The channel would not bring the bot's reply to the contact.",
}
APOLOGIZED = ("answer_deadline", "turn_failed", "worker_died")
# Then asking the model for a summary would most likely fail as well, or would go on
# with what has just been stopped.
WITHOUT_MODEL = (
    "answer_deadline",
    "model_failed",
    "model_refused",
    "turn_failed",
    "worker_died",
    "rate_limit",
    "spend_limit",
    "guardrail",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The operator's choices for calling a human.

    Attributes:
        message: what the contact is told, as it is; None for the built-in text in
            the language of the conversation.
        hours: when agents are at work; None for always.
        command: hands a conversation back, in a private note; "" for none.
        say: says an English text in the agents' language.
        languages: codes of those that the bot speaks; all when empty.
    """

    message: str | None = None
    hours: Hours | None = None
    routing: Routing = field(default_factory=Routing)
    languages: tuple[str, ...] = ()
    command: str = ""
    say: Say = str

    def tell(
        self,
        transcript: Sequence[Message],
        reason: str,
        *,
        now: float,
        someone_online: bool | None = None,
    ) -> str:
        """Return what the contact is told.

        Args:
            reason: of the decision.
            now: Unix seconds.
            someone_online: whether an agent is there; None when unknown.
        """
        language = _language(transcript, self.languages)
        parts = [language.apology] if reason in APOLOGIZED else []
        closed = self.hours is not None and not self.hours.is_open(now)
        if self.message or not closed:
            parts.append(self.message or language.handover)
        if self.hours is not None and closed:
            opening = self.hours.next_opening(now)
            day = language.weekdays[opening.weekday()]
            when = f"{day}, {opening:%H:%M}"
            parts.append(language.out_of_hours.format(opening=when))
        elif someone_online is False:
            parts.append(language.nobody_online)
        return " ".join(parts)

    def for_agents(
        self,
        transcript: Sequence[Message],
        reason: str,
        detail: str = "",
        *,
        done: Sequence[Done] = (),
    ) -> list[Draft]:
        """Return where the conversation goes, and the note for the agents.

        The note shows the last messages until a summary takes their place.

        Args:
            done: the calls that the bot's model has made, the oldest first.
        """
        # Some details are the operator's or the model's words, and stay as they are.
        why = self.say(REASONS[reason]).format(detail=self.say(detail))
        kind = ReplyKind.NOTE if reason in WITHOUT_MODEL else ReplyKind.HANDOVER_NOTE
        text = note(why, transcript, command=self.command, done=done, say=self.say)
        parts = self.routing.in_parts()
        routing = [Draft(ReplyKind.ROUTING, part.to_json()) for part in parts]
        return [*routing, Draft(kind, text)]


def _language(transcript: Sequence[Message], among: Sequence[str]) -> Language:
    contact = [m.content or "" for m in transcript if m.sender is Sender.CONTACT]
    others = [m.content or "" for m in transcript if m.sender is not Sender.CONTACT]
    return language_of(contact, others, among=among)
