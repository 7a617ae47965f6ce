"""Text that every database takes, and that no terminal obeys."""

import re

# C0 but for the tab and the end of a line, DEL and C1, which move a terminal, and what
# turns the direction of writing or ends a line unseen.
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def storable(text: str) -> str:
    """Join surrogate pairs that came in two chunks; replace what no database takes."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\x00", "\ufffd")


def visible(text: str) -> str:
    r"""Return *text* with control characters as Python writes them: ``\x1b``."""
    return CONTROLS.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
