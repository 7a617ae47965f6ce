"""The HTTP API in one table, for the router and for OpenAPI."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from .. import __version__
from ..booking.ics import MEDIA_TYPE
from . import agents, bookings, chat, human, ops, session, sockets, webhook
from .openapi import Document, Handler, Operation, Who, document
from .schemas import (
    BookingPage,
    BookingQuery,
    ConversationOut,
    ConversationPage,
    ConversationQuery,
    DeadLetters,
    Edit,
    Escalation,
    Health,
    HumanMode,
    MessageOut,
    MessagePage,
    MessageQuery,
    NewConversation,
    NewMessage,
    Nothing,
    Replayed,
    SessionOut,
    SignIn,
    StatsOut,
    StatsQuery,
    TurnPage,
    TurnQuery,
    UserStatus,
)

ONE = "/conversations/{conversation_id}"
MESSAGE = f"{ONE}/messages/{{message_id:int}}"

OPERATIONS: Sequence[Operation] = [
    Operation(
        method="POST",
        path="/webhook/chatwoot",
        handler=webhook.receive,
        who=Who.CHATWOOT,
        errors=(400, 413, 422),
    ),
    Operation(
        method="POST",
        path="/toggle-human",
        handler=human.toggle,
        who=Who.AGENT,
        body=human.Toggle,
        answer=HumanMode,
        errors=(404,),
    ),
    Operation(
        method="GET",
        path="/human-status",
        handler=human.status,
        who=Who.AGENT,
        query=human.StatusQuery,
        answer=HumanMode,
        errors=(404,),
    ),
    Operation(
        method="POST",
        path="/conversations",
        handler=chat.create_conversation,
        who=Who.ANYBODY,
        body=NewConversation,
        answer=ConversationOut,
        status=201,
    ),
    Operation(
        method="GET",
        path="/conversations",
        handler=agents.list_conversations,
        who=Who.AGENT,
        query=ConversationQuery,
        answer=ConversationPage,
    ),
    Operation(
        method="GET",
        path=ONE,
        handler=chat.get_conversation,
        who=Who.VISITOR,
        answer=ConversationOut,
    ),
    Operation(
        method="GET",
        path=f"{ONE}/messages",
        handler=chat.list_messages,
        who=Who.VISITOR,
        query=MessageQuery,
        answer=MessagePage,
    ),
    Operation(
        method="POST",
        path=f"{ONE}/messages",
        handler=chat.create_message,
        who=Who.VISITOR,
        body=NewMessage,
        answer=MessageOut,
        status=201,
    ),
    Operation(
        method="PUT",
        path=MESSAGE,
        handler=chat.edit_message,
        who=Who.VISITOR,
        body=Edit,
        answer=MessageOut,
    ),
    Operation(
        method="DELETE",
        path=MESSAGE,
        handler=chat.delete_message,
        who=Who.VISITOR,
        answer=MessageOut,
    ),
    Operation(
        method="POST",
        path=f"{ONE}/escalate",
        handler=chat.escalate,
        who=Who.VISITOR,
        body=Escalation,
        answer=ConversationOut,
    ),
    *(
        Operation(
            method="POST",
            path=f"{ONE}/{name}",
            handler=handler,
            who=Who.AGENT,
            body=Nothing,
            answer=ConversationOut,
        )
        for name, handler in (
            ("takeover", agents.take_over),
            ("release", agents.release),
            ("resolve", agents.resolve),
        )
    ),
    Operation(
        method="GET",
        path=f"{ONE}/turns",
        handler=agents.list_turns,
        who=Who.AGENT,
        query=TurnQuery,
        answer=TurnPage,
    ),
    Operation(
        method="GET",
        path="/users/{user_id}/conversations",
        handler=chat.list_of_user,
        who=Who.VISITOR,
        answer=ConversationPage,
    ),
    Operation(
        method="GET",
        path="/ws/users/{user_id}/status",
        handler=sockets.status,
        who=Who.VISITOR,
        answer=UserStatus,
    ),
    Operation(
        method="GET",
        path="/bookings",
        handler=bookings.list_bookings,
        who=Who.AGENT,
        query=BookingQuery,
        answer=BookingPage,
    ),
    Operation(
        method="GET",
        path="/bookings/{token}.ics",
        handler=bookings.calendar_file,
        who=Who.ANYBODY,
        media=MEDIA_TYPE,
    ),
    Operation(
        method="GET",
        path="/dead-letters",
        handler=agents.list_dead_letters,
        who=Who.AGENT,
        answer=DeadLetters,
    ),
    Operation(
        method="POST",
        path="/dead-letters/{dead_letter_id}/replay",
        handler=agents.replay,
        who=Who.AGENT,
        answer=Replayed,
    ),
    Operation(
        method="GET",
        path="/stats",
        handler=agents.stats,
        who=Who.AGENT,
        query=StatsQuery,
        answer=StatsOut,
    ),
    Operation(
        method="GET",
        path="/session",
        handler=session.show,
        who=Who.ANYBODY,
        answer=SessionOut,
    ),
    Operation(
        method="POST",
        path="/session",
        handler=session.sign_in,
        who=Who.ANYBODY,
        body=SignIn,
        answer=SessionOut,
        errors=(401,),
    ),
    Operation(
        method="DELETE",
        path="/session",
        handler=session.sign_out,
        who=Who.ANYBODY,
        answer=SessionOut,
    ),
    Operation(
        method="GET",
        path="/health",
        handler=ops.health,
        who=Who.ANYBODY,
        answer=Health,
    ),
    Operation(method="GET", path="/health/ready", handler=ops.ready, who=Who.ANYBODY),
    Operation(
        method="GET",
        path="/metrics",
        handler=ops.metrics,
        who=Who.AGENT,
        media="text/plain",
    ),
]


async def describe(request: Request) -> Response:
    """Describe the HTTP API in OpenAPI."""
    return JSONResponse(described())


@lru_cache
def described() -> Document:
    """Return the description; building it would slow down every start."""
    return document(OPERATIONS, version=__version__)


SOCKETS: list[BaseRoute] = [
    WebSocketRoute("/ws/conversations/{conversation_id}", sockets.conversation),
    WebSocketRoute("/ws/users/{user_id}", sockets.user),
    WebSocketRoute("/ws/agents", sockets.agents),
]
PAGES: list[BaseRoute] = [
    Route("/", ops.page("index.html")),
    Route("/console", ops.page("console.html")),
    Route("/dashboard-app", ops.page("dashboard-app.html")),
    Route("/docs", ops.page("docs.html")),
    Route("/widget.js", ops.widget),
    Route("/openapi.json", describe),
    Mount("/static", StaticFiles(directory=ops.STATIC)),
]


def _routes(operations: Sequence[Operation]) -> list[BaseRoute]:
    """Return one route for each path, so that a 405 names all of its methods."""
    paths: dict[str, dict[str, Handler]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = each.handler
    return [
        Route(path, _dispatch(handlers), methods=list(handlers))
        for path, handlers in paths.items()
    ]


def _dispatch(handlers: Mapping[str, Handler]) -> Handler:
    async def handle(request: Request) -> Response:
        # Starlette answers HEAD where there is a GET.
        method = "GET" if request.method == "HEAD" else request.method
        return await handlers[method](request)

    return handle


ROUTES: list[BaseRoute] = [
    *_routes(OPERATIONS),
    *SOCKETS,
    *PAGES,
]
