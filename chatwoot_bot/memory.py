"""Sum up what the model is not shown any more, after the answer has been said.

Nobody waits for it, and no answer needs it: without a summary the model knows less, and
that is all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from .core.context import MAX_SUMMARY
from .core.conversation import Message, Sender
from .core.window import fit, weight
from .engine import Engine
from .errors import ResponderError
from .store import memory
from .store.memory import Past
from .thinking import Thinking

log = structlog.get_logger(__name__)

# A summary is written anew when so much has been cut since: messages, or tokens.
MESSAGES = 8
TOKENS = 1_500
# Of messages, for one summary; the rest is for the next.
AT_ONCE = 8_000
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What is to be summed up.

    Attributes:
        so_far: the summary that it continues; "" for none.
    """

    messages: Sequence[Message]
    so_far: str


def sum_up_later(engine: Engine, conversation_id: str, *, left_out: bool) -> None:
    """Have a conversation summed up beside the turns, when there may be need.

    Args:
        left_out: the model was not shown all that was said.
    """
    if engine.responder.model is None or not (left_out or engine.rules.remembers):
        return
    work = partial(catch_up, engine, conversation_id)
    engine.chores.begin(conversation_id, work)


async def catch_up(engine: Engine, conversation_id: str) -> None:
    """Write a new summary of a conversation, if it is time for one.

    Raises:
        ResponderError: the model cannot, at present.
        StoreError: the database cannot.
    """
    past = await engine.db.read(memory.past, conversation_id)
    gap = past and gap_in(
        past,
        history=engine.history,
        budget=engine.history_tokens,
        remembers=engine.rules.remembers,
    )
    if not past or not gap:
        return
    try:
        writing = engine.responder.summarize(gap.messages, so_far=gap.so_far)
        summary = await Thinking().think(writing, for_s=TIMEOUT_S)
    except TimeoutError as error:
        raise ResponderError("no summary in time", retryable=True) from error
    if summary is None:
        return
    kept = await engine.db.write(
        memory.remember,
        conversation_id,
        summary.text[:MAX_SUMMARY],
        of=gap.messages,
        after=past.until,
        bill=engine.bill(summary),
        now=engine.clock(),
    )
    log.info("summary stored", conversation=conversation_id, kept=kept)


def gap_in(past: Past, *, history: int, budget: int, remembers: bool) -> Gap | None:
    """Return what is to be summed up now, or None.

    A request that was closed is summed up whole, if contacts are remembered; of the
    one that is open only what the model is not shown.

    Args:
        history: messages that it is shown at most.
        budget: tokens that it is shown at most.
    """
    ends = [number for number, each in enumerate(past.messages) if each.closes]
    start = ends[-1] + 1 if ends else 0
    if remembers and ends:
        return _gap(past.messages[:start], past.summary)
    told = past.summary if remembers or not (ends or past.closed) else ""
    mine = past.messages[start:]
    shown = {message.id for message in fit(mine[-history:], budget).shown}
    cut = [message for message in mine if message.id not in shown and not message.owed]
    if len(cut) < MESSAGES and sum(map(weight, cut)) < TOKENS:
        return None
    return _gap(cut, told)


def _gap(messages: Sequence[Message], so_far: str) -> Gap | None:
    """Return the oldest of *messages*, as many as one summary takes."""
    taken: list[Message] = []
    room = AT_ONCE
    for message in messages:
        room -= weight(message)
        if taken and room < 0:
            break
        taken.append(message)
    if not any(message.sender is Sender.CONTACT for message in taken):
        return None
    return Gap(messages=taken, so_far=so_far)
