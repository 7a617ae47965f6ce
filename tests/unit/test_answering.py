"""Which settings the log names when a model's server refuses."""

import pytest

from chatwoot_bot.answering import _names
from chatwoot_bot.settings import Settings


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"OPENAI_API_KEY": "k"}, ("OPENAI_API_KEY", "OPENAI_MODEL")),
        ({"GROQ_API_KEY": "k"}, ("GROQ_API_KEY", "OPENAI_MODEL")),
        ({"OLLAMA_MODEL": "llama3.2"}, ("OPENAI_API_KEY", "OLLAMA_MODEL")),
    ],
    ids=["OpenAI", "Groq", "Ollama"],
)
def test_operator_is_sent_to_the_setting_that_is_in_force(given, names):
    assert _names(Settings.load(given)) == names
