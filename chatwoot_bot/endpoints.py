"""Validate the tables `[[bots.http_tools]]`: an operator's HTTP endpoints."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import pydantic
from pydantic import Field

from .core.endpoint import PLACEHOLDER, Kind, Parameter
from .tables import TABLE, Text, environment_name

TOOL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
PARAMETER_NAME = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)
BEHIND_HOST = re.compile(r"[/?#]")
PORT = re.compile(r":(\d{0,6}+)\d*+$")
# Not allowed in an address once its placeholders are removed.
UNWRITTEN = re.compile(r"[{}\s]")
ONE_LINE = re.compile(r"[ -~]*")
HEADER = re.compile(r"[A-Za-z0-9-]+")


def _tool_name(value: str) -> str:
    if not TOOL_NAME.fullmatch(value):
        raise ValueError("must be letters, digits, _ and -, a letter first")
    return value


def _parameters(value: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the parameters that the model fills in, by name."""
    return {name: _parameter(name, each) for name, each in value.items()}


def _parameter(name: str, said: Any) -> Parameter:
    if not PARAMETER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} must be letters, digits and _, a letter first")
    if hasattr(pydantic.BaseModel, name):
        raise ValueError(f"{name!r} cannot be used; write my_{name}, for example")
    if isinstance(said, str):
        return Parameter(name=name, description=said.strip())
    kinds = get_args(Kind)
    if not isinstance(said, Mapping) or said.keys() - {"type", "description"}:
        raise ValueError(
            f"{name} must be a text for the model, or a table with type and description"
        )
    kind, description = said.get("type", "string"), said.get("description", "")
    if kind not in kinds or not isinstance(description, str):
        raise ValueError(f"{name} must have a type of {', '.join(kinds)}, and a text")
    return Parameter(name=name, kind=kind, description=description.strip())


def _endpoint_url(value: str) -> str:
    """Check that the model can choose neither the server nor the protocol."""
    scheme, mark, rest = value.partition("://")
    host = BEHIND_HOST.split(rest, 1)[0]
    port = PORT.search(host)
    if (
        scheme not in ("http", "https")
        or not mark
        or not host
        or "#" in rest
        or (port and not 0 < int(port[1] or 0) < 65_536)
    ):
        raise ValueError("must be a URL such as https://shop.example.com/orders/{id}")
    if "@" in host:
        raise ValueError("contains a password; send it with headers_env instead")
    if "{" in host or "}" in host:
        raise ValueError(
            "has a {placeholder} in the host; the model must not choose it"
        )
    if UNWRITTEN.search(PLACEHOLDER.sub("", rest)):
        raise ValueError("must have its placeholders written like {order}")
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, content in value.items():
        _header(name)
        if SECRET_HEADER.search(name):
            raise ValueError(
                f"{name} contains a secret; name its variable in headers_env"
            )
        if not ONE_LINE.fullmatch(content):
            raise ValueError(f"{name} must be ASCII, on one line")
    return value


def _secret_headers(value: dict[str, str]) -> dict[str, str]:
    for name, variable in value.items():
        _header(name)
        environment_name(variable)
    return value


def _header(value: str) -> str:
    if not HEADER.fullmatch(value) or value.lower() in NOT_HEADERS:
        raise ValueError(f"{value!r} must be the name of a header, such as X-Shop")
    return value


NOT_HEADERS = ("host", "content-length", "transfer-encoding", "connection")
SECRET_HEADER = re.compile(r"auth|cookie|key|secret|token|password", re.IGNORECASE)

Name = Annotated[Text, pydantic.AfterValidator(_tool_name)]
Header = Annotated[Text, pydantic.AfterValidator(_header)]
Url = Annotated[Text, pydantic.AfterValidator(_endpoint_url)]


class HttpTool(pydantic.BaseModel):
    """One endpoint as written in the file; see `core.endpoint`."""

    model_config = TABLE

    name: Name | None = None
    description: Text | None = None
    url: Url | None = None
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    parameters: Annotated[dict[str, Any], pydantic.AfterValidator(_parameters)] = {}
    headers: Annotated[dict[str, str], pydantic.AfterValidator(_headers)] = {}
    headers_env: Annotated[
        dict[str, str], pydantic.AfterValidator(_secret_headers)
    ] = {}
    idempotency_header: Header | None = None
    timeout: Annotated[float, Field(gt=0, le=120)] = 20.0
