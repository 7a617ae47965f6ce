"""Chatwoot and a model with as little in them as possible, in processes of their own.

The simulator does too much to measure the service beside it on two cores.
"""

import asyncio
import itertools
import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

ids = itertools.count(1_000_000)
posted: list[int] = []


async def create_message(request: Request) -> Response:
    await request.body()
    posted.append(request.path_params["conversation"])
    return JSONResponse({"id": next(ids)})


async def nothing(request: Request) -> Response:
    await request.body()
    return JSONResponse({"payload": {"success": True}})


async def show(request: Request) -> Response:
    shown = {"status": "pending", "updated_at": 1.0, "messages": []}
    return JSONResponse({"id": int(request.url.path.rsplit("/", 1)[1])} | shown)


async def replies(request: Request) -> Response:
    """Return how many replies have been posted, and in how many conversations."""
    return JSONResponse({"posted": len(posted), "conversations": len(set(posted))})


async def complete(request: Request) -> Response:
    await request.body()

    async def chunks():
        await asyncio.sleep(DELAY_S)
        for text in ("It is ", "on its way."):
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
            yield chunk([choice], None)
        yield chunk(
            [], {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        )
        yield "data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


def chunk(choices: list[object], usage: object) -> str:
    body = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "bench",
        "choices": choices,
        "usage": usage,
    }
    return f"data: {json.dumps(body)}\n\n"


CONVERSATION = "/api/v1/accounts/1/conversations/{conversation:int}"
CHATWOOT = [
    Route(f"{CONVERSATION}/messages", create_message, methods=["POST"]),
    Route(f"{CONVERSATION}/toggle_typing_status", nothing, methods=["POST"]),
    Route(f"{CONVERSATION}/toggle_status", nothing, methods=["POST"]),
    Route(CONVERSATION, show),
    Route("/replies", replies),
]
MODEL = [Route("/v1/chat/completions", complete, methods=["POST"])]


class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)


if __name__ == "__main__":
    DELAY_S = float(sys.argv[2])
    routes = {"chatwoot": CHATWOOT, "model": MODEL}[sys.argv[1]]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, log_level="error", access_log=False
    )
    Server(config).run()
