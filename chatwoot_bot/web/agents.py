"""What agents do and see: every conversation, why the bot spoke, and the figures."""

from collections.abc import Callable

import sqlalchemy as sa
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core.events import parse
from ..errors import ConflictError, NotFoundError, PayloadError
from ..store import chat, console, dead, human, spending
from ..store.arrivals import Accepted, Arrival
from .body import query, read_model
from .chat import find, with_last_message
from .context import Context, context
from .schemas import (
    ConversationOut,
    ConversationQuery,
    DeadLetter,
    Nothing,
    OutcomesOut,
    ReplyOut,
    StatsOut,
    StatsQuery,
    TurnOut,
    TurnQuery,
    cursor_out,
    for_agents,
    iso,
    maybe_iso,
    message_out,
    unix,
)

log = structlog.get_logger(__name__)

STATS_SPAN_S = 30 * 86_400.0


async def list_conversations(request: Request) -> Response:
    """List all conversations, the newest activity first."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    wanted = query(request, ConversationQuery)
    rows = await ctx.db.read(
        console.list_conversations,
        console.Filter(
            state=wanted.state,
            user_id=wanted.user_id,
            display_id=wanted.display_id,
            account_id=wanted.account_id,
            before=wanted.before,
            limit=wanted.limit,
        ),
    )
    last = await ctx.db.read(chat.last_messages, [row["id"] for row in rows])
    items: list[ConversationOut] = []
    for row in rows:
        said = last.get(row["id"])
        item = for_agents(row, ctx.settings.chatwoot_base_url)
        items.append({**item, "last_message": message_out(said) if said else None})
    more = len(rows) == wanted.limit
    following = cursor_out(rows[-1]["active_at"], rows[-1]["id"]) if more else None
    return JSONResponse({"items": items, "next": following})


async def take_over(request: Request) -> Response:
    """Take over a conversation from any state; the bot stops at once."""
    return await _switch(request, enabled=True)


async def release(request: Request) -> Response:
    """Hand a conversation back to the bot."""
    return await _switch(request, enabled=False)


async def _switch(request: Request, *, enabled: bool) -> Response:
    def change(tx: sa.Connection, conversation_id: str, ctx: Context) -> Accepted:
        return human.hold(
            tx,
            conversation_id=conversation_id,
            display_id=None,
            enabled=enabled,
            now=ctx.clock(),
            rules=ctx.rules,
        )

    return await _operate(request, change)


async def resolve(request: Request) -> Response:
    """Resolve a conversation; the bot answers the contact's next request."""

    def change(tx: sa.Connection, conversation_id: str, ctx: Context) -> Accepted:
        return human.resolve(
            tx, conversation_id=conversation_id, now=ctx.clock(), rules=ctx.rules
        )

    return await _operate(request, change)


async def _operate(
    request: Request, change: Callable[[sa.Connection, str, Context], Accepted]
) -> Response:
    """Run an action on the conversation of the path, and return it."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    await read_model(request, Nothing, ctx.settings.max_body_bytes)
    row = await find(request, ctx)
    await ctx.intake.follow(ctx.db.write(change, row["id"], ctx))
    row = await find(request, ctx)
    log.info("agent acted", conversation=row["id"], state=row["state"])
    return JSONResponse(await with_last_message(ctx, row, agent=True))


async def list_turns(request: Request) -> Response:
    """List the turns with their decisions, the newest first."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    wanted = query(request, TurnQuery)
    row = await find(request, ctx)
    found = await ctx.db.read(
        console.list_turns, row["id"], before=wanted.before, limit=wanted.limit
    )
    following = None
    if len(found) == wanted.limit:
        oldest, _ = found[-1]
        following = cursor_out(oldest["created_at"], oldest["id"])
    items = [_turn_out(turn, said, ctx.currency) for turn, said in found]
    return JSONResponse({"items": items, "next": following})


def _turn_out(row: sa.RowMapping, said: chat.Rows, currency: str) -> TurnOut:
    return {
        "id": row["id"],
        "decision": row["decision"],
        "reason": row["reason"],
        "model": row["model"],
        "tools": console.loaded(row["tools"]),
        "sources": console.loaded(row["sources"]),
        "tokens": row["tokens"],
        "estimated": row["estimated"],
        "cost": row["cost"],
        "currency": currency,
        "latency_ms": row["latency_ms"],
        "outcome": row["outcome"],
        "created_at": iso(row["created_at"]),
        "draft": row["draft"],
        "finish_reason": row["finish_reason"],
        "replies": [_reply_out(reply) for reply in said],
    }


def _reply_out(row: sa.RowMapping) -> ReplyOut:
    return {
        "key": row["key"],
        "kind": row["kind"],
        "content": row["content"],
        "state": row["state"],
        "attempts": row["attempts"],
        "attempted_at": maybe_iso(row["attempted_at"]),
        "error": row["error"],
        "created_at": iso(row["created_at"]),
    }


async def list_dead_letters(request: Request) -> Response:
    """List dead letters."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    items: list[DeadLetter] = [
        {
            "id": row["key"],
            "kind": "reply",
            "conversation_id": row["conversation_id"],
            "display_id": row["display_id"],
            "error": row["error"],
            "created_at": iso(row["created_at"]),
        }
        for row in await ctx.db.read(dead.list_replies)
    ]
    items += [
        {
            "id": f"delivery:{row['id']}",
            "kind": "delivery",
            "conversation_id": None,
            "display_id": None,
            "error": row["reason"],
            "created_at": iso(row["received_at"]),
        }
        for row in await ctx.db.read(dead.list_deliveries)
    ]
    return JSONResponse({"items": items, "next": None})


async def replay(request: Request) -> Response:
    """Retry one dead letter."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    name = request.path_params["dead_letter_id"]
    kind, _, number = name.partition(":")
    if kind == "delivery":
        await _deliver_again(ctx, number)
    elif "\x00" in name or not await ctx.db.write(dead.revive, name, now=ctx.clock()):
        raise NotFoundError("There is no such dead letter.")
    ctx.intake.look()
    log.info("dead letter replayed", name=name)
    return JSONResponse({"id": name, "status": "queued"})


async def _deliver_again(ctx: Context, number: str) -> None:
    body = None
    if number.isdecimal() and len(number) < 19:  # PostgreSQL's bigint
        body = await ctx.db.read(dead.delivery_body, int(number))
    if body is None:
        raise NotFoundError("There is no such dead letter.")
    try:
        event = parse(body)
    except PayloadError as error:
        raise ConflictError(f"Still not understood: {error}.") from error
    if (reason := ctx.settings.elsewhere(event)) is not None:
        raise ConflictError(f"It is not for this bot: {reason}.")
    await ctx.intake.take(
        Arrival(
            event=event,
            channel="chatwoot" if ctx.settings.chatwoot_configured else "web",
            received_at=ctx.clock(),
        )
    )
    await ctx.db.write(dead.settle_delivery, int(number))


async def stats(request: Request) -> Response:
    """Return outcome statistics and the current backlog."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    wanted = query(request, StatsQuery)
    now = ctx.clock()
    span = console.Span(
        since=unix(wanted.since) if wanted.since else now - STATS_SPAN_S,
        until=unix(wanted.until) if wanted.until else now,
        inbox_id=wanted.inbox_id,
    )
    told = await ctx.db.read(console.outcomes, span)
    load = await ctx.db.read(console.load, now=now)
    today = await ctx.db.read(spending.on_day, now)
    answer: StatsOut = {
        "since": iso(span.since),
        "until": iso(span.until),
        "inbox_id": span.inbox_id,
        "outcomes": _outcomes_out(told),
        "now": {
            "due": load.due,
            "running": load.running,
            "waiting_for_human": load.waiting_for_human,
            "dead_letters": load.dead_letters,
            "writes_waiting": ctx.db.waiting,
            "sockets": ctx.rooms.sockets,
        },
        "today": {"tokens": today.tokens, "cost": today.cost},
        "currency": ctx.currency,
    }
    return JSONResponse(answer)


def _outcomes_out(told: console.Outcomes) -> OutcomesOut:
    p50, p90 = told.first_answer_s or (None, None)
    return {
        "conversations": told.conversations,
        "answered_by_bot": told.by_bot,
        "handed_over": dict(told.handed_over),
        "reopened": told.reopened,
        "first_answer_seconds": {"p50": p50, "p90": p90},
        "tokens": told.tokens,
        "cost": told.cost,
    }
