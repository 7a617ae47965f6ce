"""`chatwoot-bot simulate` and the script behind it, against a tiny service."""

import asyncio
import contextlib
import json
import socket
import threading

import httpx
import pytest
import typer
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from chatwoot_bot.commands import simulate as command
from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.releases import RELEASES
from chatwoot_bot.simulator.script import Plan, run_script
from chatwoot_bot.simulator.serving import LocalServer
from chatwoot_bot.simulator.terminal import Terminal, UsageError

pytestmark = pytest.mark.anyio

PLAN = Plan(conversations=8, messages=3, timeout_s=5)


class Service:
    """Answers each incoming message, or does what `reply` says instead."""

    def __init__(self):
        self.base_url = ""
        self.reply = self.answer

    async def take(self, request):
        body = await request.json()
        if body["event"] == "message_created" and body["message_type"] == "incoming":
            await self.reply(body["conversation"]["id"], body["content"])
        return JSONResponse({"status": "ok"})

    async def answer(self, cid, content):
        path = f"/api/v1/accounts/1/conversations/{cid}/messages"
        async with httpx.AsyncClient(base_url=self.base_url) as client:
            await client.post(
                path,
                json={"content": f"Answer to: {content}"},
                headers={"api_access_token": "bot-token"},
            )


@pytest.fixture
async def service():
    service = Service()
    app = Starlette(routes=[Route("/hook", service.take, methods=["POST"])])
    server = LocalServer(app, host="127.0.0.1", port=0)
    await server.start()
    service.url = f"http://127.0.0.1:{server.port}/hook"
    yield service
    await server.stop()


@pytest.fixture
async def sim(service):
    async with Simulator(webhook_url=service.url) as sim:
        service.base_url = sim.base_url
        yield sim


async def test_clean_script(sim):
    """Every question one answer, with latencies."""
    report = await run_script(sim, PLAN)

    assert (report.asked, report.answered, report.is_clean) == (24, 24, True)
    assert report.percentile(0.5) <= report.percentile(0.99)
    assert len(sim.world.conversations) == 8


async def test_lost_answers_are_counted(sim, service):
    """A silent service: one lost question for each visitor, then they leave."""

    async def stay_silent(cid, content):
        pass

    service.reply = stay_silent

    report = await run_script(sim, Plan(conversations=3, messages=5, timeout_s=0.05))

    assert (report.asked, report.lost, report.is_clean) == (3, 3, False)
    assert report.percentile(0.5) is None


async def test_doubled_answers_are_counted(sim, service):
    """Each message answered twice."""

    async def stutter(cid, content):
        await service.answer(cid, content)
        await service.answer(cid, content)

    service.reply = stutter

    report = await run_script(sim, Plan(conversations=2, timeout_s=5))

    assert (report.lost, report.doubled) == (0, 2)


async def test_answer_in_the_wrong_conversation_is_noticed(sim, service):
    """The code word of another visitor gives it away."""
    seen = []

    async def mix_up(cid, content):
        seen.append(content)
        await service.answer(cid, seen[0])

    service.reply = mix_up

    report = await run_script(sim, Plan(conversations=2, timeout_s=5))

    assert report.misdirected == 1


# The command.


def run(*arguments, **environment):
    app = typer.Typer()
    app.command()(command.simulate)
    environment = {
        "CHATWOOT_API_TOKEN": None,
        "CHATWOOT_WEBHOOK_SECRET": None,
    } | environment
    return CliRunner().invoke(app, ["--port", "0", *arguments], env=environment)


def test_unknown_release_is_refused_with_those_that_there_are():
    result = run("--release", "5.0")

    assert result.exit_code == 2
    assert "no release '5.0'" in result.output
    assert all(release in result.output for release in RELEASES)


@pytest.mark.parametrize(
    ("release", "is_pending"), [("4.16", False), ("4.17", True), ("4.18", True)]
)
def test_release_is_chosen_on_the_command_line(release, is_pending):
    """Since 4.17 a conversation that is given to the bot becomes pending."""

    async def take(request):
        return JSONResponse({})

    with serving(take) as url:
        app = typer.Typer()
        app.command()(command.simulate)
        result = CliRunner().invoke(
            app,
            [
                *("--port", "0", "--interactive", "--webhook-url", url),
                *("--release", release, "--no-email-collect"),
            ],
            input="Hi\n/status open\n/bot\n/quit\n",
        )

    assert result.exit_code == 0, result.output
    assert f"Chatwoot {release} is simulated at" in result.output
    shown = "Conversation was marked as pending" in result.output
    assert shown is is_pending


def test_missing_service_is_explained():
    """The exact line to start it, ready to be copied."""
    result = run("--timeout", "0.1", "--webhook-url", "http://127.0.0.1:9/hook")

    assert result.exit_code == 1
    assert "Nothing listens at http://127.0.0.1:9/hook" in result.output
    assert "CHATWOOT_BASE_URL=http://127.0.0.1:" in result.output
    assert "CHATWOOT_API_TOKEN=simulator-bot-token" in result.output
    assert "CHATWOOT_WEBHOOK_SECRET=simulator-secret" in result.output
    assert "CHATWOOT_ACCOUNT_ID=1 RESPONDER=mock chatwoot-bot serve" in result.output


def test_command_to_start_the_service_has_the_port_that_is_waited_for():
    """8000 is the service's own choice."""
    another = run("--timeout", "0.1", "--webhook-url", "http://127.0.0.1:9/hook")
    usual = command._port("http://127.0.0.1:8000/webhook/chatwoot")

    assert "  PORT=9 CHATWOOT_BASE_URL=" in another.output
    assert usual == command._port("http://bot.example/hook") == ""


def test_real_secrets_are_never_printed():
    """They may have come from a production environment."""
    result = run(
        "--timeout",
        "0.1",
        "--webhook-url",
        "http://127.0.0.1:9/hook",
        CHATWOOT_WEBHOOK_SECRET="hush-hush-hush-hush",
        CHATWOOT_API_TOKEN="very-private",
    )

    assert 'CHATWOOT_WEBHOOK_SECRET="$CHATWOOT_WEBHOOK_SECRET"' in result.output
    assert 'CHATWOOT_API_TOKEN="$CHATWOOT_API_TOKEN"' in result.output
    assert "hush-hush" not in result.output
    assert "very-private" not in result.output


def test_taken_port_is_explained():
    """Most likely another simulator."""

    async def take_port():
        server = LocalServer(Starlette(), host="127.0.0.1", port=0)
        await server.start()
        try:
            arguments = ["--port", str(server.port)]
            return await asyncio.to_thread(run, *arguments)
        finally:
            await server.stop()

    result = asyncio.run(take_port())

    assert result.exit_code == 1
    assert "is not free" in result.output


@contextlib.contextmanager
def serving(take):
    """Serve a webhook from a thread of its own, as the command owns the main one."""
    ready, leave, urls = threading.Event(), [], []

    async def serve():
        app = Starlette(routes=[Route("/hook", take, methods=["POST"])])
        server = LocalServer(app, host="127.0.0.1", port=0)
        await server.start()
        done = asyncio.Event()
        leave.append((asyncio.get_running_loop(), done))
        urls.append(f"http://127.0.0.1:{server.port}/hook")
        ready.set()
        await done.wait()
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(5)
    yield urls[0]
    loop, done = leave[0]
    loop.call_soon_threadsafe(done.set)
    thread.join(5)


async def answer_inline(request):
    """A service that is not pointed at the simulator answers in the response."""
    await request.body()
    return JSONResponse({"status": "ok", "route": "bot", "reply": "Hi"})


def test_service_that_never_calls_back_is_explained():
    """The demo service has no CHATWOOT_BASE_URL."""
    with serving(answer_inline) as url:
        result = run("--webhook-url", url, "--timeout", "0.2", "--conversations", "2")

    assert result.exit_code == 1
    assert "never called back" in result.output
    assert "lost" in result.output


def test_interactive_session():
    """Visitor, agent and status, typed."""
    taken = []

    async def take(request):
        taken.append(json.loads(await request.body()))
        return JSONResponse({})

    typed = "\n".join(
        [
            "/agent too early",
            "Hi [bold]there",
            "/agent Maria here",
            "/status open",
            "/status nonsense",
            "/quit",
        ]
    )
    app = typer.Typer()
    app.command()(command.simulate)
    with serving(take) as url:
        result = CliRunner().invoke(
            app, ["--port", "0", "--interactive", "--webhook-url", url], input=typed
        )

    assert result.exit_code == 0, result.output
    assert "Say something as the visitor first." in result.output
    assert "visitor: Hi [bold]there" in result.output
    assert "agent: Maria here" in result.output
    assert "chatwoot: Conversation was reopened by Maria Gomez" in result.output


# Lines, typed or from a file.


@pytest.fixture
def lines(sim):
    return Terminal(sim, wait_s=5)


async def test_terminal_has_a_word_for_everything(sim, lines):
    """One conversation through most of the commands; the bot answers each line."""
    for line in (
        "Hi",
        "/wait",
        "/expect answer to: hi",
        "/agent Maria here",
        "/note VIP",
        "/phone From my phone",
        "/template Welcome",
        "/automation We are busy",
        "/send image My parcel",
        "/type on",
        "/read",
        "/open",
        "/reply And when?",
        "/labels billing, vip",
        "/priority high",
        "/team 2",
        "/assign",
        "/assign nobody",
        "/bot",
        "/status snoozed",
        "/wake",
        "/delete",
        "/window",
        '/do set_custom_attributes custom_attributes={"a":1}'
        f" conversation={sim.world.ledger.next_message}",
        "/end",
    ):
        await lines.do(line)

    cid = lines.conversation
    conversation = sim.world.conversations[cid]
    assert (conversation.status, conversation.priority) == ("resolved", "high")
    assert conversation.label_list == ("billing", "vip")
    assert conversation.custom_attributes == {"a": 1}
    assert (conversation.team_id, conversation.assignee_agent_bot_id) == (2, 4)
    assert "This message was deleted" in [m.content for m in sim.messages(cid)]
    assert "/pick N" in await lines.do("/help")


async def test_terminal_answers_what_the_bot_asks(sim, lines):
    """Options by number, forms by name."""
    await lines.do("Hi")
    await lines.do("/wait")
    cid = lines.conversation
    items = {
        "input_select": [{"title": "A", "value": "a"}, {"title": "B", "value": "b"}],
        "form": [{"name": "order", "type": "text", "label": "Order"}],
    }
    path = f"{sim.base_url}/api/v1/accounts/1/conversations/{cid}/messages"
    async with httpx.AsyncClient(headers={"api_access_token": "bot-token"}) as client:
        for kind, options in items.items():
            body = {"content": "?", "content_type": kind}
            attributes = {"content_attributes": {"items": options}}
            await client.post(path, json=body | attributes)

    await lines.do("/pick 2")
    await lines.do("/fill order=ABC 7")

    submitted = [
        message.content_attributes["submitted_values"]
        for message in sim.replies(cid)[-2:]
    ]
    assert submitted == [
        [{"title": "B", "value": "b"}],
        [{"name": "order", "value": "ABC 7"}],
    ]


async def test_terminal_goes_from_one_conversation_to_another(sim, lines):
    """/new begins one with the next line, /use goes back."""
    await lines.do("One")
    await lines.do("/new")
    await lines.do("Two")
    second = lines.conversation
    await lines.do(f"/use {second - 1}")
    await lines.do("/agent Hello")

    assert sim.messages(second - 1)[0].content == "One"
    assert sim.messages(second)[0].content == "Two"


async def test_terminal_sets_faults(sim, lines):
    """And ends them."""
    await lines.do("/fault deliveries.duplicate=0.5")
    await lines.do("/fault rate_limit=60")
    duplicate, limit = sim.faults.deliveries.duplicate, sim.faults.rate_limit
    await lines.do("/calm")

    assert (duplicate, limit) == (0.5, 60)
    assert sim.faults.rate_limit is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/agent Hello", "Say something as the visitor first"),
        ("/dance", "There is no /dance"),
        ("/status closed", "open\\|pending"),
        ("/use 99", "there is no conversation 99"),
        ("/send poem", "no attachment 'poem'"),
        ("/fault nothing=1", "no switch 'nothing'"),
        ("/do explode", "no action 'explode'"),
        ("/pick 1", "Say something as the visitor first"),
    ],
)
async def test_terminal_explains_what_it_did_not_understand(lines, line, text):
    """A mistyped line ends nothing."""
    with pytest.raises(UsageError, match=text):
        await lines.do(line)


@pytest.mark.parametrize(
    ("expected", "exit_code"), [("answer to: hi", 0), ("nonsense", 1)]
)
def test_played_file_ends_with_what_it_found(tmp_path, expected, exit_code):
    """For a bot's own tests: lines, and what is to come of them."""

    async def take(request):
        body = await request.json()
        if body["event"] == "message_created" and body["message_type"] == "incoming":
            cid = body["conversation"]["id"]
            async with httpx.AsyncClient() as client:
                await client.post(
                    f"{chatwoot.read_text()}/api/v1/accounts/1/conversations/{cid}"
                    "/messages",
                    json={"content": f"Answer to: {body['content']}"},
                    headers={"api_access_token": "simulator-bot-token"},
                )
        return JSONResponse({})

    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    chatwoot = tmp_path / "url"
    chatwoot.write_text(f"http://127.0.0.1:{port}")
    script = tmp_path / "script.txt"
    script.write_text(f"# a remark\nHi\n/wait\n/expect {expected}\n/agent Bye\n")
    with serving(take) as url:
        result = run("--port", str(port), "--play", str(script), "--webhook-url", url)

    assert result.exit_code == exit_code, result.output
    assert ("agent: Bye" in result.output) is (exit_code == 0)
    assert "bot: Answer to: Hi" in result.output
