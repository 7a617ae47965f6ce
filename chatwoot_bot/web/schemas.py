"""The bodies of the web chat, as they travel."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pydantic

# What PostgreSQL cannot store, and what Chatwoot accepts at most.
Line = Annotated[str, pydantic.Field(min_length=1, max_length=200)]
MAX_CONTENT = 150_000


def _storable(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain NUL characters")
    return value


Storable = pydantic.AfterValidator(_storable)


class NewConversation(pydantic.BaseModel):
    """Body of POST /conversations."""

    user_id: Annotated[Line, Storable] | None = None
    name: Annotated[Line, Storable] | None = None


class NewMessage(pydantic.BaseModel):
    """Body of POST /conversations/{id}/messages."""

    content: Annotated[
        str, pydantic.Field(min_length=1, max_length=MAX_CONTENT), Storable
    ]
    sender: Literal["user", "agent", "ai"] = "user"
    client_id: Annotated[Line, Storable] | None = None

    @pydantic.field_validator("content")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be blank")
        return value


class Escalation(pydantic.BaseModel):
    """Body of POST /conversations/{id}/escalate."""

    reason: Annotated[Line, Storable] | None = None


class MessageQuery(pydantic.BaseModel):
    """Query of GET /conversations/{id}/messages."""

    page: int = pydantic.Field(1, ge=1, le=1_000_000)
    size: int = pydantic.Field(10, ge=1, le=200)
    after: int | None = pydantic.Field(None, ge=0, le=2**63 - 1)
    before: int | None = pydantic.Field(None, ge=0, le=2**63 - 1)


def message_out(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a message as clients see it."""
    deleted = row["deleted_at"] is not None
    return {
        "id": row["id"],
        "conversation_id": row["conversation_id"],
        "sender": row["sender"],
        "content": None if deleted else row["content"],
        "created_at": iso(row["created_at"]),
        "client_id": row["client_id"],
        "edited_at": iso(row["edited_at"]),
        "deleted_at": iso(row["deleted_at"]),
    }


def conversation_out(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a conversation as clients see it."""
    return {
        "id": row["id"],
        "state": row["state"],
        "user_id": row["user_id"],
        "created_at": iso(row["created_at"]),
    }


def iso(seconds: float | None) -> str | None:
    """Return Unix seconds as ISO 8601 in UTC with milliseconds."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
