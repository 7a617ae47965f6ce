"""One REST call: who asks for what, and the ways in which it may be refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .records import Agent, Bot, Conversation
from .wire import Json
from .world import World

Caller = Literal["bot", "user"]


class RailsError(Exception):
    """An exception inside of Chatwoot, which its users see as a bare 500."""


class NotFoundError(Exception):
    """Chatwoot has no such record: 404."""


class InvalidError(Exception):
    """A record that Chatwoot would not save: 422 with these two.

    Source: docs/chatwoot/api.md#errors.
    """

    def __init__(self, message: str, *attributes: str) -> None:
        super().__init__(message)
        self.body: Json = {"message": message, "attributes": list(attributes)}


class RefusedError(Exception):
    """A refusal with `error` and a status of its own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class MissingParameterError(Exception):
    """A required parameter is not there: 422 with `error`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file of a multipart body."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One authorised REST call.

    Attributes:
        agent: The human whose token it is, if one's.
        bot: The bot whose token it is, if one's.
        target: The conversation in the path.
        params: The body, from JSON or a form.
        query: The query string.
        path: The other ids in the path.
        files: The files of a multipart body.
    """

    agent: Agent | None
    bot: Bot | None
    target: Conversation | None
    params: Json
    query: Mapping[str, str]
    path: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()

    @property
    def caller(self) -> Caller:
        """Whose kind of token it is."""
        return "bot" if self.bot else "user"

    @property
    def is_admin(self) -> bool:
        """Whether an administrator asks."""
        return self.agent is not None and self.agent.role == "administrator"

    @property
    def user(self) -> Agent:
        """The human who asks, for the calls that are not for bots."""
        if self.agent is None:
            raise LookupError("this call is made with a bot's token")
        return self.agent

    @property
    def caller_id(self) -> int:
        """The id of who asks."""
        return self.bot.id if self.bot else self.user.id

    @property
    def name(self) -> str:
        """The name of who asks, as activity lines have it."""
        return self.bot.name if self.bot else self.user.name

    @property
    def conversation(self) -> Conversation:
        """The conversation in the path, for the calls that have one."""
        if self.target is None:
            raise LookupError("this path names no conversation")
        return self.target

    @property
    def id(self) -> int:
        """The id in the path, for the calls that have one."""
        return int(self.path["id"])


Act = Callable[[World, Ask], Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One REST call; `name` is Chatwoot's action, for faults and logs."""

    name: str
    method: str
    path: str
    act: Act
    bots: bool = True
    """Whether a bot token may call it (docs/chatwoot/api.md#bot-tokens)."""
    admin: bool = False
    """Whether Chatwoot's policy asks for an administrator."""
    empty: bool = False
    """Whether the answer is a bare 200."""
    status: int = 200


def for_users(
    name: str, method: str, path: str, act: Act, *, status: int = 200
) -> Endpoint:
    """Return a call for every human; 204 has no body."""
    empty = status == 204
    return Endpoint(name, method, path, act, bots=False, empty=empty, status=status)


def for_admins(
    name: str, method: str, path: str, act: Act, *, empty: bool = False
) -> Endpoint:
    """Return a call that Chatwoot's policy keeps for administrators."""
    return Endpoint(name, method, path, act, bots=False, admin=True, empty=empty)


def number(given: Any) -> int:
    """Return an id, or 0, which nothing has."""
    text = str(given)
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def truth(given: Any) -> bool:
    """Return what Rails takes for true."""
    return str(given).lower() in ("true", "1", "t", "on", "yes")
