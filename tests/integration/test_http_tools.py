"""HTTP endpoints as tools: what is sent, and what the answers mean."""

import asyncio
import base64
import contextlib
import html
import json
import posixpath
import shutil
import socket
import tempfile
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

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


# How a server may show what it was sent.
def plain(secret):
    return secret


def upper(secret):
    return secret.upper()


def in_json(secret):
    return json.dumps({"authorization": secret})[19:-2]


def in_json_with_slashes(secret):
    return in_json(secret).replace("/", r"\/")


def in_json_of_any_letter(secret):
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def in_url(secret):
    return quote(secret, safe="")


def in_form(secret):
    return quote_plus(secret).lower()


def in_html(secret):
    return html.escape(secret)


def in_base64(secret):
    return base64.b64encode(secret.encode()).decode()


def in_base64_of_urls(secret):
    return base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")


def in_hex(secret):
    return secret.encode().hex()


FORMS = [
    plain,
    upper,
    in_json,
    in_json_with_slashes,
    in_json_of_any_letter,
    in_url,
    in_form,
    in_html,
    in_base64,
    in_base64_of_urls,
    in_hex,
]
CALL = Call(key="e_1", conversation=conversation(), transcript=[message()], now=NOW)


# Values that lead a server, or a proxy before it, out of the place in the path.
LEAVING = [
    "",
    " ",
    ".",
    "..",
    ". .",
    "...",
    "../admin",
    "x/../../admin",
    "/admin",
    "R1/",
    "R1/../../admin",
    "..\\admin",
    "R1\\..\\admin",
    "..;/admin",
    "R1;x=1",
    "R1?admin",
    "R1#admin",
    "%2e%2e",
    "%2E%2E%2Fadmin",
    "%252e%252e%252fadmin",
    "%25252525252e%25252525252e",
    "%c0%ae%c0%ae%c0%afadmin",
    "%u002e%u002e",
    "%",
    "\u2025",
    "\uff0e\uff0e",
    "\uff0e\uff0e\uff0fadmin",
    "R1\x00",
    "R1\r\nX: y",
    "R1\x7f",
    "R1\x85",
    "R1\u2028",
    "\u200b..",
]

NGINX_CONFIG = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /orders/ {{
            proxy_set_header X-Place orders;
            proxy_pass http://127.0.0.1:{behind};
        }}
        location / {{
            proxy_set_header X-Place elsewhere;
            proxy_pass http://127.0.0.1:{behind};
        }}
    }}
}}
"""


@contextlib.asynccontextmanager
async def nginx(behind):
    """Run nginx before the port *behind*; yield its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        config = write(folder, NGINX_CONFIG, port=port, behind=behind)
        command = ["nginx", "-p", folder, "-c", config, "-e", f"{folder}/error.log"]
        running = await asyncio.create_subprocess_exec(*command)
        try:
            await listening(port)
            yield port
        finally:
            running.terminate()
            await running.wait()


def write(folder, config, **values):
    """Write nginx's configuration; return where."""
    path = Path(folder, "nginx.conf")
    path.write_text(config.format(folder=folder, **values))
    return path


async def listening(port):
    """Wait until somebody listens at *port*."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def decoding(behind):
    """Run a proxy that decodes a path until nothing changes, as the worst one does."""

    async def serve(request: Request):
        path = request.scope["raw_path"].decode()
        while (decoded := unquote(path).replace("\\", "/")) != path:
            path = decoded
        path = posixpath.normpath(path.split(";")[0])
        place = "orders" if path.startswith("/orders/") else "elsewhere"
        async with httpx.AsyncClient() as http:
            found = await http.get(
                f"http://127.0.0.1:{behind}/", headers={"x-place": place}
            )
        return Response(found.content, found.status_code)

    routes = [Route("/{path:path}", serve)]
    server = LocalServer(Starlette(routes=routes), host="127.0.0.1", port=0)
    await server.start()
    yield server.port
    await server.stop()


PROXIES = [decoding, nginx] if shutil.which("nginx") else [decoding]


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

        def tool(
            path="orders/{order}", kinds=(("order", "string"),), port=None, **changes
        ):
            parameters = tuple(Parameter(name=n, kind=k) for n, k in kinds)
            url = f"http://127.0.0.1:{port or shop.server.port}/{path}"
            endpoint = Endpoint(
                name="shop",
                description="d",
                url=url,
                parameters=parameters,
                **{"secret_headers": {"Authorization": SECRET}, **changes},
            )
            return endpoint_tool(http, endpoint)

        shop.tool = tool
        yield shop
    await shop.server.stop()


async def run(tool, **values):
    return await tool.run(tool.arguments(**values), CALL)


async def test_get_looks_something_up(shop):
    tool = shop.tool(headers={"X-Shop": "berlin"})
    result = await run(tool, order="R 1&2=ü")
    [request] = shop.requests

    assert result.text == '{"state": "sent"}'
    assert tool.effect is Effect.NONE
    assert (request.method, shop.path) == ("GET", "/orders/R%201%262%3D%C3%BC")
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


@pytest.mark.parametrize("order", LEAVING)
async def test_value_cannot_leave_its_place_in_the_path(shop, order):
    """A proxy decodes the path: /orders/..%2Fadmin would show what is beside it."""
    with pytest.raises(ToolError, match=r"^order: "):
        await run(shop.tool(), order=order)

    assert shop.requests == []


async def test_two_values_cannot_make_up_what_each_may_not_be(shop):
    tool = shop.tool("a/{x}{y}/b", (("x", "string"), ("y", "string")))
    with pytest.raises(ToolError, match="x, y: must not be empty"):
        await run(tool, x=".", y=".")

    assert shop.requests == []


@pytest.mark.parametrize(
    "order", ["R-1", "2026.07", "..x", "x..", "Ärger 1+1", "a:b@c"]
)
async def test_value_that_stays_in_its_place_is_sent(shop, order):
    await run(shop.tool(), order=order)

    assert unquote(shop.path) == f"/orders/{order}"


async def test_value_of_the_query_may_hold_anything(shop):
    await run(shop.tool("find?q={q}", (("q", "string"),)), q="../a;b%2F?#")

    assert dict(shop.requests[0].query_params) == {"q": "../a;b%2F?#"}


@pytest.mark.parametrize("proxy", PROXIES)
async def test_no_value_reaches_what_a_proxy_serves_beside_it(shop, proxy):
    """nginx decodes and resolves a path before it looks for its place."""
    async with proxy(shop.server.port) as port:
        tool = shop.tool(port=port)
        for order in [*LEAVING, "R1"]:
            with contextlib.suppress(ToolError):
                await run(tool, order=order)

    assert {each.headers["x-place"] for each in shop.requests} == {"orders"}
    assert len(shop.requests) == 1


async def test_value_that_is_no_part_of_an_url_is_refused(shop):
    with pytest.raises(ToolError, match="too long"):
        await run(shop.tool(), order="x" * 70_000)


async def test_header_of_the_operators_goes_before_ours(shop):
    await run(shop.tool(headers={"Accept": "text/csv"}), order="R1")

    assert shop.requests[0].headers.getlist("accept") == ["text/csv"]


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


@pytest.mark.parametrize(
    "secret", [SECRET, 'Bearer a"b/c+d=<f>', "Basic dXNlcjpwYXNzd29yZA==", "k-1234567"]
)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
async def test_secret_in_an_answer_is_not_told(shop, secret, form):
    """Some servers show the request that they have got, in whatever form."""
    tool = shop.tool(secret_headers={"Authorization": secret})
    shop.answer = Response(f"headers: {form(secret)}.", media_type="text/plain")
    told = (await run(tool, order="R1")).text

    assert told.startswith("headers: ")
    assert form(secret) not in told
    assert "…" in told


async def test_secret_without_its_scheme_is_not_told(shop):
    shop.answer = Response('{"token": "hush-hush", "n": 1}', media_type="text/plain")

    assert (await run(shop.tool(), order="R1")).text == '{"token": "…", "n": 1}'


async def test_secret_at_the_end_of_what_is_read_is_not_told_in_part(shop):
    text = "x" * (MAX_BYTES - 5) + SECRET
    shop.answer = Response(text, media_type="text/plain")

    assert "Bear" not in (await run(shop.tool(), order="R1")).text


@pytest.mark.parametrize(
    ("charset", "body", "told"),
    [
        ("utf-8", "Größe".encode(), "Größe"),
        ("latin-1", "Größe".encode("latin-1"), "Größe"),
        ("windows-1252", "5 €".encode("cp1252"), "5 €"),
        ("shift_jis", "注文".encode("shift_jis"), "注文"),
        ("zlib", b"sent", "sent"),
        ("hex", b"73656e74", "73656e74"),
        ("base64", b"c2VudA==", "c2VudA=="),
        ("rot13", b"sent", "sent"),
        ("bz2", b"sent", "sent"),
        ("idna", b"xn--sent", "xn--sent"),
        ("punycode", b"sent-", "sent-"),
        ("undefined", b"sent", "sent"),
        ("unicode_escape", rb"\x1b", r"\x1b"),
        ("no-such", b"se\xffnt", "se\ufffdnt"),
        ("x" * 5_000, b"sent", "sent"),
    ],
)
async def test_answer_is_read_as_text_whatever_its_charset(shop, charset, body, told):
    """An effect that has taken place must not count as in doubt for its form."""
    headers = {"content-type": f"text/plain; charset={charset}"}
    shop.answer = Response(body, headers=headers)

    assert (await run(shop.tool(method="POST"), order="R1")).text == told


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "deflate", "gzip, identity"])
async def test_compressed_answer_leaves_a_doubt(shop, coding):
    """Nobody has asked for it, and it may unpack to any size."""
    shop.answer = Response(b"\x1f\x8b", headers={"content-encoding": coding})
    asked = {"Accept-Encoding": "gzip"}
    with pytest.raises(DoubtfulError, match="has not answered"):
        await run(shop.tool(method="POST", headers=asked), order="R1")

    assert shop.requests[0].headers["accept-encoding"] == "identity"


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
