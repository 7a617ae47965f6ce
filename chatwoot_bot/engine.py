"""What every turn acts on: one object for each bot, built once in `app.py`."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .channels.base import Channel
from .core.conversation import Inbox
from .handover import Handover
from .hub import Hub
from .media.reader import MediaReader
from .metrics import Metrics
from .responders.base import Responder
from .store.arrivals import Rules
from .store.engine import Database
from .tools.base import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The parts of a running engine, as one bot uses them.

    Attributes:
        bots: the engines of the inboxes that have a bot of their own.
        channels: by the name in a conversation's `channel`.
        fallback: answers when the responder cannot; None calls a human instead.
        media: reads what contacts send; None for a responder that could not tell.
        handover: what is said and done then.
        tools: what the responder may do besides speaking.
        deliver_for_s: how long a reply is kept for a Chatwoot that is down.
        history: messages of the transcript, at most.
        clock: Unix seconds.
    """

    db: Database
    hub: Hub
    metrics: Metrics
    rules: Rules
    channels: Mapping[str, Channel]
    responder: Responder
    fallback: Responder | None
    media: MediaReader | None
    handover: Handover
    tools: Sequence[Tool]
    history: int
    deliver_for_s: float
    clock: Callable[[], float] = time.time
    bots: Mapping[Inbox, "Engine"] = field(default_factory=dict)

    def serving(self, inbox: Inbox) -> "Engine":
        """Return the engine of the bot that serves *inbox*."""
        return self.bots.get(inbox, self)
