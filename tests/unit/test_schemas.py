"""What a body or a query may hold is bounded, so that no database refuses it."""

from collections.abc import Iterator

import pydantic
import pytest

from chatwoot_bot.web import schemas

MODELS = [
    value
    for value in vars(schemas).values()
    if isinstance(value, type) and issubclass(value, pydantic.BaseModel)
]
# What a bigint holds, in SQLite as in PostgreSQL.
LEAST, MOST = -(2**63), 2**63 - 1


def kinds_in(schema: object, path: str = "") -> Iterator[tuple[str, dict]]:
    """Yield (where, schema) of everything in it that has a type."""
    if isinstance(schema, list):
        for each in schema:
            yield from kinds_in(each, path)
    elif isinstance(schema, dict):
        if "type" in schema:
            yield path, schema
        for name, each in schema.items():
            yield from kinds_in(each, f"{path}.{name}")


def is_bounded(schema: dict) -> bool:
    match schema["type"]:
        case "integer" | "number":
            low = schema.get("minimum")
            high = schema.get("maximum", schema.get("exclusiveMaximum"))
            return low is not None and high is not None and LEAST <= low <= high <= MOST
        case "string":
            # A date has its own bounds.
            return bool({"maxLength", "enum", "const", "format"} & schema.keys())
        case "array":
            return "maxItems" in schema
    return True


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_has_a_limit(model):
    """A number that no database holds would be an error of ours, not the caller's."""
    fields = kinds_in(model.model_json_schema(mode="validation"))

    unbounded = [where for where, schema in fields if not is_bounded(schema)]

    assert not unbounded


@pytest.mark.parametrize(
    "before",
    [
        "",
        "x",
        "nan:a",
        "inf:a",
        "-1:a",
        "1e300:a",
        "1:" + "a" * 300,
        "1:\0",
        "9" * 5_000,
    ],
)
def test_place_that_was_never_given_out_is_refused(before):
    with pytest.raises(pydantic.ValidationError):
        schemas.TurnQuery.model_validate({"before": before})


def test_place_that_was_given_out_is_taken_back():
    before = schemas.cursor_out(1_700_000_000.25, "c_1")

    query = schemas.TurnQuery.model_validate({"before": before})

    assert query.before == (1_700_000_000.25, "c_1")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (schemas.MessageQuery, '{"after": 9223372036854775808}'),
        (schemas.MessageQuery, '{"after": 1e30}'),
        (schemas.MessageQuery, '{"page": 1e400}'),
        (schemas.MessageQuery, '{"size": -1}'),
        (schemas.Frame, '{"after": NaN}'),
        (schemas.ConversationQuery, '{"display_id": 0}'),
        (schemas.BookingQuery, '{"since": 1e400}'),
        (schemas.StatsQuery, '{"since": "99999-01-01"}'),
        (schemas.SignIn, f'{{"token": "{"x" * 1_001}"}}'),
        (schemas.NewConversation, r'{"name": "\ud800"}'),
    ],
)
def test_what_is_out_of_range_is_refused(model, said):
    with pytest.raises(pydantic.ValidationError):
        model.model_validate_json(said)
