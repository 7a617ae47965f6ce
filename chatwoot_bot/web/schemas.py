"""The bodies of the REST API.

Request bodies are pydantic models that are validated; response bodies are TypedDicts
that are described. `/openapi.json` is built from both.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, Self

import pydantic
from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from ..core.conversation import State
from ..store.bookings import OWN, BookingState
from ..store.console import Cursor

MAX_CONTENT = 150_000  # Chatwoot accepts no more
# Limit a visitor's message to ten pages, because the web chat is public.
MAX_VISITOR_CONTENT = 20_000
MAX_ID = 2**63 - 1
# The last moment that can be written as a date in every time zone.
END_OF_TIME_S = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
# Length of a cursor, see `cursor_out`.
MAX_CURSOR = 300


def _storable(value: str) -> str:
    if "\x00" in value:  # which PostgreSQL cannot store
        raise ValueError("must not contain NUL characters")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def _cursor(value: object) -> object:
    """Parse a cursor of `cursor_out`."""
    if not isinstance(value, str) or len(value) > MAX_CURSOR:
        raise ValueError("must be the next of an earlier answer")
    at, _, key = value.partition(":")
    try:
        cursor = float(at), _storable(key)
    except ValueError:
        cursor = math.nan, ""
    if not 0 <= cursor[0] <= END_OF_TIME_S:
        raise ValueError("must be the next of an earlier answer")
    return cursor


def cursor_out(at: float, key: str) -> str:
    """Return a place in a list, for the caller to give back as `before`."""
    return f"{at!r}:{key}"


Storable = pydantic.AfterValidator(_storable)
Line = Annotated[str, pydantic.Field(min_length=1, max_length=200), Storable]
Content = Annotated[
    str,
    pydantic.Field(min_length=1, max_length=MAX_CONTENT),
    Storable,
    pydantic.AfterValidator(_not_blank),
]
Place = Annotated[str, pydantic.Field(max_length=MAX_CURSOR)]
Before = Annotated[
    Cursor, pydantic.BeforeValidator(_cursor, json_schema_input_type=Place)
]


class Nothing(pydantic.BaseModel):
    """An optional, empty body."""


class NewConversation(pydantic.BaseModel):
    """Body of POST /conversations."""

    user_id: Line | None = None
    name: Line | None = None


class NewMessage(pydantic.BaseModel):
    """Body of POST /conversations/{id}/messages."""

    content: Annotated[
        Content, pydantic.Field(description="A visitor's: at most 20,000 characters.")
    ]
    sender: Literal["user", "agent", "ai"] = "user"
    client_id: Line | None = None


class Edit(pydantic.BaseModel):
    """Body of PUT /conversations/{id}/messages/{message_id}."""

    content: Content


class Escalation(pydantic.BaseModel):
    """Body of POST /conversations/{id}/escalate."""

    reason: Line | None = None


class SignIn(pydantic.BaseModel):
    """Body of POST /session."""

    token: Annotated[str, pydantic.Field(max_length=1_000)] = ""


class Frame(pydantic.BaseModel):
    """A client's frame on a socket: one of `message`, `typing` and `after`."""

    message: Content | None = None
    typing: Annotated[bool, pydantic.Field(strict=True)] | None = None
    after: int | None = pydantic.Field(None, ge=0, lt=MAX_ID)
    conversation_id: Line | None = None
    client_id: Line | None = None
    sender: Literal["user", "agent", "ai"] | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = (self.message, self.typing, self.after)
        if sum(one is not None for one in given) != 1:
            raise ValueError("must have one of message, typing and after")
        return self


class MessageQuery(pydantic.BaseModel):
    """Query of GET /conversations/{id}/messages."""

    page: int = pydantic.Field(1, ge=1, le=1_000_000)
    size: int = pydantic.Field(10, ge=1, le=200)
    after: int | None = pydantic.Field(None, ge=0, le=MAX_ID)
    before: int | None = pydantic.Field(None, ge=0, le=MAX_ID)


class ConversationQuery(pydantic.BaseModel):
    """Query of GET /conversations."""

    state: State | None = None
    user_id: Line | None = None
    display_id: int | None = pydantic.Field(
        None, ge=1, le=MAX_ID, description="The number in Chatwoot."
    )
    account_id: int | None = pydantic.Field(
        None, ge=1, le=MAX_ID, description="In Chatwoot; numbers differ by account."
    )
    before: Before | None = None
    limit: int = pydantic.Field(50, ge=1, le=200)


class TurnQuery(pydantic.BaseModel):
    """Query of GET /conversations/{id}/turns."""

    before: Before | None = None
    limit: int = pydantic.Field(50, ge=1, le=200)


class BookingQuery(pydantic.BaseModel):
    """Query of GET /bookings: calls that begin in [since, until)."""

    since: datetime | None = None
    until: datetime | None = None
    state: BookingState | None = None
    conversation_id: Line | None = None
    before: Before | None = None
    limit: int = pydantic.Field(50, ge=1, le=200)


class StatsQuery(pydantic.BaseModel):
    """Query of GET /stats: ISO 8601 or Unix seconds; the last 30 days by default."""

    since: datetime | None = None
    until: datetime | None = None
    inbox_id: int | None = pydantic.Field(None, ge=1, le=MAX_ID)


class OptionOut(TypedDict):
    """A quick reply; choosing it sends the value."""

    title: str
    value: str


class MessageOut(TypedDict):
    """One message; a deleted message stays in the list without content."""

    id: int
    conversation_id: str
    sender: Literal["user", "agent", "ai", "system"]
    content: str | None
    created_at: str
    client_id: str | None
    edited_at: str | None
    deleted_at: str | None
    turn_id: Annotated[
        str | None, pydantic.Field(description="The turn whose answer this is.")
    ]
    closes: Annotated[
        bool, pydantic.Field(description="The message resolves the conversation.")
    ]
    options: Annotated[list[OptionOut], pydantic.Field(description="Quick replies.")]


class MessagePage(TypedDict):
    """Messages, oldest first."""

    items: list[MessageOut]
    next: Annotated[
        int | None,
        pydantic.Field(
            description="The next `after`, or the next `before` if you passed that. A "
            "page of long messages has fewer than `size`."
        ),
    ]
    page: int
    size: int
    total: int


class ConversationOut(TypedDict):
    """One conversation; optional fields are for agents."""

    id: str
    channel: Literal["web", "chatwoot"]
    state: Literal["ai", "handover_pending", "human"]
    reason: Annotated[
        str | None, pydantic.Field(description="Why the state changed last.")
    ]
    user_id: str | None
    name: str | None
    created_at: str
    active_at: str
    last_message: Annotated[
        NotRequired[MessageOut | None],
        pydantic.Field(description="In a list, its first 1,000 characters."),
    ]
    token: Annotated[
        NotRequired[str], pydantic.Field(description="The visitor's token.")
    ]
    detail: Annotated[
        NotRequired[str | None],
        pydantic.Field(description="The visitor's reason for the handover."),
    ]
    inbox_id: NotRequired[int | None]
    display_id: NotRequired[int | None]
    url: Annotated[
        NotRequired[str | None],
        pydantic.Field(description="The conversation in Chatwoot, for a browser."),
    ]


class ConversationPage(TypedDict):
    """Conversations, the newest activity first."""

    items: list[ConversationOut]
    next: Annotated[str | None, pydantic.Field(description="Give it as `before`.")]


class ReplyOut(TypedDict):
    """One reply of a turn, and the state of its delivery."""

    key: str
    kind: str
    content: str
    state: Literal["open", "delivered", "dropped", "dead"]
    attempts: int
    attempted_at: str | None
    error: str | None
    created_at: str


class TurnOut(TypedDict):
    """One turn: the decision, its sources and its replies."""

    id: str
    decision: str
    reason: str
    model: str | None
    tools: list[dict[str, Any]]
    sources: list[dict[str, Any]]
    tokens: int | None
    estimated: Annotated[
        bool, pydantic.Field(description="The model's server did not count them.")
    ]
    cost: float | None
    currency: str
    latency_ms: int
    outcome: str
    created_at: str
    draft: Annotated[
        str | None, pydantic.Field(description="The draft that was not sent.")
    ]
    finish_reason: Annotated[
        str | None,
        pydantic.Field(description="As the model's server reports it."),
    ]
    replies: list[ReplyOut]


class TurnPage(TypedDict):
    """Turns, the newest first."""

    items: list[TurnOut]
    next: Annotated[str | None, pydantic.Field(description="Give it as `before`.")]


class BookingOut(TypedDict):
    """One call that the bot has booked."""

    id: str
    conversation_id: str
    state: Annotated[
        Literal["booked", "requested", "unsure", "cancelled"],
        pydantic.Field(
            description="Requested: Cal.com's host has to confirm it. Unsure: Cal.com "
            "did not confirm whether it has booked the call."
        ),
    ]
    start: str
    end: str
    time_zone: Annotated[str, pydantic.Field(description="The contact's.")]
    name: str
    email: str | None
    phone: str | None
    topic: str | None
    calendar: Annotated[
        str, pydantic.Field(description="own, or calcom: and the event type.")
    ]
    calendar_file: Annotated[
        str | None,
        pydantic.Field(
            description="The URL, absolute if PUBLIC_URL is set. Null for calls in "
            "Cal.com, which sends its own files."
        ),
    ]
    external_id: Annotated[str | None, pydantic.Field(description="In Cal.com.")]
    display_id: int | None
    url: Annotated[
        str | None,
        pydantic.Field(description="The conversation in Chatwoot, for a browser."),
    ]
    created_at: str
    updated_at: str


class BookingPage(TypedDict):
    """Calls booked by the bot, the latest start first."""

    items: list[BookingOut]
    next: Annotated[str | None, pydantic.Field(description="Give it as `before`.")]


class DeadLetter(TypedDict):
    """A reply that cannot be delivered, or a delivery that cannot be parsed."""

    id: str
    kind: Literal["reply", "delivery"]
    conversation_id: str | None
    display_id: int | None
    error: str | None
    created_at: str


class DeadLetters(TypedDict):
    """All dead letters, oldest first, replies before deliveries."""

    items: list[DeadLetter]
    next: None


class Replayed(TypedDict):
    """The dead letter that is queued again."""

    id: str
    status: Literal["queued"]


class SessionOut(TypedDict):
    """Whether the caller is an agent."""

    agent: bool
    sign_in: Annotated[
        bool, pydantic.Field(description="Whether signing in can make it one.")
    ]


class UserStatus(TypedDict):
    """Whether a visitor has a socket open."""

    user_id: str
    online: bool
    connections: int
    last_seen_at: str | None


class FirstAnswer(TypedDict):
    """Seconds from a visitor's first message to the first answer."""

    p50: float | None
    p90: float | None


class OutcomesOut(TypedDict):
    """Outcomes of the conversations that started in the requested period."""

    conversations: int
    answered_by_bot: int
    handed_over: dict[str, int]
    reopened: int
    first_answer_seconds: FirstAnswer
    tokens: int
    cost: float | None


class LoadOut(TypedDict):
    """The current backlog."""

    due: int
    running: int
    waiting_for_human: int
    dead_letters: int
    writes_waiting: int
    sockets: int


class DayOut(TypedDict):
    """Usage of the model since midnight, UTC."""

    tokens: int
    cost: Annotated[float, pydantic.Field(description="Without unknown prices.")]


class StatsOut(TypedDict):
    """Figures for the operator."""

    since: str
    until: str
    inbox_id: int | None
    outcomes: OutcomesOut
    now: LoadOut
    today: DayOut
    currency: str


class HumanMode(TypedDict):
    """Human mode of one conversation, or of all without an id."""

    human_mode: bool
    conversation_id: str | int | None


class Health(TypedDict):
    """The process is alive."""

    status: Literal["ok"]
    version: str


class ErrorBody(TypedDict):
    """The error."""

    code: str
    message: str


class Problem(TypedDict):
    """The response body of every error."""

    error: ErrorBody
    fields: NotRequired[dict[str, str]]


def message_out(row: Mapping[Any, Any]) -> MessageOut:
    """Return a message as clients see it."""
    deleted = row["deleted_at"] is not None
    return {
        "id": row["id"],
        "conversation_id": row["conversation_id"],
        "sender": row["sender"],
        "content": None if deleted else row["content"],
        "created_at": iso(row["created_at"]),
        "client_id": row["client_id"],
        "edited_at": maybe_iso(row["edited_at"]),
        "deleted_at": maybe_iso(row["deleted_at"]),
        "turn_id": row["turn_id"],
        "closes": row["closes"],
        "options": json.loads(row["options"]) if row["options"] else [],
    }


def conversation_out(row: Mapping[Any, Any]) -> ConversationOut:
    """Return a conversation as its visitor sees it."""
    return {
        "id": row["id"],
        "channel": row["channel"],
        "state": row["state"],
        "reason": row.get("reason"),
        "user_id": row["user_id"],
        "name": row["contact_name"],
        "created_at": iso(row["created_at"]),
        "active_at": iso(row["active_at"]),
    }


def for_agents(row: Mapping[Any, Any], chatwoot_url: str | None) -> ConversationOut:
    """Return a conversation as agents see it.

    Args:
        chatwoot_url: where Chatwoot is, or None when it is not configured.
    """
    return {
        **conversation_out(row),
        "detail": row.get("detail"),
        "inbox_id": row["inbox_id"],
        "display_id": row["display_id"],
        "url": _in_chatwoot(row, chatwoot_url),
    }


def booking_out(
    row: Mapping[Any, Any], *, chatwoot_url: str | None, public_url: str | None
) -> BookingOut:
    """Return a call as agents see it.

    Args:
        chatwoot_url: where Chatwoot is, or None when it is not configured.
        public_url: `PUBLIC_URL`, or None when it is not set.
    """
    own = row["calendar"] == OWN
    path = f"{public_url or ''}/bookings/{row['token']}.ics"
    return {
        "id": row["id"],
        "conversation_id": row["conversation_id"],
        "state": row["state"],
        "start": iso(row["starts_at"]),
        "end": iso(row["ends_at"]),
        "time_zone": row["time_zone"],
        "name": row["name"],
        "email": row["email"],
        "phone": row["phone"],
        "topic": row["topic"],
        "calendar": row["calendar"],
        "calendar_file": path if own else None,
        "external_id": row["external_id"],
        "display_id": row["display_id"],
        "url": _in_chatwoot(row, chatwoot_url),
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def _in_chatwoot(row: Mapping[Any, Any], chatwoot_url: str | None) -> str | None:
    account, number = row["account_id"], row["display_id"]
    if chatwoot_url is None or not account or not number:
        return None
    return f"{chatwoot_url}/app/accounts/{account}/conversations/{number}"


def iso(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(moment: datetime) -> float:
    """Return a query's time as Unix seconds; without an offset it is UTC."""
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return min(max(seconds, 0.0), END_OF_TIME_S)


def maybe_iso(seconds: float | None) -> str | None:
    """Return `iso` of the time, or None."""
    return iso(seconds) if seconds else None
