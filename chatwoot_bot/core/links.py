"""Where an answer may lead, whatever the model was talked into. Pure.

A picture is fetched by a browser without a click, and a link may hold more than an
address: both could carry what was said here to a stranger. So pictures come only from
the operator's own hosts and the sources', and links lead there too, or are such as the
model was shown, letter by letter. Of any other only the name of its host is left.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

IMAGE = re.compile(r"!\[([^\]\n]*)\]\(\s*<?([^\s)>]*)>?[^)\n]*\)")
LINK = re.compile(r"\[([^\]\n]*)\]\(\s*<?([^\s)>]*)>?[^)\n]*\)")
ADDRESS = re.compile(
    r"(?:https?:)?//[^\s<>()\[\]\"'`]+|"
    r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[^\s<>()\[\]\"'`?]*)?\?[^\s<>()\[\]\"'`]+",
    re.IGNORECASE,
)
HOST = re.compile(r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b", re.IGNORECASE)
END = ".,:;!?…*_~"
# Where a picture, a link or an address that is not finished yet may begin.
UNFINISHED = re.compile(
    r"(?:!?\[[^\]\n]*(?:\](?:\([^)\n]*)?)?|!|<[^>\n]*|[^\s<>()\[\]\"'`]+)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Where an answer may lead to.

    Attributes:
        hosts: of pictures and of links; their subdomains too.
        seen: what the model was shown; an address in it can carry nothing more away.
    """

    hosts: frozenset[str] = frozenset()
    seen: Sequence[str] = field(default=())

    def defused(self, text: str) -> str:
        """Return *text* without the pictures and links that lead elsewhere."""
        text = IMAGE.sub(self._image, text)
        text = LINK.sub(self._link, text)
        return ADDRESS.sub(self._address, text)

    def _image(self, match: re.Match[str]) -> str:
        name, address = match.groups()
        return match[0] if self._is_trusted(address) else name

    def _link(self, match: re.Match[str]) -> str:
        name, address = match.groups()
        if self._leads_nowhere_new(address):
            return match[0]
        host = host_of(address)
        # The name may be an address itself, which the next step looks at.
        return f"{name} ({host})" if "." in host and host not in name else name

    def _address(self, match: re.Match[str]) -> str:
        address = match[0].rstrip(END)
        if self._leads_nowhere_new(address):
            return match[0]
        return f"{host_of(address)}{match[0][len(address) :]}"

    def _leads_nowhere_new(self, address: str) -> bool:
        if address.startswith(("mailto:", "tel:")):
            return "?" not in address
        return self._is_trusted(address) or any(_holds(t, address) for t in self.seen)

    def _is_trusted(self, address: str) -> bool:
        if not address.startswith(("https://", "http://", "//")) and ":" in address:
            return False
        host = host_of(address)
        return any(host == each or host.endswith(f".{each}") for each in self.hosts)


def _holds(text: str, address: str) -> bool:
    """Return whether *address* stands in *text*, and does not only begin there."""
    pattern = rf"{re.escape(address)}(?![\w/?&=#%+-])"
    return address in text and re.search(pattern, text) is not None


def host_of(address: str) -> str:
    """Return the host that a browser would ask, in lower case; "" for none."""
    # Browsers take a backslash for a slash.
    text = address.replace("\\", "/")
    if "//" not in text:
        text = f"//{text}"
    try:
        return (urlsplit(text).hostname or "").lower()
    except ValueError:
        return ""


def hosts_in(text: str) -> set[str]:
    """Return the hosts that a text names."""
    named = {host_of(found) for found in ADDRESS.findall(text)} - {""}
    return named | {host.lower() for host in HOST.findall(text)}


def finished(text: str) -> int:
    """Return how many characters of an answer hold no unfinished way out."""
    found = UNFINISHED.search(text)
    return found.start() if found else len(text)
