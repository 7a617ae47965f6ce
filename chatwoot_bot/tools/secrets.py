"""Remove secrets from what a server has answered, in each form that servers show.

Some servers echo the request, its headers too. That is a mishap, and not an attack: a
server that means to tell a secret can write it in any way that it likes.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

# Shorter ones would be found by chance inside other words, once they are encoded.
MIN_CHARS = 6
# Longer than any form of a usual secret.
MAX_CHARS = 4_096


class Redaction:
    """Write "…" in the place of each of *secrets*, in upper or lower case."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: it may begin with a shorter one.
        ordered = sorted(filter(None, forms), key=len, reverse=True)
        self._found = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE)
        self._is_idle = not ordered

    def __call__(self, text: str) -> str:
        """Return *text* without the secrets."""
        return text if self._is_idle else self._found.sub("…", text)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    # "Bearer abc" is a name and a secret.
    for part in {secret, secret.rpartition(" ")[2]}:
        if len(part) >= MIN_CHARS:
            yield from _encoded(part)


def _encoded(secret: str) -> Iterator[str]:
    yield secret
    for written in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        yield written[1:-1]
        yield written[1:-1].replace("/", r"\/")
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield html.escape(secret)
    data = secret.encode()
    yield data.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode()
        for before in range(3):
            yield _core(encode(bytes(before) + data).decode(), before)


def _core(encoded: str, before: int) -> str:
    """Return what of a base64 text is the same whatever stands around the secret."""
    bare = encoded.rstrip("=")
    return bare[(0, 2, 3)[before] : -1 if bare != encoded else None]
