"""The web chat over REST: the same engine with our own page as the channel."""

from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core.conversation import Sender
from ..core.events import Event, Kind, Said
from ..errors import ConflictError, NotFoundError
from ..intake import wait_until
from ..store import chat, human, transcripts
from ..store.arrivals import Arrival
from .auth import require_agent, require_visitor
from .body import preferred_wait_s, query, read_model
from .context import Context, context
from .schemas import (
    Escalation,
    MessageQuery,
    NewConversation,
    NewMessage,
    conversation_out,
    message_out,
)

KINDS = {
    Sender.CONTACT: Kind.CONTACT_MESSAGE,
    Sender.AGENT: Kind.AGENT_REPLY,
    Sender.BOT: Kind.BOT_MESSAGE,
}


async def create_conversation(request: Request) -> Response:
    """Begin a conversation; the token lets its visitor back in."""
    ctx = context(request)
    body = await read_model(request, NewConversation, ctx.settings.max_body_bytes)
    ctx.db.refuse_when_full()
    row = await ctx.db.write(
        chat.create, user_id=body.user_id, name=body.name, now=ctx.clock()
    )
    token = ctx.visitors.token(row["id"])
    return JSONResponse({**conversation_out(row), "token": token}, status_code=201)


async def get_conversation(request: Request) -> Response:
    """Show one conversation with its state and last message."""
    ctx, row = await _visited(request)
    return JSONResponse(await _with_last_message(ctx, row))


async def list_messages(request: Request) -> Response:
    """List messages; with ``Prefer: wait`` and ``after``, wait for the next change."""
    ctx, row = await _visited(request)
    parameters = query(request, MessageQuery)
    page = chat.Page(
        size=parameters.size,
        number=parameters.page,
        after=parameters.after,
        before=parameters.before,
    )
    wait_s = preferred_wait_s(request)
    if wait_s is not None and parameters.after is not None:
        await _wait_for_change(ctx, row, page, wait_s)
    items, total = await ctx.db.read(chat.list_messages, row["id"], page)
    more = len(items) == page.size
    return JSONResponse(
        {
            "items": [message_out(item) for item in items],
            "next": items[-1]["id"] if more and page.before is None else None,
            "page": page.number,
            "size": page.size,
            "total": total,
        }
    )


async def _wait_for_change(
    ctx: Context, row: sa.RowMapping, page: chat.Page, wait_s: float
) -> None:
    """Return when there is a newer message, another state, or no time left."""
    with ctx.hub.watch(row["id"]) as changed:
        items, _ = await ctx.db.read(chat.list_messages, row["id"], page)
        now = await ctx.db.read(chat.get, row["id"])
        same = now is not None and now["state"] == row["state"]
        if not items and same and not ctx.hub.closed:
            await wait_until(changed, wait_s)


async def create_message(request: Request) -> Response:
    """Say something; a visitor's message starts a turn."""
    ctx = context(request)
    body = await read_model(request, NewMessage, ctx.settings.max_body_bytes)
    sender = Sender(body.sender)
    if sender is not Sender.CONTACT:
        require_agent(request, ctx.settings)
    else:
        conversation_id = request.path_params["conversation_id"]
        require_visitor(request, ctx.settings, ctx.visitors, conversation_id)
    row = await _conversation(request, ctx)
    if row["channel"] != "web":
        raise ConflictError("This conversation takes place in Chatwoot; answer there.")
    message_id = await _say(ctx, row["id"], sender, body)
    message = await ctx.db.read(
        chat.get_message, row["id"], message_id=message_id, client_id=body.client_id
    )
    if message is None:
        raise NotFoundError("There is no such message.")
    return JSONResponse(message_out(message), status_code=201)


async def _say(
    ctx: Context, conversation_id: str, sender: Sender, body: NewMessage
) -> int | None:
    """Store a message; return its id, or None when its client_id is known."""
    said = Said(
        external_id=None,
        sender=sender,
        content=body.content,
        client_id=body.client_id,
    )
    accepted = await ctx.intake.take(
        Arrival(
            event=Event(name="message_created", kind=KINDS[sender], message=said),
            channel="web",
            received_at=ctx.clock(),
            conversation_id=conversation_id,
        )
    )
    return accepted.message_id


async def escalate(request: Request) -> Response:
    """Call a human."""
    ctx, row = await _visited(request)
    await read_model(request, Escalation, ctx.settings.max_body_bytes)
    if row["channel"] != "web":
        raise ConflictError("This conversation takes place in Chatwoot; open it there.")
    transcript = await ctx.db.read(
        transcripts.recent, row, limit=ctx.settings.history_messages
    )
    now = ctx.clock()
    await ctx.intake.follow(
        ctx.db.write(
            human.escalate,
            conversation_id=row["id"],
            message=ctx.handover.tell(transcript, "asked_for_human", now=now),
            now=now,
            rules=ctx.rules,
        )
    )
    return JSONResponse(
        await _with_last_message(ctx, await _conversation(request, ctx))
    )


async def _visited(request: Request) -> tuple[Context, sa.RowMapping]:
    """Return the conversation of the path, to its visitor or an agent."""
    ctx = context(request)
    # Before looking: a stranger must not learn which ids exist.
    require_visitor(
        request, ctx.settings, ctx.visitors, request.path_params["conversation_id"]
    )
    return ctx, await _conversation(request, ctx)


async def _conversation(request: Request, ctx: Context) -> sa.RowMapping:
    conversation_id = request.path_params["conversation_id"]
    row = None
    if "\x00" not in conversation_id:  # which PostgreSQL cannot even look for
        row = await ctx.db.read(chat.get, conversation_id)
    if row is None:
        raise NotFoundError("There is no such conversation.")
    return row


async def _with_last_message(ctx: Context, row: sa.RowMapping) -> dict[str, Any]:
    last = await ctx.db.read(chat.last_message, row["id"])
    return {
        **conversation_out(row),
        "last_message": message_out(last) if last else None,
    }
