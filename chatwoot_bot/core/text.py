"""Text that every database takes, and that no terminal obeys."""

import re

# C0 but for the tab and the end of a line, DEL and C1, which move a terminal, and what
# turns the direction of writing or ends a line unseen.
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
# Control characters but for tabs and line ends, and what turns the direction of text
# around or hides in it. What joins letters and emoji (U+200C, U+200D) is none of these.
UNSEEN = dict.fromkeys(
    code
    for first, last in (
        (0x00, 0x08),
        (0x0B, 0x1F),
        (0x7F, 0x9F),
        (0x061C, 0x061C),
        (0x200E, 0x200F),
        (0x2028, 0x202E),
        (0x2066, 0x206F),
        (0xFEFF, 0xFEFF),
        (0xE0000, 0xE007F),
    )
    for code in range(first, last + 1)
)


def without_controls(text: str) -> str:
    """Return *text* without what makes it look different from what it says."""
    return text.translate(UNSEEN)


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
