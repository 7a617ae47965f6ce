"""The error codes of the HTTP interface, as the exceptions know them."""

import inspect
from collections.abc import Iterator

from chatwoot_bot.errors import RequestError

from .tables import code, plain, table


def text() -> str:
    """Return one row for each error that a caller may cause."""
    return table(("Code", "Status", "Meaning"), sorted(_rows()))


def _rows() -> Iterator[tuple[str, str, str]]:
    for error in _descendants(RequestError):
        summary = (inspect.getdoc(error) or "").partition("\n")[0]
        yield code(error.code), str(error.status_code), plain(summary)


def _descendants(base: type[RequestError]) -> Iterator[type[RequestError]]:
    for error in base.__subclasses__():
        yield error
        yield from _descendants(error)
