"""`chatwoot-bot simulate`: a Chatwoot on this machine, with visitors and an agent.

Starts the simulator, tells how to point the service at it, waits for the service,
then plays a script or lets you type. Nothing leaves this machine.
"""

import asyncio
import contextlib
import os
import secrets
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..simulator.records import Message
from ..simulator.script import Plan, Report, run_script
from ..simulator.server import Simulator
from ..simulator.world import STATUSES

THROWAWAY_SECRET = "simulator-secret"  # noqa: S105 - known to everybody
THROWAWAY_TOKEN = "simulator-bot-token"  # noqa: S105 - known to everybody
SECRET_ENV = "CHATWOOT_WEBHOOK_SECRET"  # noqa: S105 - a name
TOKEN_ENV = "CHATWOOT_API_TOKEN"  # noqa: S105 - a name
PROBE_S = 0.5  # between looks for a service that is not there yet
HELP = (
    "Type as the visitor. /agent TEXT speaks as the human agent, "
    "/status open|pending|resolved sets the status, /quit ends."
)
SPEAKERS = {
    "contact": ("visitor", "cyan"),
    "agent_bot": ("bot", "green"),
    "user": ("agent", "magenta"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What the command line asked for."""

    webhook_url: str
    secret: str
    token: str
    port: int
    seed: int
    plan: Plan
    interactive: bool
    keep: bool


def simulate(
    webhook_url: Annotated[
        str, typer.Option(help="Where the service takes Chatwoot's webhooks.")
    ] = "http://127.0.0.1:8000/webhook/chatwoot",
    secret: Annotated[
        str,
        typer.Option(
            envvar=SECRET_ENV,
            show_envvar=True,
            help="Signs the webhooks; a throwaway one when empty.",
        ),
    ] = "",
    port: Annotated[int, typer.Option(help="Port of the simulated Chatwoot.")] = 3000,
    token: Annotated[
        str, typer.Option(envvar=TOKEN_ENV, help="The token the service presents.")
    ] = THROWAWAY_TOKEN,
    conversations: Annotated[int, typer.Option(min=1, help="How many visitors.")] = 5,
    messages: Annotated[int, typer.Option(min=1, help="Questions of each.")] = 1,
    interactive: Annotated[bool, typer.Option(help="Type as the visitor.")] = False,
    seed: Annotated[int, typer.Option(help="Repeats the same words and names.")] = 1,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for the service and each answer.")
    ] = 30.0,
    keep: Annotated[bool, typer.Option(help="Keep serving after the script.")] = False,
) -> None:
    """Play Chatwoot on this machine: visitors ask, the service answers.

    Ends with 1 when an answer was lost, doubled or given to the wrong visitor.
    """
    plan = Plan(conversations=conversations, messages=messages, timeout_s=timeout)
    order = _Order(
        webhook_url=webhook_url,
        # The service takes several secrets, to change one; Chatwoot has one.
        secret=secret.split(",")[0].strip() or THROWAWAY_SECRET,
        token=token,
        port=port,
        seed=seed,
        plan=plan,
        interactive=interactive,
        keep=keep,
    )
    session = _Session(order, Console(highlight=False))
    try:
        asyncio.run(session.run())
    except KeyboardInterrupt:
        session.console.print("\nStopped.")
    except OSError as error:
        session.console.print(f"[red]Port {port} is not free:[/] {error}")
        session.exit_code = 1
    raise typer.Exit(session.exit_code)


class _Session:
    """One run of the command; `exit_code` is right at any moment."""

    def __init__(self, order: _Order, console: Console) -> None:
        self.order = order
        self.console = console
        self.exit_code = 0

    async def run(self) -> None:
        """Serve, wait for the service, then play or let the user type."""
        order = self.order
        async with Simulator(
            webhook_url=order.webhook_url,
            secret=order.secret,
            port=order.port,
            bot_token=order.token,
            seed=order.seed,
            # Not from the seed: the service may remember the ids of an earlier run.
            first_conversation=(1 + secrets.randbelow(9_000)) * 1_000,
            first_message=(1 + secrets.randbelow(2_000)) * 1_000_000,
            on_message=self._show,
        ) as sim:
            self.console.print(f"Chatwoot is simulated at {sim.base_url}", end=" ")
            self.console.print(f"(seed {order.seed})", style="dim")
            if not await self._find_service(sim):
                self.exit_code = 1
                return
            if order.interactive:
                await self._converse(sim)
            else:
                await self._play(sim)
            if order.keep:
                self.console.print("Still serving; Ctrl-C ends.", style="dim")
                await asyncio.Event().wait()

    async def _find_service(self, sim: Simulator) -> bool:
        """Wait for the webhook's port; say at once how to open it."""
        if await _is_listening(self.order.webhook_url):
            return True
        self.console.print(
            f"[yellow]Nothing listens at {self.order.webhook_url}.[/] "
            "Start the service in another terminal:\n"
        )
        self.console.print(_start_command(self.order, sim.base_url), soft_wrap=True)
        self.console.print()
        try:
            async with asyncio.timeout(self.order.plan.timeout_s):
                with self.console.status("Waiting for the service…"):
                    while not await _is_listening(self.order.webhook_url):  # noqa: ASYNC110 - the other program cannot notify us
                        await asyncio.sleep(PROBE_S)
        except TimeoutError:
            self.console.print("[red]The service did not come.[/]")
            return False
        return True

    async def _play(self, sim: Simulator) -> None:
        report = await run_script(sim, self.order.plan)
        self.console.print(_table(report))
        if not report.is_clean:
            self.exit_code = 1
            self.console.print(_advice(sim, self.order), soft_wrap=True)

    async def _converse(self, sim: Simulator) -> None:
        self.console.print(HELP, style="dim")
        conversation: int | None = None
        async for line in _lines():
            command, _, rest = line.partition(" ")
            if command == "/quit":
                return
            if not command.startswith("/"):
                said = await sim.contact_says(line, conversation=conversation)
                conversation = said.conversation_id
            elif conversation is None:
                self.console.print("Say something as the visitor first.")
            else:
                await self._command(sim, conversation, command, rest.strip())

    async def _command(
        self, sim: Simulator, conversation: int, command: str, rest: str
    ) -> None:
        if command == "/agent" and rest:
            await sim.agent_says(conversation, rest)
        elif command == "/status" and rest in STATUSES:
            await sim.set_status(conversation, rest)
        else:
            self.console.print(HELP, style="dim")

    def _show(self, message: Message) -> None:
        """Print one line; the text is a stranger's, so it is no markup."""
        who, colour = SPEAKERS.get(message.sender_type or "", ("chatwoot", "dim"))
        if message.private:
            who = f"{who}, note"
        line = Text(f"#{message.conversation_id:<4}", style="dim")
        line.append(f"{who}: ", style=colour)
        line.append(message.content or "(no text)")
        self.console.print(line)


async def _is_listening(url: str) -> bool:
    """Return whether somebody accepts connections where *url* points."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _lines() -> AsyncIterator[str]:
    """Yield the lines that are typed, without the empty ones, until the end.

    The reader is a daemon thread: a blocked `readline` must not keep the process
    from ending.
    """
    loop = asyncio.get_running_loop()
    typed: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        while line := sys.stdin.readline():
            loop.call_soon_threadsafe(typed.put_nowait, line)
        loop.call_soon_threadsafe(typed.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await typed.get():
        if line.strip():
            yield line.strip()


def _start_command(order: _Order, base_url: str) -> str:
    """Return the command that starts the service against this simulator."""
    return (
        f"  CHATWOOT_BASE_URL={base_url} "
        f"{TOKEN_ENV}={_shown(order.token, THROWAWAY_TOKEN, TOKEN_ENV)} "
        f"{SECRET_ENV}={_shown(order.secret, THROWAWAY_SECRET, SECRET_ENV)} "
        "CHATWOOT_ACCOUNT_ID=1 chatwoot-bot serve"
    )


def _shown(value: str, throwaway: str, name: str) -> str:
    """Return a secret only when it is ours; otherwise where it is to be found."""
    if value == throwaway:
        return value
    return f'"${name}"' if os.environ.get(name) else f"<your {name}>"


def _table(report: Report) -> Table:
    table = Table(title="What came of it", show_header=False)
    for name, value in (
        ("questions", report.asked),
        ("answered", report.answered),
        ("lost", report.lost),
        ("doubled", report.doubled),
        ("wrong conversation", report.misdirected),
        ("handed to humans", report.handed_over),
    ):
        table.add_row(name, str(value))
    for share in (0.5, 0.99):
        table.add_row(f"latency p{share * 100:.0f}", _seconds(report.percentile(share)))
    table.add_row("time", _seconds(report.elapsed_s))
    return table


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"  # noqa: RUF001


def _advice(sim: Simulator, order: _Order) -> Text:
    """Say what the deliveries and calls suggest is wrong."""
    answers = [attempt for attempt in sim.delivery_log if attempt.number]
    refused = next((each for each in answers if not each.is_success), None)
    failed = next((call for call in sim.calls if call.status not in (200, None)), None)
    if refused is not None:
        said = refused.error or f"{refused.status} {refused.body[:200]}"
        text = f"The service refused a delivery: {said}"
    elif failed is not None:
        text = f"A call of the service failed: {failed.path} answered {failed.status}."
    elif not sim.calls:
        text = (
            "The service took the deliveries and never called back. Is it pointed at "
            f"this simulator?\n{_start_command(order, sim.base_url)}"
        )
    else:
        text = "All deliveries were taken and no call failed; see the service's log."
    return Text(text, style="yellow")
