"""The errors' attributes: what they make the service do."""

import inspect
import re

import pytest

from chatwoot_bot import errors
from chatwoot_bot.errors import (
    AccessError,
    ChatwootError,
    SettingsError,
    ValidationError,
)


def test_the_tree_in_the_docstring_is_the_tree():
    """A reader who looks up whom to catch finds all of them."""
    drawn = re.findall(r"\w+Error", errors.__doc__)
    made = [
        cls.__name__
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if cls.__module__ == errors.__name__ and issubclass(cls, Exception)
    ]

    assert set(drawn) == set(made)
    assert all(issubclass(getattr(errors, n), errors.ChatwootBotError) for n in made)


def test_only_a_final_refusal_of_chatwoot_is_not_asked_again():
    """A reply is not given up for an outage, nor tried forever when it is refused."""
    outage = ChatwootError("x", status_code=404)
    refusal = ChatwootError("x", status_code=404, final=True)

    assert (outage.retryable, outage.is_gone) == (True, False)
    assert (refusal.retryable, refusal.is_gone) == (False, True)


@pytest.mark.parametrize(
    ("status_code", "code"), [(401, "unauthorized"), (403, "forbidden")]
)
def test_no_proof_and_wrong_proof_are_told_apart(status_code, code):
    """A page asks for the token again after 401, and gives up after 403."""
    error = AccessError("no", status_code=status_code)

    assert (error.status_code, error.code) == (status_code, code)
    assert AccessError.code == "forbidden"


def test_settings_error_lists_every_variable_on_its_own_line():
    """The operator mends all of them in one go."""
    error = SettingsError({"PORT": "must be a number", "TIMEZONE": "is unknown"})

    assert str(error).splitlines()[1:] == [
        "  PORT: must be a number",
        "  TIMEZONE: is unknown",
    ]


def test_a_refused_body_says_which_field_and_why():
    """A developer mends a request by reading the answer."""
    error = ValidationError({"content": "is missing"})

    assert (error.status_code, error.code) == (422, "validation_failed")
    assert error.fields == {"content": "is missing"}
