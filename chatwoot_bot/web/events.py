"""What travels on the WebSockets, for `/openapi.json` and for the tests."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from .schemas import MessageOut

SenderName = Literal["user", "agent", "ai", "system"]


class MessageEvent(MessageOut):
    """A message, as over REST."""

    timestamp: str


class ReplyChunk(TypedDict):
    """A piece of an answer being written; the message with its turn replaces it."""

    conversation_id: str
    turn_id: str
    text: str


class ReplyDropped(TypedDict):
    """What was told of this answer is void: it begins anew, or is not said."""

    conversation_id: str
    turn_id: str


class StateChanged(TypedDict):
    """Who answers next has changed, by the rule that `reason` names."""

    conversation_id: str
    state: Literal["ai", "handover_pending", "human"]
    reason: str


class Typing(TypedDict):
    """Another participant started or stopped typing."""

    conversation_id: str
    sender: SenderName
    typing: bool


class PresenceEvent(TypedDict):
    """A visitor has come or gone; agents are told."""

    user_id: str
    online: bool


class ErrorEvent(TypedDict):
    """A frame was wrong; the socket stays open."""

    code: str
    message: str
    fields: NotRequired[dict[str, str]]
    client_id: NotRequired[str]


class Replayed(TypedDict):
    """The answer to `after` ends here; when it is not complete, read on over REST."""

    after: int
    complete: bool


EVENTS: Mapping[str, Any] = {
    "NEW_MESSAGE": MessageEvent,
    "MESSAGE_UPDATED": MessageEvent,
    "MESSAGE_DELETED": MessageEvent,
    "REPLY_CHUNK": ReplyChunk,
    "REPLY_DROPPED": ReplyDropped,
    "STATE_CHANGED": StateChanged,
    "TYPING": Typing,
    "PRESENCE": PresenceEvent,
    "ERROR": ErrorEvent,
    "REPLAYED": Replayed,
}
SOCKETS = {
    "/ws/conversations/{conversation_id}?token=": "One conversation.",
    "/ws/users/{user_id}?token=": "All conversations of one visitor; a message "
    "without `conversation_id` begins a new one.",
    "/ws/agents": "Every conversation; agents only.",
}
CLOSE_CODES = {
    "4401": "Missing or invalid token.",
    "4408": "Open for 12 hours: connect again, with the same token.",
    "4403": "Not from this site or this machine.",
    "4404": "There is no such conversation.",
    "4429": "Too many wrong tokens; try again in a minute.",
    "1013": "Too slow: reconnect, and send `after`.",
}
