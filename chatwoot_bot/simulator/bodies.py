"""Request bodies of REST calls: JSON, forms, and multipart with files."""

import itertools
import json
import re
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from .asks import Upload
from .wire import Json

KEYS = re.compile(r"[^\[\]]+|\[\]")


def parse_body(body: bytes, content_type: str) -> tuple[Json, tuple[Upload, ...]]:
    """Return the parameters and the files; none when it is no such body."""
    if "multipart/form-data" in content_type:
        return _multipart(body, content_type)
    if "form-urlencoded" in content_type:
        params: Json = {}
        for name, value in parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True
        ):
            _put(params, name, value)
        return params, ()
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        return {}, ()
    return (given if isinstance(given, dict) else {}), ()


def _multipart(body: bytes, content_type: str) -> tuple[Json, tuple[Upload, ...]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    params: Json = {}
    files = []
    for part in message.iter_parts() if message.is_multipart() else ():
        name = str(part.get_param("name", "", header="content-disposition"))
        content = part.get_payload(decode=True)
        raw = content if isinstance(content, bytes) else b""
        if part.get_filename() is None:
            _put(params, name, raw.decode("utf-8", "replace"))
        elif name.startswith("attachment") or name == "avatar":
            files.append(
                Upload(
                    name=str(part.get_filename()),
                    content_type=part.get_content_type(),
                    content=raw,
                )
            )
    return params, tuple(files)


def _put(params: Json, name: str, value: str) -> None:
    """Set one form field; `a[]` collects a list and `a[b]` an object, as in Rails."""
    path = KEYS.findall(name) or [name]
    here: Any = params
    for key, following in itertools.pairwise(path):
        here = here.setdefault(key, [] if following == "[]" else {})
        if not isinstance(here, list if following == "[]" else dict):
            return
    if isinstance(here, list):
        here.append(value)
    else:
        here[path[-1]] = value
