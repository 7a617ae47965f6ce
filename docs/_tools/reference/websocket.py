"""The WebSockets, as `/openapi.json` describes them under `x-websockets`."""

import inspect

from chatwoot_bot.web.events import CLOSE_CODES, EVENTS, SOCKETS
from chatwoot_bot.web.routes import described
from chatwoot_bot.web.schemas import Frame

from .schemas import fields
from .tables import code, plain, table


def sockets() -> str:
    """Return the addresses, and the frame that clients send."""
    schemas = described()["components"]["schemas"]
    rows = [(code(path), plain(meaning)) for path, meaning in SOCKETS.items()]
    frame = fields(schemas[Frame.__name__], schemas)
    return "\n".join(
        [
            table(("Socket", "Brings"), rows),
            "A client sends frames of JSON:\n",
            table(("Field", "Type", "Meaning"), frame),
        ]
    )


def events() -> str:
    """Return a section for each event."""
    schemas = described()["components"]["schemas"]
    sections = []
    for name, body in EVENTS.items():
        summary = (inspect.getdoc(body) or "").partition("\n")[0]
        rows = fields(schemas[body.__name__], schemas)
        fields_ = table(("Field", "Type", "Meaning"), rows)
        sections.append(f"### {name}\n\n{plain(summary)}\n\n{fields_}")
    return "\n".join(sections)


def close_codes() -> str:
    """Return the table of close codes."""
    rows = [(code(number), plain(why)) for number, why in sorted(CLOSE_CODES.items())]
    return table(("Code", "Meaning"), rows)
