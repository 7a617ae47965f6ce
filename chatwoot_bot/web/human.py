"""POST /toggle-human and GET /human-status: the switch, for one or for all."""

from typing import Annotated, Any

import pydantic
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import NotFoundError
from ..store import human
from .body import query, read_model
from .context import Context, context

log = structlog.get_logger(__name__)

OurId = Annotated[str, pydantic.Field(pattern=r"^c_[0-9A-Za-z_-]{1,64}$")]
DisplayId = Annotated[int, pydantic.Field(strict=True, ge=1, le=2**63 - 1)]


class Toggle(pydantic.BaseModel):
    """Body of POST /toggle-human."""

    model_config = pydantic.ConfigDict(extra="forbid")

    enabled: Annotated[bool, pydantic.Field(strict=True)]
    conversation_id: OurId | DisplayId | None = None


class StatusQuery(pydantic.BaseModel):
    """Query of GET /human-status; a number in a query is text."""

    conversation_id: (
        OurId | Annotated[int, pydantic.Field(ge=1, le=2**63 - 1)] | None
    ) = None


async def toggle(request: Request) -> Response:
    """Switch human mode on or off."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    body = await read_model(request, Toggle, ctx.settings.max_body_bytes)
    if body.conversation_id is None:
        await _toggle_all(ctx, enabled=body.enabled)
    else:
        await _toggle_one(ctx, body.conversation_id, enabled=body.enabled)
    log.info(
        "human mode switched",
        enabled=body.enabled,
        conversation=body.conversation_id,
    )
    return await _status(ctx, body.conversation_id)


async def _toggle_all(ctx: Context, *, enabled: bool) -> None:
    await ctx.db.write(human.set_human_mode, enabled=enabled)
    if enabled:
        ctx.intake.heed(human.SILENCE)
        return
    # In several transactions, so that webhooks need not wait for all of them. Switching
    # it off once more goes on where a crash has ended it.
    handed_back = human.AT_ONCE
    while handed_back == human.AT_ONCE:
        changes = await ctx.db.write(
            human.end_human_mode, now=ctx.clock(), rules=ctx.rules
        )
        for change in changes:
            ctx.intake.pass_on(change)
        handed_back = len(changes)


async def _toggle_one(
    ctx: Context, conversation_id: str | int, *, enabled: bool
) -> None:
    ours = conversation_id if isinstance(conversation_id, str) else None
    if ours is not None and await _held(ctx, ours) is None:
        raise NotFoundError("There is no such conversation.")
    await ctx.intake.follow(
        ctx.db.write(
            human.hold,
            conversation_id=ours,
            display_id=conversation_id if isinstance(conversation_id, int) else None,
            enabled=enabled,
            now=ctx.clock(),
            rules=ctx.rules,
        )
    )


async def status(request: Request) -> Response:
    """Return whether human mode is on."""
    ctx = context(request)
    ctx.gate.require_agent(request)
    parameters = query(request, StatusQuery)
    return await _status(ctx, parameters.conversation_id)


async def _status(ctx: Context, conversation_id: str | int | None) -> Response:
    on = await ctx.db.read(human.human_mode)
    if conversation_id is not None:
        held = await _held(ctx, conversation_id)
        if held is None and isinstance(conversation_id, str):
            raise NotFoundError("There is no such conversation.")
        on = on or bool(held)
    return JSONResponse({"human_mode": on, "conversation_id": conversation_id})


async def _held(ctx: Context, conversation_id: str | int) -> bool | None:
    where: dict[str, Any] = {"id": conversation_id}
    if isinstance(conversation_id, int):
        where = {"display_id": conversation_id}
        if ctx.rules.account_id is not None:
            where["account_id"] = ctx.rules.account_id
    return await ctx.db.read(human.is_held, where)
