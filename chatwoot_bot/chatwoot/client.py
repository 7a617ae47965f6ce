"""Chatwoot's REST API: the calls that the engine makes, in our own types."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from ..core.conversation import Status
from ..core.events import (
    Event,
    Kind,
    Sighting,
    from_rest,
    moment,
    row_from_rest,
)
from ..core.transcript import escape_liquid
from ..errors import ChatwootError, PayloadError
from .calls import Calls, Shape, list_of, object_of
from .releases import Feature, Version, has, parse

# Chatwoot refuses more characters of text (docs/chatwoot/api.md#create-message).
MAX_CONTENT = 150_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What Chatwoot shows of a conversation.

    Attributes:
        updated_at: Chatwoot's clock, Unix seconds.
        messages: the newest ones shown (message id, our reply key or None).
        last: the newest public message, as if delivered; None when not shown.
        can_reply: the channel's time for replies is not over; None when not shown.
        first_reply_at: when an agent first answered; 0 for never.
        bot_owner: as in `Sighting`.
    """

    status: Status | None
    updated_at: float
    messages: Mapping[int, str | None]
    last: Event | None = None
    can_reply: bool | None = None
    first_reply_at: float = 0.0
    bot_owner: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A message that was fetched instead of delivered.

    Attributes:
        written_at: Unix seconds.
    """

    event: Event
    written_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A conversation as Chatwoot shows it, as if its events had been delivered.

    Attributes:
        seen: the conversation itself, and when anybody last wrote in it.
        messages: the newest public ones that it shows, at most two, oldest first.
        opened_by_decision: a person or a rule has opened it, by its last activity;
            the line about a failed delivery and the end of a snooze say nothing of
            the kind (since Chatwoot 4.16; before, and behind a newer message, False).
    """

    seen: Fetched
    messages: Sequence[Fetched]
    opened_by_decision: bool


class ChatwootClient(Calls):
    """Talk to one Chatwoot installation with one token; see `Calls`."""

    _version: Version | None = None  # of Chatwoot, once it is known

    async def create_message(
        self,
        account_id: int,
        display_id: int,
        *,
        content: str,
        reply_key: str,
        private: bool = False,
        items: Sequence[Mapping[str, str]] = (),
    ) -> int:
        """Post a message; return Chatwoot's id for it.

        Stored is not delivered: the channel's own failure comes later, as
        `message_updated`. No text in the message is a Liquid template, whoever wrote
        it; a text that is too long is cut.

        Args:
            items: title and value of each quick reply, for channels that have them.

        Raises:
            ChatwootError: `in_doubt` says whether it may be there all the same.
        """
        attributes: dict[str, Any] = {"chatwoot_bot": {"reply_key": reply_key}}
        body: dict[str, Any] = {
            "content": escape_liquid(content)[:MAX_CONTENT],
            "message_type": "outgoing",
            "private": private,
            "content_attributes": attributes,
        }
        if items:
            body["content_type"] = "input_select"
            attributes["items"] = [
                {name: escape_liquid(text) for name, text in item.items()}
                for item in items
            ]
        response = await self.call(
            "POST", account_id, display_id, "messages", body, shape=_has_id
        )
        message_id: int = object_of(response)["id"]
        return message_id

    async def toggle_status(
        self, account_id: int, display_id: int, status: Status
    ) -> float:
        """Set the status; return Chatwoot's clock (Unix seconds) after that.

        With a bot's token, pending → open is Chatwoot's own handoff.

        Raises:
            ChatwootError: it was not set, as far as we know.
        """
        response = await self.repeat(
            "POST",
            account_id,
            display_id,
            "toggle_status",
            {"status": status},
            shape=_holds("payload", dict),
        )
        return _clock(response)

    async def toggle_typing(
        self, account_id: int, display_id: int, *, on: bool
    ) -> None:
        """Show or hide the typing indicator; bots may since Chatwoot 4.11.2.

        Raises:
            ChatwootError: it did not work; nobody need care.
        """
        body = {"typing_status": "on" if on else "off"}
        await self.call(
            "POST",
            account_id,
            display_id,
            "toggle_typing_status",
            body,
            aside=True,
        )

    async def get_conversation(
        self, account_id: int, display_id: int, *, aside: bool = False
    ) -> Conversation:
        """Read a conversation; bots may since Chatwoot 4.14.2.

        Args:
            aside: see `Calls.call`.

        Raises:
            ChatwootError: 401 in older releases, 500 for a conversation with a
                team (docs/chatwoot/api.md#bot-tokens), or no answer.
        """
        response = await self.call(
            "GET", account_id, display_id, aside=aside, shape=_has_id
        )
        payload = object_of(response)
        last = _last_message(payload, account_id)
        can_reply = payload.get("can_reply")
        return Conversation(
            status=_status(payload.get("status")),
            updated_at=_seconds(payload.get("updated_at")),
            messages=dict(_shown_messages(payload)),
            last=last.event if last else None,
            can_reply=can_reply if isinstance(can_reply, bool) else None,
            first_reply_at=moment(payload.get("first_reply_created_at")),
            bot_owner=_owner(payload, account_id),
        )

    async def show(self, account_id: int, display_id: int) -> Shown:
        """Return a conversation with the newest one or two messages.

        Bots may since 4.14.2.

        Raises:
            ChatwootError: as for `get_conversation`; or it is not understood.
        """
        asked_at = time.time()
        response = await self.call("GET", account_id, display_id, shape=_has_id)
        payload = _as_of(object_of(response), response, asked_at)
        try:
            seen = row_from_rest(payload, account_id)
        except PayloadError as error:
            raise ChatwootError(
                f"conversation {display_id} is not understood: {error}",
                status_code=response.status_code,
                final=True,
            ) from error
        shown = {message["id"]: message for message in _nested_messages(payload)}
        found = [_fetched(payload, shown[each], account_id) for each in sorted(shown)]
        return Shown(
            seen=Fetched(
                event=seen, written_at=_seconds(payload.get("last_activity_at"))
            ),
            messages=[fetched for fetched in found if fetched is not None],
            opened_by_decision=_opened_by_decision(shown),
        )

    async def add_labels(
        self, account_id: int, display_id: int, labels: Collection[str]
    ) -> None:
        """Add *labels* to those that are there; Chatwoot itself would replace them.

        Raises:
            ChatwootError: 401 before Chatwoot 4.14.2 for a bot, or no answer.
        """
        shape = _holds("payload", list)
        response = await self.call("GET", account_id, display_id, "labels", shape=shape)
        there = object_of(response)["payload"]
        if missing := [label for label in labels if label not in there]:
            body = {"labels": [*there, *missing]}
            await self.repeat(
                "POST", account_id, display_id, "labels", body, shape=shape
            )

    async def add_attributes(
        self, account_id: int, display_id: int, attributes: Mapping[str, str]
    ) -> None:
        """Add custom attributes to those that are there.

        Chatwoot does so since 4.17, if it is asked to; before, it replaces them.

        Raises:
            ChatwootError: before 4.17 as for `get_conversation`, or no answer.
        """
        shape = _holds("custom_attributes", dict)
        body: dict[str, Any] = {"custom_attributes": attributes, "merge": True}
        if not await self._has(Feature.MERGES_ATTRIBUTES):
            response = await self.call("GET", account_id, display_id, shape=shape)
            there = object_of(response)["custom_attributes"]
            body = {"custom_attributes": {**there, **attributes}}
        await self.repeat(
            "POST", account_id, display_id, "custom_attributes", body, shape=shape
        )

    async def _has(self, feature: Feature) -> bool:
        """Return whether this Chatwoot has *feature*; False when nobody can tell."""
        if self._version is None:
            shape = _holds("version", str)
            try:
                response = await self.call("GET", None, None, aside=True, shape=shape)
            except ChatwootError:
                return False  # it is asked again the next time
            self._version = parse(object_of(response)["version"])
        return self._version is not None and has(self._version, feature)

    async def assign(
        self,
        account_id: int,
        display_id: int,
        *,
        team_id: int | None = None,
        assignee_id: int | None = None,
    ) -> None:
        """Give the conversation to a team or to an agent: Chatwoot takes one at a time.

        Raises:
            ChatwootError: it was not done, as far as we know.
        """
        body = {"team_id": team_id} if team_id else {"assignee_id": assignee_id}
        response = await self.repeat(
            "POST", account_id, display_id, "assignments", body
        )
        if not object_of(response):
            # 200 and null for an unknown agent, before 4.17 also for an unknown team
            # (docs/chatwoot/api.md#conversation-actions).
            [(name, unknown)] = body.items()
            raise ChatwootError(
                f"Chatwoot does not know {name} {unknown}", status_code=200, final=True
            )

    async def unassign(self, account_id: int, display_id: int) -> None:
        """Take the conversation from whoever owns it, be it an agent or a bot.

        Raises:
            ChatwootError: it was not done, as far as we know.
        """
        body = {"assignee_id": None}
        await self.repeat("POST", account_id, display_id, "assignments", body)

    async def is_administrator(self, account_id: int) -> bool:
        """Return whether the token is that of an administrator of the account.

        Raises:
            ChatwootError: 401 for a bot's token, or no answer.
        """
        shape = _holds("accounts", list)
        response = await self.call("GET", None, None, "v1/profile", shape=shape)
        return any(
            isinstance(account, dict)
            and account.get("id") == account_id
            and account.get("role") == "administrator"
            for account in object_of(response)["accounts"]
        )

    async def set_priority(
        self, account_id: int, display_id: int, priority: str
    ) -> None:
        """Set the priority; bots may since Chatwoot 3.6.

        Raises:
            ChatwootError: it was not set, as far as we know.
        """
        body = {"priority": priority}
        await self.repeat("POST", account_id, display_id, "toggle_priority", body)

    async def someone_online(self, account_id: int) -> bool:
        """Return whether an agent is online; a bot's token may not ask.

        Raises:
            ChatwootError: 401 for a bot's token, or no answer.
        """
        response = await self.call(
            "GET",
            account_id,
            None,
            "agents",
            aside=True,
            shape=lambda body: isinstance(body, list),
        )
        return any(
            agent.get("availability_status") == "online" for agent in list_of(response)
        )

    async def list_last_messages(
        self, account_id: int, *, status: Status, page: int
    ) -> list[Fetched]:
        """Return the newest message of each conversation, 25 to a page.

        Where that is private, or not understood, the event has no message, and
        `written_at` is when anybody last wrote.

        Raises:
            ChatwootError: 401 for a bot's token, or no answer.
        """
        action = f"conversations?status={status}&assignee_type=all&page={page}"
        asked_at = time.time()
        response = await self.call("GET", account_id, None, action, shape=_is_list)
        rows = [
            _as_of(row, response, asked_at)
            for row in object_of(response)["data"]["payload"]
            if isinstance(row, dict)
        ]
        found = [
            _last_message(row, account_id) or _row(row, account_id) for row in rows
        ]
        return [fetched for fetched in found if fetched is not None]

    async def list_messages(self, newest: Event, *, after: int) -> list[Fetched]:
        """Return the public messages of a conversation, oldest first.

        Args:
            newest: of its events, one that was fetched.
            after: Chatwoot's id of the last message known; 0 for none. Then the
                newest 20 come, otherwise the up to 100 that follow.

        Raises:
            ChatwootError: 401 for a bot's token, or no answer.
        """
        seen, account_id = newest.conversation, newest.account_id
        if seen is None or account_id is None:
            return []
        action = f"messages?after={after}" if after else "messages"
        shape = _holds("payload", list)
        response = await self.call(
            "GET", account_id, seen.display_id, action, shape=shape
        )
        shown = {"id": seen.display_id, "inbox_id": newest.inbox_id}
        found = [
            _fetched(shown, message, account_id)
            for message in object_of(response)["payload"]
        ]
        # The list tells nothing of the conversation; its own row has just done.
        return [_seen_in(seen, each) for each in found if each is not None]

    async def list_reply_keys(
        self, account_id: int, display_id: int, *, after: int
    ) -> dict[int, str | None]:
        """Return our keys in the up to 100 messages that follow *after*.

        Raises:
            ChatwootError: 401 for a bot's token, or no answer.
        """
        response = await self.call(
            "GET",
            account_id,
            display_id,
            f"messages?after={after}",
            shape=_holds("payload", list),
        )
        return {
            message["id"]: _reply_key(message)
            for message in object_of(response)["payload"]
            if isinstance(message, dict) and isinstance(message.get("id"), int)
        }


def _has_id(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("id"), int)


def _holds(name: str, kind: type) -> Shape:
    return lambda body: isinstance(body, dict) and isinstance(body.get(name), kind)


def _is_list(body: Any) -> bool:
    """Whether *body* is a list of conversations, which lies a level deeper."""
    data = body.get("data") if isinstance(body, dict) else None
    return isinstance(data, dict) and isinstance(data.get("payload"), list)


def _clock(response: httpx.Response) -> float:
    """Return the server's clock, at the end of the second that its header names."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp() + 1.0
    except (KeyError, ValueError):
        return time.time()


def _as_of(
    conversation: Mapping[str, Any], response: httpx.Response, asked_at: float
) -> Mapping[str, Any]:
    """Return *conversation* as it is now, however long ago it changed.

    A status that we have set counts from the end of a second, so a change within that
    second looks older than it; but what Chatwoot shows later is what holds.

    Args:
        asked_at: our clock, for a server that names no time.
    """
    try:
        now = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        now = asked_at
    updated_at = conversation.get("updated_at")
    if not isinstance(updated_at, int | float) or not 0 < updated_at < now:
        return conversation
    return {**conversation, "updated_at": now}


def _status(value: Any) -> Status | None:
    return Status(value) if isinstance(value, str) and value in set(Status) else None


def _seconds(value: Any) -> float:
    known = isinstance(value, int | float) and 0 <= value <= 1e11
    return float(value) if known else 0.0


def _shown_messages(payload: Mapping[str, Any]) -> Iterator[tuple[int, str | None]]:
    for message in _nested_messages(payload):
        yield message["id"], _reply_key(message)


def _nested_messages(payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    shown = payload.get("messages")
    candidates = [*shown] if isinstance(shown, list) else []
    candidates.append(payload.get("last_non_activity_message"))
    for message in candidates:
        if isinstance(message, dict) and isinstance(message.get("id"), int):
            yield message


def _opened_by_decision(shown: Mapping[int, Mapping[str, Any]]) -> bool:
    """Return whether the newest message is the line of who has opened it."""
    newest = shown[max(shown)] if shown else {}
    attributes = newest.get("content_attributes")
    activity = attributes.get("activity") if isinstance(attributes, dict) else None
    return (
        isinstance(activity, dict)
        and activity.get("type") == "conversation_status_changed"
        and activity.get("status") == Status.OPEN
    )


def _owner(payload: Mapping[str, Any], account_id: int) -> int | None:
    """Return the agent bot that owns the conversation; see `Sighting.bot_owner`."""
    try:
        seen = row_from_rest(payload, account_id).conversation
    except PayloadError:
        return None
    return seen.bot_owner if seen else None


def _last_message(conversation: Mapping[str, Any], account_id: int) -> Fetched | None:
    """Return the newest public message, if Chatwoot shows one that we understand."""
    message = conversation.get("last_non_activity_message")
    return _fetched(conversation, message, account_id)


def _fetched(
    conversation: Mapping[str, Any], message: Any, account_id: int
) -> Fetched | None:
    """Return a message of REST, if it is public and understood."""
    if not isinstance(message, dict) or message.get("private"):
        return None
    try:
        event = from_rest(conversation, message, account_id)
    except PayloadError:
        return None
    fetched = Fetched(event=event, written_at=_seconds(message.get("created_at")))
    return _seen_in(event.conversation, fetched)


def _seen_in(seen: Sighting | None, fetched: Fetched) -> Fetched:
    """Return *fetched* as a message of the conversation *seen*.

    An agent's reply counts from when it was written, at the end of the second that
    Chatwoot shows: the bot may have been given the conversation since.
    """
    event = fetched.event
    if seen is not None and event.kind is Kind.AGENT_REPLY:
        said_at = fetched.written_at + 1.0
        seen = replace(seen, updated_at=min(seen.updated_at, said_at))
    return replace(fetched, event=replace(event, conversation=seen))


def _row(conversation: Mapping[str, Any], account_id: int) -> Fetched | None:
    """Return a row of a list without its message: private, or not understood."""
    if not isinstance(conversation.get("last_non_activity_message"), dict):
        return None  # nobody has written in it
    try:
        event = row_from_rest(conversation, account_id)
    except PayloadError:
        return None
    written_at = _seconds(conversation.get("last_activity_at"))
    return Fetched(event=event, written_at=written_at)


def _reply_key(message: Mapping[str, Any]) -> str | None:
    attributes = message.get("content_attributes")
    ours = attributes.get("chatwoot_bot") if isinstance(attributes, dict) else None
    key = ours.get("reply_key") if isinstance(ours, dict) else None
    return key if isinstance(key, str) else None
