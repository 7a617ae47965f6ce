"""Conversations that Chatwoot shows as open although the bot is still their owner.

A failed delivery and the end of a snooze open a conversation and leave its owner; since
Chatwoot 4.17 no agent finds such a conversation, and the bot is silent in it
(docs/chatwoot/conversations.md#ownership). `heed_owner` marks it; `settle` decides,
after a second look at Chatwoot, whether the bot takes it back.
"""

from typing import TYPE_CHECKING

from ..core.conversation import State, Status
from ..core.events import Sighting
from .ownership import is_ours

if TYPE_CHECKING:
    from .story import Story

# Why the bot has a conversation that no agent has handed back; see `note_change`.
TAKEN_BACK = "taken_back"


def heed_owner(story: "Story", seen: Sighting) -> None:
    """Mark a conversation that is open, silent and the bot's; or end the mark.

    An agent's "open" looks the same between its two saves, so the mark alone decides
    nothing (docs/chatwoot/deliveries.md#sequences, 13).
    """
    if seen.bot_owner is None or 0 < seen.updated_at < story.now.status_at:
        return
    is_stranded = (
        story.now.state is not State.AI
        and seen.status is Status.OPEN
        and seen.bot_owner > 0
        and is_ours(story, seen.bot_owner)
    )
    if not is_stranded and story.now.stranded_at is not None:
        story.change(stranded_at=None)
    elif is_stranded and story.now.stranded_at is None:
        story.change(stranded_at=story.at)
