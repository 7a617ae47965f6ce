"""The command line; `chatwoot-bot serve` is the default command."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import __version__
from .commands.serve import serve

COMMANDS = (
    "serve",
    "worker",
    "setup",
    "doctor",
    "replay",
    "purge",
    "backup",
    "knowledge",
    "simulate",
)


class Commands(TyperGroup):
    """Import a command only when it runs: `serve` needs no simulator."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".commands.{cmd_name}", __package__)
        command = getattr(module, cmd_name)
        if isinstance(command, typer.Typer):
            group = typer.main.get_command(command)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
        alone.command(cmd_name)(command)
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=Commands,
    help="An AI assistant in front of a Chatwoot inbox.",
    no_args_is_help=False,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, help="Show the version.")
    ] = False,
) -> None:
    """Serve when no command is given."""
    if context.invoked_subcommand is None:
        serve()


def main() -> None:
    """Run the command line."""
    app()
