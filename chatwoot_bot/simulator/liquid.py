"""Render outgoing text as Liquid, the way Chatwoot does before storing it.

Only as much of Liquid as shows what it does to a bot's answer: variables are
replaced, unknown ones vanish, tags vanish with what they enclose, and any syntax
error leaves the whole text as it was. Chatwoot first wraps text in back-ticks in
`raw` of its own; `raw` does not nest, so a text that brings its own `raw` around
back-ticks becomes a syntax error.

Source: chatwoot/chatwoot app/models/concerns/liquidable.rb; Shopify/liquid,
lib/liquid/tokenizer.rb.
"""

import re
from collections.abc import Mapping

BACKTICKS = re.compile(r"`(.*?)`", re.DOTALL)
NAME = re.compile(r"-?\s*+(\w*)")
OPENING = re.compile(r"\{\{|\{%")
END_OF_RAW = re.compile(r"\{%-?\s*endraw\s*-?%\}")
QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
BLOCKS = ("if", "unless", "case", "for", "capture", "comment", "tablerow", "ifchanged")


class _SyntaxError(Exception):
    """Liquid would refuse to parse this."""


def render(text: str, variables: Mapping[str, str]) -> str:
    """Return *text* rendered; unchanged when Liquid cannot parse it.

    Args:
        text: What the caller posted.
        variables: Dotted name to value, such as `contact.name`.
    """
    protected = BACKTICKS.sub(r"{% raw %}`\1`{% endraw %}", text)
    try:
        return _Scanner(protected, variables).run()
    except _SyntaxError:
        return text


class _Scanner:
    """One pass over a template; `depth` counts the open blocks, whose text is lost."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self.text = text
        self.variables = variables
        self.position = 0
        self.blocks: list[str] = []
        self.out: list[str] = []

    def run(self) -> str:
        while opening := OPENING.search(self.text, self.position):
            self._say(self.text[self.position : opening.start()])
            if opening[0] == "{{":
                self._variable(self._until("}", opening.end()))
            else:
                tag = NAME.match(self._until("%}", opening.end()))
                self._tag(tag[1] if tag else "")
        if self.blocks:
            raise _SyntaxError(f"{self.blocks[-1]} was never closed")
        self._say(self.text[self.position :])
        return "".join(self.out)

    def _say(self, text: str) -> None:
        if not self.blocks:
            self.out.append(text)

    def _until(self, end: str, begin: int) -> str:
        """Return what stands before the next *end*, and go on behind it."""
        at = self.text.find(end, begin)
        if at < 0:
            raise _SyntaxError("not terminated")
        self.position = at + len(end)
        return self.text[begin:at]

    def _variable(self, name: str) -> None:
        if not self.text.startswith("}", self.position):
            raise _SyntaxError("variable was not properly terminated")
        self.position += 1
        name = name.strip("- \t\r\n")
        if quoted := QUOTED.match(name):
            self._say(quoted[1] or quoted[2] or "")
        elif re.fullmatch(r"-?\d+(\.\d+)?", name):
            self._say(name)
        else:
            self._say(self.variables.get(name.split("|")[0].strip(), ""))

    def _tag(self, tag: str) -> None:
        if tag == "raw":
            end = END_OF_RAW.search(self.text, self.position)
            if end is None:
                raise _SyntaxError("raw was never closed")
            self._say(self.text[self.position : end.start()])
            self.position = end.end()
        elif tag in BLOCKS:
            self.blocks.append(tag)
        elif tag.startswith("end") and tag != self._expected_end():
            raise _SyntaxError(f"unexpected {tag}")

    def _expected_end(self) -> str:
        """Close the innermost block; return the tag that may do so."""
        return f"end{self.blocks.pop()}" if self.blocks else ""
