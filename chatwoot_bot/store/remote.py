"""What agents ask of the bot from within Chatwoot takes effect here.

Every request is answered by a short private note, which the worker posts.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..core.conversation import Message, Sender, State, Status, Trigger
from ..core.events import Said, Sighting
from ..core.notes import note
from ..core.remote import Command, Switch
from .arrivals import Accepted, Arrival, Rules
from .conversations import insert_new
from .replies import ReplyKind
from .schema import messages, replies
from .transcripts import recent

if TYPE_CHECKING:
    from .story import Story

# To repeat an answer, or to sum up.
LOOKED_AT = 40

NOTES = {
    Command.OFF: "The bot is silent in this conversation until `{prefix} on`, or until "
    "it is resolved.",
    Command.ON: "The bot answers in this conversation again.",
    Command.RETRY: "The bot answers the last messages again.",
    Command.SUMMARY: "Summary as asked for.",
    Command.HELP: "`{prefix} on` and `{prefix} off` switch the bot, `{prefix} retry` "
    "has it answer again, `{prefix} summary` sums the conversation up.",
}
RESOLVED = "The conversation is resolved: the bot answers when it is pending again."
NOTHING_TO_RETRY = "There is no message of the contact to answer."
SWITCHED = {
    Switch.OFF: "The bot is silent here, as a label or an attribute says.",
    Switch.ON: "The bot answers here again, as a label or an attribute says.",
}


def obey(story: "Story", arrival: Arrival, said: Said, result: Accepted) -> None:
    """Do what a private note asks, once, if it is meant for the bot."""
    command = story.rules.remote.command(said.content)
    if command is None or story.now.channel != "chatwoot":
        return
    transcript = _transcript(story)
    asked = _last_asked(transcript)
    resolved = story.now.status is Status.RESOLVED
    say = story.rules.serving(story.now.inbox).say
    text = say(NOTES[command]).format(prefix=story.rules.remote.prefix)
    kind = ReplyKind.NOTE
    if command is Command.RETRY and (resolved or not asked):
        command, text = Command.HELP, say(RESOLVED if resolved else NOTHING_TO_RETRY)
    if command is Command.SUMMARY:
        kind, text = ReplyKind.HANDOVER_NOTE, note(text, transcript, say=say)
    key = f"note_{story.now.account_id}_{said.external_id}"
    if not _answer(story, key, kind, text, arrival.received_at):
        return  # the same note has come before
    match command:
        case Command.OFF:
            _silence(story, arrival.received_at, result)
        case Command.ON:
            _release(story, arrival.received_at, result)
        case Command.RETRY:
            _retry(story, asked, arrival.received_at, result)
    _have_notes_said(story, arrival.received_at, result)


def heed_switch(
    story: "Story", seen: Sighting, arrival: Arrival, result: Accepted
) -> None:
    """Follow a label or an attribute when it changes; it is no order every time."""
    if seen.labels is None or 0 < seen.updated_at < story.now.switch_at:
        return
    switch = story.rules.remote.switch(seen.labels, seen.attributes or {})
    if story.now.status is Status.RESOLVED:
        # It has nothing to say before the contact comes back, and "off" will then.
        switch = None if switch is Switch.OFF else switch
    if switch == story.now.switch:
        return
    story.change(switch=switch, switch_at=seen.updated_at)
    now = arrival.received_at
    silent = story.now.state is not State.AI
    if switch is Switch.OFF and not silent:
        _silence(story, now, result)
        story.change(hushed=True)
    elif silent and (switch is Switch.ON or (switch is None and story.now.hushed)):
        switch = Switch.ON
        _release(story, now, result)
    else:
        return
    key = f"switch_{story.now.id}_{story.now.version}_{switch}"
    text = story.rules.serving(story.now.inbox).say(SWITCHED[switch])
    _answer(story, key, ReplyKind.NOTE, text, now)
    _have_notes_said(story, now, result)


def switch_at_first_sight(rules: Rules, seen: Sighting) -> Switch | None:
    """Return what to note of a conversation that is new here.

    That the bot is on may have been said weeks ago, and is no order to take it from
    an agent; that it is off is heeded.
    """
    switch = rules.remote.switch(seen.labels or (), seen.attributes or {})
    return switch if switch is Switch.ON else None


def _silence(story: "Story", now: float, result: Accepted) -> None:
    story.trigger(Trigger.AGENT_JOINED, result)
    story.show_to_humans(now)


def _release(story: "Story", now: float, result: Accepted) -> None:
    story.trigger(Trigger.RELEASED, result)
    if story.now.ever_pending and story.now.status is not Status.RESOLVED:
        story.want_status(Status.PENDING, now)


def _retry(
    story: "Story", asked: Sequence[Message], now: float, result: Accepted
) -> None:
    if story.now.state is not State.AI:
        _release(story, now, result)
    ids = [message.id for message in asked]
    story.tx.execute(_OWE, {"ids": ids, "now": now})
    story.change(owed_since=now)
    result.interrupts = result.interrupts or "superseded"


def _transcript(story: "Story") -> list[Message]:
    row = {"id": story.now.id, "channel": story.now.channel}
    return recent(story.tx, row, LOOKED_AT)


def _last_asked(transcript: Sequence[Message]) -> Sequence[Message]:
    """Return what the contact wrote last, in one go."""
    end = len(transcript)
    while end and transcript[end - 1].sender is not Sender.CONTACT:
        end -= 1
    begin = end
    while begin and transcript[begin - 1].sender is Sender.CONTACT:
        begin -= 1
    return [message for message in transcript[begin:end] if message.content]


def _answer(story: "Story", key: str, kind: ReplyKind, text: str, now: float) -> bool:
    row = {
        "key": key,
        "conversation_id": story.now.id,
        "turn_id": key,
        "position": 0,
        "kind": kind,
        "content": text,
        "state": "open",
        "created_at": now,
    }
    insert = insert_new(replies, story.tx.dialect.name, returning="key")
    return story.tx.execute(insert, row).first() is not None


def _have_notes_said(story: "Story", now: float, result: Accepted) -> None:
    story.change(due_at=now)
    result.changed = True


_OWE = (
    sa.update(messages)
    .where(messages.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(owed=sa.true(), owed_at=sa.bindparam("now", type_=sa.Double))
)
