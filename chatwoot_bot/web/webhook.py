"""POST /webhook/chatwoot: check, store, answer. The thinking happens later.

200 means "on disk". A rightly signed delivery is never refused for its content,
because Chatwoot would hand the customer to humans; it is kept aside instead. One that
is not signed, where that is allowed, is limited like a visitor's message.
"""

from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core import signature
from ..core.decision import Route
from ..core.events import Event, parse
from ..errors import (
    AccessError,
    PayloadError,
    RequestError,
    SignatureError,
    ValidationError,
)
from ..store.arrivals import Accepted, Arrival
from ..store.deliveries import Delivery, Outcome, quarantine
from .body import preferred_wait_s, read_body
from .context import Context, context
from .schemas import MAX_VISITOR_CONTENT

log = structlog.get_logger(__name__)

# The demo answers in the response; a model that takes longer answers later.
INLINE_WAIT_S = 60.0
HUMAN = {
    "status": "ok",
    "route": "human",
    "message": "Human mode is ON. No bot reply generated.",
}
QUEUED = {"status": "ok", "route": "bot", "queued": True}


async def receive(request: Request) -> Response:
    """Accept one delivery, well within Chatwoot's timeout of 5 s."""
    ctx = context(request)
    body = await read_body(request, ctx.settings.max_body_bytes)
    try:
        signed = check_signature(request, body, ctx)
        if not signed:
            _check_sender(request, ctx)
    except (SignatureError, AccessError) as error:
        kind = "signature" if isinstance(error, SignatureError) else "unsigned"
        ctx.metrics.deliveries.labels("refused", kind).inc()
        log.warning("delivery rejected", reason=str(error), client=_client(request))
        raise
    try:
        event = parse(body)
    except PayloadError as error:
        if not signed:
            ctx.metrics.deliveries.labels("refused", "payload").inc()
            raise
        return await _quarantine(request, body, ctx, str(error))
    if not signed:
        _check_limits(request, ctx, event)
    elsewhere = ctx.settings.elsewhere(event)
    if elsewhere:
        if elsewhere == "other_inbox":
            _warn_of_silence(event, ctx)
        ctx.metrics.deliveries.labels("ignored", elsewhere).inc()
        return _answer({"status": "ignored", "reason": elsewhere})
    return await _take(request, body, ctx, event)


def check_signature(request: Request, body: bytes, ctx: Context) -> bool:
    """Return whether the delivery is signed; refuse it if a signature is required.

    Raises:
        SignatureError: signed wrongly, or unsigned where that is not allowed.
    """
    settings = ctx.settings
    given = request.headers.get("x-chatwoot-signature", "")
    if not settings.chatwoot_webhook_secret:
        return False
    if not given and not settings.signature_required:
        return False
    signature.verify(
        body,
        signature=given,
        timestamp=request.headers.get("x-chatwoot-timestamp", ""),
        secrets=[s.get_secret_value() for s in settings.chatwoot_webhook_secret],
        now=ctx.clock(),
    )
    return True


def _check_sender(request: Request, ctx: Context) -> None:
    """Admit an unsigned delivery, if its sender may send one.

    Without Chatwoot there is nobody else who could have a reason to.

    Raises:
        AccessError: neither an agent nor this machine, and the operator has not
            allowed unsigned deliveries.
    """
    if ctx.settings.chatwoot_configured or ctx.settings.chatwoot_allow_unsigned:
        return
    try:
        ctx.gate.require_agent(request)
    except AccessError as error:
        raise AccessError(
            "Without CHATWOOT_BASE_URL the webhook is for this machine and for agents "
            "only; CHATWOOT_ALLOW_UNSIGNED=true opens it.",
            status_code=error.status_code,
        ) from error


def _check_limits(request: Request, ctx: Context, event: Event) -> None:
    """Limit an unsigned delivery to what a visitor may send, unless an agent sends it.

    Raises:
        PaceError: too many have come lately.
        ValidationError: the message is too long.
    """
    if ctx.gate.is_agent(request):
        return
    try:
        number = event.conversation.display_id if event.conversation else None
        ctx.strangers.write(request, f"webhook:{number}")
        if event.message and len(event.message.content) > MAX_VISITOR_CONTENT:
            most = f"must have at most {MAX_VISITOR_CONTENT} characters"
            raise ValidationError({"content": most})
    except RequestError as error:
        ctx.metrics.deliveries.labels("refused", error.code).inc()
        raise


def _warn_of_silence(event: Event, ctx: Context) -> None:
    """Log once for each inbox that its deliveries are ignored.

    On purpose, or its contacts wait for a bot that will never answer.
    """
    if event.inbox_id in ctx.unserved:
        return
    ctx.unserved.add(event.inbox_id)
    log.warning(
        "unserved inbox ignored",
        inbox=event.inbox_id,
        fix="add it to CHATWOOT_INBOX_ID or BOTS_FILE, or disconnect the bot from it",
    )


async def _take(request: Request, body: bytes, ctx: Context, event: Event) -> Response:
    wait_s = preferred_wait_s(request)
    configured = ctx.settings.chatwoot_configured
    if not configured and wait_s is None:
        wait_s = INLINE_WAIT_S
    arrival = Arrival(
        event=event,
        channel="chatwoot" if configured else "web",
        received_at=ctx.clock(),
        delivery_id=_delivery_id(request),
        body=body,
        inline=wait_s is not None,
    )
    accepted = await ctx.intake.take(arrival)
    if accepted.outcome is Outcome.DUPLICATE:
        return _answer({"status": "duplicate"})
    if accepted.decision is None or accepted.decision.route is Route.IGNORE:
        reason = accepted.reason or (accepted.decision and accepted.decision.reason)
        return _answer({"status": "ignored", "reason": reason})
    if accepted.decision.route is Route.HUMAN:
        return _answer(HUMAN)
    if wait_s is None:
        return _answer(QUEUED)
    return await _inline(ctx, accepted, wait_s)


async def _inline(ctx: Context, accepted: Accepted, wait_s: float) -> Response:
    """Answer with the reply itself, for the simplest integration."""
    if accepted.conversation_id is None or accepted.message_id is None:
        return _answer(QUEUED)
    fate = await ctx.intake.wait_for_answer(
        accepted.conversation_id, accepted.message_id, timeout_s=wait_s
    )
    if not fate.settled:
        return _answer(QUEUED)
    if fate.answer is None:
        return _answer(HUMAN)  # somebody took over while the bot was thinking
    return _answer({"status": "ok", "route": "bot", "reply": fate.answer})


async def _quarantine(
    request: Request, body: bytes, ctx: Context, reason: str
) -> Response:
    ctx.db.refuse_when_full()
    new = await ctx.db.write(
        quarantine,
        Delivery(
            delivery_id=_delivery_id(request),
            outcome=Outcome.QUARANTINED,
            reason=reason,
            body=body,
            received_at=ctx.clock(),
        ),
    )
    if not new:
        return _answer({"status": "duplicate"})
    ctx.metrics.deliveries.labels("quarantined", "payload").inc()
    log.error("delivery quarantined", reason=reason, delivery=_delivery_id(request))
    return _answer({"status": "quarantined", "reason": reason})


def _delivery_id(request: Request) -> str | None:
    # A UUID; bounded because anybody may write the header where nothing is signed.
    return request.headers.get("x-chatwoot-delivery", "")[:100] or None


def _client(request: Request) -> str | None:
    return request.client.host if request.client else None


def _answer(body: dict[str, Any]) -> JSONResponse:
    return JSONResponse(body)
