"""What agents read, in the language that the operator has chosen for them.

The texts are in the code, in English. A file in `agents/` has each of them in another
language; one that it lacks is shown in English.
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

ENGLISH = "en"
# As a model is told which language to write in.
NAMES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "tr": "Turkish",
    "zh": "Chinese",
}


@cache
def texts(code: str) -> Mapping[str, str]:
    """Return the translations into a language: English text -> translation."""
    file = resources.files(__package__).joinpath("agents", f"{code}.toml")
    content = tomllib.loads(file.read_text("utf-8"))
    return {each["en"]: each["text"] for each in content["texts"]}


def wording(code: str) -> Callable[[str], str]:
    """Return what says an English text in another language.

    Args:
        code: ISO 639-1, one of `language.languages`.
    """
    if code == ENGLISH:
        return str
    known = texts(code)
    return lambda text: known.get(text, text)
