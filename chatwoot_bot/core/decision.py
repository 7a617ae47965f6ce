"""Decide who answers: nobody, the bot, or a human, and why.

Pure: the same message, conversation and policy give the same decision. The rules
run from certain to doubtful, so that what the bot must never answer cannot reach
the model.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from . import attachments
from .conversation import Conversation, Message, State, Status
from .hours import Hours
from .phrases import Wishes, holds_any
from .rules import Rule


class Route(StrEnum):
    """Where the contact's messages go."""

    IGNORE = "ignore"  # nobody has to answer
    HUMAN = "human"  # a human holds it; the bot is silent
    HANDOVER = "handover"  # the bot calls a human, in so many words
    BOT = "bot"  # the bot answers


@dataclass(frozen=True, slots=True)
class Decision:
    """A route and the rule that chose it; `reason` is a log and metric label.

    Attributes:
        detail: what the agents read besides the reason.
    """

    route: Route
    reason: str
    detail: str = ""


# A turn that has failed three times will fail again.
MAX_FAILURES = 3
MAIL_CHANNEL = "Channel::Email"
# A person writes fewer; a machine that answers the bot writes on without an end.
MAIL_MESSAGES_PER_HOUR = 10
# More than a run of deploys and crashes that had other causes.
MAX_ATTEMPTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The operator's choices for one bot, read once from the settings.

    Attributes:
        handover_keywords: the operator's own.
        wishes: of a bot without them, how contacts ask for a person.
        rules: call a human without asking the model.
        hours: when agents are at work; None for always.
        max_bot_turns: answers without a human or a resolve; 0 is no limit.
        answer_deadline_s: a contact who waits longer gets a human.
        contact_messages_per_hour: of one contact; more call a human. 0 is no limit
            but `MAIL_MESSAGES_PER_HOUR` for mail.
        max_cost_per_conversation: in the currency of the price list; 0 is no limit.
        max_cost_per_day: of all conversations together; 0 is no limit.
    """

    handover_keywords: tuple[str, ...] = ()
    wishes: Wishes | None = None
    rules: tuple[Rule, ...] = ()
    hours: Hours | None = None
    max_bot_turns: int = 0
    answer_deadline_s: float = math.inf
    contact_messages_per_hour: int = 0
    max_cost_per_conversation: float = 0.0
    max_cost_per_day: float = 0.0

    def is_strict(self, conversation: Conversation) -> bool:
        """Return whether a `Strain` has to be known."""
        return bool(self.messages_per_hour(conversation) or self.max_cost_per_day)

    def messages_per_hour(self, conversation: Conversation) -> int:
        """Return how many messages of one contact are answered; 0 is no limit."""
        mail = conversation.chatwoot_channel == MAIL_CHANNEL
        return self.contact_messages_per_hour or (MAIL_MESSAGES_PER_HOUR if mail else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """What a contact and the bot's purse have had to bear.

    Attributes:
        messages_in_hour: that the contact wrote, in all their conversations.
        spent_today: by all bots together.
    """

    messages_in_hour: int = 0
    spent_today: float = 0.0


NO_STRAIN = Strain()


def decide(
    messages: Sequence[Message],
    conversation: Conversation,
    *,
    human_mode: bool,
    policy: Policy,
) -> Decision:
    """Choose one route for the messages that wait together.

    Args:
        messages: the contact's unanswered messages, oldest first.
        conversation: as it is now.
        human_mode: the switch above all conversations.
        policy: the operator's choices.
    """
    if not messages:
        return Decision(Route.IGNORE, "nothing_owed")
    if human_mode:
        return Decision(Route.HUMAN, "human_mode")
    if conversation.state is not State.AI:
        return Decision(Route.HUMAN, f"state_{conversation.state}")
    if conversation.status is Status.RESOLVED:
        # Chatwoot reopens on a message unless the contact is muted or blocked.
        return Decision(Route.IGNORE, "resolved")
    for rule in policy.rules:
        if rule.ignore and rule.fits(messages, conversation, policy.hours):
            return Decision(Route.IGNORE, "operator_rule", rule.because)
    called = _call(messages, conversation, policy)
    return called or Decision(Route.BOT, "default")


def _call(
    messages: Sequence[Message], conversation: Conversation, policy: Policy
) -> Decision | None:
    """Return why a human is called before anything is tried, or None."""
    # What an agent has handed back was the agent's to decide: it calls nobody again.
    new = [message for message in messages if not message.handed_back]
    if any(asks_for_human(text, policy) for m in new for text in _said(m)):
        # "a human please" is not undone by the "hello?" that followed it.
        return Decision(Route.HANDOVER, "asked_for_human")
    for rule in policy.rules if new else ():
        if not rule.ignore and rule.fits(new, conversation, policy.hours):
            reason = "unsupported" if rule.unsupported else "operator_rule"
            return Decision(Route.HANDOVER, reason, rule.because)
    if policy.max_bot_turns and conversation.bot_turns >= policy.max_bot_turns:
        return Decision(Route.HANDOVER, "turn_limit")
    return None


def _said(message: Message) -> Iterator[str]:
    """Yield what the contact said: the message, what is typed in it, what is spoken."""
    content = message.content or ""
    yield content
    if message.attachments:
        yield content.removesuffix(attachments.lines(message.attachments))
        for each in message.attachments:
            if each.text is not None and each.text in each.line:
                yield each.text


def give_up(
    conversation: Conversation,
    *,
    owed_since: float,
    now: float,
    policy: Policy,
    strain: Strain = NO_STRAIN,
) -> Decision | None:
    """Return why the bot must stop trying and call a human, or None.

    Args:
        owed_since: when the contact asked, Unix seconds. Of the messages that are owed
            now: in the conversation it may stand for one that a crash kept from being
            ticked off.
        now: Unix seconds.
        strain: as far as the policy asks for it.
    """
    if conversation.failures >= MAX_FAILURES:
        return Decision(Route.HANDOVER, "turn_failed")
    if conversation.attempts > MAX_ATTEMPTS:
        # Every worker that touched it has died.
        return Decision(Route.HANDOVER, "worker_died")
    if now - owed_since >= policy.answer_deadline_s:
        return Decision(Route.HANDOVER, "answer_deadline")
    return _too_much(conversation, policy, strain)


def _too_much(
    conversation: Conversation, policy: Policy, strain: Strain
) -> Decision | None:
    """Return which limit on messages and money is reached, or None."""
    if 0 < policy.messages_per_hour(conversation) < strain.messages_in_hour:
        return Decision(Route.HANDOVER, "rate_limit")
    if 0 < policy.max_cost_per_conversation <= conversation.spent:
        return Decision(Route.HANDOVER, "spend_limit", "of one conversation")
    if 0 < policy.max_cost_per_day <= strain.spent_today:
        return Decision(Route.HANDOVER, "spend_limit", "of one day")
    return None


def asks_for_human(text: str, policy: Policy) -> bool:
    """Return whether *text* holds a handover keyword as whole words, in any case.

    Without keywords of the operator's it has to be meant; see `Wishes`.
    """
    if policy.wishes is not None and policy.wishes.asks(text):
        return True
    return holds_any(text, policy.handover_keywords)
