"""What tokens cost: by a list, and never by a guess."""

import pytest

from chatwoot_bot.errors import SettingsError
from chatwoot_bot.presets import GROQ_MODEL, OPENAI_MODEL, PRESETS
from chatwoot_bot.prices import read_prices


@pytest.fixture
def listed(tmp_path):
    def read(text):
        path = tmp_path / "prices.toml"
        path.write_text(text)
        return read_prices(path)

    return read


def cost(prices, model, prompt=1_000_000, completion=1_000_000):
    return prices.cost(model, prompt=prompt, completion=completion)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-mini",
        "gpt-4o",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-6-sol",
        "openai/gpt-oss-20b",
        *(OPENAI_MODEL, GROQ_MODEL, *(each.model for each in PRESETS if each.model)),
    ],
)
def test_well_known_models_have_a_price(model):
    assert cost(read_prices(None), model) > 0


def test_prompt_and_completion_are_priced_apart():
    prices = read_prices(None)

    assert cost(prices, "gpt-4o-mini") == pytest.approx(0.75)
    assert cost(prices, "gpt-4o-mini", 2_000, 0) == pytest.approx(0.0003)


@pytest.mark.parametrize("model", [None, "", "llama3.2", "gpt-4o-mini-2024-07-18"])
def test_unknown_model_has_no_price(model):
    assert cost(read_prices(None), model) is None


def test_operators_file_adds_and_replaces(listed):
    prices = listed(
        '[models."llama3.2"]\nprompt = 0\ncompletion = 0\n'
        "[models.gpt-4o]\nprompt = 1\ncompletion = 2"
    )

    assert cost(prices, "llama3.2") == 0
    assert cost(prices, "gpt-4o") == 3
    assert cost(prices, "gpt-4.1") == 10


def test_list_in_another_currency_stands_alone(listed):
    prices = listed('currency = "EUR"\n[models.gpt-4o]\nprompt = 1\ncompletion = 2')

    assert (prices.currency, cost(prices, "gpt-4o")) == ("EUR", 3)
    assert cost(prices, "gpt-4.1") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[models.x]\nprompt = -1\ncompletion = 1", "models.x.prompt: "),
        ("[models.x]\nprompt = 1", "models.x.completion: "),
        ("currency = 'euro'", "currency: "),
        ("modles = 1", "modles: "),
        ("[models", "cannot be read: "),
    ],
)
def test_list_that_is_wrong_is_refused(listed, text, problem):
    with pytest.raises(SettingsError) as caught:
        listed(text)

    assert problem in caught.value.problems["PRICES_FILE"]
