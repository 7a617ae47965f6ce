"""Whose a conversation is in Chatwoot, once it has left the bot.

Chatwoot makes an agent bot the owner of what begins in its inbox, and the bot stays
it when a failed delivery, the end of a snooze or an automation opens the
conversation. Since 4.17 agents find such a conversation neither among theirs nor
among the unassigned ones. So where a payload shows that, a reply without a text is
stored, and the outbox ends the ownership: not at once, because a user who opens a
conversation becomes its assignee a moment later.
"""

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..core.conversation import Sender, State, Status
from ..core.events import Event, Sighting
from .conversations import insert_new
from .schema import IS_OPEN, conversations, messages, replies, service

if TYPE_CHECKING:
    from .story import Story

# Chatwoot's second save comes 0.1 to 0.3 s after the first one.
RELEASE_AFTER_S = 2.0
# Where Chatwoot lets us look at nothing: its deliveries have all come by then.
UNSEEN_AFTER_S = 15.0
# As in `ReplyKind`, whose module knows of turns.
RELEASE = "release"


def heed_owner(story: "Story", event: Event, now: float) -> None:
    """Have our bot's ownership ended where *event* shows that it has outlasted it."""
    seen = event.conversation
    if seen is None or seen.bot_owner is None or story.now.channel != "chatwoot":
        return
    if story.now.state is State.AI:
        return  # the bot's own; what was to be done is dropped when its turn comes
    if 0 < seen.updated_at < story.now.status_at:
        return
    if not _has_left(story, seen):
        if story.now.due_at is not None:  # or nothing is to be done there
            drop_release(story)
        return
    if story.now.stranded_at is not None:
        return  # the bot may take it back; else `taking_back` has it released
    if is_ours(story, seen.bot_owner):
        release(story, seen.bot_owner, key=f"{seen.updated_at:.6f}", now=now)


def release(story: "Story", bot: int, *, key: str, now: float) -> None:
    """Have the outbox end the ownership of our *bot*, in a moment.

    Args:
        bot: Chatwoot's id of it; 0 where Chatwoot does not show that.
        key: of what has shown it; delivered twice, it is one.
    """
    row = {
        "key": f"release_{story.now.id}_{key}",
        "conversation_id": story.now.id,
        "turn_id": f"release_{story.now.id}",
        "position": 0,
        "kind": RELEASE,
        "content": str(bot),
        "state": "open",
        "created_at": now,
    }
    if not has_release(story):
        story.tx.execute(insert_new(replies, story.tx.dialect.name), row)
        at = now + RELEASE_AFTER_S
        due_at = story.now.due_at
        story.change(due_at=at if due_at is None else min(due_at, at))


def has_release(story: "Story") -> bool:
    """Return whether the outbox has an ownership to end here."""
    mine = {"conversation": story.now.id}
    return story.tx.execute(_RELEASE, mine).first() is not None


def drop_release(story: "Story") -> None:
    """Leave the bot its ownership: it has the conversation, or owns it no more."""
    story.tx.execute(_DROP, {"conversation": story.now.id})


def _has_left(story: "Story", seen: Sighting) -> bool:
    """Return whether agents have it, and a bot owns it all the same."""
    opened = seen.status is Status.OPEN is story.now.status
    return bool(seen.bot_owner) and opened


def is_ours(story: "Story", bot: int) -> bool:
    """Return whether an agent bot is ours, and not another of the account.

    Before ours has spoken in an inbox nothing tells, and the contacts of its first
    downtime must not be lost.
    """
    found = story.tx.execute(_OWN_BOTS, {"prefix": own_bot(story, "")})
    names = set(found.scalars())
    return not names or own_bot(story, bot) in names or not _has_spoken(story)


def _has_spoken(story: "Story") -> bool:
    """Return whether a bot of ours has answered in the inbox; if so, it is known."""
    here = {"account": story.now.account_id, "inbox": story.now.inbox_id}
    return (
        story.now.inbox_id is None
        or story.tx.execute(_SPOKEN, here).first() is not None
    )


def release_at(owned_at: float | None, now: float) -> float | None:
    """Return when an ownership that was seen at *owned_at* is to end, or None."""
    return None if owned_at is None else max(now, owned_at + RELEASE_AFTER_S)


def own_bot(story: "Story", bot: int | str) -> str:
    """Return the name under which an agent bot of ours is known."""
    return f"own_bot:{story.now.account_id}:{bot}"


_OWN_BOTS = sa.select(service.c.name).where(
    service.c.name.startswith(sa.bindparam("prefix", type_=sa.Text))
)
_SPOKEN: sa.Select[Any] = (
    sa.select(sa.literal_column("1"))
    .select_from(conversations)
    .join(messages, messages.c.conversation_id == conversations.c.id)
    .where(
        conversations.c.account_id == sa.bindparam("account"),
        conversations.c.inbox_id == sa.bindparam("inbox"),
        messages.c.sender == Sender.BOT,
        messages.c.turn_id.is_not(None),
    )
    .limit(1)
)
_OPEN_RELEASE = (
    replies.c.conversation_id == sa.bindparam("conversation"),
    IS_OPEN,
    replies.c.kind == sa.literal_column("'release'"),
)
_RELEASE = sa.select(replies.c.key).where(*_OPEN_RELEASE).limit(1)
OWNED_AT = (
    sa.select(sa.func.min(replies.c.created_at)).where(*_OPEN_RELEASE).scalar_subquery()
)
_DROP = sa.update(replies).where(*_OPEN_RELEASE).values(state="dropped")
