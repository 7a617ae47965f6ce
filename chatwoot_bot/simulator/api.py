"""The REST API on the wire: tokens, rights, faults, and a log of all calls.

A call passes the faults first, as a real outage or rate limit strikes before any
token is read, then the token, the account, the rights and the conversation, in
Chatwoot's order and with Chatwoot's words (facts 6.1).
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .actions import ENDPOINTS, Ask, Caller, Endpoint, RailsError
from .faults import ApiFault, Faults
from .ledger import MessageRefusedError
from .records import Conversation
from .serving import drop_connection, wait_for_disconnect
from .wire import Json, dump
from .world import World

PREFIX = "/api/v1/accounts/{account_id:int}"
TokenKind = Literal["bot", "user", "none", "invalid"]

NO_TOKEN = {"errors": ["You need to sign in or sign up before continuing."]}
BAD_TOKEN = {"error": "Invalid Access Token"}
NOT_FOR_BOTS = {"error": "Access to this endpoint is not authorized for bots"}
BOT_ELSEWHERE = {"error": "Bot is not authorized to access this account"}
USER_ELSEWHERE = {"error": "You are not authorized to access this account"}
NOT_FOUND = {"error": "Resource could not be found"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One REST call that came in; `status` is None when it got no answer."""

    method: str
    path: str
    query: str
    token_kind: TokenKind
    body: Any
    status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The access tokens that the API knows, and what they open.

    Attributes:
        foreign_accounts: Accounts that exist but belong to somebody else.
    """

    bot: str
    user: str
    foreign_accounts: frozenset[int] = frozenset({2})

    def kind(self, presented: str | None) -> TokenKind:
        """Return whose token was presented."""
        if not presented:
            return "none"
        known: tuple[tuple[str, Caller], ...] = (("bot", "bot"), ("user", "user"))
        for name, kind in known:
            token = getattr(self, name)
            if token and secrets.compare_digest(token.encode(), presented.encode()):
                return kind
        return "invalid"


class _Refusal(Exception):
    """A status and body that end the call early."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(status, body)
        self.response = _json(body, status)


class Api:
    """The REST side of the simulator.

    Args:
        world: What the calls read and change.
        faults: What goes wrong with them.
        tokens: Who may call.
        changed: Called after each call.
    """

    def __init__(
        self,
        *,
        world: World,
        faults: Faults,
        tokens: Tokens,
        changed: Callable[[], None],
    ) -> None:
        self.calls: list[Call] = []
        self._world = world
        self._faults = faults
        self._tokens = tokens
        self._changed = changed
        self._closing = asyncio.Event()

    def app(self) -> Starlette:
        """Return the application with all routes."""
        routes = [
            Route(PREFIX + each.path, self._handler(each), methods=[each.method])
            for each in ENDPOINTS
        ]
        # Chatwoot has many more calls. None is for bots, and none is played here.
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        rest = Endpoint("other", "", "/{rest:path}", _unknown, bots=False)
        routes.append(Route(PREFIX + rest.path, self._handler(rest), methods=methods))
        return Starlette(routes=routes)

    def release(self) -> None:
        """Let go of the requests that faults keep hanging."""
        self._closing.set()

    def _handler(self, endpoint: Endpoint) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            return await self._handle(endpoint, request)

        return handle

    async def _handle(self, endpoint: Endpoint, request: Request) -> Response:
        params = _params(await request.body(), request.headers.get("content-type", ""))
        conversation_id = request.path_params.get("conversation_id")
        fault = self._faults.draw(endpoint.name, conversation_id)
        response = await self._answer(fault, endpoint, request, params)
        self._note(request, params, response.status_code if response else None)
        if response is None:
            await self._leave_unanswered(fault, request)
            return _failure(503)  # nobody is there to read it
        return response

    async def _answer(
        self,
        fault: ApiFault | None,
        endpoint: Endpoint,
        request: Request,
        params: Json,
    ) -> Response | None:
        """Return what to send; None is no answer at all."""
        kind = fault.kind if fault else None
        status = fault.status if fault else 0
        if fault is not None and kind == "delay":
            await self._wait(fault.delay_s)
        if kind == "status":
            return _failure(status)
        if kind in ("drop", "hang"):
            return None
        response = self._respond(endpoint, request, params)
        if kind in ("store_then_500", "store_then_status"):
            return _failure(status)
        return None if kind in ("store_then_drop", "store_then_hang") else response

    async def _wait(self, seconds: float) -> None:
        """Wait that long, or until the simulator closes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def _leave_unanswered(self, fault: ApiFault | None, request: Request) -> None:
        """Cut the connection, or wait until the client gives up or we close."""
        if fault is not None and fault.kind.endswith("drop"):
            await drop_connection(request)
            return
        waits = [
            asyncio.create_task(wait_for_disconnect(request)),
            asyncio.create_task(self._closing.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _respond(self, endpoint: Endpoint, request: Request, params: Json) -> Response:
        try:
            ask = self._authorise(endpoint, request, params)
            body = endpoint.act(self._world, ask)
        except _Refusal as refusal:
            return refusal.response
        except MessageRefusedError as error:
            return _json({"error": str(error)}, 422)
        except (RailsError, ValueError):
            return _failure(500)
        return Response() if body is None and _is_empty(endpoint) else _json(body, 200)

    def _authorise(self, endpoint: Endpoint, request: Request, params: Json) -> Ask:
        kind = self._tokens.kind(_token(request))
        if kind == "none":
            raise _Refusal(401, NO_TOKEN)
        if kind == "invalid":
            raise _Refusal(401, BAD_TOKEN)
        if kind == "bot" and not endpoint.bots:
            raise _Refusal(401, NOT_FOR_BOTS)
        self._check_account(kind, request.path_params["account_id"])
        return Ask(
            caller=kind,
            target=self._target(request),
            params=params,
            query=request.query_params,
        )

    def _check_account(self, caller: Caller, account_id: int) -> None:
        if account_id in self._tokens.foreign_accounts:
            raise _Refusal(401, BOT_ELSEWHERE if caller == "bot" else USER_ELSEWHERE)
        if account_id != self._world.account.id:
            raise _Refusal(404, NOT_FOUND)

    def _target(self, request: Request) -> Conversation | None:
        conversation_id = request.path_params.get("conversation_id")
        if conversation_id is None:
            return None
        conversation = self._world.conversations.get(conversation_id)
        if conversation is None:
            raise _Refusal(404, NOT_FOUND)
        return conversation

    def _note(self, request: Request, params: Json, status: int | None) -> None:
        self.calls.append(
            Call(
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                token_kind=self._tokens.kind(_token(request)),
                body=params,
                status=status,
            )
        )
        self._changed()


def _unknown(world: World, ask: Ask) -> None:
    raise _Refusal(404, NOT_FOUND)


def _is_empty(endpoint: Endpoint) -> bool:
    return endpoint.name in ("toggle_typing_status", "toggle_priority")


def _token(request: Request) -> str | None:
    """Return the token; Rack makes both spellings the same."""
    headers = request.headers
    return headers.get("api_access_token") or headers.get("api-access-token")


def _params(body: bytes, content_type: str) -> Json:
    """Return the parameters of a JSON or form body; none when it is neither."""
    if "form-urlencoded" in content_type:
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        params = json.loads(body or b"{}")
    except ValueError:
        return {}
    return params if isinstance(params, dict) else {}


def _json(body: Any, status: int) -> Response:
    return Response(dump(body), status, media_type="application/json")


def _failure(status: int) -> Response:
    """Return what Rails, rack-attack or a proxy says instead of an answer."""
    if status == 429:
        return PlainTextResponse("Retry later\n", status_code=429)
    if status == 422:
        return _json({"error": "Validation failed: refused on request"}, 422)
    if status == 404:
        return _json(NOT_FOUND, 404)
    if status == 401:
        return _json(BAD_TOKEN, 401)
    return PlainTextResponse(f"{status} on request", status_code=status)
