"""Structured logs: constant messages, values in fixed keys, no text of a contact."""

import io
import json
import logging
import sys
from typing import Any, Literal, TextIO

import structlog

from .core.text import CONTROLS, visible

# Fields of several lines.
LONG = ("exception", "stack")
# httpx would log every URL, openai whole requests at DEBUG; it may use httpx2.
CLIENTS = ("httpx", "httpcore", "httpx2", "httpcore2", "openai")
CHATTY = (*CLIENTS, "alembic", "uvicorn.access")


def configure(level: str, form: Literal["console", "json"]) -> None:
    """Send structlog's and everybody else's lines through one renderer to stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(form),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # At INFO it logs the path of every socket, whose query holds a visitor's token.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _renderers(form: Literal["console", "json"]) -> list[structlog.typing.Processor]:
    if form == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(_json, ensure_ascii=False),
        ]
    return [
        _show_controls,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=_traceback
        ),
    ]


def _show_controls(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Show control characters, which a model may put into the name of a tool."""
    return {_line(name): _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value  # rich or not, it is shown by `repr`
    return visible(value) if name in LONG else _line(value)


def _line(text: str) -> str:
    return visible(text).replace("\n", r"\n")


def _traceback(out: TextIO, error: structlog.typing.ExcInfo) -> None:
    """Write a plain one: the rich ones print local variables, a contact's text too."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, error)
    out.write(visible(plain.getvalue()))


def _json(event: Any, **options: Any) -> str:
    """Return JSON that escapes what a terminal obeys, though JSON would allow it."""
    line = json.dumps(event, **options)
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
