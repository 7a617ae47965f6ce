"""The web chat over REST: the same engine with our own page as the channel."""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from ..core.conversation import Sender, State
from ..core.events import Event, Kind, Said
from ..core.text import without_controls
from ..errors import AccessError, ConflictError, NotFoundError, ValidationError
from ..intake import wait_until
from ..store import chat, edits, human, transcripts
from ..store.arrivals import Arrival
from .auth import Proof, bearer
from .body import preferred_wait_s, query, read_model
from .context import Context, context
from .schemas import (
    MAX_ID,
    MAX_VISITOR_CONTENT,
    ConversationOut,
    Edit,
    Escalation,
    MessageQuery,
    NewConversation,
    NewMessage,
    conversation_out,
    for_agents,
    message_out,
)

KINDS = {
    Sender.CONTACT: Kind.CONTACT_MESSAGE,
    Sender.AGENT: Kind.AGENT_REPLY,
    Sender.BOT: Kind.BOT_MESSAGE,
}
# More than a returning visitor will look through.
MAX_CONVERSATIONS = 100


async def create_conversation(request: Request) -> Response:
    """Start a conversation; its token lets the visitor return."""
    ctx = context(request)
    body = await read_model(request, NewConversation, ctx.settings.max_body_bytes)
    if not ctx.gate.is_agent(request):
        ctx.strangers.begin(request)
    row = await begin(ctx, body, token=bearer(request))
    token = ctx.gate.visitors.token(row["id"])
    return JSONResponse({**conversation_out(row), "token": token}, status_code=201)


async def begin(
    ctx: Context, body: NewConversation, *, token: str | None
) -> sa.RowMapping:
    """Make a conversation and return its row.

    Anybody may call themselves anything, so a `user_id` proves nothing: only a
    token of an earlier conversation makes the new one another of the same visitor.

    Args:
        token: the caller's, if any.
    """
    ctx.db.refuse_when_full()
    earlier = await conversation_of_token(ctx, token)
    return await ctx.db.write(
        chat.create,
        user_id=body.user_id or (earlier["user_id"] if earlier else None),
        name=without_controls(body.name or "")
        or (earlier["contact_name"] if earlier else None),
        visitor=earlier["visitor"] if earlier else None,
        now=ctx.clock(),
    )


async def conversation_of_token(
    ctx: Context, token: str | None
) -> sa.RowMapping | None:
    """Return the conversation that *token* belongs to, or None."""
    conversation_id = ctx.gate.visitors.conversation(token) if token else None
    if conversation_id is None:
        return None
    return await ctx.db.read(chat.get, conversation_id)


async def get_conversation(request: Request) -> Response:
    """Get one conversation with its state and last message."""
    ctx, row, proof = await _visited(request)
    agent = proof is not Proof.VISITOR
    shown = await with_last_message(ctx, row, agent=agent)
    if not agent:
        last = shown["last_message"]
        chars = len(last["content"] or "") if last else 0
        ctx.strangers.read(request, row["id"], chars)
    return JSONResponse(shown)


async def list_of_user(request: Request) -> Response:
    """List a visitor's conversations, so that a returning visitor can go on."""
    ctx = context(request)
    user_id = request.path_params["user_id"]
    visitor = await visitor_of(ctx, request, user_id, token=None)
    if visitor is not None:
        most = MAX_CONVERSATIONS * chat.PREVIEW_CHARS
        ctx.strangers.read(request, visitor, most)
    rows: chat.Rows = ()
    if "\x00" not in user_id:
        rows = await ctx.db.read(
            chat.of_user, user_id, visitor=visitor, limit=MAX_CONVERSATIONS
        )
    last = await ctx.db.read(chat.last_messages, [row["id"] for row in rows])
    items: list[ConversationOut] = []
    for row in rows:
        said = last.get(row["id"])
        item = conversation_out(row)
        if visitor is not None:
            item["token"] = ctx.gate.visitors.token(row["id"])
        items.append({**item, "last_message": message_out(said) if said else None})
    return JSONResponse({"items": items, "next": None})


async def visitor_of(
    ctx: Context, request: HTTPConnection, user_id: str, *, token: str | None
) -> str | None:
    """Return which visitor the caller is; None for an agent.

    Args:
        token: where it did not come in a header.

    Raises:
        AccessError: neither an agent nor that user.
    """
    given = token or bearer(request)
    row = await conversation_of_token(ctx, given)
    if row is not None and row["user_id"] == user_id and row["visitor"]:
        return str(row["visitor"])
    proof = ctx.gate.require_agent(request, token)
    if given and proof is Proof.LOOPBACK:
        raise AccessError("The token is not one of this user's.", status_code=401)
    return None


async def list_messages(request: Request) -> Response:
    """List messages; with `Prefer: wait` and `after`, wait for the next change."""
    ctx = context(request)
    conversation_id = request.path_params["conversation_id"]
    proof = ctx.gate.require_visitor(request, conversation_id)
    parameters = query(request, MessageQuery)
    is_visitor = proof is Proof.VISITOR
    page = chat.Page(
        size=parameters.size,
        number=parameters.page,
        after=parameters.after,
        before=parameters.before,
    )
    wait_s = preferred_wait_s(request)
    with contextlib.ExitStack() as held:
        # Before anything is looked up, so that what is too much costs little.
        if is_visitor:
            ctx.strangers.read(request, conversation_id)
        if is_visitor and wait_s is not None:
            held.enter_context(ctx.strangers.polling(request, conversation_id))
        row = await find(request, ctx)
        if wait_s is not None and parameters.after is not None:
            await _wait_for_change(ctx, row, parameters.after, wait_s)
    listed = await ctx.db.read(chat.list_messages, row["id"], page)
    if is_visitor:
        ctx.strangers.read(request, row["id"], listed.chars)
    following = None
    if listed.is_full:
        following = listed.items[-1 if page.before is None else 0]["id"]
    return JSONResponse(
        {
            "items": [message_out(item) for item in listed.items],
            "next": following,
            "page": page.number,
            "size": page.size,
            "total": listed.total,
        }
    )


async def _wait_for_change(
    ctx: Context, row: sa.RowMapping, after: int, wait_s: float
) -> None:
    """Wait for a newer message or another state, at most until the timeout."""
    until = time.monotonic() + wait_s
    with ctx.hub.watch(row["id"]) as changed:
        # A signal alone proves nothing: it may tell of what the caller knows already.
        while not ctx.hub.closed and not await _has_changed(ctx, row, after):
            if not await wait_until(changed, until - time.monotonic()):
                return
            changed.clear()


async def _has_changed(ctx: Context, row: sa.RowMapping, after: int) -> bool:
    is_newer, state = await ctx.db.read(chat.look, row["id"], after=after)
    return is_newer or state != row["state"]


async def create_message(request: Request) -> Response:
    """Send a message; a visitor's message starts a turn."""
    ctx = context(request)
    body = await read_model(request, NewMessage, ctx.settings.max_body_bytes)
    if Sender(body.sender) is not Sender.CONTACT:
        ctx.gate.require_agent(request)
    else:
        conversation_id = request.path_params["conversation_id"]
        proof = ctx.gate.require_visitor(request, conversation_id)
        _keep_pace(ctx, request, proof)
    row = await find(request, ctx)
    message, _ = await say(ctx, row, body)
    return JSONResponse(message_out(message), status_code=201)


def _keep_pace(ctx: Context, request: Request, proof: Proof) -> None:
    if proof is Proof.VISITOR:
        ctx.strangers.write(request, request.path_params["conversation_id"])


async def say(
    ctx: Context, row: Mapping[Any, Any], body: NewMessage
) -> tuple[Mapping[Any, Any], bool]:
    """Store a message; return its row, and whether its `client_id` is a new one.

    Raises:
        ConflictError: the conversation takes place elsewhere.
        ValidationError: it is longer than a visitor's message may be.
    """
    require_web(row)
    _check_length(body.sender, body.content)
    now = ctx.clock()
    message_id = await _store(ctx, row["id"], Sender(body.sender), body, now)
    if message_id is not None:
        # As it is on disk; reading it again would cost as much as storing it.
        return {**UNTOUCHED, **_message(message_id, row["id"], body, now)}, True
    message = await ctx.db.read(chat.get_message, row["id"], client_id=body.client_id)
    if message is None:
        raise NotFoundError("There is no such message.")
    return message, False


def _check_length(sender: str, content: str) -> None:
    if sender == Sender.CONTACT and len(content) > MAX_VISITOR_CONTENT:
        most = f"must have at most {MAX_VISITOR_CONTENT} characters"
        raise ValidationError({"content": most})


# The columns of a message that nothing has happened to.
UNTOUCHED = {
    "edited_at": None,
    "deleted_at": None,
    "turn_id": None,
    "closes": False,
    "options": None,
}


def _message(
    message_id: int, conversation_id: str, body: NewMessage, now: float
) -> dict[str, Any]:
    return {
        "id": message_id,
        "conversation_id": conversation_id,
        "sender": body.sender,
        "content": body.content,
        "client_id": body.client_id,
        "created_at": now,
    }


async def _store(
    ctx: Context, conversation_id: str, sender: Sender, body: NewMessage, now: float
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
            received_at=now,
            conversation_id=conversation_id,
        )
    )
    return accepted.message_id


async def edit_message(request: Request) -> Response:
    """Edit a message; visitors may edit only their own."""
    ctx, row, message = await _own_message(request)
    body = await read_model(request, Edit, ctx.settings.max_body_bytes)
    if message["deleted_at"] is not None:
        raise ConflictError("The message is deleted.")
    _check_length(message["sender"], body.content)
    await ctx.intake.follow(
        ctx.db.write(
            edits.edit,
            conversation_id=row["id"],
            message_id=message["id"],
            content=body.content,
            now=ctx.clock(),
            rules=ctx.rules,
        )
    )
    return await _show_message(ctx, message)


async def delete_message(request: Request) -> Response:
    """Delete a message; it stays in the list without content. Idempotent."""
    ctx, row, message = await _own_message(request)
    await ctx.intake.follow(
        ctx.db.write(
            edits.delete,
            conversation_id=row["id"],
            message_id=message["id"],
            now=ctx.clock(),
            rules=ctx.rules,
        )
    )
    return await _show_message(ctx, message)


async def _own_message(
    request: Request,
) -> tuple[Context, sa.RowMapping, sa.RowMapping]:
    """Return the conversation and the message of the path, if the caller may write.

    Raises:
        AccessError: a visitor may change only their own messages.
        NotFoundError: there is no such message in the conversation.
        ConflictError: it was said in Chatwoot.
    """
    ctx, row, proof = await _visited(request)
    require_web(row)
    _keep_pace(ctx, request, proof)
    message = None
    if (message_id := request.path_params["message_id"]) <= MAX_ID:
        message = await ctx.db.read(chat.get_message, row["id"], message_id=message_id)
    if message is None:
        raise NotFoundError("There is no such message.")
    if proof is Proof.VISITOR and message["sender"] != Sender.CONTACT:
        raise AccessError("Only your own messages can be changed.", status_code=403)
    return ctx, row, message


async def _show_message(ctx: Context, message: sa.RowMapping) -> Response:
    changed = await ctx.db.read(
        chat.get_message, message["conversation_id"], message_id=message["id"]
    )
    return JSONResponse(message_out(changed or message))


async def escalate(request: Request) -> Response:
    """Hand over to the team."""
    ctx, row, proof = await _visited(request)
    body = await read_model(request, Escalation, ctx.settings.max_body_bytes)
    require_web(row)
    _keep_pace(ctx, request, proof)
    if row["state"] == State.AI:  # else a human has been called, or has it
        if proof is Proof.VISITOR:
            ctx.strangers.escalate(row["id"])
        await _call_human(ctx, row, body.reason)
        row = await find(request, ctx)
    agent = proof is not Proof.VISITOR
    return JSONResponse(await with_last_message(ctx, row, agent=agent))


async def _call_human(ctx: Context, row: sa.RowMapping, reason: str | None) -> None:
    transcript = await ctx.db.read(
        transcripts.recent, row, limit=ctx.settings.history_messages
    )
    now = ctx.clock()
    await ctx.intake.follow(
        ctx.db.write(
            human.escalate,
            conversation_id=row["id"],
            message=ctx.handover.tell(transcript, "asked_for_human", now=now),
            reason=reason,
            now=now,
            rules=ctx.rules,
        )
    )


async def _visited(request: Request) -> tuple[Context, sa.RowMapping, Proof]:
    """Return the conversation of the path, to its visitor or an agent."""
    ctx = context(request)
    # Before looking: a stranger must not learn which ids exist.
    proof = ctx.gate.require_visitor(request, request.path_params["conversation_id"])
    return ctx, await find(request, ctx), proof


def require_web(row: Mapping[Any, Any]) -> None:
    """Refuse to write into a conversation that takes place in Chatwoot.

    Raises:
        ConflictError: it does.
    """
    if row["channel"] != "web":
        raise ConflictError("This conversation takes place in Chatwoot; do it there.")


async def find(request: HTTPConnection, ctx: Context) -> sa.RowMapping:
    """Return the conversation of the path.

    Raises:
        NotFoundError: there is none.
    """
    conversation_id = request.path_params["conversation_id"]
    row = None
    if "\x00" not in conversation_id:  # which PostgreSQL cannot even look for
        row = await ctx.db.read(chat.get, conversation_id)
    if row is None:
        raise NotFoundError("There is no such conversation.")
    return row


async def with_last_message(
    ctx: Context, row: sa.RowMapping, *, agent: bool
) -> ConversationOut:
    """Return a conversation as an agent or its visitor sees it."""
    last = await ctx.db.read(chat.last_message, row["id"])
    shown = conversation_out(row)
    if agent:
        shown = for_agents(row, ctx.settings.chatwoot_base_url)
    return {**shown, "last_message": message_out(last) if last else None}
