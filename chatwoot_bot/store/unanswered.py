"""What the contact wrote without an answer, when the bot gets the conversation back.

However an agent hands it back, the messages since the last reply become unanswered
messages of the bot: together, once, and with a deadline that starts at that moment.
When an agent or the bot spoke last there are none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..core.conversation import Sender, Status
from .arrivals import Accepted
from .replies import ReplyKind
from .schema import effects, messages, replies

if TYPE_CHECKING:
    from .story import Story

# Messages that are looked at, the newest first.
LOOKED_AT = 200
# A message is new for this long after it came.
NEW_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One message, whether it is stored or only about to be.

    Attributes:
        place: in the order in which people wrote.
        row: of a message that is not stored yet; None for one that is.
    """

    place: float
    sender: str
    content: str | None
    turn_id: str | None
    owed: bool
    closes: bool
    created_at: float
    id: int | None = None
    row: dict[str, Any] | None = None

    @property
    def is_reply(self) -> bool:
        """Whether an agent or the bot has answered; a template is no answer."""
        by_bot = self.sender == Sender.BOT and self.turn_id is not None
        return by_bot or self.sender == Sender.AGENT


def owe(story: "Story", result: Accepted, *, handed_back: bool = True) -> None:
    """Owe an answer to what the contact wrote since the last reply.

    Args:
        handed_back: by an agent, whose decision it was; a message that came a moment
            ago may otherwise call a human as any new one.
    """
    if story.now.status is Status.RESOLVED:
        return  # that is over; the contact who comes back writes again
    waiting = _since_last_reply(_newest_first(story))
    under_way = _under_way(story, {line.turn_id for line in waiting if line.turn_id})
    again = [line for line in waiting if line.turn_id not in under_way]
    if under_way and _say_after_all(story, under_way):
        story.change(due_at=story.at)
    if not again:
        return
    _owe_again(story, again, handed_back=handed_back)
    owed_since = min(story.now.owed_since or story.at, story.at)
    story.change(owed_since=owed_since, due_at=story.at)
    result.changed = True
    result.interrupts = result.interrupts or "superseded"


def _since_last_reply(newest_first: Iterable[_Line]) -> list[_Line]:
    """Return the contact's messages since then that are not owed an answer yet."""
    waiting: list[_Line] = []
    for line in newest_first:
        if line.is_reply or line.closes:
            break
        if line.sender == Sender.CONTACT and line.content and not line.owed:
            waiting.append(line)
    return waiting


def _newest_first(story: "Story") -> list[_Line]:
    query = _NEWEST[story.now.channel == "chatwoot"]
    stored = story.tx.execute(query, {"conversation": story.now.id}).mappings()
    lines = [_Line(**row) for row in stored]
    # In the web chat they have no number before they are stored, and are the newest.
    arriving = [
        _Line(
            place=row["external_id"] or float("inf"),
            sender=row["sender"],
            content=row["content"],
            turn_id=row["turn_id"],
            owed=row["owed"],
            closes=row["closes"],
            created_at=row["created_at"],
            row=row,
        )
        for row, _ in reversed(story.new_messages)
    ]
    return sorted([*arriving, *lines], key=lambda line: line.place, reverse=True)


def _under_way(story: "Story", turn_ids: set[str]) -> set[str]:
    """Return those turns whose answer may yet reach the contact, or has done so.

    One that was withdrawn while it was being sent belongs to them: nobody knows
    whether it arrived, and to answer again could answer twice.
    """
    if not turn_ids:
        return set()
    found = story.tx.execute(_ANSWERS, {"turns": list(turn_ids)})
    return {
        row.turn_id
        for row in found
        if row.state in ("open", "delivered")
        or (row.state == "dropped" and row.in_doubt_until is not None)
    }


def _say_after_all(story: "Story", turn_ids: set[str]) -> bool:
    """Take the withdrawal of these turns' answers back; the outbox looks for them."""
    return bool(story.tx.execute(_RESTORE, {"turns": list(turn_ids)}).rowcount)


def _owe_again(story: "Story", lines: Sequence[_Line], *, handed_back: bool) -> None:
    def owed_at(line: _Line) -> float | None:
        is_new = not handed_back and line.created_at >= story.at - NEW_S
        return None if is_new else story.at

    for moment in (None, story.at):
        stored = [line.id for line in lines if owed_at(line) == moment and line.id]
        if stored:
            story.tx.execute(OWE, {"ids": stored, "now": moment})
    for line in lines:
        if line.row is not None:
            line.row.update(owed=True, owed_at=owed_at(line))
    # No answer has told of what the tools did for these messages.
    since = min(line.created_at for line in lines)
    story.tx.execute(_UNSETTLE, {"conversation": story.now.id, "since": since})


# By arrival, because no index knows when they were written; sorted afterwards.
_PLACE = {
    True: sa.func.coalesce(messages.c.external_id, messages.c.id),
    False: messages.c.id,
}


def _select_newest(place: sa.ColumnElement[int]) -> sa.Select[Any]:
    m = messages.c
    return (
        sa.select(
            place.label("place"),
            m.id,
            m.sender,
            m.content,
            m.turn_id,
            m.owed,
            m.closes,
            m.created_at,
        )
        .where(m.conversation_id == sa.bindparam("conversation"))
        .order_by(m.id.desc())
        .limit(LOOKED_AT)
    )


_NEWEST = {is_chatwoot: _select_newest(place) for is_chatwoot, place in _PLACE.items()}
OWE = (
    sa.update(messages)
    .where(messages.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(owed=sa.true(), owed_at=sa.bindparam("now", type_=sa.Double))
)
_OF_TURNS = replies.c.turn_id.in_(sa.bindparam("turns", expanding=True))
_ANSWERS = sa.select(
    replies.c.turn_id, replies.c.state, replies.c.in_doubt_until
).where(_OF_TURNS, replies.c.kind.in_((ReplyKind.ANSWER, ReplyKind.REPLAY)))
_RESTORE = (
    sa.update(replies)
    .where(_OF_TURNS, replies.c.kind == ReplyKind.ANSWER, replies.c.state == "dropped")
    .values(state="open")
)
_UNSETTLE = (
    sa.update(effects)
    .where(
        effects.c.conversation_id == sa.bindparam("conversation"),
        effects.c.created_at >= sa.bindparam("since"),
        effects.c.settled,
    )
    .values(settled=sa.false())
)
