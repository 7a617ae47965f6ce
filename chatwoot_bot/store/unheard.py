"""An agent who replied, but whose webhook was lost.

Chatwoot shows in every payload when an agent first answered in the conversation. It
stays for ever, and a reply that we have posted with a user's token sets it as well; so
it is news once, and only where nothing that we know of explains it.
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..core.conversation import State
from ..core.events import Sighting
from .arrivals import Accepted, Arrival
from .conversations import insert_new
from .schema import IS_OPEN, messages, replies, service

if TYPE_CHECKING:
    from .story import Story


def heed_first_reply(
    story: "Story", seen: Sighting, arrival: Arrival, result: Accepted
) -> None:
    """Fall silent when Chatwoot shows an agent's first reply that never came here."""
    if story.now.agent_replied:
        return
    said = arrival.event.message
    if said is not None and said.reply_key is not None and said.by_user:
        # Chatwoot takes what is posted with a user's token for an agent's.
        story.tx.execute(insert_new(service, story.tx.dialect.name), POSTS_AS_USER)
        story.change(agent_replied=True)
        return
    if not seen.agent_replied or _is_posting(story):
        return
    story.change(agent_replied=True)
    before = seen.first_reply_at < story.now.held_at  # the bot was given it again
    if before or _may_be_ours(story):
        return
    if story.now.state is State.AI:
        story.agent_joined(arrival, result)
    else:
        story.change(touched=True)


def _is_posting(story: "Story") -> bool:
    """Return whether a reply is under way; the next payload will be clearer."""
    mine = {"conversation": story.now.id}
    return story.tx.execute(_POSTING, mine).first() is not None


def _may_be_ours(story: "Story") -> bool:
    """Return whether the reply may be the bot's: plain inboxes take a user's token."""
    as_user = story.tx.execute(_POSTS_AS_USER).first() is not None
    if story.now.began_pending and not as_user:
        return False
    mine = {"conversation": story.now.id}
    return story.tx.execute(_SPOKEN, mine).first() is not None


POSTS_AS_USER = {"name": "posts_as_user", "value": "1"}
_POSTS_AS_USER = sa.select(service.c.name).where(
    service.c.name == POSTS_AS_USER["name"]
)


_POSTING: sa.Select[tuple[int]] = (
    sa.select(sa.literal_column("1"))
    .where(
        replies.c.conversation_id == sa.bindparam("conversation"),
        IS_OPEN,
        replies.c.attempts > 0,
    )
    .limit(1)
)
_SPOKEN: sa.Select[tuple[int]] = (
    sa.select(sa.literal_column("1"))
    .where(
        messages.c.conversation_id == sa.bindparam("conversation"),
        messages.c.sender == sa.literal_column("'ai'"),
    )
    .limit(1)
)
