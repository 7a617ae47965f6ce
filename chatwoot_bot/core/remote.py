"""How agents steer the bot from within Chatwoot: by a note, a label, an attribute.

A private note is an agent's for certain. A label or an attribute is not, so it only
silences the bot.
"""

import re
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


# Chatwoot puts it between a public reply and the agent's signature.
SIGNATURE = re.compile(r"^[ \t]{0,4}--[ \t]{0,4}$", re.MULTILINE)
OFF_WORDS = ("off", "false", "0", "no", "paused", "disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """The operator's names for it; an empty one switches that way off.

    Attributes:
        prefix: how a note begins that is meant for the bot.
        label: silences the bot in the conversations that have it.
        attribute: a custom attribute whose value, such as ``off``, does the same.
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

    def is_command(self, text: str) -> bool:
        """Return whether *text* is a command and nothing else but a signature."""
        return self.sole_command(text) is not None

    def sole_command(self, text: str) -> str | None:
        """Return the command that *text* is, without an agent's signature."""
        for part in SIGNATURE.split(text, maxsplit=1):
            words = part.split(maxsplit=2)
            known = not words[1:] or words[1].casefold() in COMMANDS
            if len(words) <= 2 and known and self.command(part) is not None:
                return " ".join(words)
        return None

    def silencer(
        self, labels: Collection[str], attributes: Mapping[str, Any]
    ) -> str | None:
        """Return the name of the label or attribute that silences the bot, or None.

        Neither can do more: a visitor can change both in Chatwoot's widget.
        """
        if self.label and self.label.casefold() in map(str.casefold, labels):
            return self.label
        value = str(attributes.get(self.attribute, "")).casefold()
        if self.attribute and value in OFF_WORDS:
            return self.attribute
        return None


COMMANDS = frozenset(Command)
