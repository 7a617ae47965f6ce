"""Build `/openapi.json` (OpenAPI 3.1) from the route table and the models."""

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pydantic
from starlette.requests import Request
from starlette.responses import Response

from .events import CLOSE_CODES, EVENTS, SOCKETS
from .schemas import Frame, Problem

Handler = Callable[[Request], Awaitable[Response]]
Document = dict[str, Any]

REF = "#/components/schemas/{model}"
# In a path: {name:kind}.
PLACE = re.compile(r"{(\w+)(?::(\w+))?}")
KIND_OF_PLACE = re.compile(r":\w+}")


class Who(StrEnum):
    """The callers that an operation is for."""

    ANYBODY = "everyone"
    VISITOR = "the conversation's visitor, and agents"
    AGENT = "agents"
    CHATWOOT = "Chatwoot"


# Errors by caller; further errors follow from the operation's shape.
REFUSALS = {Who.ANYBODY: (), Who.CHATWOOT: (401,), Who.VISITOR: (401,)}
MEANING = {
    400: "The body is not JSON.",
    401: "Missing or invalid token.",
    403: "Not allowed from this origin, or for this caller.",
    404: "Not found.",
    409: "The current state does not allow this.",
    413: "The body is longer than MAX_BODY_BYTES.",
    422: "A field or a parameter is missing or invalid.",
    429: "A rate limit is exceeded, or too many requests wait; try again later.",
    500: "The database could not store it; try again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        body: the model of the JSON body; None without a body.
        query: the model of the query string; None without one.
        answer: the TypedDict of a success; None when it is not JSON.
        media: the media type of a success.
        errors: statuses that do not follow from the other attributes.
    """

    method: str
    path: str
    handler: Handler
    who: Who
    body: type[pydantic.BaseModel] | None = None
    query: type[pydantic.BaseModel] | None = None
    answer: Any = None
    media: str = "application/json"
    status: int = 200
    errors: Sequence[int] = ()

    @property
    def name(self) -> str:
        """Return the unique name of the operation."""
        module = self.handler.__module__.rpartition(".")[2]
        return f"{module}_{self.handler.__name__}"

    @property
    def summary(self) -> str:
        """Return the first line of the handler's docstring."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]


def document(operations: Sequence[Operation], *, version: str) -> Document:
    """Return the description of *operations*."""
    schemas = _Schemas()
    paths: Document = {}
    for operation in operations:
        path = KIND_OF_PLACE.sub("}", operation.path)
        described = _described(operation, schemas)
        paths.setdefault(path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "chatwoot-bot", "version": version},
        "paths": paths,
        "x-websockets": _websockets(schemas),
        "components": {
            "schemas": schemas.found,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The conversation's token, or ADMIN_TOKEN.",
                },
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Chatwoot-Signature",
                },
            },
        },
    }


def _websockets(schemas: "_Schemas") -> Document:
    """Describe the WebSockets, which OpenAPI cannot."""
    return {
        "sockets": SOCKETS,
        "frame": schemas.reference(Frame, sent=False),
        "events": {
            name: schemas.reference(body, sent=True) for name, body in EVENTS.items()
        },
        "close_codes": CLOSE_CODES,
    }


class _Schemas:
    """The models referenced so far, each once."""

    def __init__(self) -> None:
        self.found: Document = {}

    def reference(self, model: Any, *, sent: bool) -> Document:
        """Return a reference to *model*; store its schema and those it refers to.

        Args:
            sent: whether the service sends the model; otherwise it receives it.
        """
        schema = pydantic.TypeAdapter(model).json_schema(
            ref_template=REF, mode="serialization" if sent else "validation"
        )
        self.found |= schema.pop("$defs", {})
        if "$ref" in schema:
            return schema
        self.found[schema["title"]] = schema
        return {"$ref": REF.format(model=schema["title"])}

    def parameters(self, model: type[pydantic.BaseModel]) -> list[Document]:
        """Return the fields of *model* as parameters of a query."""
        schema = model.model_json_schema(ref_template=REF)
        self.found |= schema.pop("$defs", {})
        return [
            {"name": name, "in": "query", "required": False, "schema": field}
            for name, field in schema["properties"].items()
        ]


def _described(operation: Operation, schemas: _Schemas) -> Document:
    described: Document = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"For {operation.who}.",
        "tags": [str(operation.who)],
        "parameters": _path_parameters(operation.path),
        "responses": _responses(operation, schemas),
    }
    if operation.query is not None:
        described["parameters"] += schemas.parameters(operation.query)
    if operation.body is not None:
        content = {"schema": schemas.reference(operation.body, sent=False)}
        described["requestBody"] = {"content": {"application/json": content}}
    if operation.who is Who.CHATWOOT:
        described["security"] = [{"signature": []}]
    elif operation.who is not Who.ANYBODY:
        described["security"] = [{"token": []}]
    return described


def _path_parameters(path: str) -> list[Document]:
    kinds = {"int": "integer", "str": "string"}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": kinds[kind or "str"]},
        }
        for name, kind in PLACE.findall(path)
    ]


def _responses(operation: Operation, schemas: _Schemas) -> Document:
    success: Document = {"description": "Done."}
    if operation.answer is not None:
        content = {"schema": schemas.reference(operation.answer, sent=True)}
        success["content"] = {operation.media: content}
    elif operation.media != "application/json":
        success["content"] = {operation.media: {}}
    problem = {"schema": schemas.reference(Problem, sent=True)}
    responses: Document = {str(operation.status): success}
    for status in _errors(operation):
        responses[str(status)] = {
            "description": MEANING[status],
            "content": {"application/json": problem},
        }
    return responses


def _errors(operation: Operation) -> list[int]:
    errors = {*REFUSALS.get(operation.who, (401, 403)), *operation.errors}
    if operation.body is not None:
        errors |= {400, 413, 422}
    if operation.query is not None:
        errors.add(422)
    if "{" in operation.path:
        errors.add(404)
    if operation.method != "GET":
        errors |= {403, 429, 500}  # 403: from another site's page
    if operation.method in ("PUT", "DELETE") and "{" in operation.path:
        errors.add(409)
    if operation.path.endswith(("/messages", "/escalate")) and errors >= {429}:
        errors.add(409)
    if operation.who is Who.VISITOR:
        errors.add(429)  # visitors' reading is paced as well
    return sorted(errors)
