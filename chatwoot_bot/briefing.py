"""What a responder is told of a conversation: what was said, and what else is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from .core import context
from .core.conversation import Conversation, Message
from .core.window import fit
from .engine import Engine
from .store.memory import recall
from .store.turns import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """What goes into an `Assignment`.

    Attributes:
        shown: of the transcript, oldest first.
        leaves_out: there was more, so it may be time to sum up.
        facts: of the moment and the contact.
        memory: of what is not shown; "" for nothing.
    """

    shown: Sequence[Message]
    leaves_out: bool
    facts: str
    memory: str


async def brief(engine: Engine, situation: Situation) -> Briefing:
    """Return what the responder of *engine* is told.

    Raises:
        StoreError: what is remembered cannot be read.
    """
    window = fit(situation.transcript, engine.history_tokens)
    full = len(situation.transcript) >= engine.history
    facts = context.facts(
        situation.conversation,
        now=engine.clock(),
        zone=engine.zone,
        hours=engine.rules.policy.hours,
        named=engine.rules.attributes,
        handed_back=any(message.handed_back for message in situation.owed),
    )
    return Briefing(
        shown=window.shown,
        leaves_out=full or bool(window.cut),
        facts=facts,
        memory=await _memory(engine, situation.conversation),
    )


async def _memory(engine: Engine, conversation: Conversation) -> str:
    remembers = engine.rules.remembers
    if conversation.summary is None and not remembers:
        return ""
    known = await engine.db.glance(recall, conversation, earlier=remembers)
    return context.memory(known.summary, known.earlier)
