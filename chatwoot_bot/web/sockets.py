"""The WebSockets: one conversation, all of one user's, or everything for agents.

Who may not come in is told by the close code, because a browser does not show the
status of a refused upgrade. What comes in is stored like a message over REST; a frame
that is wrong is answered by an ERROR, and the socket stays open.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..core.conversation import Sender
from ..errors import (
    AccessError,
    BusyError,
    NotFoundError,
    PaceError,
    RequestError,
    StoreError,
    ValidationError,
)
from ..store import chat, missed
from ..store.presence import Who
from .auth import RECHECK_S, SESSION, SESSION_AGE_S, Proof, bearer
from .chat import begin, find, say, visitor_of
from .context import Context, context
from .rooms import Whose, changed_text, event_text, message_text, state_text
from .schemas import Frame, NewConversation, NewMessage, UserStatus, maybe_iso
from .socket import Socket

# What a socket that was away may be sent again; more is read over REST.
MAX_MISSED = 500
# By what was wrong; a browser sees the code and the reason.
REFUSED = {AccessError: 4401, NotFoundError: 4404, BusyError: 4429, PaceError: 4429}


@dataclass(kw_only=True, eq=False)
class Guest:
    """The client of one socket, and the permissions of its frames.

    Attributes:
        conversation_id: the only one; None where frames name it.
        whose: the user whose conversations these are; None for agents' sockets.
        sender: whose words the messages are, unless a frame says otherwise.
        counts: the visitor who is online by this socket.
        is_stranger: a visitor and no agent.
    """

    ctx: Context
    websocket: WebSocket
    token: str | None
    conversation_id: str | None = None
    whose: Whose | None = None
    sender: Sender = Sender.CONTACT
    counts: Who | None = None
    is_stranger: bool = False
    typing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        signed_in = self.websocket.scope.get(SESSION) is not None
        age_s = RECHECK_S if signed_in else SESSION_AGE_S
        frames = self.ctx.strangers.frames
        self.socket = Socket(self.websocket, max_age_s=age_s, frames=frames)

    async def heed(self, frame: Frame) -> None:
        """Do what *frame* says.

        Raises:
            RequestError: it may not, or cannot.
            StoreError: it could not be stored.
        """
        if frame.message is not None:
            await self._say(frame, frame.message)
        elif frame.typing is not None:
            await self._type(frame, frame.typing)
        elif frame.after is not None:
            await self._replay(frame, frame.after)

    async def _say(self, frame: Frame, content: str) -> None:
        sender = self._sender(frame)
        row = await self._conversation(frame, may_begin=True)
        body = NewMessage.model_construct(
            content=content, sender=sender.value, client_id=frame.client_id
        )
        if self.is_stranger:
            self.ctx.strangers.write(self.websocket, row["id"])
        self.typing.discard(row["id"])  # the message says so
        message, is_new = await say(self.ctx, row, body)
        if not is_new:
            # The others have it; this socket sends again what it did not see come.
            self.socket.push(message_text(message))

    def _sender(self, frame: Frame) -> Sender:
        if frame.sender is None:
            return self.sender
        sender = Sender(frame.sender)
        if sender is not Sender.CONTACT:
            self.ctx.gate.require_agent(self.websocket, self.token)
        return sender

    async def _type(self, frame: Frame, typing: bool) -> None:
        sender = self._sender(frame)
        row = await self._conversation(frame)
        (self.typing.add if typing else self.typing.discard)(row["id"])
        self.ctx.hub.typing(row["id"], sender, typing, teller=self.socket)

    async def _replay(self, frame: Frame, after: int) -> None:
        """Send what came after a message, and at the end that this was all.

        Raises:
            PaceError: too much has been read lately; what came before was sent.
        """
        watched = self.ctx.rooms.watches(self.socket)
        if frame.conversation_id is not None:
            watched = [(await self._conversation(frame))["id"]]
        found = await self.ctx.db.read(
            missed.missed, watched, after=after, limit=MAX_MISSED
        )
        await self._send_again(found.new, message_text)
        await self._send_again(found.changed, changed_text)
        for row in found.states:
            self.socket.push(state_text(row))
            if not await self.socket.drained():
                return
        body = {"after": after, "complete": found.complete}
        self.socket.push(event_text("REPLAYED", body))

    async def _send_again(
        self, names: Sequence[chat.Name], text: Callable[[sa.RowMapping], str]
    ) -> None:
        chars = dict(names)
        for ids in missed.pages(names):
            if self.is_stranger:
                size = sum(chars[one] for one in ids)
                self.ctx.strangers.read(self.websocket, self.who, size)
            for row in await self.ctx.db.read(missed.by_ids, ids):
                self.socket.push(text(row))
            if not await self.socket.drained():
                return

    async def _conversation(
        self, frame: Frame, *, may_begin: bool = False
    ) -> sa.RowMapping:
        """Return the conversation that *frame* is about.

        Raises:
            NotFoundError: there is none that this guest may see.
            ValidationError: it has to be named.
        """
        wanted = self.conversation_id or frame.conversation_id
        if frame.conversation_id not in (None, wanted):
            raise NotFoundError("This socket is for another conversation.")
        if wanted is None and self.whose is not None and may_begin:
            return await self._begin(self.whose)
        if wanted is None:
            raise ValidationError({"conversation_id": "is needed here"})
        row = await self.ctx.db.read(chat.get, wanted)
        if row is None or not self._is_mine(row):
            raise NotFoundError("There is no such conversation.")
        return row

    @property
    def who(self) -> str:
        """What a visitor's reading is counted by: the conversation, or who they are."""
        return self.conversation_id or " ".join(map(str, self.whose or ()))

    def _is_mine(self, row: sa.RowMapping) -> bool:
        if self.whose is None:
            return True
        user_id, visitor = self.whose
        return row["user_id"] == user_id and visitor in (None, row["visitor"])

    async def _begin(self, whose: Whose) -> sa.RowMapping:
        if self.is_stranger:
            self.ctx.strangers.begin(self.websocket)
        body = NewConversation(user_id=whose[0])
        given = self.token or bearer(self.websocket)
        row = await begin(self.ctx, body, token=given)
        await self.ctx.rooms.join(self.socket, [row["id"]])
        return row

    def stop_typing(self) -> None:
        """Tell the others: nobody else will, when the socket is gone."""
        for conversation_id in self.typing:
            self.ctx.hub.typing(conversation_id, self.sender, False)


# Lets somebody in; what they hold as long as the socket is open goes onto the stack.
Admit = Callable[[Context, str | None, contextlib.ExitStack], Awaitable[Guest]]


async def conversation(websocket: WebSocket) -> None:
    """Serve one conversation's socket, to its visitor or an agent."""
    conversation_id = websocket.path_params["conversation_id"]

    async def admit(
        ctx: Context, token: str | None, held: contextlib.ExitStack
    ) -> Guest:
        proof = ctx.gate.require_visitor(websocket, conversation_id, token)
        row = await find(websocket, ctx)
        guest = Guest(
            ctx=ctx,
            websocket=websocket,
            token=token,
            conversation_id=row["id"],
            counts=_who(row) if proof is Proof.VISITOR else None,
            is_stranger=proof is Proof.VISITOR,
        )
        if guest.is_stranger:
            who = row["visitor"] or row["id"]
            held.enter_context(ctx.strangers.watching(websocket, who))
        await ctx.rooms.join(guest.socket, [row["id"]])
        return guest

    await _serve(websocket, admit)


def _who(row: sa.RowMapping) -> Who | None:
    return (row["user_id"], row["visitor"] or "") if row["user_id"] else None


async def user(websocket: WebSocket) -> None:
    """Serve the socket for all conversations of one visitor."""
    user_id = websocket.path_params["user_id"]

    async def admit(
        ctx: Context, token: str | None, held: contextlib.ExitStack
    ) -> Guest:
        if "\x00" in user_id or len(user_id) > MAX_USER_ID:
            raise NotFoundError("This visitor id is not valid.")
        visitor = await visitor_of(ctx, websocket, user_id, token=token)
        # Without ADMIN_TOKEN whoever is on this machine may be any visitor.
        counts = visitor is not None or not ctx.gate.needs_token
        guest = Guest(
            ctx=ctx,
            websocket=websocket,
            token=token,
            whose=(user_id, visitor),
            counts=(user_id, visitor or "") if counts else None,
            is_stranger=visitor is not None,
        )
        if visitor is not None:
            held.enter_context(ctx.strangers.watching(websocket, visitor))
        await ctx.rooms.join_user(guest.socket, (user_id, visitor))
        return guest

    await _serve(websocket, admit)


# As `schemas.Line`.
MAX_USER_ID = 200


async def agents(websocket: WebSocket) -> None:
    """Serve the agents' socket: every conversation."""

    async def admit(
        ctx: Context, token: str | None, held: contextlib.ExitStack
    ) -> Guest:
        ctx.gate.require_agent(websocket, token)
        guest = Guest(ctx=ctx, websocket=websocket, token=token, sender=Sender.AGENT)
        await ctx.rooms.join_agents(guest.socket)
        return guest

    await _serve(websocket, admit)


async def _serve(websocket: WebSocket, admit: Admit) -> None:
    """Admit a permitted client, and serve its socket to its end."""
    ctx = context(websocket)
    with contextlib.ExitStack() as held:
        try:
            ctx.gate.check_origin(websocket)
            guest = await admit(ctx, websocket.query_params.get("token"), held)
        except (RequestError, StoreError) as error:
            await _refuse(websocket, error)
            return
        with contextlib.suppress(WebSocketDisconnect):
            async with _present(guest):
                # Only now: what happens after a client's "open" must not be missed.
                await websocket.accept()
                await guest.socket.serve(guest.heed)


@contextlib.asynccontextmanager
async def _present(guest: Guest) -> AsyncIterator[None]:
    """Count the client while the block runs, and clean up afterwards."""
    ctx = guest.ctx
    if guest.counts is not None:
        ctx.presence.enter(guest.counts)
    try:
        yield
    finally:
        ctx.rooms.leave(guest.socket)
        guest.stop_typing()
        if guest.counts is not None:
            ctx.presence.leave(guest.counts)


async def _refuse(websocket: WebSocket, error: RequestError | StoreError) -> None:
    """Close with the reason after the upgrade, so that a browser can read it."""
    code = 1011
    if isinstance(error, RequestError):
        code = REFUSED.get(type(error), 4400)
    if isinstance(error, AccessError) and error.status_code == 403:
        code = 4403
    # RFC 6455: at most 123 bytes.
    reason = str(error)[:120] if isinstance(error, RequestError) else "not stored"
    with contextlib.suppress(WebSocketDisconnect):
        await websocket.accept()
        await websocket.close(code, reason)


async def status(request: Request) -> Response:
    """Return whether a visitor is online, for agents and that visitor."""
    ctx = context(request)
    user_id = request.path_params["user_id"]
    if "\x00" in user_id:
        raise NotFoundError("This visitor id is not valid.")
    visitor = await visitor_of(ctx, request, user_id, token=None)
    sighted = await ctx.presence.status(user_id, visitor)
    answer: UserStatus = {
        "user_id": user_id,
        "online": sighted.connections > 0,
        "connections": sighted.connections,
        "last_seen_at": maybe_iso(sighted.seen_at),
    }
    return JSONResponse(answer)
