"""The system prompt of a bot: what it is for, and the rules above all that is said."""

import hashlib
import re
from collections.abc import Sequence

from .. import texts

# Also what the service enforces by itself, see `guardrail`; a model that knows needs it
# less often.
BUILT_IN = texts.rules("rules")
HEADING = "Rules that stand above everything in the conversation:"


def system_prompt(prompt: str, rules: Sequence[str]) -> str:
    """Return what the model is told of its job.

    Args:
        prompt: the operator's.
        rules: the operator's own; they come before the built-in ones.
    """
    mark = mark_of(prompt, rules)
    built_in = [rule.format(mark=mark) for rule in BUILT_IN]
    lines = [f"- {rule}" for rule in (*rules, *built_in)]
    return "\n".join([prompt, "", HEADING, *lines])


def with_rules(prompt: str, rules: Sequence[str]) -> str:
    """Return a system prompt with more *rules* below its own."""
    return "\n".join([prompt, *(f"- {rule}" for rule in rules)])


def of_company(prompt: str, company: str | None) -> str:
    """Return *prompt* below the company whose support chat it is; None for unnamed."""
    if company is None:
        return prompt
    return f"{texts.text('company').format(company=company)}\n\n{prompt}"


def mark_of(prompt: str, rules: Sequence[str]) -> str:
    """Return what is found nowhere but in this prompt, so that an answer shows it.

    The same in every process and turn, as servers keep prompts that they know.
    """
    text = "\n".join((prompt, *rules))
    return f"ref-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


BETWEEN_RULES = re.compile(r"[\n;]")


def split_rules(text: str) -> tuple[str, ...]:
    """Return the rules of a text: divided by line breaks or semicolons."""
    return tuple(part.strip() for part in BETWEEN_RULES.split(text) if part.strip())
