"""Who sees what as it happens: a room for each conversation, for users, for agents.

One loop reads what has changed and hands it to the members' queues, each event made
into text once. It never waits for a member.
"""

import asyncio
import json
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Protocol, TypeVar

import structlog

from ..errors import StoreError
from ..hub import Hub, Passing
from ..store import chat, feed
from ..store.engine import Database
from ..store.feed import OVERLAP_S, Mark, News, Seen
from .schemas import iso, message_out

log = structlog.get_logger(__name__)

# Conversations read in one go: on SQLite the event loop waits for it.
LOOKED_AT = 64
RETRY_S = 0.5
# A signal of another process may be lost; that is how late its news may then be.
POLL_S = 5.0
# Ids of conversations that concern nobody here; a few MB, then begun anew.
MAX_STRANGERS = 50_000
# Conversations that only agents watch, and that are remembered as they were.
MAX_SEEN = 20_000

# More of a user's conversations are read over REST.
MAX_OF_USER = 100

Key = TypeVar("Key")
# A user, and which visitor by that name; None for all of them.
Whose = tuple[str, str | None]


class Member(Protocol):
    """A socket, as rooms see it; compared by identity."""

    def push(self, text: str) -> None:
        """Take an event; never waits."""


class Rooms:
    """The sockets of this process by what they watch. See `Listener` of the hub."""

    def __init__(self, db: Database, hub: Hub) -> None:
        self._db = db
        self._rooms: defaultdict[str, set[Member]] = defaultdict(set)
        self._users: defaultdict[Whose, set[Member]] = defaultdict(set)
        self._whose: dict[Member, Whose] = {}
        self._agents: set[Member] = set()
        self._joined: defaultdict[Member, set[str]] = defaultdict(set)
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        # Where every other conversation stood when somebody began to wait for it,
        # and when agents did.
        self._before = Seen()
        self._agents_before = Seen()
        # Where the database stood at the last polls, the oldest first.
        self._marks: deque[Mark] = deque(maxlen=int(OVERLAP_S / POLL_S) + 1)
        self._strangers: set[str] = set()
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()
        hub.attach(self)

    @property
    def sockets(self) -> int:
        """How many sockets are open."""
        return len(self._joined)

    async def join(self, member: Member, conversation_ids: Iterable[str]) -> None:
        """Have *member* see conversations from now on.

        Raises:
            StoreError: it has not joined.
        """
        stand = await self._db.read(feed.stand, list(conversation_ids))
        self._joined.setdefault(member, set())  # counted from here on
        for conversation_id, seen in stand.items():
            self._seen.setdefault(conversation_id, seen)
            self._rooms[conversation_id].add(member)
            self._joined[member].add(conversation_id)
            # Something may have happened between that look and this line.
            self.changed(conversation_id)

    async def join_user(self, member: Member, whose: Whose) -> None:
        """Have *member* see all conversations of one user, later ones too.

        Raises:
            StoreError: it has not joined.
        """
        if not self._agents and not self._users:
            self._look_from(await self._db.read(feed.newest), agents=False)
        self._users[whose].add(member)
        self._whose[member] = whose
        self._strangers.clear()
        user_id, visitor = whose
        try:
            rows = await self._db.read(
                chat.of_user, user_id, visitor=visitor, limit=MAX_OF_USER
            )
            await self.join(member, [row["id"] for row in rows])
        except BaseException:
            self.leave(member)
            raise

    async def join_agents(self, member: Member) -> None:
        """Have *member* see every conversation.

        Raises:
            StoreError: it has not joined.
        """
        if not self._agents:
            # What was said while no agent looked is no news to them.
            here = await self._db.read(feed.newest)
            self._look_from(here, agents=True)
        self._joined.setdefault(member, set())  # counted from here on
        self._agents.add(member)

    def _look_from(self, here: Seen, *, agents: bool) -> None:
        """Begin to wait for conversations that nobody here watches yet."""
        if not self._agents and not self._users:
            self._before = here
        if not self._agents and agents:
            self._agents_before = here

    def leave(self, member: Member) -> None:
        """Forget *member*."""
        whose = self._whose.pop(member, None)
        if whose is not None:
            _discard(self._users, whose, member)
        for conversation_id in self._joined.pop(member, ()):
            _discard(self._rooms, conversation_id, member)
            if conversation_id not in self._rooms and not self._agents:
                self._seen.pop(conversation_id, None)
        if member in self._agents:
            self._agents.discard(member)
            if not self._agents:
                for conversation_id in self._seen.keys() - self._rooms.keys():
                    del self._seen[conversation_id]

    def watches(self, member: Member) -> list[str] | None:
        """Return which conversations *member* sees; None for all."""
        return None if member in self._agents else list(self._joined[member])

    def changed(self, conversation_id: str) -> None:
        """Look at a conversation, if anybody might see it."""
        watched = conversation_id in self._rooms or self._agents
        unknown = self._users and conversation_id not in self._strangers
        if watched or unknown:
            self._dirty[conversation_id] = None
            self._wake.set()

    def look_at_all(self) -> None:
        """Look at everything again: signals may have been missed."""
        for conversation_id in {*self._rooms, *self._seen}:
            self.changed(conversation_id)

    def passed(self, passing: Passing, *, here: bool) -> None:
        """Tell those who see the conversation, or else the agents."""
        text = event_text(passing.event, passing.body)
        self._tell(passing.conversation_id, text, but=passing.teller)

    async def poll(self) -> None:
        """Look now and then for what no signal has told, until cancelled."""
        while True:
            try:
                await self._look_around()
            except StoreError as error:
                log.warning("change poll failed", error=str(error))
            await asyncio.sleep(POLL_S)

    async def _look_around(self) -> None:
        """Look at what was numbered since the oldest mark; see `feed` why that one."""
        mark = await self._db.read(feed.mark)
        if self._joined and self._marks:
            moved = await self._db.read(feed.moved, self._marks[0])
            for conversation_id, (message_id, change_id) in moved.items():
                seen = self._seen.get(conversation_id, Seen())
                if message_id > seen.message_id or change_id > seen.change_id:
                    self.changed(conversation_id)
        self._marks.append(mark)

    async def run(self) -> None:
        """Look and tell, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                batch = list(self._dirty)[:LOOKED_AT]
                for conversation_id in batch:
                    del self._dirty[conversation_id]
                try:
                    await self._look(batch)
                except StoreError as error:
                    log.warning("message lookup failed", error=str(error))
                    self._dirty |= dict.fromkeys(batch)
                    await asyncio.sleep(RETRY_S)

    async def _look(self, batch: list[str]) -> None:
        looks = {one: self._seen.get(one, self._before) for one in batch}
        for news in await self._db.glance(feed.news, looks):
            self._meet(news)
            conversation_id = news.conversation["id"]
            if conversation_id not in self._rooms and conversation_id not in self._seen:
                self._tell_news(news.later_than(self._agents_before))
            else:
                self._tell_news(news)

    def _meet(self, news: News) -> None:
        """Bring a conversation that is new to us to the users whose it is."""
        row = news.conversation
        user_id = row["user_id"]
        mine: set[Member] = set()
        if self._users and user_id is not None:
            mine |= self._users.get((user_id, row["visitor"]), set())
            mine |= self._users.get((user_id, None), set())
        for member in mine:
            self._rooms[row["id"]].add(member)
            self._joined[member].add(row["id"])
        if row["id"] in self._rooms or self._agents:
            return
        if len(self._strangers) >= MAX_STRANGERS:
            self._strangers.clear()
        self._strangers.add(row["id"])

    def _tell_news(self, news: News) -> None:
        conversation_id = news.conversation["id"]
        if conversation_id not in self._rooms and not self._agents:
            return
        self._seen[conversation_id] = news.seen
        self._seen.move_to_end(conversation_id)
        self._forget_old()
        for text in news_texts(news):
            self._tell(conversation_id, text)
        if not news.complete:
            self.changed(conversation_id)

    def _forget_old(self) -> None:
        """Forget the conversations that were still for longest, but for the rooms."""
        if len(self._seen) - len(self._rooms) <= MAX_SEEN:
            return
        still = (one for one in self._seen if one not in self._rooms)
        for conversation_id in list(islice(still, MAX_SEEN // 10)):
            seen = self._seen.pop(conversation_id)
            # Or all that was said in it since an agent came would be news again.
            for mark in (self._before, self._agents_before):
                mark.message_id = max(mark.message_id, seen.message_id)
                mark.change_id = max(mark.change_id, seen.change_id)

    def _tell(
        self, conversation_id: str | None, text: str, *, but: object = None
    ) -> None:
        room = self._rooms.get(conversation_id or "", set())
        for member in room | self._agents:
            if member is not but:
                member.push(text)


def _discard(rooms: defaultdict[Key, set[Member]], key: Key, member: Member) -> None:
    rooms[key].discard(member)
    if not rooms[key]:
        del rooms[key]


def news_texts(news: News) -> Iterable[str]:
    """Yield what is new in one conversation, in the order to tell it."""
    for row in news.messages:
        yield message_text(row)
    for row in news.changed:
        yield changed_text(row)
    for row in news.states:
        yield state_text(row)


def message_text(row: Mapping[Any, Any], event: str | None = None) -> str:
    """Return a message as an event; by default, as what has become of it."""
    body = {**message_out(row), "timestamp": iso(row["created_at"])}
    return event_text(event or "NEW_MESSAGE", body)


def changed_text(row: Mapping[Any, Any]) -> str:
    """Return an earlier message as an event: it was edited or deleted."""
    deleted = row["deleted_at"] is not None
    return message_text(row, "MESSAGE_DELETED" if deleted else "MESSAGE_UPDATED")


def state_text(row: Mapping[Any, Any]) -> str:
    """Return a change of state as an event."""
    body = {
        "conversation_id": row["conversation_id"],
        "state": row["state"],
        "reason": row["reason"],
    }
    return event_text("STATE_CHANGED", body)


def event_text(event: str, body: Mapping[str, Any]) -> str:
    """Return an event as it travels."""
    # ASCII only: half of a surrogate pair may be all that a model has said so far.
    return json.dumps({"event": event, "body": body})
