"""The sentences of the demo around what it quotes, in each language of the service."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The sentences of one language.

    Attributes:
        hello: with ``{name}``, a comma and a name or nothing, and ``{bot}``.
        again: returns a later greeting; with ``{name}``.
        shop: says that this is a demo, and that it quotes an invented shop.
        own: the same where it quotes the operator's documents.
        english: that the shop's documents are in English; "" in English.
        source: stands before the title of a document.
        nothing: no document answers.
        offer: a person is there as well.
        person: the quick reply that asks for one; it calls one wherever it is said.
        greetings: what a contact says to greet; `thanks` and `goodbyes` likewise.
    """

    hello: str
    again: str
    shop: str
    own: str
    english: str
    source: str
    nothing: str
    welcome: str
    goodbye: str
    offer: str
    person: str
    greetings: tuple[str, ...]
    thanks: tuple[str, ...]
    goodbyes: tuple[str, ...]


@cache
def all_words() -> Mapping[str, Words]:
    """Return the sentences by language, ISO 639-1."""
    text = resources.files(__package__).joinpath("words.toml").read_text("utf-8")
    return {code: _read(found) for code, found in tomllib.loads(text).items()}


def every_source() -> tuple[str, ...]:
    """Return how a line with a source begins, in each language."""
    return tuple(f"{words.source}: " for words in all_words().values())


def _read(found: dict[str, Any]) -> Words:
    lists = {
        name: tuple(value) for name, value in found.items() if isinstance(value, list)
    }
    return Words(**found | lists)
