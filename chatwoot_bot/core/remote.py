"""How agents steer the bot from within Chatwoot: by a note, a label, an attribute."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Command(StrEnum):
    """What an agent may ask of the bot in a private note."""

    ON = "on"
    OFF = "off"
    RETRY = "retry"
    SUMMARY = "summary"
    HELP = "help"  # also for whatever else was written


class Switch(StrEnum):
    """What a label or an attribute says."""

    ON = "on"
    OFF = "off"


OFF_WORDS = ("off", "false", "0", "no", "paused", "disabled")
ON_WORDS = ("on", "true", "1", "yes", "active", "enabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """The operator's names for it; an empty one switches that way off.

    Attributes:
        prefix: how a note begins that is meant for the bot.
        label: silences the bot in the conversations that have it.
        attribute: a custom attribute whose value says on or off.
    """

    prefix: str = "/bot"
    label: str = "bot-off"
    attribute: str = "bot"

    def command(self, text: str) -> Command | None:
        """Return what a private note asks of the bot, or None for any other note."""
        first, *rest = text.split() or [""]
        if not self.prefix or first.casefold() != self.prefix.casefold():
            return None
        word = rest[0].casefold() if rest else ""
        return Command(word) if word in COMMANDS else Command.HELP

    def switch(
        self, labels: Collection[str], attributes: Mapping[str, Any]
    ) -> Switch | None:
        """Return what the conversation's label or attribute says, or None."""
        if self.label and self.label.casefold() in map(str.casefold, labels):
            return Switch.OFF
        value = str(attributes.get(self.attribute, "")).casefold()
        if not self.attribute or value not in (*OFF_WORDS, *ON_WORDS):
            return None
        return Switch.OFF if value in OFF_WORDS else Switch.ON


COMMANDS = frozenset(Command)
