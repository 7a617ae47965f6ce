"""What the HTTP handlers act on; made in `app.build`, read from the request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection

from ..handover import Handover
from ..hub import Hub
from ..intake import Intake
from ..metrics import Metrics
from ..settings import Settings
from ..store.arrivals import Rules
from ..store.engine import Database
from .auth import Gate
from .bodies import Bodies
from .pace import Strangers
from .presence import Presence
from .rooms import Rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One service's parts.

    Attributes:
        drain: ends the running turns before the web closes; their echoes still
            come in, and a refused one would make Chatwoot call humans.
        readiness: returns the parts of `/health/ready`, each with its `ok`.
        currency: of what the model costs.
        clock: Unix seconds.
        bodies: those that are arriving.
        unserved: unserved inboxes that have been logged.
    """

    settings: Settings
    db: Database
    hub: Hub
    metrics: Metrics
    rules: Rules
    intake: Intake
    gate: Gate
    strangers: Strangers
    rooms: Rooms
    presence: Presence
    handover: Handover
    drain: Callable[[], Awaitable[None]]
    readiness: Callable[[], dict[str, Any]]
    currency: str
    clock: Callable[[], float]
    bodies: Bodies = field(default_factory=Bodies)
    unserved: set[int | None] = field(default_factory=set)


def context(request: HTTPConnection) -> Context:
    """Return the parts of the service that *request* has reached."""
    found: Context = request.app.state.context
    return found
