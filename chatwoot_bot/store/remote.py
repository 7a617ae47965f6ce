"""What agents ask of the bot from within Chatwoot takes effect here.

Every request is answered by a short private note, which the worker posts.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.assignments import Assigned
from ..core.conversation import (
    Message,
    Sender,
    State,
    Status,
    Trigger,
    looks_pending,
)
from ..core.events import Said, Sighting
from ..core.notes import HAND_BACK, note
from ..core.remote import Command
from .arrivals import Accepted, Arrival
from .conversations import insert_new
from .ownership import is_ours, own_bot
from .replies import ReplyKind
from .schema import replies, service
from .transcripts import recent
from .unanswered import OWE

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
SILENCED = (
    "The bot is silent in this conversation because of the label or attribute "
    "`{silencer}`."
)
STILL_SILENT = (
    "The label or attribute that silenced the bot is gone. The bot stays silent, "
    "because visitors can change both."
)
MISPLACED = (
    "`{command}` went to the contact as a message. The bot has not obeyed it: write "
    "commands in a private note."
)
# What is stored of a label or an attribute that asks for silence.
OFF = "off"


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
            hand_back(story, arrival.received_at, result)
        case Command.RETRY:
            _retry(story, asked, arrival.received_at, result)
    _have_notes_said(story, arrival.received_at, result)


def heed_switch(
    story: "Story", seen: Sighting, arrival: Arrival, result: Accepted
) -> None:
    """Fall silent when a label or an attribute begins to ask for it.

    That it asks no more hands nothing back: a visitor can change both in Chatwoot's
    widget.
    """
    if seen.labels is None or 0 < seen.updated_at < story.now.switch_at:
        return
    silencer = story.rules.remote.silencer(seen.labels, seen.attributes or {})
    if story.now.status is Status.RESOLVED:
        silencer = None  # it is heeded when the contact comes back
    switch = None if silencer is None else OFF
    if switch == story.now.switch:
        return
    story.change(switch=switch, switch_at=seen.updated_at)
    say = story.rules.serving(story.now.inbox).say
    if silencer is not None and story.now.state is State.AI:
        _silence(story, arrival.received_at, result)
        story.change(hushed=True)
        text = say(SILENCED).format(silencer=silencer)
    elif silencer is None and story.now.hushed:
        story.change(hushed=False)  # agents are told once
        text = say(STILL_SILENT)
    else:
        return
    if story.rules.remote.prefix:
        command = f"{story.rules.remote.prefix} on"
        text = f"{text} {say(HAND_BACK).format(command=command)}"
    key = f"switch_{story.now.id}_{story.now.version}_{switch or 'gone'}"
    _answer(story, key, ReplyKind.NOTE, text, arrival.received_at)
    _have_notes_said(story, arrival.received_at, result)


def heed_assignment(
    story: "Story", seen: Sighting, arrival: Arrival, result: Accepted
) -> None:
    """Fall silent when an agent is assigned; answer again when our bot is."""
    assigned = seen.assigned
    if assigned is None or 0 < seen.updated_at <= story.now.held_at:
        return  # nobody was, or that was before the bot got the conversation
    if story.now.status not in (Status.PENDING, Status.OPEN, Status.SNOOZED):
        return
    if assigned.bot is not None:
        if story.now.state is not State.AI and is_ours(story, assigned.bot):
            hand_back(story, arrival.received_at, result)
            story.want_status(Status.PENDING, arrival.received_at)
    elif story.now.state is State.AI and _is_by_agent(story, assigned):
        story.agent_joined(arrival, result)


def _is_by_agent(story: "Story", assigned: Assigned) -> bool:
    """Return whether a person has assigned the agent, and not Chatwoot by itself.

    It assigns what is open and nobody's. In an inbox without an agent bot that is each
    new conversation, before the bot has answered in it; of what is pending, Chatwoot
    assigns nothing. What the bot has taken back may be open until Chatwoot hears of it.
    """
    if looks_pending(story.now) or assigned.replaces:
        return True
    return story.now.bot_turns > 0


def note_own_bot(story: "Story", said: Said) -> None:
    """Learn which of the account's agent bots posts for us, from an answer's echo."""
    if said.by_bot is None or story.now.bot_turns > 1:
        return  # it has been learnt from the first one
    row = {"name": own_bot(story, said.by_bot), "value": "1"}
    story.tx.execute(insert_new(service, story.tx.dialect.name), row)


def is_misplaced(story: "Story", said: Said) -> bool:
    """Return whether an agent has written a command to the contact by mistake."""
    here = story.now.channel == "chatwoot"
    return here and story.rules.remote.is_command(said.content)


def tell_misplaced(
    story: "Story", arrival: Arrival, said: Said, result: Accepted
) -> None:
    """Tell the agent so; it is neither obeyed nor taken for an answer."""
    say = story.rules.serving(story.now.inbox).say
    command = story.rules.remote.sole_command(said.content)
    text = say(MISPLACED).format(command=command)
    key = f"note_{story.now.account_id}_{said.external_id}"
    _answer(story, key, ReplyKind.NOTE, text, arrival.received_at)
    _have_notes_said(story, arrival.received_at, result)


def _silence(story: "Story", now: float, result: Accepted) -> None:
    story.trigger(Trigger.AGENT_JOINED, result)
    story.change(touched=True)
    story.show_to_humans(now)


def hand_back(story: "Story", now: float, result: Accepted) -> None:
    """Give the conversation to the bot, which answers what is unanswered."""
    story.trigger(Trigger.RELEASED, result)
    # None and resolved: a switch reopens nothing, and opens nothing before its time.
    shown = story.now.status not in (None, Status.RESOLVED)
    if shown and story.now.ever_pending:
        story.want_status(Status.PENDING, now)


def _retry(
    story: "Story", asked: Sequence[Message], now: float, result: Accepted
) -> None:
    if story.now.state is not State.AI:
        hand_back(story, now, result)
    ids = [message.id for message in asked]
    story.tx.execute(OWE, {"ids": ids, "now": now})
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
