"""The operator's rules for a bot: when a human is called without asking the model.

And whom the bot leaves alone. Pure. Of a conversation's labels and custom attributes
only what a rule names is kept, as *marks*: they are customers' data.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from .conversation import Conversation, Message
from .hours import Hours
from .phrases import holds_any

# The kind of an attachment that stands for what Chatwoot itself cannot show.
UNSUPPORTED = "unsupported"


# Identifiers of WhatsApp's groups, channels and broadcasts, as bridges to API inboxes
# pass them on: whoever writes there does not write to the company alone.
GROUPS = ("*@g.us", "*@newsletter", "*@broadcast")


def left_alone(addresses: Iterable[str], patterns: Iterable[str]) -> bool:
    """Return whether a contact is none that the bot answers.

    Args:
        addresses: identifier, e-mail address, telephone number, source.
        patterns: whole addresses, in any case; ``*`` stands for anything. Groups are
            left alone as well, unless ``none`` is among them.
    """
    wanted = [pattern.casefold() for pattern in patterns]
    if "none" not in wanted:
        wanted += GROUPS
    known = [address.casefold() for address in addresses]
    return any(fnmatchcase(each, pattern) for each in known for pattern in wanted)


class When(StrEnum):
    """A side of the business hours."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A human is called where all that the rule names holds; of several, one.

    Or the message is ignored, which no human learns of either.

    Attributes:
        because: what the agents read.
        says: phrases of the contact; see `phrases.holds_any`.
        labels: marks of labels.
        attributes: marks of custom attributes.
        contacts: marks of patterns; see `left_alone`.
        ignore: nobody is called, and nothing is answered.
        hours: when the contact wrote.
        first_message: the bot has not answered yet in this request.
        unsupported: the contact sent what Chatwoot cannot show.
    """

    because: str
    says: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    ignore: bool = False
    hours: When | None = None
    first_message: bool = False
    unsupported: bool = False

    def fits(
        self,
        messages: Sequence[Message],
        conversation: Conversation,
        hours: Hours | None,
    ) -> bool:
        """Return whether the rule calls a human for these unanswered messages.

        Args:
            messages: the contact's, at least one.
            hours: the bot's business hours.
        """
        return all(self._said(messages)) and all(
            self._stands(conversation, hours, messages[-1].created_at)
        )

    def _said(self, messages: Sequence[Message]) -> Iterator[bool]:
        """Yield whether each condition on the messages holds."""
        if self.says:
            yield any(holds_any(m.content or "", self.says) for m in messages)
        if self.unsupported:
            yield any(a.kind == UNSUPPORTED for m in messages for a in m.attachments)

    def _stands(
        self, conversation: Conversation, hours: Hours | None, now: float
    ) -> Iterator[bool]:
        """Yield whether each condition on the conversation holds."""
        if not self.says and not self.unsupported:
            # An agent who gave it to the bot has seen its labels and the clock.
            yield not conversation.released
        marks = conversation.marks.split("\n")
        for wanted in filter(None, (self.labels, self.attributes, self.contacts)):
            yield not set(wanted).isdisjoint(marks)
        if self.hours is not None and hours is not None:
            yield hours.is_open(now) is (self.hours is When.INSIDE)
        if self.first_message:
            yield conversation.bot_turns == 0


def label_mark(label: str) -> str:
    """Return the mark of a label."""
    return f"label {label.casefold()}"


def attribute_mark(name: str, value: Any) -> str:
    """Return the mark of a custom attribute; its value counts as text, in any case."""
    return f"attribute {name}={str(value).casefold()}"


def contact_mark(pattern: str) -> str:
    """Return the mark of contacts whose address fits *pattern*."""
    return f"{CONTACT}{pattern.casefold()}"


CONTACT = "contact "


def marks(
    rules: Iterable[Rule],
    labels: Iterable[str],
    *attributes: Mapping[str, Any] | None,
    addresses: Iterable[str] = (),
) -> str:
    """Return the marks that *rules* name, one a line.

    Args:
        attributes: the conversation's, the contact's.
        addresses: the contact's; see `left_alone`.
    """
    rules = list(rules)
    shown = {label_mark(label) for label in labels}
    for each in attributes:
        shown |= {attribute_mark(name, value) for name, value in (each or {}).items()}
    named = {mark for rule in rules for mark in (*rule.labels, *rule.attributes)}
    known = [address.casefold() for address in addresses]
    for mark in {mark for rule in rules for mark in rule.contacts}:
        pattern = mark.removeprefix(CONTACT)
        if any(fnmatchcase(address, pattern) for address in known):
            named.add(mark)
            shown.add(mark)
    return "\n".join(sorted(shown & named))
