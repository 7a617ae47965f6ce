"""What every turn acts on: one object for each bot, built once in `app.py`."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from .channels.base import Channel
from .chores import Chores
from .core.conversation import Inbox
from .core.guardrail import Guardrail
from .handover import Handover
from .hub import Hub
from .media.reader import MediaReader
from .metrics import Metrics
from .prices import Prices
from .responders.base import Answer, Responder, Usage
from .store.arrivals import Rules
from .store.engine import Database
from .store.spending import NOTHING, Bill
from .tools.base import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The parts of a running engine, as one bot uses them.

    Attributes:
        bots: the engines of the inboxes that have a bot of their own.
        channels: by the name in a conversation's `channel`.
        fallback: answers when the responder cannot; None hands over instead.
        media: reads what contacts send; None for a responder that could not tell.
        handover: what is said and done then.
        tools: what the responder may do besides speaking.
        deliver_for_s: how long a reply is kept for a Chatwoot that is down.
        guardrail: what must not be said.
        prices: of the models.
        zone: where the bot is.
        chores: background work.
        history: messages of the transcript, at most.
        history_tokens: that the model is shown of them, at most.
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
    guardrail: Guardrail
    prices: Prices
    zone: ZoneInfo
    chores: Chores
    history: int
    history_tokens: int
    deliver_for_s: float
    clock: Callable[[], float] = time.time
    bots: Mapping[Inbox, "Engine"] = field(default_factory=dict)

    def serving(self, inbox: Inbox) -> "Engine":
        """Return the engine of the bot that serves *inbox*."""
        return self.bots.get(inbox, self)

    def bill(self, answer: Answer) -> Bill:
        """Return what the model has taken for *answer*, and count it."""
        if answer.usage is None:
            return NOTHING
        return self.bill_for(answer.model, answer.usage)

    def bill_for(self, model: str | None, usage: Usage) -> Bill:
        """Return what calls of *model* have taken, and count it."""
        cost = self.prices.cost(model, prompt=usage.prompt, completion=usage.completion)
        self.metrics.tokens.inc(usage.total)
        if usage.estimated:
            self.metrics.estimated_tokens.inc(usage.total)
        self.metrics.cost.inc(cost or 0.0)
        return Bill(tokens=usage.total, cost=cost, estimated=usage.estimated)
