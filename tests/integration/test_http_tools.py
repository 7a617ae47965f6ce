"""HTTP endpoints as tools: what is sent, and what the answers mean."""

import httpx
import pytest
from factories import NOW, conversation, message
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chatwoot_bot.core.endpoint import Endpoint, Parameter
from chatwoot_bot.http import make_client
from chatwoot_bot.simulator.serving import LocalServer
from chatwoot_bot.tools.base import Call, Effect, ToolError
from chatwoot_bot.tools.http import MAX_BYTES, endpoint_tool
from chatwoot_bot.tools.toolbox import DoubtfulError

pytestmark = pytest.mark.anyio

SECRET = "Bearer hush-hush"
CALL = Call(key="e_1", conversation=conversation(), transcript=[message()], now=NOW)


class Shop:
    """A server that remembers requests and answers as it is told."""

    def __init__(self):
        self.answer = Response('{"state": "sent"}', media_type="application/json")
        self.requests = []
        self.bodies = []
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        routes = [Route("/{path:path}", self.serve, methods=methods)]
        self.server = LocalServer(Starlette(routes=routes), host="127.0.0.1", port=0)

    async def serve(self, request: Request):
        self.requests.append(request)
        self.bodies.append(await request.body())
        return self.answer

    @property
    def path(self):
        """The path of the last request as it was sent."""
        return self.requests[-1].scope["raw_path"].decode()


@pytest.fixture
async def shop():
    shop = Shop()
    await shop.server.start()
    async with make_client() as http:

        def tool(path="orders/{order}", kinds=(("order", "string"),), **changes):
            parameters = tuple(Parameter(name=n, kind=k) for n, k in kinds)
            url = f"http://127.0.0.1:{shop.server.port}/{path}"
            endpoint = Endpoint(
                name="shop",
                description="d",
                url=url,
                parameters=parameters,
                secret_headers={"Authorization": SECRET},
                **changes,
            )
            return endpoint_tool(http, endpoint)

        shop.tool = tool
        yield shop
    await shop.server.stop()


async def run(tool, **values):
    return await tool.run(tool.arguments(**values), CALL)


async def test_get_looks_something_up(shop):
    tool = shop.tool(headers={"X-Shop": "berlin"})
    result = await run(tool, order="R 1/2?")
    [request] = shop.requests

    assert result.text == '{"state": "sent"}'
    assert tool.effect is Effect.NONE
    assert (request.method, shop.path) == ("GET", "/orders/R%201%2F2%3F")
    assert request.headers["authorization"] == SECRET
    assert request.headers["x-shop"] == "berlin"
    assert request.headers["x-chatwoot-account-id"] == "1"
    assert request.headers["x-chatwoot-conversation-id"] == "150"
    assert shop.bodies == [b""]


async def test_parameters_without_a_place_go_into_the_query_or_the_body(shop):
    kinds = (("order", "string"), ("pieces", "integer"), ("all", "boolean"))
    await run(shop.tool(kinds=kinds), order="R1", pieces=2, all=True)
    await run(shop.tool(kinds=kinds, method="PUT"), order="R1", pieces=2, all=True)
    await run(shop.tool("find?q={q}", (("q", "string"), ("n", "number"))), q="a&b", n=1)
    first, put, found = shop.requests

    assert dict(first.query_params) == {"pieces": "2", "all": "true"}
    assert (put.method, put.url.query) == ("PUT", "")
    assert shop.bodies[1] == b'{"pieces":2,"all":true}'
    assert dict(found.query_params) == {"q": "a&b", "n": "1.0"}


@pytest.mark.parametrize("order", ["", ".", ".."])
async def test_value_cannot_change_the_path(shop, order):
    """Otherwise /orders/.. would show the whole shop."""
    with pytest.raises(ToolError, match="order: must not be empty"):
        await run(shop.tool(), order=order)

    assert shop.requests == []


async def test_two_dots_out_of_two_values_are_refused_too(shop):
    tool = shop.tool("a/{x}{y}/b", (("x", "string"), ("y", "string")))
    with pytest.raises(ToolError, match="x, y: must not be empty"):
        await run(tool, x=".", y=".")


async def test_value_that_is_no_part_of_an_url_is_refused(shop):
    with pytest.raises(ToolError, match="too long"):
        await run(shop.tool(), order="x" * 70_000)


async def test_header_of_the_operators_goes_before_ours(shop):
    await run(shop.tool(headers={"Accept": "text/csv"}), order="R1")

    assert shop.requests[0].headers.getlist("accept") == ["text/csv"]


async def test_encoded_dots_stay_encoded(shop):
    await run(shop.tool(), order="%2e%2e/x")

    assert shop.path == "/orders/%252e%252e%2Fx"


async def test_model_is_told_what_a_call_takes(shop):
    schema = shop.tool(kinds=(("order", "string"), ("n", "integer"))).arguments
    described = schema.model_json_schema()

    assert described["required"] == ["order", "n"]
    assert described["properties"]["n"]["type"] == "integer"


@pytest.mark.parametrize(
    ("changes", "effect", "key"),
    [
        ({"method": "POST"}, Effect.ONCE, None),
        ({"method": "DELETE"}, Effect.ONCE, None),
        ({"method": "POST", "key_header": "Idempotency-Key"}, Effect.KEYED, "e_1"),
    ],
)
async def test_call_that_changes_something(shop, changes, effect, key):
    tool = shop.tool(**changes)
    shop.answer = Response(status_code=204)
    result = await run(tool, order="R1")

    assert (tool.effect, result.text) == (effect, "Done.")
    assert shop.requests[0].headers.get("idempotency-key") == key


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429])
async def test_refusal_is_told_and_has_changed_nothing(shop, status):
    shop.answer = Response(f"no such order ({SECRET})", status)
    with pytest.raises(ToolError) as caught:
        await run(shop.tool(method="POST"), order="R1")

    assert not isinstance(caught.value, DoubtfulError)
    assert str(caught.value) == f"The server answered {status}. no such order (…)"


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503])
async def test_after_another_answer_nobody_knows(shop, status):
    """The model must neither claim it nor do it again."""
    shop.answer = Response("oops", status)
    with pytest.raises(DoubtfulError, match=f"answered {status}"):
        await run(shop.tool(method="POST"), order="R1")
    with pytest.raises(ToolError) as caught:
        await run(shop.tool(), order="R1")

    assert not isinstance(caught.value, DoubtfulError)


async def test_redirect_is_not_followed(shop):
    """It could carry the secret to somebody else."""
    shop.answer = RedirectResponse("http://127.0.0.1:9/")
    with pytest.raises(ToolError, match="sends elsewhere"):
        await run(shop.tool(), order="R1")

    assert len(shop.requests) == 1


async def test_long_answer_is_cut(shop):
    shop.answer = Response("x" * (MAX_BYTES + 1), media_type="text/plain")
    text = (await run(shop.tool(), order="R1")).text

    assert text == "x" * MAX_BYTES + "\n[The rest is left out.]"


async def test_picture_is_not_told(shop):
    shop.answer = Response(b"\x89PNG", media_type="image/png")

    assert (await run(shop.tool(), order="R1")).text == "[The answer is no text.]"


async def test_secret_in_an_answer_is_not_told(shop):
    """Some servers show the request that they have got."""
    shop.answer = Response(f"headers: {SECRET}", media_type="text/plain")

    assert (await run(shop.tool(), order="R1")).text == "headers: …"


async def test_server_that_is_not_there_has_done_nothing(shop):
    tool = shop.tool(method="POST")
    await shop.server.stop()
    with pytest.raises(ToolError) as caught:
        await run(tool, order="R1")
    await shop.server.start()

    assert str(caught.value) == "The server cannot be reached."
    assert not isinstance(caught.value, DoubtfulError)


async def test_server_that_hangs_up_leaves_a_doubt():
    async def hang_up(request):
        raise httpx.ReadError("gone", request=request)

    transport = httpx.MockTransport(hang_up)
    endpoint = Endpoint(name="x", description="d", url="http://x/", method="POST")
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(DoubtfulError, match="has not answered"):
            await run(endpoint_tool(http, endpoint))
