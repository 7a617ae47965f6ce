"""Each operation of the HTTP interface, as `/openapi.json` describes it."""

from collections.abc import Iterator, Mapping
from typing import Any

from chatwoot_bot.web.routes import described

from .schemas import fields
from .tables import code, plain, table

Document = Mapping[str, Any]


def text() -> str:
    """Return a section for each operation."""
    document = described()
    schemas = document["components"]["schemas"]
    return "\n".join(
        _section(f"{method.upper()} {path}", operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )


def _section(name: str, operation: Document, schemas: Document) -> str:
    parts = [
        f"### {name}",
        f"{plain(operation['summary'])} {operation['description']}",
        *_request(operation, schemas),
        *_answer(operation, schemas),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _request(operation: Document, schemas: Document) -> Iterator[str]:
    given = [each for each in operation["parameters"] if each["in"] == "query"]
    properties = {each["name"]: each["schema"] for each in given}
    head = ("Parameter", "Type", "Meaning")
    yield table(head, fields({"properties": properties}, schemas))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        rows = fields(content["schema"], schemas)
        yield table(("Body", "Type", "Meaning"), rows)


def _answer(operation: Document, schemas: Document) -> Iterator[str]:
    errors = []
    for status, response in operation["responses"].items():
        if status >= "400":
            errors.append(f"{status} ({plain(response['description']).rstrip('.')})")
            continue
        for media, content in response.get("content", {}).items():
            if media != "application/json":
                yield f"Answers {status} with {code(media)}."
            elif rows := list(fields(content["schema"], schemas)):
                yield f"Answers {status} with:"
                yield table(("Field", "Type", "Meaning"), rows)
    if errors:
        yield f"Errors: {'; '.join(errors)}."
