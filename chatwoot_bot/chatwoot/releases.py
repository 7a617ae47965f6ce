"""Which release of Chatwoot does what, and what follows from it here.

One table, `FEATURES`, oldest first. Code asks `has`; `doctor` names what a release
lacks and what changes with it.

Source: docs/chatwoot/releases.md.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

Version = tuple[int, int, int]


class Feature(StrEnum):
    """Something that not every supported release does."""

    RETRIES_BOTS = "retries_bots"
    SIGNS_BOTS = "signs_bots"
    BLOCKS_PRIVATE = "blocks_private"
    ALLOWS_PRIVATE = "allows_private"
    SHOWS_CONVERSATIONS = "shows_conversations"
    SETS_OWNER = "sets_owner"
    OWNER_HIDES = "owner_hides"
    ASSIGNING_SETS_STATUS = "assigning_sets_status"
    CHECKS_TEAMS = "checks_teams"
    MERGES_ATTRIBUTES = "merges_attributes"
    READS_FLOWS = "reads_flows"
    LOCKS_REPLIES = "locks_replies"
    TAKES_BEARER = "takes_bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """One feature.

    Attributes:
        since: the first release that has it.
        lack: what its absence means here; empty when it is not missed.
        change: what its presence means here; empty when it needs no word.
    """

    feature: Feature
    since: Version
    lack: str = ""
    change: str = ""


FEATURES = (
    Since(
        feature=Feature.RETRIES_BOTS,
        since=(4, 11, 2),
        lack="a bot's failed delivery is not repeated, and a bot cannot show that it "
        "is typing",
    ),
    Since(
        feature=Feature.SIGNS_BOTS,
        since=(4, 13, 0),
        lack="deliveries to bots are not signed, and bots are not told when a "
        "conversation is updated",
    ),
    Since(feature=Feature.BLOCKS_PRIVATE, since=(4, 14, 0)),
    # By setting SAFE_FETCH_ALLOW_PRIVATE_NETWORK in Chatwoot's environment.
    Since(feature=Feature.ALLOWS_PRIVATE, since=(4, 14, 1)),
    Since(
        feature=Feature.SHOWS_CONVERSATIONS,
        since=(4, 14, 2),
        lack="a bot may not read conversations: who holds one is known from webhooks "
        "only, and lost webhooks are found with CHATWOOT_USER_TOKEN only",
    ),
    Since(feature=Feature.SETS_OWNER, since=(4, 16, 2)),
    Since(
        feature=Feature.OWNER_HIDES,
        since=(4, 17, 0),
        change="an open conversation that a bot still owns is not in the list "
        "Unassigned, and Chatwoot assigns it to no agent",
    ),
    Since(
        feature=Feature.ASSIGNING_SETS_STATUS,
        since=(4, 17, 0),
        change="assigning an agent opens a conversation that the bot owns; assigning "
        "the bot makes it pending",
    ),
    Since(
        feature=Feature.CHECKS_TEAMS,
        since=(4, 17, 0),
        change="assigning an unknown team is refused",
    ),
    Since(feature=Feature.MERGES_ATTRIBUTES, since=(4, 17, 0)),
    Since(feature=Feature.READS_FLOWS, since=(4, 17, 0)),
    Since(
        feature=Feature.LOCKS_REPLIES,
        since=(4, 17, 0),
        change="agents press Take over before they can reply in a pending conversation",
    ),
    Since(feature=Feature.TAKES_BEARER, since=(4, 19, 0)),
)
_SINCE = {each.feature: each.since for each in FEATURES}

SIGNS_BOTS: Version = _SINCE[Feature.SIGNS_BOTS]
BLOCKS_PRIVATE: Version = _SINCE[Feature.BLOCKS_PRIVATE]
ALLOWS_PRIVATE: Version = _SINCE[Feature.ALLOWS_PRIVATE]

# Newest first, as somebody reads who asks which upgrade would help.
LACKS = tuple(each for each in reversed(FEATURES) if each.lack)


VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")


def parse(version: str | None) -> Version | None:
    """Return ``4.16.2-fork`` as (4, 16, 2); None when it is no version."""
    found = VERSION.match(version or "")
    if found is None:
        return None
    return int(found[1]), int(found[2]), int(found[3] or 0)


def has(version: Version, feature: Feature) -> bool:
    """Return whether *version* has *feature*."""
    return version >= _SINCE[feature]


def lacking(version: Version) -> list[str]:
    """Return what *version* lacks that matters here, newest first."""
    return [each.lack for each in LACKS if version < each.since]


def changing(version: Version) -> list[str]:
    """Return what *version* does that operators should know of, oldest first."""
    return [each.change for each in FEATURES if each.change and version >= each.since]
