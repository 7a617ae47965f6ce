"""The REST API on the wire: tokens, rights, faults, and a log of all calls.

A call passes the faults first, as a real outage or rate limit strikes before any
token is read, then the token, the account, the rights and the conversation, in
Chatwoot's order and with Chatwoot's words (docs/chatwoot/api.md#errors).
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from . import (
    actions,
    administration,
    catalogue,
    contacts,
    user_actions,
    webhooks,
)
from .asks import (
    Ask,
    Endpoint,
    InvalidError,
    MissingParameterError,
    NotFoundError,
    RailsError,
    RefusedError,
    Upload,
)
from .bodies import parse_body
from .callers import Holder, TokenKind, holder_of
from .faults import ApiFault, Faults
from .ledger import MessageRefusedError
from .records import Conversation
from .refusals import (
    BAD_TOKEN,
    BOT_ELSEWHERE,
    NO_TOKEN,
    NOT_ALLOWED,
    NOT_FOR_BOTS,
    NOT_FOUND,
    USER_ELSEWHERE,
    Refusal,
    failure,
    json_response,
)
from .serving import drop_connection, wait_for_disconnect
from .wire import Json
from .world import World

ENDPOINTS = (
    *actions.ENDPOINTS,
    *user_actions.ENDPOINTS,
    *contacts.ENDPOINTS,
    *administration.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *catalogue.ENDPOINTS,
)
PREFIX = "/api/v1/accounts/{account_id:int}"
FOREIGN_ACCOUNTS = frozenset({2})
"""Accounts that exist but belong to another customer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One REST call that came in; `status` is None when it got no answer."""

    method: str
    path: str
    query: str
    token_kind: TokenKind
    body: Any
    status: int | None


class Api:
    """The REST side of the simulator.

    Args:
        world: What the calls read and change.
        faults: What goes wrong with them.
        extra: Routes that are no part of Chatwoot's account API.
        changed: Called after each call.
    """

    def __init__(
        self,
        *,
        world: World,
        faults: Faults,
        changed: Callable[[], None],
        extra: Iterable[BaseRoute] = (),
    ) -> None:
        self.calls: list[Call] = []
        self._world = world
        self._faults = faults
        self._extra = tuple(extra)
        self._changed = changed
        self._closing = asyncio.Event()
        self._recent: deque[float] = deque()

    def app(self) -> Starlette:
        """Return the application with all routes."""
        calls = [(PREFIX + each.path, each) for each in ENDPOINTS]
        calls += [(each.path, each) for each in (catalogue.PROFILE, catalogue.ABOUT)]
        routes: list[BaseRoute] = [
            Route(path, self._handler(each), methods=[each.method])
            for path, each in calls
        ]
        routes += self._extra
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
        kind = request.headers.get("content-type", "")
        params, files = parse_body(await request.body(), kind)
        conversation_id = request.path_params.get("conversation_id")
        fault = self._faults.draw(endpoint.name, conversation_id)
        response = await self._answer(
            fault, lambda: self._respond(endpoint, request, params, files)
        )
        self._note(request, params, response.status_code if response else None)
        if response is None:
            await self._leave_unanswered(fault, request)
            return failure(503)  # nobody is there to read it
        return response

    async def _answer(
        self, fault: ApiFault | None, respond: Callable[[], Response]
    ) -> Response | None:
        """Return what to send; None is no answer at all."""
        if self._is_over_limit():
            return failure(429)
        kind = fault.kind if fault else None
        status, body = (fault.status, fault.body) if fault else (0, None)
        if fault is not None and kind == "delay":
            await self._wait(fault.delay_s)
        if fault is not None and kind == "page":
            return PlainTextResponse(fault.text, status, dict(fault.headers))
        if kind == "status":
            return failure(status, body)
        if kind in ("drop", "hang"):
            return None
        response = respond()
        if kind in ("store_then_500", "store_then_status"):
            return failure(status, body)
        return None if kind in ("store_then_drop", "store_then_hang") else response

    def _is_over_limit(self) -> bool:
        """Count the call; rack-attack looks before anybody else does.

        Source: docs/chatwoot/api.md#rate-limits.
        """
        now = time.monotonic()
        while self._recent and self._recent[0] < now - 60:
            self._recent.popleft()
        self._recent.append(now)
        limit = self._faults.rate_limit
        return limit is not None and len(self._recent) > limit

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

    def _respond(
        self,
        endpoint: Endpoint,
        request: Request,
        params: Json,
        files: tuple[Upload, ...],
    ) -> Response:
        try:
            ask = self._authorise(endpoint, request, params, files)
            body = endpoint.act(self._world, ask)
        except Refusal as refusal:
            return refusal.response
        except MessageRefusedError as error:
            return json_response({"error": str(error)}, 422)
        except MissingParameterError as error:
            text = f"param is missing or the value is empty: {error}"
            return json_response({"error": text}, 422)
        except RefusedError as error:
            return json_response({"error": str(error)}, error.status)
        except InvalidError as error:
            return json_response(error.body, 422)
        except NotFoundError:
            return json_response(NOT_FOUND, 404)
        except (RailsError, ValueError):
            return failure(500)
        return (
            Response(status_code=endpoint.status)
            if endpoint.empty
            else json_response(body)
        )

    def _authorise(
        self,
        endpoint: Endpoint,
        request: Request,
        params: Json,
        files: tuple[Upload, ...],
    ) -> Ask:
        holder = holder_of(self._world.office, self._token(request))
        if endpoint is not catalogue.ABOUT:
            self._check_holder(endpoint, holder, request.path_params.get("account_id"))
        return Ask(
            agent=holder.agent,
            bot=holder.bot,
            target=self._target(request),
            params=params,
            query=request.query_params,
            path=request.path_params,
            files=files,
        )

    def _check_holder(
        self, endpoint: Endpoint, holder: Holder, account_id: int | None
    ) -> None:
        """Ask for the token, the kind of caller, the account and the policy."""
        if holder.kind == "none":
            raise Refusal(401, NO_TOKEN)
        if holder.kind == "invalid":
            raise Refusal(401, BAD_TOKEN)
        # Chatwoot says the same to a platform app's token.
        if holder.kind == "platform" or (holder.bot and not endpoint.bots):
            raise Refusal(401, NOT_FOR_BOTS)
        if account_id in FOREIGN_ACCOUNTS:
            raise Refusal(401, BOT_ELSEWHERE if holder.bot else USER_ELSEWHERE)
        if account_id not in (None, self._world.account.id):
            raise Refusal(404, NOT_FOUND)
        role = holder.agent.role if holder.agent else None
        if endpoint.admin and role != "administrator":
            raise Refusal(401, NOT_ALLOWED)

    def _token(self, request: Request) -> str | None:
        """Return the token; Rack makes both spellings the same."""
        headers = request.headers
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if self._world.release.takes_bearer and scheme.lower() == "bearer":
            return bearer
        given = None
        if not self._faults.drop_underscores:
            given = headers.get("api_access_token")
        return given or headers.get("api-access-token")

    def _target(self, request: Request) -> Conversation | None:
        conversation_id = request.path_params.get("conversation_id")
        if conversation_id is None:
            return None
        conversation = self._world.conversations.get(conversation_id)
        if conversation is None:
            raise Refusal(404, NOT_FOUND)
        return conversation

    def _note(self, request: Request, params: Json, status: int | None) -> None:
        self.calls.append(
            Call(
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                token_kind=holder_of(self._world.office, self._token(request)).kind,
                body=params,
                status=status,
            )
        )
        self._changed()


def _unknown(world: World, ask: Ask) -> None:
    raise Refusal(404, NOT_FOUND)
