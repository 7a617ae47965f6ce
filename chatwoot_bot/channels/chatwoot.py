"""A conversation that takes place in Chatwoot."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial

import structlog

from ..chatwoot.client import ChatwootClient
from ..chatwoot.client import Conversation as Shown
from ..core.conversation import Conversation, State, Status
from ..core.events import Event, Kind, Sighting
from ..core.notes import harmless
from ..core.routing import Routing
from ..errors import ChatwootError
from .base import Found, Presence, ReplyView

log = structlog.get_logger(__name__)


class ChatwootChannel:
    """Speak through Chatwoot's API; see `Channel`.

    Args:
        reader: with a user's token, which may list messages; None without one.
        verify: whether `look` asks Chatwoot (`VERIFY_BEFORE_REPLY`).
    """

    takes_notes = True

    def __init__(
        self,
        client: ChatwootClient,
        reader: ChatwootClient | None = None,
        *,
        verify: bool,
    ) -> None:
        self._client = client
        self._reader = reader
        self._verify = verify
        self._is_administrator: dict[int, bool] = {}  # by account

    async def typing(self, conversation: Conversation, *, on: bool) -> None:
        """Show or hide the typing indicator; never fails."""
        try:
            await self._client.toggle_typing(*_address(conversation), on=on)
        except ChatwootError as error:
            log.debug(
                "typing not shown", conversation=conversation.id, error=str(error)
            )

    async def look(self, conversation: Conversation) -> Event | None:
        """Ask Chatwoot for the status, the newest message, and whether it may reply.

        An agent's reply counts by itself: in a bot's inbox it leaves the conversation
        pending; the first one shows even where others have written since. None when
        there is no news, or Chatwoot will not say.
        """
        if not self._verify:
            return None
        account_id, display_id = _address(conversation)
        # After an outage news may have been missed: then the look is the trial.
        aside = self._client.breaker.is_closed
        try:
            shown = await self._client.get_conversation(
                account_id, display_id, aside=aside
            )
        except ChatwootError as error:
            log.debug(
                "status not verified", conversation=conversation.id, error=str(error)
            )
            return None
        if shown.last is not None and shown.last.kind is Kind.AGENT_REPLY:
            return shown.last
        is_news = shown.status not in (None, conversation.status)
        is_news |= shown.can_reply not in (None, conversation.can_reply)
        is_news |= shown.first_reply_at > 0 and not conversation.agent_replied
        if not is_news:
            return None
        return Event(
            name="conversation_seen",
            kind=Kind.OTHER,
            reason="seen_before_reply",
            account_id=account_id,
            conversation=Sighting(
                display_id=display_id,
                status=shown.status,
                updated_at=shown.updated_at,
                can_reply=shown.can_reply,
                first_reply_at=shown.first_reply_at,
                bot_owner=shown.bot_owner,
            ),
        )

    async def deliver(
        self, conversation: Conversation, reply: ReplyView, *, private: bool
    ) -> int | None:
        """Post *reply*; return Chatwoot's message id."""
        account_id, display_id = _address(conversation)
        return await self._client.create_message(
            account_id,
            display_id,
            content=harmless(reply.content) if private else reply.content,
            reply_key=reply.key,
            private=private,
            items=[{"title": title, "value": value} for title, value in reply.options],
        )

    async def find(self, conversation: Conversation, reply: ReplyView) -> Found:
        """Look for the reply's key among the messages that we may see.

        With a user's token those are all; a bot's shows the newest one or two, and a
        newer message of somebody else can hide ours: then nobody can know.
        """
        try:
            if self._reader is not None:
                return await self._find_in_list(self._reader, conversation, reply)
            return await self._find_in_newest(conversation, reply)
        except ChatwootError as error:
            if error.retryable and error.status_code != 500:
                return Found(Presence.UNREACHABLE)
            return Found(Presence.UNKNOWABLE)

    async def _find_in_newest(
        self, conversation: Conversation, reply: ReplyView
    ) -> Found:
        shown = await self._client.get_conversation(*_address(conversation))
        if (found := _among(shown.messages, reply)) is not None:
            return found
        newest = max(shown.messages, default=0)
        if newest and newest <= (reply.after_external_id or 0):
            return Found(Presence.ABSENT)
        return Found(Presence.UNKNOWABLE)

    async def _find_in_list(
        self, reader: ChatwootClient, conversation: Conversation, reply: ReplyView
    ) -> Found:
        after = reply.after_external_id or 0
        for _ in range(PAGES):
            keys = await reader.list_reply_keys(*_address(conversation), after=after)
            if (found := _among(keys, reply)) is not None:
                return found
            if not keys or max(keys) <= after:
                return Found(Presence.ABSENT)
            after = max(keys)
        return Found(Presence.UNKNOWABLE)

    async def route(
        self, conversation: Conversation, routing: Routing
    ) -> Sequence[str]:
        """Set team, agent, priority, labels and attributes; see `Channel`."""
        owners = {
            "team": f"HANDOFF_TEAM_ID={routing.team_id}",
            "agent": f"HANDOFF_ASSIGNEE_ID={routing.assignee_id}",
        }
        left_out = []
        for what, call in self._routed(_address(conversation), routing):
            try:
                await call()
            except ChatwootError as error:
                # A 500 is for good here: bots get it for conversations with a team.
                if error.is_gone and what != "team":
                    raise  # the conversation; since 4.17 also an unknown team
                if error.retryable and error.status_code != 500:
                    raise  # before the team, so that all of it can be tried again
                log.warning(
                    "not routed",
                    what=what,
                    conversation=conversation.id,
                    error=str(error),
                )
                if what in owners:
                    left_out.append(owners[what])
        return left_out

    def _routed(
        self, address: tuple[int, int], routing: Routing
    ) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Yield the calls that *routing* needs, by what they set."""
        client = self._client
        # First what reads the conversation: a bot may not, once it has a team.
        if attributes := routing.attributes:
            yield "attributes", partial(client.add_attributes, *address, attributes)
        if labels := routing.labels:
            yield "labels", partial(client.add_labels, *address, labels)
        if priority := routing.priority:
            yield "priority", partial(client.set_priority, *address, priority)
        if team_id := routing.team_id:
            yield "team", partial(client.assign, *address, team_id=team_id)
        if agent_id := routing.assignee_id:
            yield "agent", partial(client.assign, *address, assignee_id=agent_id)

    async def someone_online(self, conversation: Conversation) -> bool | None:
        """Ask for the agents, which takes a user's token; see `Channel`."""
        if self._reader is None:
            return None
        try:
            return await self._reader.someone_online(_address(conversation)[0])
        except ChatwootError as error:
            log.debug("agents not seen", error=str(error))
            return None

    async def set_status(self, conversation: Conversation, status: Status) -> float:
        """Set the status; see `Channel`.

        What an agent has taken is opened in an administrator's name, if we may: a bot
        that opens it hands it off, and Chatwoot then counts the contact as waiting
        whom the agent has just answered.
        """
        address = _address(conversation)
        if status is Status.OPEN and conversation.state is State.HUMAN:
            administrator = await self._administrator(address[0])
            if administrator is not None:
                try:
                    return await administrator.toggle_status(*address, status)
                except ChatwootError as error:
                    if error.status_code not in (401, 403):
                        raise
        return await self._client.toggle_status(*address, status)

    async def release(
        self, conversation: Conversation, owner: int, *, unseen: bool
    ) -> bool:
        """End our bot's ownership; see `Channel`.

        An administrator who opens what is open ends that and nothing else, under a
        lock. A bot can only take the conversation from whoever has it, so it looks
        just before, where it may.
        """
        address = _address(conversation)
        try:
            shown = await self._shown(address)
        except ChatwootError as error:
            if error.is_gone or (error.retryable and error.status_code != 500):
                raise
            if not unseen:
                return False
        else:
            is_owner = shown.bot_owner and owner in (0, shown.bot_owner)
            if shown.status is not Status.OPEN or not is_owner:
                return True
        administrator = await self._administrator(address[0])
        if administrator is None:
            await self._client.unassign(*address)
        else:
            await administrator.toggle_status(*address, Status.OPEN)
        return True

    async def _shown(self, address: tuple[int, int]) -> Shown:
        """Read a conversation; a user's token may where a bot's may not."""
        try:
            return await self._client.get_conversation(*address)
        except ChatwootError as error:
            if self._reader is None or error.status_code not in (401, 500):
                raise
            try:
                return await self._reader.get_conversation(*address)
            except ChatwootError as refusal:
                if refusal.retryable:
                    raise
                raise error from refusal  # the user may not see that inbox

    async def _administrator(self, account_id: int) -> ChatwootClient | None:
        """Return the client with a user's token, if that is an administrator's.

        With an agent's, Chatwoot would give that agent whatever it opens.
        """
        if self._reader is None:
            return None
        if account_id not in self._is_administrator:
            try:
                known = await self._reader.is_administrator(account_id)
            except ChatwootError as error:
                log.debug("user not seen", error=str(error))
                return None
            self._is_administrator[account_id] = known
        return self._reader if self._is_administrator[account_id] else None


# A hundred messages each; a conversation that grew more since is not waiting for us.
PAGES = 10


def _among(keys: Mapping[int, str | None], reply: ReplyView) -> Found | None:
    for message_id, key in keys.items():
        if key == reply.key:
            return Found(Presence.PRESENT, message_id)
    return None


def _address(conversation: Conversation) -> tuple[int, int]:
    """Return the account and the number of a Chatwoot conversation."""
    if conversation.account_id is None or conversation.display_id is None:
        raise ValueError(f"{conversation.id} is not a Chatwoot conversation")
    return conversation.account_id, conversation.display_id
