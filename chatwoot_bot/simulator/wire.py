"""How Rails writes JSON and times; small forms that all payloads share.

The bytes matter: a signature is over the body as sent, so the escapes of Rails
are part of the stand-in (docs/chatwoot/deliveries.md#signature).
"""

import json
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

# ActiveSupport::JSON escapes these five and leaves other non-ASCII as it is.
RAILS_ESCAPES = str.maketrans(
    {
        "&": "\\u0026",
        "<": "\\u003c",
        ">": "\\u003e",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
)


def dump(body: Any) -> bytes:
    """Return *body* as compact JSON in UTF-8, with the escapes of Rails.

    The five characters cannot occur outside of strings, so one pass over the
    finished text is enough.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate has no UTF-8 form; Ruby would send the replacement sign.
    return text.translate(RAILS_ESCAPES).encode("utf-8", "replace")


def iso(at: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def javascript_date(at: float) -> str:
    """Return the time as a browser's Date writes it; the widget sends that."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%a %b %d %Y %H:%M:%S} GMT+0000 (Coordinated Universal Time)"


def iso_or_none(at: float | None) -> str | None:
    """Return the ISO form, or None for a time that never was."""
    return None if at is None else iso(at)


def epoch(at: float | None) -> int:
    """Return whole Unix seconds; 0 for a time that never was."""
    return 0 if at is None else int(at)
