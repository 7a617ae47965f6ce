"""Which release of Chatwoot can do what (facts, section 8)."""

import re
from dataclasses import dataclass

Version = tuple[int, int, int]

SIGNS_BOTS: Version = (4, 13, 0)
BLOCKS_PRIVATE: Version = (4, 14, 0)
# Since then by setting SAFE_FETCH_ALLOW_PRIVATE_NETWORK in Chatwoot's environment.
ALLOWS_PRIVATE: Version = (4, 14, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """What releases before *since* do not have, and what comes of it here."""

    since: Version
    what: str


# Newest first, as somebody reads who asks which upgrade would help.
LACKS = (
    Lack(
        since=(4, 14, 2),
        what="a bot may not read conversations: who holds one is known from webhooks "
        "only, and lost webhooks are found with CHATWOOT_USER_TOKEN only",
    ),
    Lack(
        since=SIGNS_BOTS,
        what="deliveries to bots are not signed, and bots are not told when a "
        "conversation is updated",
    ),
    Lack(
        since=(4, 11, 2),
        what="a bot's failed delivery is not repeated, and a bot cannot show that it "
        "is typing",
    ),
)


VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")


def parse(version: str | None) -> Version | None:
    """Return ``4.16.2-fork`` as (4, 16, 2); None when it is no version."""
    found = VERSION.match(version or "")
    if found is None:
        return None
    return int(found[1]), int(found[2]), int(found[3] or 0)


def lacking(version: Version) -> list[str]:
    """Return what *version* lacks that matters here."""
    return [lack.what for lack in LACKS if version < lack.since]
