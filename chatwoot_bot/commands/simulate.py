"""`chatwoot-bot simulate`: a Chatwoot on this machine, with visitors and an agent.

Starts the simulator, tells how to point the service at it, waits for the service,
then plays a script or lets you type. Nothing leaves this machine.

Besides Chatwoot's REST API it serves its own at /simulator (`simulator/control.py`),
and the words of the terminal (`simulator/terminal.py`) can be kept in a file.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..simulator.console import is_listening, script_lines, typed_lines
from ..simulator.ledger import MessageRefusedError
from ..simulator.records import Message
from ..simulator.releases import DEFAULT, RELEASES, release_of
from ..simulator.script import Plan, Report, run_script
from ..simulator.server import Simulator
from ..simulator.terminal import ExpectationError, Terminal, UsageError
from .console import VisibleConsole

THROWAWAY_SECRET = "simulator-secret"  # noqa: S105 - known to everybody
THROWAWAY_TOKEN = "simulator-bot-token"  # noqa: S105 - known to everybody
ADMIN_TOKEN = "admin-token"  # noqa: S105 - known to everybody
SECRET_ENV = "CHATWOOT_WEBHOOK_SECRET"  # noqa: S105 - a name
TOKEN_ENV = "CHATWOOT_API_TOKEN"  # noqa: S105 - a name
DEFAULT_PORT = 8000  # the service's
PROBE_S = 0.5  # between looks for a service that is not there yet
GREETING = (
    "Type as the visitor; /agent TEXT speaks as the human agent, "
    "/help tells the rest, /quit ends."
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
    channel: str
    release: str
    email_collect: bool
    script: list[str]
    bare: bool


def _known_release(name: str) -> str:
    try:
        return release_of(name).name
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


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
    channel: Annotated[
        str, typer.Option(help="The inbox's: WebWidget, Whatsapp, Email, Telegram …")
    ] = "WebWidget",
    release: Annotated[
        str,
        typer.Option(
            callback=_known_release,
            help=f"Which Chatwoot to be: {', '.join(RELEASES)}.",
        ),
    ] = DEFAULT,
    email_collect: Annotated[
        bool,
        typer.Option(help="Ask visitors for an e-mail address, as a new widget does."),
    ] = True,
    play: Annotated[
        Path | None,
        typer.Option(
            help="A file of lines as typed with --interactive, /wait and /expect too.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    bare: Annotated[
        bool,
        typer.Option(help="Start without a connected bot, to test `setup`."),
    ] = False,
) -> None:
    """Play Chatwoot on this machine: visitors ask, the service answers.

    Ends with 1 when an answer was lost, doubled or given to the wrong visitor, or
    when a line of --play expected something else.
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
        channel=channel,
        release=release,
        email_collect=email_collect,
        script=play.read_text(encoding="utf-8").splitlines() if play else [],
        bare=bare,
    )
    session = _Session(order, VisibleConsole(highlight=False))
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
            webhook_url="" if order.bare else order.webhook_url,
            secret=order.secret,
            port=order.port,
            bot_token=order.token,
            seed=order.seed,
            channel=f"Channel::{order.channel.removeprefix('Channel::')}",
            release=order.release,
            email_collect=order.email_collect,
            # Not from the seed: the service may remember the ids of an earlier run.
            first_conversation=(1 + secrets.randbelow(9_000)) * 1_000,
            first_message=(1 + secrets.randbelow(2_000)) * 1_000_000,
            on_message=self._show,
        ) as sim:
            self.console.print(
                f"Chatwoot {order.release} is simulated at {sim.base_url}", end=" "
            )
            self.console.print(f"(seed {order.seed})", style="dim")
            if order.bare:
                self.console.print(f"An administrator's token is {ADMIN_TOKEN}.")
            elif not await self._find_service(sim):
                self.exit_code = 1
                return
            if order.interactive:
                self.console.print(GREETING, style="dim")
                await self._converse(sim, typed_lines())
            elif order.script:
                await self._converse(sim, script_lines(order.script), is_script=True)
            elif not order.bare:
                await self._play(sim)
            if order.keep or (order.bare and not order.interactive):
                self.console.print("Still serving; Ctrl-C ends.", style="dim")
                await asyncio.Event().wait()

    async def _find_service(self, sim: Simulator) -> bool:
        """Wait for the webhook's port; say at once how to open it."""
        if await is_listening(self.order.webhook_url):
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
                    while not await is_listening(self.order.webhook_url):  # noqa: ASYNC110 - the other program cannot notify us
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

    async def _converse(
        self, sim: Simulator, lines: AsyncIterator[str], *, is_script: bool = False
    ) -> None:
        """Do line after line; a script ends at the first that fails."""
        terminal = Terminal(sim, wait_s=self.order.plan.timeout_s)
        async for line in lines:
            if line == "/quit":
                return
            try:
                told = await terminal.do(line)
            except (UsageError, ExpectationError, MessageRefusedError) as error:
                told = str(error)
                if is_script:
                    self.exit_code = 1
                    self.console.print(Text(f"{line}\n{told}", style="red"))
                    return
            if told:
                self.console.print(Text(told, style="dim"))

    def _show(self, message: Message) -> None:
        """Print one line; the text is a stranger's, so it is no markup."""
        who, colour = SPEAKERS.get(message.sender_type or "", ("chatwoot", "dim"))
        if message.private:
            who = f"{who}, note"
        line = Text(f"#{message.conversation_id:<3} ", style="dim")
        line.append(f"{who}: ", style=colour)
        line.append(message.content or "(no text)")
        for item in message.attachments:
            kind, url = item.get("file_type", "file"), item.get("data_url") or ""
            line.append(f" [{kind} {url}]", style="dim")
        for number, item in enumerate(message.content_attributes.get("items", ()), 1):
            title = item.get("title") or item.get("label") or item.get("name")
            line.append(f"\n      {number}. {title}", style="dim")
        self.console.print(line, soft_wrap=True)


def _start_command(order: _Order, base_url: str) -> str:
    """Return the command that starts the service against this simulator."""
    return (
        f"  {_port(order.webhook_url)}CHATWOOT_BASE_URL={base_url} "
        f"{TOKEN_ENV}={_shown(order.token, THROWAWAY_TOKEN, TOKEN_ENV)} "
        f"{SECRET_ENV}={_shown(order.secret, THROWAWAY_SECRET, SECRET_ENV)} "
        "CHATWOOT_ACCOUNT_ID=1 RESPONDER=mock chatwoot-bot serve"
    )


def _port(webhook_url: str) -> str:
    """Return the setting that has the service listen where webhooks are sent."""
    try:
        port = urlsplit(webhook_url).port
    except ValueError:
        return ""
    return "" if port in (None, DEFAULT_PORT) else f"PORT={port} "


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
