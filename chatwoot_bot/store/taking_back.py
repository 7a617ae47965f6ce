"""What becomes of stranded conversations: the bot takes them back, or lets go of them.

See `stranded` for the mark.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from ..core.conversation import State, Status, Trigger
from . import human, ownership
from .arrivals import Accepted, Rules
from .schema import conversations
from .statements import change
from .story import Story
from .stranded import TAKEN_BACK

# Why the bot will stop being the owner of a conversation; see `settle`.
RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """A marked conversation; *inbox_id* is None where no payload has named it."""

    id: str
    account_id: int
    display_id: int
    inbox_id: int | None


def marked(tx: sa.Connection, *, before: float, limit: int) -> list[Stranded]:
    """Return conversations whose mark dates from before then, the oldest first."""
    rows = tx.execute(_MARKED, {"before": before, "limit": limit}).mappings()
    return [Stranded(**row) for row in rows]


_MARKED = (
    sa.select(
        conversations.c.id,
        conversations.c.account_id,
        conversations.c.display_id,
        conversations.c.inbox_id,
    )
    .where(
        conversations.c.stranded_at <= sa.bindparam("before"),
        conversations.c.account_id > 0,
        conversations.c.display_id.is_not(None),
    )
    .order_by(conversations.c.stranded_at)
    .limit(sa.bindparam("limit"))
)


def settle(
    tx: sa.Connection,
    *,
    conversation_id: str,
    by_decision: bool,
    bot_owner: int,
    now: float,
    rules: Rules,
) -> Accepted:
    """Take a marked conversation back, unless an agent or the operator forbids it.

    Args:
        by_decision: a rule or a person has opened it, as far as Chatwoot shows.
        bot_owner: Chatwoot's id of our bot, whose ownership ends with a release; 0
            where Chatwoot does not show it.

    Returns:
        With the reason `TAKEN_BACK` or `RELEASE`; with another one when the mark is
        gone, because an agent or the bot has it by now.
    """

    def decide(story: Story, result: Accepted) -> None:
        it = story.now
        result.reason = ""
        if it.stranded_at is None:
            return
        if it.status is not Status.OPEN:
            story.change(stranded_at=None)
            return
        # The team was to have it: what the contact says since changes nothing.
        decided = by_decision or ownership.has_release(story)
        if decided or not _may_take_back(story):
            result.reason = RELEASE
            ownership.release(story, bot_owner, key=f"{it.stranded_at:.6f}", now=now)
            story.change(stranded_at=None)
            return
        result.reason = TAKEN_BACK
        story.trigger(Trigger.RELEASED, result, reason=TAKEN_BACK)
        story.want_status(Status.PENDING, now)

    return human.operate(tx, conversation_id, decide, now=now, rules=rules)


def _may_take_back(story: Story) -> bool:
    """Return whether the bot may have it: agents come first, and then the operator."""
    it = story.now
    taken = it.touched or it.switch is not None or it.state is not State.HUMAN
    return not (taken or story.human_mode) and story.rules.serving(it.inbox).recovers


def end_mark(tx: sa.Connection, *, conversation_id: str) -> None:
    """Note that the conversation is not the bot's any more, or is gone."""
    change(tx, conversations, {"id": conversation_id}, stranded_at=None)


def postpone(tx: sa.Connection, *, conversation_id: str, at: float) -> None:
    """Count a mark that is still there from *at* on, Unix seconds."""
    tx.execute(_POSTPONE, {"conversation": conversation_id, "at": at})


_POSTPONE = (
    sa.update(conversations)
    .where(
        conversations.c.id == sa.bindparam("conversation"),
        conversations.c.stranded_at.is_not(None),
    )
    .values(stranded_at=sa.bindparam("at"))
)
