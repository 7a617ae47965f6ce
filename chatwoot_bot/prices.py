"""What the model's tokens cost: `prices.toml`, and the operator's own `PRICES_FILE`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated

import pydantic

from .errors import SettingsError

MILLION = 1_000_000
# Bounded, so that no product with a count of tokens is infinite.
Amount = Annotated[float, pydantic.Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Price(pydantic.BaseModel):
    """Of a million tokens."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    prompt: Amount
    completion: Amount


class _File(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    currency: Annotated[str, pydantic.Field(pattern="^[A-Z]{3}$")] = "USD"
    models: dict[str, _Price] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The price list.

    Attributes:
        currency: of all prices and costs, such as ``USD``.
    """

    currency: str = "USD"
    models: Mapping[str, _Price] = field(default_factory=dict)

    def cost(self, model: str | None, *, prompt: int, completion: int) -> float | None:
        """Return what tokens of *model* cost; None where the list does not say."""
        price = self.models.get(model or "")
        if price is None:
            return None
        return (prompt * price.prompt + completion * price.completion) / MILLION


def read_prices(path: Path | None) -> Prices:
    """Return the built-in list, and over it the operator's.

    A list in another currency stands alone: prices are never converted.

    Raises:
        SettingsError: the file cannot be read; it says what is wrong with it.
    """
    built_in = _read(resources.files(__package__).joinpath("prices.toml").read_bytes())
    if path is None:
        return Prices(currency=built_in.currency, models=built_in.models)
    try:
        own = _read(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError({"PRICES_FILE": _problem(path, error)}) from error
    same = own.currency == built_in.currency
    models = built_in.models | own.models if same else own.models
    return Prices(currency=own.currency, models=models)


def _read(content: bytes) -> _File:
    return _File.model_validate(tomllib.loads(content.decode()))


def _problem(path: Path, error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"{path}: {where}: {first['msg']}"
    return f"{path} cannot be read: {error}"
